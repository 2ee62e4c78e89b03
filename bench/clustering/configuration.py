"""The configuration files of Patroni, haproxy and PgBouncer."""

import json
from dataclasses import dataclass
from pathlib import Path

from clustering.programs import POSTGRES_BIN

ROLE = "retrobus_service"
"""The role that the service logs in as; PgBouncer needs to know it."""

LOOP_WAIT, RETRY_TIMEOUT = 2, 3
"""Patroni asks that ttl >= loop_wait + 2 * retry_timeout."""

SHORTEST_TTL = LOOP_WAIT + 2 * RETRY_TIMEOUT


@dataclass(frozen=True)
class Rules:
    """The settings that all nodes share, and how many there are."""

    ttl: int
    synchronous: bool
    nodes: int


@dataclass(frozen=True)
class Places:
    """The name, folder and ports of one node, and the port of etcd."""

    name: str
    folder: Path
    postgres: int
    rest: int
    etcd: int

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.folder / "data"


def patroni(places: Places, rules: Rules) -> str:
    """patroni.yml of one node (JSON is YAML too). Strict: without a standby the leader takes no write."""
    here = "127.0.0.1"
    return json.dumps(
        {
            "scope": "retrobus",
            "name": places.name,
            "restapi": {"listen": f"{here}:{places.rest}", "connect_address": f"{here}:{places.rest}"},
            # Not etcd3: with it Patroni 3.0 takes the lock back without looking when it was frozen and wakes,
            # and the cluster itself then drops what the promoted node had committed.
            "etcd": {"hosts": [f"{here}:{places.etcd}"]},
            "bootstrap": {
                "dcs": {
                    "ttl": rules.ttl,
                    "loop_wait": LOOP_WAIT,
                    "retry_timeout": RETRY_TIMEOUT,
                    "maximum_lag_on_failover": 1 << 25,
                    "synchronous_mode": rules.synchronous,
                    "synchronous_mode_strict": rules.synchronous,
                    "synchronous_node_count": rules.nodes - 1,
                    "failsafe_mode": True,
                    "postgresql": {
                        "use_pg_rewind": True,
                        "use_slots": False,
                        "parameters": {
                            "wal_keep_size": "1GB",
                            "wal_retrieve_retry_interval": "200ms",
                            "wal_sender_timeout": "5s",
                        },
                    },
                },
                "initdb": [{"encoding": "UTF8"}, {"locale": "C.UTF-8"}, {"auth": "trust"}, "data-checksums"],
            },
            "postgresql": {
                "listen": f"{here}:{places.postgres}",
                "connect_address": f"{here}:{places.postgres}",
                "data_dir": str(places.data),
                "bin_dir": str(POSTGRES_BIN),
                "pgpass": str(places.folder / "pgpass"),
                "remove_data_directory_on_rewind_failure": True,
                "remove_data_directory_on_diverged_timelines": True,
                "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "postgres"}},
                "pg_hba": [f"host all all {here}/32 trust", f"host replication all {here}/32 trust"],
                "parameters": {"unix_socket_directories": "", "shared_buffers": "32MB", "max_connections": 100},
            },
        },
        indent=1,
    )


def haproxy(port: int, control: Path, nodes: list[Places]) -> str:
    """haproxy.cfg: connections go to the node whose Patroni says that it leads; those to another one are ended."""
    lines = [
        "global",
        f" stats socket {control} mode 666 level user",
        "defaults",
        " mode tcp",
        " timeout connect 2s",
        " timeout client 30m",
        " timeout server 30m",
        " timeout check 2s",
        "listen postgres",
        f" bind 127.0.0.1:{port}",
        " option httpchk GET /primary",
        " http-check expect status 200",
        " default-server inter 500ms downinter 200ms fall 2 rise 1 on-marked-down shutdown-sessions",
        *(f" server {node.name} 127.0.0.1:{node.postgres} check port {node.rest}" for node in nodes),
    ]
    return "\n".join(lines) + "\n"


def pgbouncer(port: int, behind: int, user: str) -> str:
    """pgbouncer.ini in transaction mode in front of haproxy; after a failover it tries to log in every second."""
    return f"""[databases]
* = host=127.0.0.1 port={behind} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 40
server_login_retry = 1
server_connect_timeout = 2
"""

"""The faults that happen to the cluster while clients work, and the settings that a run needs for each."""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from signal import SIGCONT, SIGSTOP

from clustering.nodes import Cluster, Node, Stuck, until

STALL = {"async": 1.0, "sync": 12.0}
"""Seconds of stalled replication before the leader dies; with a synchronous standby retries come in that time."""


@dataclass(frozen=True)
class Fault:
    """One row of the table."""

    title: str
    inject: Callable[[Cluster, str], None]
    """Makes the fault and heals it; returns when the cluster is whole again."""

    services: str = "ABC"
    modes: tuple[str, ...] = ("async", "sync")
    fallback: bool = False
    readers: int = 1
    clients: int = 12
    pause: float = 0.02
    """Seconds between two requests of a client. In a fallback fault few: what is tried is which primary gets a journal,
    and a journal that grows as fast as it is replayed goes nowhere before the traffic ends."""


def _promoted(cluster: Cluster, old: Node) -> None:
    until(lambda: any(node.is_leader() for node in cluster.others(old)), "another node is promoted", 60)


def _is_leading(cluster: Cluster) -> bool:
    with suppress(Stuck):
        return cluster.leader is not None
    return False


def kill(cluster: Cluster, _mode: str) -> None:
    """The leader's machine dies; it is started again once another node was promoted."""
    old = cluster.leader
    old.kill()
    _restart_after_promotion(cluster, old)


def _restart_after_promotion(cluster: Cluster, old: Node) -> None:
    """A standby that waits for its own standby counts as promoted for Patroni: /primary answers 200."""
    _promoted(cluster, old)
    time.sleep(1)
    old.start()


def switchover(cluster: Cluster, _mode: str) -> None:
    """The operator switches over to the standby."""
    cluster.leader.hand_over_to(cluster.others(cluster.leader)[0])


def freeze(seconds: float) -> Callable[[Cluster, str], None]:
    """The leader's machine freezes, then continues."""

    def inject(cluster: Cluster, _mode: str) -> None:
        old = cluster.leader
        old.freeze()
        time.sleep(seconds)
        old.thaw_postgres()
        old.thaw_patroni()

    return inject


def etcd_away(cluster: Cluster, _mode: str) -> None:
    """etcd, which holds Patroni's locks, does not answer for 15 s."""
    cluster.freeze_etcd(SIGSTOP)
    time.sleep(15)
    cluster.freeze_etcd(SIGCONT)
    until(lambda: _is_leading(cluster), "a leader after etcd is back")


def stall(cluster: Cluster, mode: str) -> None:
    """Replication stalls; then the leader's machine dies."""
    old = cluster.leader
    senders = old.children("walsender")
    for pid in senders:
        os.kill(pid, SIGSTOP)
    if not senders:
        raise Stuck("the leader has no walsender")
    time.sleep(STALL[mode])
    cluster.struck = time.monotonic()
    old.kill()
    _restart_after_promotion(cluster, old)


def standby_killed(cluster: Cluster, _mode: str) -> None:
    """The standby that the leader waits for dies and stays away for 15 s."""
    standby = cluster.others(cluster.leader)[0]
    standby.kill()
    time.sleep(15)
    standby.start()


def standby_frozen(cluster: Cluster, _mode: str) -> None:
    """A standby that the leader waits for freezes for 20 s: its connection stays, and confirms nothing."""
    standby = cluster.others(cluster.leader)[0]
    standby.freeze()
    time.sleep(20)
    standby.thaw_postgres()
    standby.thaw_patroni()


def zombie(cluster: Cluster, _mode: str) -> None:
    """The old leader freezes for 30 s; then only its PostgreSQL runs for 5 s, and believes that it leads."""
    old = cluster.leader
    old.freeze()
    time.sleep(30)
    old.thaw_postgres()
    time.sleep(5)
    old.thaw_patroni()


FAULTS = {
    "kill": Fault("kill -9 of leader and Patroni", kill, services="ABCE"),
    "switchover": Fault("switchover", switchover, services="ABCDE"),
    "freeze20": Fault("SIGSTOP 20 s", freeze(20)),
    "freeze45": Fault("SIGSTOP 45 s", freeze(45)),
    "etcd": Fault("etcd away 15 s", etcd_away),
    "stall": Fault("replication stalled, then kill -9", stall),
    "standby": Fault("standby killed for 15 s", standby_killed, services="B", readers=3, clients=18),
    "standby-frozen": Fault(
        "standby frozen for 20 s", standby_frozen, services="B", modes=("sync",), readers=3, clients=18
    ),
    "zombie": Fault("fallback on: zombie leader", zombie, services="AB", fallback=True, pause=0.3),
}

"""The part "deploy": root follows README's chapter "Deploy", then the runbook against the service that runs."""

from deploying import runbook
from deploying.machine import Failed, Machine
from deploying.pages import blocks
from deploying.shell import Shell, clone, installed

PLACE, STATE = "/usr/local/src/retrobus", "/var/lib/retrobus"
A_NEWER_VERSION = """
sed -i 's/^__version__ = .*/__version__ = "0.1.1"/' src/retrobus/__init__.py
git -c user.name=essai -c user.email=essai@example.org commit --quiet --all --message 'a newer version'
"""
BOTH_FILES = "export RETROBUS_ENV_FILE=/etc/retrobus.env:/etc/retrobus-owner.env"


def follow(machine: Machine) -> None:
    """Failed at the first block that does not work, and at the first fact that is not so."""
    installed(machine, "git")
    clone(machine, PLACE, "root")
    shell = Shell(machine, "root", PLACE)
    before = ""
    for block in blocks("Deploy"):
        if block.section == "Upgrade" != before:
            shell.run(A_NEWER_VERSION)
        before = block.section
        shell.run(block.text)
    check(machine)
    machine.run("root", MORE)
    shell = Shell(machine, "root", STATE)
    shell.run(f"{BOTH_FILES}\nTOKEN=$(retrobus token --email admin@example.org --ttl 1h)")
    sql(shell, "INSERT INTO vehicle (parc) VALUES ('920')")  # the page's example of a vehicle
    runbook.follow(shell, f"{STATE}/backups", lambda text: sql(shell, text))


def sql(shell: Shell, text: str) -> str:
    """Runs SQL as the owner of the database."""
    address = "$(sed -n 's/^DATABASE_URL=//p' /etc/retrobus-owner.env)"
    return shell.run(f'psql "{address}" -v ON_ERROR_STOP=1 <<"END_OF_SQL"\n{text}\nEND_OF_SQL')


MORE = """
set -e
sed -i 's/ serve$/ serve --workers 2/' /etc/systemd/system/retrobus.service
sed -i "s/^BACKUP_SCHEDULE=.*/BACKUP_SCHEDULE=$(date -d '+70 seconds' +%H:%M)/" /etc/retrobus.env
systemctl daemon-reload
systemctl restart retrobus
curl --silent --fail --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1:3001/ready
[ "$(systemctl status retrobus --no-pager | grep -c bin/python)" -ge 3 ]
timeout 150 sh -c 'until journalctl --unit retrobus --output cat | grep "Backup automatique fait"; do sleep 1; done'
systemctl kill --signal HUP --kill-whom main retrobus
curl --silent --fail --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1:3001/ready
"""
"""What the unit's restrictions must not hinder: several processes, an automatic backup, a SIGHUP."""

FACTS = {
    "stat -c '%a %U %G' /etc/retrobus.env": "640 root retrobus",
    "stat -c '%a %U %G' /etc/retrobus-owner.env": "600 root root",
    "stat -c '%a %U %G' /var/lib/retrobus": "700 retrobus retrobus",
    "stat -c %U /proc/$(systemctl show --property MainPID --value retrobus)": "retrobus",
    "systemctl is-enabled retrobus retrobus-dump.timer nginx | sort -u": "enabled",
    "readlink /opt/retrobus/current": "/opt/retrobus/0.1.0",
    "curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1/": "301",
    "curl -sk -o /dev/null -w '%{http_code}' https://127.0.0.1/metrics": "404",
    "stat -c %a /var/backups/retrobus /var/backups/retrobus/* | sort -u | xargs": "600 700",
    "grep -c '^JWT_PREVIOUS_SECRETS=' /etc/retrobus.env || true": "0",
}
"""What must be so after the chapter: a command and its output."""


def check(machine: Machine) -> None:
    """Failed if a fact is not so."""
    for command, expected in FACTS.items():
        found = machine.run("root", command).strip()
        if found != expected:
            raise Failed(f"{command}: {found} instead of {expected}")
    machine.run("root", "! runuser -u retrobus -- cat /etc/retrobus-owner.env")
    machine.run("root", "systemd-analyze security retrobus --no-pager | tail -n 1")

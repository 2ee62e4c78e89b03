"""The service with a known bug, for the negative control: it answers a retry without asking the standby.

`python without_barrier.py serve` is `retrobus serve`, but a retry of a write whose COMMIT no standby confirmed gets its
kept answer at once; a failover then loses what was acknowledged.
"""

from retrobus.cli import main
from retrobus.store import statements

MESSAGE = "pg_logical_emit_message(true, 'retrobus', '')"

if __name__ == "__main__":
    if MESSAGE not in statements.BARRIER:
        raise SystemExit("the barrier has changed: this plant breaks nothing any more")
    statements.BARRIER = statements.BARRIER.replace(MESSAGE, "0")
    main()

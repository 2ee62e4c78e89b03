"""An index finds the tombstones that the public is told of, among many that it is not told of."""

from alembic import op

revision = "0015"
down_revision = "0014"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    "CREATE INDEX deletion_shown ON deletion (version) WHERE shown",
]

DOWNGRADE = [
    "DROP INDEX deletion_shown",
]


def upgrade() -> None:
    """Adds the index."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Drops it."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)

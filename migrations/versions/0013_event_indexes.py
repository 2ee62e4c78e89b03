"""Find events by vehicle or status in their order."""

from alembic import op

revision = "0013"
down_revision = "0012"
compatible = True
"""Whether code that expects the revision before works with this one too."""

UPGRADE = [
    "DROP INDEX event_vehicle_id",
    "CREATE INDEX event_status_date_id ON event (status, date DESC, id)",
    "CREATE INDEX event_vehicle_id_date_id ON event (vehicle_id, date DESC, id)",
]

DOWNGRADE = [
    "DROP INDEX event_vehicle_id_date_id",
    "DROP INDEX event_status_date_id",
    "CREATE INDEX event_vehicle_id ON event (vehicle_id)",
]


def upgrade() -> None:
    """Makes the indexes; the one by vehicle takes the place of the former, which had no order."""
    for statement in UPGRADE:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Makes the former index by vehicle again."""
    for statement in DOWNGRADE:
        op.get_bind().exec_driver_sql(statement)

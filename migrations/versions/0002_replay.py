"""How far each journal was replayed: a replay killed after its COMMIT is not done twice."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the table `replay`."""
    op.get_bind().exec_driver_sql("""
CREATE TABLE replay (
    journal UUID NOT NULL,
    sequence BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT replay_pkey PRIMARY KEY (journal)
)""")


def downgrade() -> None:
    """Drops it."""
    op.get_bind().exec_driver_sql("DROP TABLE replay")

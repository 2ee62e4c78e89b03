"""Wrong passwords are counted in one place for all processes of the service."""

from alembic import op

revision = "0006"
down_revision = "0005"
compatible = True
"""Whether code that expects the revision before works with this one too."""


def upgrade() -> None:
    """Adds the table `login_throttle`; it is not logged, since a crash may forget it."""
    op.get_bind().exec_driver_sql("""
CREATE UNLOGGED TABLE login_throttle (
    key BYTEA NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    tries INTEGER DEFAULT 1 NOT NULL,
    trusted BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT login_throttle_pkey PRIMARY KEY (key)
)""")
    op.get_bind().exec_driver_sql("CREATE INDEX login_throttle_started_at ON login_throttle (started_at)")


def downgrade() -> None:
    """Drops it."""
    op.get_bind().exec_driver_sql("DROP TABLE login_throttle")

"""Which versions of the code work with this schema: the service of yesterday goes on while the database is of today."""

from alembic import op

revision = "0005"
down_revision = "0004"
compatible = True
"""Whether code that expects the revision before works with this one too."""


def upgrade() -> None:
    """Adds the table `schema_support`, whose one row every upgrade writes."""
    op.get_bind().exec_driver_sql("""
CREATE TABLE schema_support (
    oldest VARCHAR(32) COLLATE "C" NOT NULL,
    CONSTRAINT schema_support_pkey PRIMARY KEY (oldest)
)""")
    op.get_bind().exec_driver_sql("CREATE UNIQUE INDEX schema_support_single ON schema_support ((true))")


def downgrade() -> None:
    """Drops it."""
    op.get_bind().exec_driver_sql("DROP TABLE schema_support")

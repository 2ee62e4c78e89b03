"""The type of a connection to PostgreSQL, in one place: every function that takes one names it so."""

from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    AnyConnection = asyncpg.Connection[asyncpg.Record]
else:  # the driver's class takes its parameter in the type checker alone
    AnyConnection = asyncpg.Connection

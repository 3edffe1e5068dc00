"""PostgreSQL: the pool, named queries from files, migrations, and which errors deserve another try."""

from shared.store.migrations import Migrations, migrate
from shared.store.pool import Database, Pool, Transaction, connect, is_transient, open_pool
from shared.store.queries import Queries
from shared.store.sessions import LONGEST_STANDING, end_standing_still
from shared.store.together import Together

__all__ = [
    "LONGEST_STANDING",
    "Database",
    "Migrations",
    "Pool",
    "Queries",
    "Together",
    "Transaction",
    "connect",
    "end_standing_still",
    "is_transient",
    "migrate",
    "open_pool",
]

"""PostgreSQL: the pool, named queries from files, migrations, and which errors deserve another try."""

from shared.store.migrations import Migrations, migrate
from shared.store.pool import Database, Pool, Transaction, connect, is_transient, open_pool
from shared.store.queries import Queries
from shared.store.together import Together

__all__ = [
    "Database",
    "Migrations",
    "Pool",
    "Queries",
    "Together",
    "Transaction",
    "connect",
    "is_transient",
    "migrate",
    "open_pool",
]

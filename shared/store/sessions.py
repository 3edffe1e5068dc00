"""Sessions whose client stands still (SIGSTOP, a frozen machine) with rows under lock."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path
from typing import Final

from shared.store.pool import Transaction
from shared.store.queries import Queries

log = logging.getLogger(__name__)

_sql = Queries(Path(__file__).parent)

LONGEST_STANDING: Final = timedelta(seconds=5)


async def end_standing_still(connection: Transaction, longest: timedelta = LONGEST_STANDING) -> int:
    """End sessions of this login that wrote or locked something and wait for their client; returns how many.

    ``idle_in_transaction_session_timeout`` ends a session between two statements only. A client that was stopped in the
    middle of one (a COPY that it was feeding, a result that it was reading, a statement that was prepared and not run
    yet) leaves a session that PostgreSQL calls active, and none of its time limits reaches it there: its locks would
    stay until the client is gone. One that holds advisory locks only (a shard) has no transaction id yet. A client that
    is merely slow gets an error that is tried again.
    """
    ended: int = await connection.fetchval(_sql["end_standing_still"], longest)
    if ended:
        log.warning("standing_sessions_ended", extra={"sessions": ended})
    return ended

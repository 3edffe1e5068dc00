"""Crash points: the instants between two steps of which one is durable and the other is not.

Each is a function that wraps what the product calls there, and kills the process when it comes by for the n-th time.
SIGKILL runs no ``finally``, closes no connection in order, and flushes nothing.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

from asyncpg.transaction import Transaction

from services.notification.gateway import Mail
from services.notification.values import Accepted
from services.routing import handlers as routing
from shared import journal
from shared.bus.ear import Ear
from shared.outbox import relay

_answers: ContextVar[bool] = ContextVar("answers", default=False)
"""Whether the transaction that is open in this task answers a command."""


def _put(owner: object, **instead: object) -> None:
    for name, what in instead.items():
        setattr(owner, name, what)


def _dies_at(nth: int) -> Callable[[], None]:
    passed = 0

    def pass_by() -> None:
        nonlocal passed
        passed += 1
        if passed >= nth:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def _at_a_command_s_commit(before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
    add_answers, begin, leave = journal.add_answers, journal.begin, Transaction.__aexit__

    async def noticed(tx: Any, given: Any) -> Any:
        if given:
            _answers.set(True)
        return await add_answers(tx, given)

    async def begun(*given: Any) -> Any:
        _answers.set(True)
        return await begin(*given)

    async def left(self: Any, kind: Any, *rest: Any) -> None:
        is_commit = kind is None and _answers.get() and not self._nested
        if is_commit:
            _answers.set(False)
            if before is not None:
                before()
        await leave(self, kind, *rest)
        if is_commit and after is not None:
            after()

    _put(journal, add_answers=noticed, begin=begun)
    _put(Transaction, __aexit__=left)


def before_commit(nth: int) -> None:
    """A command was decided and written, and not committed: nothing of it may be seen ever after."""
    _at_a_command_s_commit(_dies_at(nth), None)


def after_commit(nth: int) -> None:
    """A command was committed, and nobody was told: the same id must get its answer, and one effect."""
    _at_a_command_s_commit(None, _dies_at(nth))


def relay_sent(nth: int) -> None:
    """The broker has acknowledged, and the pointers are still there: all of it is sent again."""
    _put(relay, _send_all=_afterwards(relay._send_all, _dies_at(nth)))


def heard_not_marked(nth: int) -> None:
    """A batch was heard and committed, and its offsets were not: all of it is delivered again."""
    _put(Ear, commit_heard=_beforehand(Ear.commit_heard, _dies_at(nth)))


def provider_accepted(nth: int) -> None:
    """The provider has the mail, and nobody wrote that down: it may go out twice, and the second says so."""
    die = _dies_at(nth)
    send = Mail.send

    async def sent(self: Mail, *given: Any) -> Any:
        outcome = await send(self, *given)
        if isinstance(outcome, Accepted):
            die()
        return outcome

    _put(Mail, send=sent)


def timers_fired(nth: int) -> None:
    """Deadlines were said and committed, and the loop that looked for them does not know."""
    die = _dies_at(nth)
    fire = routing.fire_timers

    async def fired(*given: Any) -> int:
        said = await fire(*given)
        if said:
            die()
        return said

    _put(routing, fire_timers=fired)


def _afterwards(work: Callable[..., Awaitable[Any]], then: Callable[[], None]) -> Callable[..., Awaitable[Any]]:
    async def done(*given: Any) -> Any:
        outcome = await work(*given)
        then()
        return outcome

    return done


def _beforehand(work: Callable[..., Awaitable[Any]], first: Callable[[], None]) -> Callable[..., Awaitable[Any]]:
    async def done(*given: Any) -> Any:
        first()
        return await work(*given)

    return done


POINTS: Final[dict[str, Callable[[int], None]]] = {
    "before_commit": before_commit,
    "after_commit": after_commit,
    "relay_sent": relay_sent,
    "heard_not_marked": heard_not_marked,
    "provider_accepted": provider_accepted,
    "timers_fired": timers_fired,
}

WHERE: Final[dict[str, tuple[str, ...]]] = {
    "before_commit": ("intake", "routing"),
    "after_commit": ("intake", "routing"),
    "relay_sent": ("intake", "routing", "notification"),
    "heard_not_marked": ("intake", "routing", "notification", "reporting"),
    "provider_accepted": ("notification",),
    "timers_fired": ("routing",),
}
"""Which services come by which point."""

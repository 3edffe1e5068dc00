"""What operators see and do, the same at every service: depth, parked, dead letters and their exits, republish."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query

from shared import outbox, telemetry
from shared.access import Action
from shared.bus import Bus, Control, parked
from shared.bus.parked import DeadLetter, Done, NotDone
from shared.http.actor import ActorHere, demand
from shared.http.fields import Form, ShortText
from shared.http.health import LoopLag
from shared.http.problems import Problem, RefusedError
from shared.outbox import Relay
from shared.store import Database

_LARGEST_ID: Final = 2**63 - 1

LetterId = Annotated[int, Path(ge=1, le=_LARGEST_ID)]
"""A dead letter's id, as the list shows it."""


class Reason(Form):
    """Why a version is passed over; it is signed with the operator's id and kept."""

    reason: ShortText


class Republish(Form):
    """Whose history is said again: some subjects, or (None) everybody's; to the topic, or to a hearer's private one."""

    subjects: tuple[ShortText, ...] | None = None
    topic: ShortText | None = None


@dataclass(frozen=True, slots=True)
class Operated:
    """The parts of a service that operators look after; ``more`` adds what only this service has (timers, provider)."""

    service: str
    database: Database
    bus: Bus
    relay: Relay | None
    more: Callable[[], Awaitable[dict[str, Any]]] | None = None
    lag: LoopLag | None = None
    control: Control | None = None


def operations_router(operated: Operated) -> APIRouter:
    """The routes under ``/<service>/operations``; every one wants an operator, save the status."""
    router = APIRouter(prefix=f"/{operated.service}/operations", tags=["operations"])

    @router.get("/status")
    async def status() -> dict[str, Any]:
        """Lag, unsent, parked and dead letters with their oldest age in seconds."""
        return await status_of(operated)

    @router.get("/dead-letters")
    async def list_dead_letters(
        who: ActorHere,
        closed: bool = False,
        below: Annotated[int | None, Query(ge=1, le=_LARGEST_ID)] = None,
        count: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """Open dead letters, newest first (``closed`` shows the others too)."""
        demand(who, Action.OPERATE, None)
        async with operated.database.connection() as connection:
            found = await parked.dead_letters(
                connection, only_open=not closed, count=count, **({"below": below} if below else {})
            )
        return {"dead_letters": [_shown(one) for one in found]}

    @router.get("/dead-letters/{ident}")
    async def show_dead_letter(who: ActorHere, ident: LetterId) -> dict[str, Any]:
        """One dead letter with headers and body."""
        demand(who, Action.OPERATE, None)
        async with operated.database.connection() as connection:
            found = await parked.dead_letter(connection, ident)
        if found is None:
            raise RefusedError(_problem(NotDone("unknown", "list the dead letters and use an id from there")))
        headers = {name: (value or b"").decode("utf-8", "replace") for name, value in found.headers}
        body = (found.body or b"")[:65536].decode("utf-8", "replace")
        return {**_shown(found), "headers": headers, "body": body, "body_bytes": len(found.body or b"")}

    @router.post("/dead-letters/{ident}/redrive")
    async def redrive(who: ActorHere, ident: LetterId) -> dict[str, str]:
        """Hear it once more, as it is."""
        demand(who, Action.OPERATE, None)
        return _answer(await parked.redrive(operated.database, operated.bus.hearer, ident, who.id))

    @router.post("/dead-letters/{ident}/void")
    async def void(who: ActorHere, ident: LetterId, form: Reason) -> dict[str, str]:
        """Pass its version over for this hearer, with a signed reason."""
        demand(who, Action.OPERATE, None)
        return _answer(await parked.void(operated.database, operated.bus.hearer, ident, who.id, form.reason))

    @router.get("/parked")
    async def list_parked(who: ActorHere, count: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        """What waits, oldest first, and for what."""
        demand(who, Action.OPERATE, None)
        async with operated.database.connection() as connection:
            found = await parked.parked_records(connection, count)
        return {
            "parked": [
                {
                    "id": one.id,
                    "topic": one.topic,
                    "partition": one.partition,
                    "offset": one.offset,
                    "subject": one.subject,
                    "source": one.source,
                    "version": one.version,
                    "reason": one.reason,
                    "waits_for": one.waits_for,
                    "age_seconds": one.age_seconds,
                }
                for one in found
            ]
        }

    if operated.relay is not None:

        @router.post("/republish")
        async def republish(who: ActorHere, form: Republish) -> dict[str, int]:
            """Say again all that was said of these subjects, from version 1."""
            demand(who, Action.OPERATE, None)
            count = await outbox.republish(operated.database, form.subjects, topic=form.topic)
            return {"subjects": count}

    return router


async def status_of(operated: Operated) -> dict[str, Any]:
    """The figures of ``/operations/status``."""
    async with operated.database.connection() as connection:
        room = await parked.waiting_room(connection)
        depth = await outbox.depth(connection)
    figures: dict[str, Any] = {
        "service": operated.service,
        "lag": operated.bus.lag(),
        "hearing": operated.bus.stopped or "yes",
        "heard": operated.bus.heard,
        "unsent": depth.unsent,
        "oldest_unsent_seconds": round(depth.oldest_seconds, 3),
        "parked": {"count": room.parked, "oldest_seconds": round(room.parked_seconds, 3)},
        "dead_letters": {"count": room.dead, "oldest_seconds": round(room.dead_seconds, 3)},
    }
    if operated.control is not None:
        figures["tally"] = operated.control.figures()
    if operated.lag is not None:
        figures["loop_lag_seconds"] = round(operated.lag.worst, 3)
    if operated.relay is not None:
        figures["relay"] = {"shards": sorted(operated.relay.held), "sent": operated.relay.sent}
    if operated.more is not None:
        figures.update(await operated.more())
    return figures


def tell_figures(status: dict[str, Any]) -> None:
    """The figures of ``/operations/status`` as metrics; docs/metrics.md says what each means."""
    for topic, behind in status["lag"].items():
        telemetry.stands("event.unheard", "{event}", behind, topic=topic)
    telemetry.stands("event.unsent", "{event}", status["unsent"])
    telemetry.stands("event.unsent.aged", "s", status["oldest_unsent_seconds"])
    telemetry.stands("event.parked", "{event}", status["parked"]["count"])
    telemetry.stands("event.parked.aged", "s", status["parked"]["oldest_seconds"])
    telemetry.stands("letter.buried", "{letter}", status["dead_letters"]["count"])
    telemetry.stands("letter.buried.aged", "s", status["dead_letters"]["oldest_seconds"])
    if "tally" in status:
        telemetry.stands("stream.lacking", "{stream}", status["tally"]["lacking"])
        telemetry.stands("stream.unhealed", "{stream}", status["tally"]["unhealed"])
        telemetry.stands("stream.ahead", "{stream}", status["tally"]["ahead"])
    if "loop_lag_seconds" in status:
        telemetry.stands("loop.delayed", "s", status["loop_lag_seconds"])
    if "timers" in status:
        telemetry.stands("timer.awaited", "{timer}", status["timers"]["waiting"])
        telemetry.stands("timer.overdue", "{timer}", status["timers"]["overdue"])
        telemetry.stands("timer.overdue.aged", "s", status["timers"]["late_seconds"])
    if "notices" in status:
        telemetry.stands("notice.awaited", "{notice}", status["notices"]["waiting"])
        telemetry.stands("notice.awaited.aged", "s", status["notices"]["oldest_waiting_seconds"])
        telemetry.stands("notice.failed", "{notice}", status["notices"]["failed"])


def _shown(one: DeadLetter) -> dict[str, Any]:
    return {
        "id": one.id,
        "topic": one.topic,
        "partition": one.partition,
        "offset": one.offset,
        "subject": one.subject,
        "source": one.source,
        "version": one.version,
        "type": one.type,
        "reason": one.reason,
        "died": one.died.isoformat(),
        "age_seconds": round(one.age_seconds, 3),
        "fate": one.fate,
        "fated_by": one.fated_by,
        "fate_reason": one.fate_reason,
        "never_said": one.never_said,
    }


def _answer(outcome: Done | NotDone) -> dict[str, str]:
    if isinstance(outcome, NotDone):
        raise RefusedError(_problem(outcome))
    return {"done": outcome.said}


def _problem(refused: NotDone) -> Problem:
    return Problem(
        404 if refused.reason == "unknown" else 409,
        f"dead-letter-{refused.reason.replace('_', '-')}",
        "The dead letter stays as it is",
        {
            "unknown": "there is no such dead letter",
            "closed": "its fate was decided before",
            "no_stream": "it belongs to no stream",
            "still_failing": "it cannot be heard",
            "not_next": "an earlier version of its stream is missing",
        }[refused.reason],
        refused.do,
    )

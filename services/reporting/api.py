"""Reporting over HTTP: what is where now, the dossiers behind a figure, timelines, and the figures of a period."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import AwareDatetime, Field

from services.reporting import handlers
from services.reporting.handlers.looking import Now, Told
from services.reporting.values import Counts, Entry, Found, Period, Place, Standing, Status, Tally, Wanted
from shared.access import Action
from shared.http.actor import ActorHere, demand
from shared.http.problems import Problem, RefusedError
from shared.store import Database

Code = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Name = Annotated[str, Query(min_length=1, max_length=120)]
DossierId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def wanted_dossiers(
    origin: Name | None = None,
    unit: Code | None = None,
    stage: Name | None = None,
    status: Status | None = None,
    standing: Literal["on_time", "near", "late", "paused", "done", "withdrawn", "open", "done_today"] | None = None,
    late: bool | None = None,
    q: Code | None = None,
) -> Wanted:
    """A FastAPI dependency: the filter of a list. ``late``: the promise is broken; ``q``: how the code begins."""
    return Wanted(
        origin=origin,
        unit=unit,
        stage=stage,
        status=status,
        standing=Standing(standing) if standing in set(Standing) else None,
        is_open=standing == "open",
        late=late,
        code=q,
        done_today=standing == "done_today",
    )


WantedHere = Annotated[Wanted, Depends(wanted_dossiers)]


def router(database: Database) -> APIRouter:
    """Reporting's routes."""
    routes = APIRouter(prefix="/reporting", tags=["reporting"])

    # Totals are open to everybody: how an office keeps its promises is to be public (Decree 61/2018), and a number of
    # dossiers names nobody.
    @routes.get("/now")
    async def get_now() -> dict[str, Any]:
        """What is where now: totals by status and standing, by unit and by stage."""
        return _now(await handlers.look(database))

    @routes.get("/recount")
    async def get_recount(who: ActorHere) -> dict[str, Any]:
        """Whether the picture of now equals what the timelines give, counted anew; where not, the cells that differ."""
        demand(who, Action.READ_REPORT, None)
        recount = await handlers.recount(database)
        return {
            "agrees": recount.agrees,
            "only_in_the_picture": [asdict(one) for one in recount.kept - recount.recounted],
            "only_in_the_timelines": [asdict(one) for one in recount.recounted - recount.kept],
        }

    @routes.get("/history")
    async def get_history() -> dict[str, Any]:
        """Replayed dossiers and their steps, by the record that they come from; they are not in the picture of now."""
        return {"history": [asdict(one) for one in await handlers.past(database)]}

    @routes.get("/dossiers")
    async def get_dossiers(
        who: ActorHere,
        wanted: WantedHere,
        after: Annotated[str, Query(max_length=120, description="`next` of the page before")] = "",
        count: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """The dossiers behind a figure, the most urgent first; without ``origin`` the live ones."""
        demand(who, Action.READ_REPORT, None)
        place = Place.parsed(after) if after else None
        if after and place is None:
            raise RefusedError(
                Problem(
                    422, "bad-place", "No such place", "it is no place in a list", "send the next of a page", "after"
                )
            )
        found = await handlers.find(database, wanted, count, place)
        following = str(found.next) if found.next else None
        return {"total": found.total, "next": following, "dossiers": [_found(one) for one in found.dossiers]}

    @routes.get("/dossiers/{dossier}/timeline")
    async def get_timeline(who: ActorHere, dossier: DossierId) -> dict[str, Any]:
        """Everything that was heard of a dossier, in the order in which it happened, and its steps in theirs."""
        demand(who, Action.READ_REPORT, None)
        told = await handlers.tell(database, dossier)
        if told is None:
            raise RefusedError(
                Problem(
                    404,
                    "unknown-dossier",
                    "Reporting has not heard of this dossier",
                    "nothing was heard of a dossier with this id",
                    "check the id; if it was received just now, try again in a few seconds",
                )
            )
        return _told(told)

    @routes.get("/counts")
    async def get_counts(
        who: ActorHere,
        first: Annotated[date, Query(alias="from")],
        last: Annotated[date, Query(alias="to")],
        known_on: AwareDatetime | None = None,
        origin: Name | None = None,
    ) -> dict[str, Any]:
        """A period's figures as of its last day, by what was recorded up to ``known_on`` (without it: up to now).

        A day is that of the office's calendar. Finished: early, on time or late by the date, against the due date as
        it stood then (the promise, moved by credited pauses). Carried over and received together equal the rest.
        ``origin``: of the dossiers that a record brought, adopted or not; without it of the live ones.
        """
        demand(who, Action.READ_REPORT, None)
        if last < first:
            raise RefusedError(
                Problem(422, "bad-period", "The period ends before it begins", "to lies before from", "swap them", "to")
            )
        period, counts = await handlers.count(database, first, last, known_on, origin)
        return _counts(period, counts)

    return routes


def _tally(tally: Tally) -> dict[str, int]:
    return {"open": tally.open, **asdict(tally)}


def _now(now: Now) -> dict[str, Any]:
    picture = now.picture
    return {
        "as_of": now.as_of,
        "recorded_until": now.recorded_until,
        "totals": {
            **_tally(picture.total),
            "promises_broken": picture.promises_broken,
            "by_status": {str(status.value): number for status, number in picture.statuses.items()},
        },
        "units": [
            {"unit": code, "name": now.units.get(code or ""), **_tally(tally)} for code, tally in picture.units.items()
        ],
        "stages": [{"stage": stage, **_tally(tally)} for stage, tally in picture.stages.items()],
    }


def _found(one: Found) -> dict[str, Any]:
    shown = asdict(one)
    return {"promise_broken": shown.pop("dossier_late"), **shown}


def _told(told: Told) -> dict[str, Any]:
    return {
        "dossier": asdict(told.dossier)
        | {"runs": [asdict(run) | {"standing": standing} for run, standing in told.places]},
        "procedure_name": told.procedure_name,
        "steps": [
            {"run": one.run, "stage": one.stage, "unit": one.unit, "officer": one.officer, "time": one.time}
            for one in told.steps
        ],
        "timeline": [_entry(one) for one in told.entries],
    }


def _entry(one: Entry) -> dict[str, Any]:
    return {**asdict(one), "detail": one.said()}


def _counts(period: Period, counts: Counts) -> dict[str, Any]:
    return {
        "period": {"from": period.first, "to": period.last},
        "as_known_on": period.known_on,
        "carried_over": counts.carried_over,
        "received": {
            "total": counts.received_at_desk + counts.received_online + counts.received_by_post,
            "desk": counts.received_at_desk,
            "online": counts.received_online,
            "post": counts.received_by_post,
        },
        "finished": {
            "total": counts.finished_early + counts.finished_on_time + counts.finished_late,
            "early": counts.finished_early,
            "on_time": counts.finished_on_time,
            "late": counts.finished_late,
        },
        "in_process": {
            "total": counts.in_process_within + counts.in_process_overdue,
            "within": counts.in_process_within,
            "overdue": counts.in_process_overdue,
        },
        "waiting": {"for_supplement": counts.waiting_for_supplement, "for_fee": counts.waiting_for_fee},
        "withdrawn": counts.withdrawn,
    }

"""What services say of a dossier, as a hearer meets it: valid envelopes around events, in order, with their causes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import uuid_utils

from shared.calendar import Term, TermUnit
from shared.envelope import Cause, Heard, Record, headers_of
from shared.events import (
    CalendarPublished,
    Channel,
    DossierReceived,
    Event,
    HandedOver,
    ProcedurePublished,
    ResultReady,
    StageStarted,
    UnitPublished,
)
from shared.journal import shard_of
from shared.topics import TOPIC_OF, Service

COMMUNE = "000.01.99.H41"
TOWN = "000.00.99.H41"
PROCEDURE = "1.001193"
MORNING = datetime(2019, 5, 6, 1, 0, tzinfo=UTC)
"""08:00 on a Monday in Nghệ An."""


@dataclass(slots=True)
class Story:
    """One subject of which the services speak; each event is said an hour after the one before it."""

    subject: str = field(default_factory=lambda: str(uuid_utils.uuid7()))
    now: datetime = MORNING
    origin: str | None = None
    said: list[Heard] = field(default_factory=list)
    versions: dict[Service, int] = field(default_factory=dict)

    def say(
        self,
        event: Event,
        *,
        after: timedelta = timedelta(hours=1),
        because: Heard | None = None,
        recorded: datetime | None = None,
        actor: str | None = None,
    ) -> Heard:
        """The next event of its speaker."""
        self.now += after
        source = event.said_by
        self.versions[source] = version = self.versions.get(source, 0) + 1
        one = Heard(
            id=str(uuid_utils.uuid7()),
            source=source,
            subject=self.subject,
            version=version,
            type=type(event).__name__,
            time=self.now,
            recorded=recorded or self.now + timedelta(seconds=1),
            cause=Cause(because.source, because.version) if because else None,
            origin=self.origin,
            actor=actor,
            traceparent=None,
            event=event,
        )
        self.said.append(one)
        return one

    def received(
        self, number: int = 1, *, channel: Channel = Channel.DESK, days: int = 5, unit: str = COMMUNE
    ) -> Heard:
        """It comes in at a commune, promised in some days."""
        return self.say(
            DossierReceived(
                code=f"{unit}-{self.now:%y%m%d}-{number:04}",
                procedure=PROCEDURE,
                procedure_version=1,
                unit=unit,
                unit_version=1,
                channel=channel,
                term=Term(days, TermUnit.WORKING_DAY),
                promise=self.now + timedelta(days=days, hours=9),
                calendar="office",
                calendar_version=1,
            )
        )

    def starts(
        self, stage: str = "commune_desk", *, run: int = 1, unit: str = COMMUNE, because: Heard | None = None
    ) -> Heard:
        """A stage begins; due in a day, the dossier as promised."""
        start = StageStarted(
            stage=stage,
            run=run,
            unit=unit,
            budget_minutes=450,
            stage_due=self.now + timedelta(days=1),
            generation=run,
        )
        return self.say(start, because=because)

    def hands_over(self, stage: str, *, run: int, unit: str = TOWN, giver: str = COMMUNE, late: bool = False) -> Heard:
        """On to the next stage."""
        self.say(HandedOver(stage="before", run=run - 1, giver=giver, receiver=unit, late=late), actor="officer-7")
        return self.starts(stage, run=run, unit=unit)

    def forks(self, *branches: tuple[str, str], run: int, giver: str = COMMUNE) -> None:
        """Several stages begin at once, each at its unit; the first has the run."""
        runs = [run + number for number in range(len(branches))]
        self.say(HandedOver(stage="before", run=run - 1, giver=giver, receiver=branches[0][1]), actor="officer-7")
        for one, (stage, unit) in zip(runs, branches, strict=True):
            due = self.now + timedelta(days=one)
            beside = tuple(other for other in runs if other != one)
            self.say(StageStarted(stage=stage, run=one, unit=unit, stage_due=due, generation=1, beside=beside))

    def ends_branch(self, run: int, *, left: tuple[int, ...], giver: str = TOWN, late: bool = False) -> Heard:
        """A branch is done while others are open."""
        said = HandedOver(stage="social_insurance", run=run, giver=giver, receiver=COMMUNE, late=late, beside=left)
        return self.say(said, actor="officer-8")

    def finishes(self, *, run: int, unit: str = COMMUNE, late: bool = False) -> Heard:
        """The result lies at the desk."""
        return self.say(ResultReady(run=run, unit=unit, late=late))


def a_procedure(name: str = "Đăng ký khai sinh") -> Heard:
    """Intake's catalogue has an entry."""
    term = Term(5, TermUnit.WORKING_DAY)
    return Story(f"procedure:{PROCEDURE}").say(
        ProcedurePublished(code=PROCEDURE, name=name, sector="Hộ tịch", term=term, level="commune")
    )


def a_unit(code: str = COMMUNE, name: str = "UBND phường Quỳnh Thiện", level: str = "commune") -> Heard:
    """Routing has a unit."""
    given = {"code": code, "name": name, "level": level, "calendar": "office", "valid_from": "2014-01-01"}
    return Story(f"unit:{code}").say(UnitPublished.model_validate(given))


def a_calendar(zone: str = "Asia/Ho_Chi_Minh") -> Heard:
    """Routing has a calendar; only its zone is of interest here."""
    return Story("calendar:office").say(CalendarPublished(code="office", data={"code": "office", "zone": zone}))


def record_of(one: Heard, offset: int = 0) -> Record:
    """The record that brings an event."""
    return Record(
        TOPIC_OF[one.source].name,
        shard_of(one.subject),
        offset,
        one.subject.encode(),
        tuple(headers_of(one)),
        one.event.model_dump_json(exclude_defaults=True).encode(),
    )


def records_of(said: Iterable[Heard]) -> list[Record]:
    """The records that bring some events, each at an offset of its own."""
    return [record_of(one, offset) for offset, one in enumerate(said)]

"""The officers of the simulated town at work: hours, speeds, absences, and one thing at a time."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final

from deploy.simulate.arrivals import Period
from deploy.simulate.model import Model
from deploy.simulate.town import Officer, Town
from shared.calendar import WorkingCalendar

_SECOND: Final = timedelta(seconds=1)


@dataclass(slots=True)
class Place:
    """An officer at work: until when he is busy, and what was taken of his time."""

    officer: Officer
    calendar: WorkingCalendar
    speed: float
    busy_until: datetime | None = None
    worked: timedelta = timedelta(0)


@dataclass(slots=True)
class Running:
    """The town while it runs: what is to happen next, and who is busy."""

    town: Town
    model: Model
    seed: int
    until: datetime
    events: list[tuple[datetime, int, Any]] = field(default_factory=list)
    order: Iterable[int] = field(default_factory=count)
    places: dict[tuple[str, str], list[Place]] = field(default_factory=lambda: defaultdict(list))
    absences: dict[tuple[str, date], bool] = field(default_factory=dict)
    serving: dict[tuple[str, str, str, date], list[Place]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for officer in self.town.officers:
            if officer.unit not in self.town.units:
                continue
            speed = Random(f"{self.seed}/speed/{officer.id}").lognormvariate(0.0, self.model.speed_sigma)
            place = Place(officer, self.town.calendar_of(officer.unit), speed)
            for role in officer.roles:
                self.places[officer.unit, role].append(place)

    def at(self, instant: datetime, what: Any) -> None:
        """Something is to happen; what comes after the end does not."""
        if instant < self.until:
            heapq.heappush(self.events, (instant, next(iter(self.order)), what))

    def run(self) -> None:
        while self.events:
            instant, _, what = heapq.heappop(self.events)
            what(instant)

    def is_absent(self, officer: str, day: date) -> bool:
        known = self.absences.get((officer, day))
        if known is None:
            known = Random(f"{self.seed}/absent/{officer}/{day}").random() < self.model.absent
            self.absences[officer, day] = known
        return known

    def present(self, unit: str, role: str, sector: str, day: date) -> list[Place]:
        """Who serves the sector there on a day; when nobody does, whoever is there. By id."""
        known = self.serving.get((unit, role, sector, day))
        if known is None:
            there = [one for one in self.places.get((unit, role), []) if one.officer.is_there(day)]
            known = [one for one in there if not one.officer.sectors or sector in one.officer.sectors] or there
            self.serving[unit, role, sector, day] = known
        return known

    def takes(self, unit: str, role: str, sector: str, at: datetime, effort: timedelta) -> tuple[str, datetime] | None:
        """Who does a piece of work that lies there from an instant on, and when it is done; None: there is nobody.

        Whoever can begin first; ties go to the lowest id.
        """
        calendar = self.town.calendar_of(unit)
        earliest = calendar.add_working_time(at, _SECOND)
        today = calendar.day_of(earliest)
        chosen: Place | None = None
        start = earliest
        for one in self.present(unit, role, sector, today):
            is_free = one.busy_until is None or one.busy_until <= earliest
            if is_free and not self.is_absent(one.officer.id, today):
                chosen, start = one, earliest
                break
            begins = self._free(one, earliest if one.busy_until is None else max(earliest, one.busy_until))
            if chosen is None or begins < start:
                chosen, start = one, begins
        if chosen is None or not chosen.officer.is_there(calendar.day_of(start)):
            return None
        taken = timedelta(seconds=max(1, round(effort.total_seconds() / chosen.speed)))
        chosen.busy_until = calendar.add_working_time(start, taken)
        chosen.worked += taken
        return chosen.officer.id, chosen.busy_until

    def _free(self, one: Place, begin: datetime) -> datetime:
        """When an officer can begin something that lies there: not while he is away."""
        while True:
            begin = one.calendar.add_working_time(begin, _SECOND)
            day = one.calendar.day_of(begin)
            if not self.is_absent(one.officer.id, day):
                return begin
            begin = one.calendar.close_of(day)

    def busiest(self, period: Period) -> dict[str, float]:
        """The ten teams with most to do: the part of their working time that was taken."""
        load: dict[str, float] = {}
        for (unit, role), places in self.places.items():
            calendar = self.town.calendar_of(unit)
            first = datetime.combine(period.first, datetime.min.time(), self.until.tzinfo)
            time = calendar.working_time(first, self.until)
            if time > timedelta(0):
                load[f"{unit}/{role}"] = round(
                    sum((one.worked for one in places), timedelta(0)) / time / len(places), 3
                )
        return dict(sorted(load.items(), key=lambda item: (-item[1], item[0]))[:10])

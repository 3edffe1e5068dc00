"""A simulated dossier on its way: everything that chance decides of it, and what happens to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from deploy.simulate import people
from deploy.simulate.arrivals import Arrival, desk_time
from deploy.simulate.model import Model, Spread
from deploy.simulate.officers import Running
from deploy.simulate.town import Stage
from deploy.simulate.values import Act, Course, Door, End
from shared.calendar import WorkingCalendar, due_of_term, due_with_credit, is_late
from shared.events import Channel

_IDS: Final = UUID("3c1f6ef0-6d1c-5b5e-9d53-0d2f8a7c4b11")
_SECOND: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = 120.0


@dataclass(slots=True)
class Dossier:
    """One dossier on its way. Everything that chance decides is drawn from its own seed, in its own order."""

    arrival: Arrival
    town: Running
    draw: Random
    ident: str
    body: dict[str, Any]
    calendar: WorkingCalendar
    promise: datetime
    due: datetime
    ends: tuple[timedelta, ...]
    """By when each stage is to end: office hours from the reception, without pauses."""
    asks: dict[int, str]
    """At which stages the clock is stood still, and for what."""
    acts: list[Act] = field(default_factory=list)
    credit: timedelta = timedelta(0)
    stage: int = 0
    holder: str | None = None
    over: bool = False
    end: End = "open"
    late: bool = False
    sent_back: bool = False

    @classmethod
    def of(cls, arrival: Arrival, town: Running, origin: str) -> Dossier:
        draw = Random(f"{town.seed}/{arrival.name}")
        calendar = town.town.calendar_of(arrival.unit)
        procedure = arrival.procedure
        promise = due_of_term(calendar, arrival.received, procedure.term_for(arrival.channel))
        stages = procedure.stages
        ends = _ends(arrival, stages, calendar, promise, town.model, draw)
        who = people.applicant(draw)
        body: dict[str, Any] = {
            "unit": arrival.unit,
            "procedure": procedure.code,
            "channel": arrival.channel.value,
            "applicant": who,
            "components": ["to_khai"],
            "record": {
                "origin": origin,
                "received": arrival.received.isoformat(),
                "attributes": {"simulated": arrival.name},
            },
        }
        if draw.random() < town.model.contact:
            body["contact"] = people.contact(draw, who)
        ident = str(uuid5(_IDS, f"{origin}/{arrival.name}"))
        asks = _asks(stages, procedure.has_fee, town.model, draw)
        return cls(arrival, town, draw, ident, body, calendar, promise, promise, ends, asks)

    @property
    def received(self) -> datetime:
        return self.arrival.received

    def course(self) -> Course:
        """What became of it. Only who may still be told something has left an address: nothing of the past is told."""
        body = self.body
        if self.end == "closed":
            body = {name: value for name, value in body.items() if name != "contact"}
        late = self.late or (self.end == "open" and is_late(self.calendar, self.due, self.town.until))
        return Course(self.ident, body, self.received, tuple(self.acts), self.end, late)

    # --- what happens to it

    def begins(self, at: datetime) -> None:
        model, draw = self.town.model, self.draw
        if draw.random() < model.withdrawal:
            part = draw.uniform(0.1, 0.9)
            when = self.calendar.add_working_time(at, part * self.ends[-1])
            self.town.at(max(when, at + 60 * _SECOND), self.is_withdrawn)
        self.enters(at)

    def enters(self, at: datetime) -> None:
        """It comes to its next stage."""
        stage = self.arrival.procedure.stages[self.stage]
        if stage.kind == "posting":
            # As routing reckons it, in whole minutes of office hours; nobody acts before it is over.
            ends = due_of_term(self.calendar, at, stage.term) if stage.term is not None else at
            self.town.at(max(ends, at) + _SECOND, self.is_done)
        elif stage.kind == "citizen":
            self.town.at(self._answered(at, self.town.model.fee_days), self.pays_since(at))
        else:
            self.town.at(max(at, self._wanted(timedelta(minutes=30))), self.is_taken_up)

    def is_taken_up(self, at: datetime) -> None:
        """Somebody is to work on it: now, or as soon as he can."""
        if self.over:
            return
        stage = self.arrival.procedure.stages[self.stage]
        wanted = self.asks.get(self.stage)
        effort = self._effort(stage) / (2 if wanted else 1)
        taken = self.town.takes(self._unit(stage), str(stage.role), self.arrival.procedure.sector, at, effort)
        if taken is None:
            # Nobody is in office: looked for again the next day.
            self.town.at(
                self.calendar.close_of(self.calendar.nth_working_day(self.calendar.day_of(at), 1)), self.is_taken_up
            )
            return
        self.holder, ends = taken
        self.town.at(max(ends, at), self.asks_for if wanted else self.is_done)

    def asks_for(self, at: datetime) -> None:
        """The officer misses something: the clock stands."""
        if self.over:
            return
        wanted = self.asks.pop(self.stage)
        model = self.town.model
        if wanted == "fee":
            self._act("routing", at, {"kind": "request_fee", "amount_vnd": 50_000, "reason": "fee"}, self.holder)
            self.town.at(self._answered(at, model.fee_days), self.resumes_after(at))
            return
        self._act(
            "routing",
            at,
            {"kind": "request_supplement", "components": ["giay_to_bo_sung"], "reason": "papers_missing"},
            self.holder,
        )
        if wanted == "again":
            self.asks[self.stage] = "supplement"
        if self.draw.random() >= model.supplement_never:
            self.town.at(self._answered(at, model.supplement_days), self.is_answered_after(at))

    def is_answered_after(self, asked: datetime) -> Any:
        def answered(at: datetime) -> None:
            if self.over:
                return
            action = {"kind": "supplement", "components": ["giay_to_bo_sung"]}
            self._act("intake", at, action, self._desk(at))
            self._credit(asked, at)

        return answered

    def resumes_after(self, asked: datetime) -> Any:
        def resumed(at: datetime) -> None:
            if self.over:
                return
            self._act("routing", at, {"kind": "resume"}, self._holder_on(at))
            self._credit(asked, at)

        return resumed

    def pays_since(self, asked: datetime) -> Any:
        """A stage that waits for the citizen, and for nobody else."""

        def paid(at: datetime) -> None:
            if self.over:
                return
            self._act("routing", at, {"kind": "resume"}, None)
            self._moves_due(asked, at)
            # The wait was all of the stage: routing hands it over by itself.
            self.goes_on(at)

        return paid

    def is_done(self, at: datetime) -> None:
        """A stage is done: on to the next, back, or the result is ready."""
        if self.over:
            return
        stages = self.arrival.procedure.stages
        here = self._unit(stages[self.stage])
        goes_up = self.stage > 0 and self._unit(stages[self.stage - 1]) != here and not self.sent_back
        if goes_up and stages[self.stage - 1].kind == "work" and self.draw.random() < self.town.model.send_back:
            self._act("routing", at, {"kind": "send_back", "reason": "not_complete"}, self.holder)
            self.sent_back = True
            self.stage -= 1
            self.enters(at)
        elif self.stage < len(stages) - 1:
            self._act("routing", at, {"kind": "hand_over"}, self.holder)
            self.goes_on(at)
        else:
            self._act("routing", at, {"kind": "finish"}, self.holder)
            self.over, self.end = True, "ready"
            self.late = is_late(self.calendar, self.due, at)
            if self.draw.random() >= self.town.model.collect_never:
                self.town.at(self._answered(at, self.town.model.collect_days), self.is_collected)

    def goes_on(self, at: datetime) -> None:
        """To the next stage."""
        self.stage += 1
        self.holder = None
        self.enters(at)

    def is_collected(self, at: datetime) -> None:
        way = "online" if self.arrival.channel is Channel.ONLINE else self.arrival.channel.value
        self._act("intake", at, {"kind": "result", "way": way}, self._desk(at))
        self.end = "closed"

    def is_withdrawn(self, at: datetime) -> None:
        if not self.over:
            self._act("intake", at, {"kind": "withdrawal"}, self._desk(at))
            self.over, self.end = True, "closed"

    # --- what that needs

    def _act(self, door: Door, at: datetime, action: Mapping[str, Any], by: str | None) -> None:
        self.acts.append(Act(door, at, action, by))

    def _unit(self, stage: Stage) -> str:
        return self.town.town.place_of(stage, self.arrival.unit)

    def _wanted(self, before: timedelta) -> datetime:
        """When the stage is to be worked on, so that it ends when it is to end."""
        end = self.ends[self.stage] + self.credit - before
        return self.calendar.add_working_time(self.received, max(end, timedelta(0)))

    def _effort(self, stage: Stage) -> timedelta:
        model = self.town.model
        median = model.effort.get(str(stage.role), 10)
        return timedelta(minutes=median * self.draw.lognormvariate(0.0, model.effort_sigma))

    def _answered(self, at: datetime, days: Spread) -> datetime:
        """When a citizen does what is wanted: through the portal at any hour, else at the desk; never at once."""
        wait = min(days.median * self.draw.lognormvariate(0.0, days.sigma), _LONGEST_WAIT)
        if self.arrival.channel is Channel.ONLINE:
            return at + timedelta(seconds=round(max(wait, 0.01) * 86_400))
        day = self.calendar.working_day_from(self.calendar.day_of(at + timedelta(days=max(wait, 0.5))))
        when = desk_time(self.calendar, self.town.model, day, self.draw)
        while when <= at:
            day = self.calendar.nth_working_day(day, 1)
            when = desk_time(self.calendar, self.town.model, day, self.draw)
        return when

    def _credit(self, asked: datetime, answered: datetime) -> None:
        """The clock runs again, and the work goes on."""
        self._moves_due(asked, answered)
        self.town.at(max(answered + 60 * _SECOND, self._wanted(timedelta(minutes=15))), self.is_taken_up)

    def _moves_due(self, asked: datetime, answered: datetime) -> None:
        """As routing counts it: whole seconds of office hours."""
        self.credit += self.calendar.working_time(asked, answered) // _SECOND * _SECOND
        self.due = due_with_credit(self.calendar, self.promise, self.credit)

    def _holder_on(self, at: datetime) -> str | None:
        """Who does it for the unit that holds it: whoever had it, if he is still in office."""
        stage = self.arrival.procedure.stages[self.stage]
        there = self.town.present(
            self._unit(stage), str(stage.role), self.arrival.procedure.sector, self.calendar.day_of(at)
        )
        ids = [one.officer.id for one in there]
        return self.holder if self.holder in ids else next(iter(ids), None)

    def _desk(self, at: datetime) -> str | None:
        """Whoever sits at the desk where it came in; nobody for what comes through the portal."""
        if self.arrival.channel is Channel.ONLINE:
            return None
        there = self.town.present(self.arrival.unit, "desk", self.arrival.procedure.sector, self.calendar.day_of(at))
        return there[self.draw.randrange(len(there))].officer.id if there else None


def _ends(
    arrival: Arrival,
    stages: tuple[Stage, ...],
    calendar: WorkingCalendar,
    promise: datetime,
    model: Model,
    draw: Random,
) -> tuple[timedelta, ...]:
    """By when each stage is to end, in office hours from the reception.

    One in time takes a part of the term. A late one lies at one stage until so many working days after the promise.
    """
    term = calendar.working_time(arrival.received, promise)
    weights = [stage.weight * draw.lognormvariate(0.0, 0.3) for stage in stages]
    whole = sum(weights)
    is_to_be_late = draw.random() < model.late_share
    # An hour is kept for what queues take; where the term is shorter than that, a quarter of it.
    kept = min(timedelta(hours=1), term / 4)
    used = (term - kept) * draw.betavariate(*model.pace)
    extra = timedelta(0)
    culprit = len(stages)
    if is_to_be_late:
        days = 1 + int(draw.expovariate(1 / max(model.late_days - 1, 0.1)))
        day = calendar.nth_working_day(calendar.day_of(promise), days)
        end = calendar.close_of(day) - timedelta(minutes=draw.randrange(30, 400))
        extra = max(calendar.working_time(arrival.received, end) - used, timedelta(0))
        lies = [model.late_role.get(str(stage.role), 0.01) for stage in stages]
        culprit = draw.choices(range(len(stages)), lies)[0]
    ends, passed = [], 0.0
    for number, weight in enumerate(weights):
        passed += weight
        ends.append(used * (passed / whole) + (extra if number >= culprit else timedelta(0)))
    return tuple(ends)


def _asks(stages: tuple[Stage, ...], has_fee: bool, model: Model, draw: Random) -> dict[int, str]:
    """Where the clock is stood still: who examines a dossier misses papers, and asks for a fee last."""
    asks: dict[int, str] = {}
    examining = [number for number, stage in enumerate(stages) if stage.role in {"officer", "specialist"}]
    if examining and draw.random() < model.supplement:
        asks[draw.choice(examining)] = "again" if draw.random() < model.supplement_again else "supplement"
    if has_fee and examining and draw.random() < model.fee:
        asks.setdefault(examining[-1], "fee")
    return asks

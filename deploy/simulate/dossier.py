"""A simulated dossier on its way: everything that chance decides of it, and what happens to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from deploy.simulate import people
from deploy.simulate.arrivals import Arrival, desk_time
from deploy.simulate.model import Model, Spread
from deploy.simulate.officers import Running
from deploy.simulate.town import Procedure, Stage
from deploy.simulate.values import Act, Course, Door, End
from shared.calendar import WorkingCalendar, due_of_term, due_with_credit, is_late
from shared.events import Channel

_IDS: Final = UUID("3c1f6ef0-6d1c-5b5e-9d53-0d2f8a7c4b11")
_SECOND: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = 120.0


@dataclass(slots=True)
class Leg:
    """A stage that a dossier is at, and who works on it; ``run`` counts the stages that it entered, as routing does."""

    stage: int
    run: int
    holder: str | None = None


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
    legs: list[Leg] = field(default_factory=list)
    """The stages that are open: one, or the branches of a fork."""
    runs: int = 0
    stands: bool = False
    waiting: list[Callable[[datetime], None]] = field(default_factory=list)
    """What others would have done while the clock stands for something that one of them asked."""
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
        ends = _ends(arrival, procedure, calendar, promise, town.model, draw)
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
        self.comes_to(range(1), at)

    def comes_to(self, step: Iterable[int], at: datetime) -> None:
        """It comes to a stage, or to every branch of a fork at once."""
        for number in step:
            self.runs += 1
            self.legs.append(Leg(number, self.runs))
        for leg in list(self.legs):
            self.enters(leg, at)

    def enters(self, leg: Leg, at: datetime) -> None:
        """It comes to its next stage."""
        stage = self._stage(leg)
        if stage.kind == "posting":
            # As routing reckons it, in whole minutes of office hours; nobody acts before it is over.
            ends = due_of_term(self.calendar, at, stage.term) if stage.term is not None else at
            self.town.at(max(ends, at) + _SECOND, partial(self.is_done, leg))
        elif stage.kind == "citizen":
            self.town.at(self._answered(at, self.town.model.fee_days), self.pays_since(leg, at))
        else:
            self.town.at(max(at, self._wanted(leg, timedelta(minutes=30))), partial(self.is_taken_up, leg))

    def _waits(self, what: Callable[[datetime], None]) -> bool:
        """Whether something cannot happen now: never, or not until the clock runs again."""
        if self.stands and not self.over:
            self.waiting.append(what)
        return self.over or self.stands

    def is_taken_up(self, leg: Leg, at: datetime) -> None:
        """Somebody is to work on it: now, or as soon as he can."""
        if self._waits(partial(self.is_taken_up, leg)):
            return
        stage = self._stage(leg)
        wanted = self.asks.get(leg.stage)
        effort = self._effort(stage) / (2 if wanted else 1)
        taken = self.town.takes(self._unit(stage), str(stage.role), self.arrival.procedure.sector, at, effort)
        if taken is None:
            # Nobody is in office: looked for again the next day.
            next_day = self.calendar.close_of(self.calendar.nth_working_day(self.calendar.day_of(at), 1))
            self.town.at(next_day, partial(self.is_taken_up, leg))
            return
        leg.holder, ends = taken
        self.town.at(max(ends, at), partial(self.asks_for if wanted else self.is_done, leg))

    def asks_for(self, leg: Leg, at: datetime) -> None:
        """The officer misses something: the clock stands."""
        if self._waits(partial(self.asks_for, leg)):
            return
        wanted = self.asks.pop(leg.stage)
        model = self.town.model
        self.stands = True
        if wanted == "fee":
            self._works(leg, at, {"kind": "request_fee", "amount_vnd": 50_000, "reason": "fee"})
            self.town.at(self._answered(at, model.fee_days), self.resumes_after(leg, at))
            return
        missing = {"components": ["giay_to_bo_sung"], "reason": "papers_missing"}
        self._works(leg, at, {"kind": "request_supplement", **missing})
        if wanted == "again":
            self.asks[leg.stage] = "supplement"
        if self.draw.random() >= model.supplement_never:
            self.town.at(self._answered(at, model.supplement_days), self.is_answered_after(leg, at))

    def is_answered_after(self, leg: Leg, asked: datetime) -> Any:
        def answered(at: datetime) -> None:
            if self.over:
                return
            action = {"kind": "supplement", "components": ["giay_to_bo_sung"]}
            self._act("intake", at, action, self._desk(at))
            self._credit(leg, asked, at)

        return answered

    def resumes_after(self, leg: Leg, asked: datetime) -> Any:
        def resumed(at: datetime) -> None:
            if self.over:
                return
            leg.holder = self._holder_on(leg, at)
            self._works(leg, at, {"kind": "resume"})
            self._credit(leg, asked, at)

        return resumed

    def pays_since(self, leg: Leg, asked: datetime) -> Any:
        """A stage that waits for the citizen, and for nobody else."""

        def paid(at: datetime) -> None:
            if self.over:
                return
            self._act("routing", at, {"kind": "resume"}, None)
            self._moves_due(asked, at)
            # The wait was all of the stage: routing hands it over by itself.
            self.goes_on(leg, at)

        return paid

    def is_done(self, leg: Leg, at: datetime) -> None:
        """A stage is done: on to the next, back, or the result is ready."""
        if self._waits(partial(self.is_done, leg)):
            return
        stages = self.arrival.procedure.stages
        here = self._unit(stages[leg.stage])
        before = leg.stage - 1
        goes_up = before >= 0 and self._unit(stages[before]) != here and not self.sent_back
        is_branch = stages[leg.stage].parallel
        if (
            goes_up
            and not is_branch
            and stages[before].kind == "work"
            and self.draw.random() < self.town.model.send_back
        ):
            back = {"kind": "send_back", "reason": "not_complete"}
            if stages[before].parallel:
                before = self.draw.choice(self.arrival.procedure.step_of(before))
                back["stage"] = stages[before].name
            self._works(leg, at, back)
            self.sent_back = True
            self.legs.remove(leg)
            self.comes_to([before], at)
        elif leg.stage < len(stages) - 1:
            self._works(leg, at, {"kind": "hand_over"})
            self.goes_on(leg, at)
        else:
            self._works(leg, at, {"kind": "finish"})
            self.over, self.end = True, "ready"
            self.late = is_late(self.calendar, self.due, at)
            if self.draw.random() >= self.town.model.collect_never:
                self.town.at(self._answered(at, self.town.model.collect_days), self.is_collected)

    def goes_on(self, leg: Leg, at: datetime) -> None:
        """To the next stage; the last branch of a fork to the one that joins."""
        self.legs.remove(leg)
        if not self.legs:
            procedure = self.arrival.procedure
            self.comes_to(procedure.step_of(procedure.step_of(leg.stage).stop), at)

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

    def _works(self, leg: Leg, at: datetime, action: Mapping[str, Any]) -> None:
        """Whoever holds a stage does something; of several open ones it is said which."""
        run = leg.run if len(self.legs) > 1 else None
        self.acts.append(Act("routing", at, action, leg.holder, run))

    def _stage(self, leg: Leg) -> Stage:
        return self.arrival.procedure.stages[leg.stage]

    def _unit(self, stage: Stage) -> str:
        return self.town.town.place_of(stage, self.arrival.unit)

    def _wanted(self, leg: Leg, before: timedelta) -> datetime:
        """When the stage is to be worked on, so that it ends when it is to end."""
        end = self.ends[leg.stage] + self.credit - before
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

    def _credit(self, leg: Leg, asked: datetime, answered: datetime) -> None:
        """The clock runs again, and the work goes on, in every branch."""
        self._moves_due(asked, answered)
        again = answered + 60 * _SECOND
        self.town.at(max(again, self._wanted(leg, timedelta(minutes=15))), partial(self.is_taken_up, leg))
        waiting, self.waiting, self.stands = self.waiting, [], False
        for what in waiting:
            self.town.at(self.calendar.add_working_time(again, timedelta(minutes=15)), what)

    def _moves_due(self, asked: datetime, answered: datetime) -> None:
        """As routing counts it: whole seconds of office hours."""
        self.credit += self.calendar.working_time(asked, answered) // _SECOND * _SECOND
        self.due = due_with_credit(self.calendar, self.promise, self.credit)

    def _holder_on(self, leg: Leg, at: datetime) -> str | None:
        """Who does it for the unit that holds it: whoever had it, if he is still in office."""
        stage = self._stage(leg)
        there = self.town.present(
            self._unit(stage), str(stage.role), self.arrival.procedure.sector, self.calendar.day_of(at)
        )
        ids = [one.officer.id for one in there]
        return leg.holder if leg.holder in ids else next(iter(ids), None)

    def _desk(self, at: datetime) -> str | None:
        """Whoever sits at the desk where it came in; nobody for what comes through the portal."""
        if self.arrival.channel is Channel.ONLINE:
            return None
        there = self.town.present(self.arrival.unit, "desk", self.arrival.procedure.sector, self.calendar.day_of(at))
        return there[self.draw.randrange(len(there))].officer.id if there else None


def _ends(
    arrival: Arrival,
    procedure: Procedure,
    calendar: WorkingCalendar,
    promise: datetime,
    model: Model,
    draw: Random,
) -> tuple[timedelta, ...]:
    """By when each stage is to end, in office hours from the reception; branches of a fork begin together.

    One in time takes a part of the term. A late one lies at one stage until so many working days after the promise.
    """
    stages = procedure.stages
    term = calendar.working_time(arrival.received, promise)
    weights = [stage.weight * draw.lognormvariate(0.0, 0.3) for stage in stages]
    steps = [procedure.step_of(number) for number in range(len(stages))]
    whole = sum(max(weights[each] for each in step) for number, step in enumerate(steps) if number == step.start)
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
        is_after = number >= culprit and (culprit not in steps[number] or number == culprit)
        ends.append(used * ((passed + weight) / whole) + (extra if is_after else timedelta(0)))
        if number + 1 == steps[number].stop:
            passed += max(weights[each] for each in steps[number])
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

"""A town in memory: dossiers come, lie in the queues of officers who have hours, speeds and absences, and go out.

A discrete-event simulation on frozen values and seeded draws: no clock, no input or output. Whether a dossier will be
late, and where, is drawn when it comes in; when an officer takes it up follows from that, and from whether he is there
and free. So the share of late ones is the model's, as long as the officers are enough for what comes; where they are
not, queues make more late, and ``busiest`` says so.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final
from uuid import UUID, uuid5

from deploy.simulate import people
from deploy.simulate.arrivals import Arrival, Period, arrivals, desk_time
from deploy.simulate.model import Model, Spread
from deploy.simulate.town import Officer, Stage, Town
from deploy.simulate.values import Act, Course, Door, End, Figures, Plan
from shared.calendar import WorkingCalendar, due_of_term, due_with_credit, is_late
from shared.events import Channel

_IDS: Final = UUID("3c1f6ef0-6d1c-5b5e-9d53-0d2f8a7c4b11")
_SECOND: Final = timedelta(seconds=1)
_LONGEST_WAIT: Final = 120.0


def origin_of(period: Period, seed: int, volume: int) -> str:
    """The record that a run's dossiers come from: the same arguments, the same name."""
    return f"simulation.{period.name}.seed-{seed}.volume-{volume}"


def plan(town: Town, model: Model, period: Period, *, seed: int, volume: int, until: datetime) -> Plan:
    """Everything that happens in a period, up to ``until``. The same arguments give the same plan."""
    origin = origin_of(period, seed, volume)
    running = _Running(town, model, seed, until)
    coming = [one for one in arrivals(town, model, period, seed, volume) if one.received < until]
    made = [_Dossier.of(one, running, origin) for one in coming]
    for dossier in made:
        running.at(dossier.received, dossier.begins)
    running.run()
    return Plan(origin, period.name, until, tuple(one.course() for one in made), running.busiest(period))


def figures(courses: Iterable[Course]) -> Figures:
    """What courses add up to."""
    kinds: Counter[str] = Counter()
    channels: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    finished = late = received = acts = 0
    for one in courses:
        received += 1
        acts += len(one.acts)
        channels[one.body["channel"]] += 1
        ends[one.end] += 1
        of_one = Counter(str(act.action["kind"]) for act in one.acts)
        kinds += of_one
        finished += of_one["finish"]
        late += one.late and of_one["finish"]
    return Figures(
        received,
        channels["desk"],
        channels["online"],
        channels["post"],
        finished,
        late,
        kinds["withdrawal"],
        kinds["result"],
        kinds["hand_over"] + kinds["send_back"],
        kinds["supplement"],
        ends["open"],
        ends["ready"],
        acts,
    )


# --- the officers ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Place:
    """An officer at work: until when he is busy, and what was taken of his time."""

    officer: Officer
    calendar: WorkingCalendar
    speed: float
    busy_until: datetime | None = None
    worked: timedelta = timedelta(0)


@dataclass(slots=True)
class _Running:
    """The town while it runs: what is to happen next, and who is busy."""

    town: Town
    model: Model
    seed: int
    until: datetime
    events: list[tuple[datetime, int, Any]] = field(default_factory=list)
    order: Iterable[int] = field(default_factory=count)
    places: dict[tuple[str, str], list[_Place]] = field(default_factory=lambda: defaultdict(list))
    absences: dict[tuple[str, date], bool] = field(default_factory=dict)
    serving: dict[tuple[str, str, str, date], list[_Place]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for officer in self.town.officers:
            if officer.unit not in self.town.units:
                continue
            speed = Random(f"{self.seed}/speed/{officer.id}").lognormvariate(0.0, self.model.speed_sigma)
            place = _Place(officer, self.town.calendar_of(officer.unit), speed)
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

    def present(self, unit: str, role: str, sector: str, day: date) -> list[_Place]:
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
        chosen: _Place | None = None
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

    def _free(self, one: _Place, begin: datetime) -> datetime:
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


# --- a dossier -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Dossier:
    """One dossier on its way. Everything that chance decides is drawn from its own seed, in its own order."""

    arrival: Arrival
    town: _Running
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
    def of(cls, arrival: Arrival, town: _Running, origin: str) -> _Dossier:
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
            self.town.at(self.calendar.add_working_time(at, self._posting(stage, at)) + _SECOND, self.is_done)
        elif stage.kind == "citizen":
            self.town.at(self._answered(at, self.town.model.fee_days), self.resumes)
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

    def resumes(self, at: datetime) -> None:
        """A stage that waited for the citizen: paid, and on at once."""
        if self.over:
            return
        self._act("routing", at, {"kind": "resume"}, None)
        self.is_done(at)

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
            self.stage += 1
            self.holder = None
            self.enters(at)
        else:
            self._act("routing", at, {"kind": "finish"}, self.holder)
            self.over, self.end = True, "ready"
            self.late = is_late(self.calendar, self.due, at)
            if self.draw.random() >= self.town.model.collect_never:
                self.town.at(self._answered(at, self.town.model.collect_days), self.is_collected)

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

    def _posting(self, stage: Stage, at: datetime) -> timedelta:
        day = self.calendar.day_of(at) + timedelta(days=max(1, round(stage.days)))
        end = self.calendar.close_of(self.calendar.working_day_from(day))
        return self.calendar.working_time(at, end)

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
        """The clock runs again, as routing counts it: whole seconds of office hours."""
        self.credit += self.calendar.working_time(asked, answered) // _SECOND * _SECOND
        self.due = due_with_credit(self.calendar, self.promise, self.credit)
        self.town.at(max(answered + 60 * _SECOND, self._wanted(timedelta(minutes=15))), self.is_taken_up)

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

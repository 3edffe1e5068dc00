"""A town in memory: dossiers come, lie in the queues of officers who have hours, speeds and absences, and go out.

A discrete-event simulation on frozen values and seeded draws: no clock, no input or output. Whether a dossier will be
late, and where, is drawn when it comes in; when an officer takes it up follows from that, and from whether he is there
and free. So the share of late ones is the model's, as long as the officers are enough for what comes; where they are
not, queues make more late, and ``busiest`` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from deploy.simulate.arrivals import Period, arrivals
from deploy.simulate.dossier import Dossier
from deploy.simulate.model import Model
from deploy.simulate.officers import Running
from deploy.simulate.town import Town
from deploy.simulate.values import Course, Figures, Plan


def origin_of(period: Period, seed: int, volume: int) -> str:
    """The record that a run's dossiers come from: the same arguments, the same name."""
    return f"simulation.{period.name}.seed-{seed}.volume-{volume}"


def plan(town: Town, model: Model, period: Period, *, seed: int, volume: int, until: datetime) -> Plan:
    """Everything that happens in a period, up to ``until``. The same arguments give the same plan."""
    origin = origin_of(period, seed, volume)
    running = Running(town, model, seed, until)
    coming = [one for one in arrivals(town, model, period, seed, volume) if one.received < until]
    made = [Dossier.of(one, running, origin) for one in coming]
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

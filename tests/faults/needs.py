"""What strikes need of the ground before the river begins: more brokers, another time of day, small disks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from deploy.launcher import programs
from deploy.launcher.layout import SERVICES, Layout
from tests.faults.clock import Clock, clock_at
from tests.faults.disks import Disk, small_disks
from tests.flow.river import River

_SIZES: Final = {"postgres": "900m", "kafka": "700m", "telemetry": "64m"}
"""Of the disks: enough for a campaign of some minutes."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Of how many brokers Kafka is; from which instant on the time of day can be set; whether disks can be filled."""

    brokers: int = 1
    clock: datetime | None = None
    small_disks: bool = False

    @classmethod
    def of_all(cls, needs: Iterable[Needs]) -> Needs:
        """What serves all of them. AssertionError where two want the river to begin at different times of day."""
        every = tuple(needs)
        clocks = {one.clock for one in every if one.clock is not None}
        assert len(clocks) <= 1, "two of these strikes begin at different times: each has to have a run of its own"
        return cls(
            max((one.brokers for one in every), default=1),
            clocks.pop() if clocks else None,
            any(one.small_disks for one in every),
        )

    def laid_out(self, layout: Layout) -> Layout:
        """The layout with as many brokers as are needed."""
        return replace(layout, brokers=self.brokers)


@contextmanager
def disks_of(layout: Layout, needs: Needs) -> Iterator[dict[str, Disk]]:
    """Small disks by the name of what lies on them, mounted before anything is written; none where none is needed."""
    if not needs.small_disks:
        yield {}
        return
    folders = {"postgres": layout.postgres, "kafka": layout.kafka, "telemetry": layout.telemetry}
    with small_disks({folder: _SIZES[name] for name, folder in folders.items()}) as disks:
        yield {name: disks[folder] for name, folder in folders.items()}


async def put_under_a_clock(river: River, began: datetime) -> Clock:
    """PostgreSQL and the four services, all under one clock, from before the first dossier came in."""
    clock = clock_at(river.layout.var / "clock")
    for service in SERVICES:
        await river.running[service].stop()
    await river.servers.stop("postgres")
    clock.set(began)
    postgres = river.servers.programs["postgres"]
    river.servers.programs["postgres"] = replace(postgres, environment={**postgres.environment, **clock.environment()})
    await river.servers.start("postgres")
    for service in SERVICES:
        whole = river.programs[service]
        river.programs[service] = replace(whole, environment={**whole.environment, **clock.environment()})
        await river.start(service)
    return clock


@asynccontextmanager
async def with_a_receiver(river: River, needs: Needs) -> AsyncIterator[None]:
    """Where disks are filled, the receiver of telemetry runs too, and reporting tells it what it has to tell."""
    if not needs.small_disks:
        yield
        return
    river.programs["receiver"] = programs.receiver(river.layout)
    await river.start("receiver")
    whole = river.programs["reporting"]
    told = {"OTEL_EXPORTER_OTLP_ENDPOINT": river.layout.url("receiver")}
    river.programs["reporting"] = replace(whole, environment={**whole.environment, **told})
    await river.running["reporting"].stop()
    await river.start("reporting")
    yield

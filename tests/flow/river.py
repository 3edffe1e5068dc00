"""The whole river for a test: real Kafka, real PostgreSQL, the four services and the mail catcher as processes."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import asyncpg
import httpx

from deploy.launcher import process, programs, topics
from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.process import Program, Running
from deploy.launcher.servers import Servers, start_servers, stop_servers
from deploy.migrate import migrate_all
from deploy.sample.calendars import vietnam_calendar
from shared.calendar import to_data
from shared.seal import make_keys
from shared.topics import CONTROL, TOPICS
from tests.alone import alone, end_leftovers, refuse_strangers
from tests.flow.spans import Spans, collected
from tests.processes import until

TOWN: Final = "000.00.99.H41"
WARD: Final = "000.01.99.H41"
TOWN_PROCEDURE: Final = "1.001776"
WARD_PROCEDURE: Final = "1.001193"

ADMINISTRATOR: Final = {"X-Dev-Actor": "id=admin-1; roles=administrator,operator,inspector"}
WARD_DESK: Final = {"X-Dev-Actor": f"id=desk-1; unit={WARD}; roles=desk,officer"}
TOWN_DESK: Final = {"X-Dev-Actor": f"id=town-1; unit={TOWN}; roles=desk,specialist"}


def command_id() -> dict[str, str]:
    """The header of a new command."""
    return {"Idempotency-Key": str(uuid.uuid4())}


class Watch:
    """Is told of the processes that a river starts, and may put others in their places; this one leaves all alone."""

    def replaced(self, running: Running) -> None:
        """Another one is about to be started in its place."""

    def started(self, running: Running) -> Running:
        """One was started; what is taken for it from now on."""
        return running


@dataclass(slots=True)
class River:
    """Everything running; services can be killed and started again by name."""

    layout: Layout
    servers: Servers
    programs: dict[str, Program]
    client: httpx.AsyncClient
    spans: Spans
    running: dict[str, Running] = field(default_factory=dict)
    watch: Watch = field(default_factory=Watch)

    def url(self, service: str, path: str) -> str:
        """Address of a path at a service itself, not through the front door."""
        return f"{self.layout.url(service)}{path}"

    async def start(self, name: str) -> None:
        """Start a process (again) and wait until it is ready."""
        await process.wait_ready(self.programs[name], self.launch(self.programs[name]))

    def launch(self, program: Program) -> Running:
        """Start a process (again), ready or not."""
        if program.name in self.running:
            self.watch.replaced(self.running[program.name])
        self.running[program.name] = running = self.watch.started(process.start(program, self.layout))
        return running

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        await self.running[name].kill()

    async def seed(self) -> None:
        """A calendar, a town, a ward, and two procedures; known everywhere when this returns."""
        calendar = to_data(vietnam_calendar("office", version=1, first_year=2016, last_year=2030))
        await self.put("routing", "/routing/calendars/office", {"data": calendar})
        unit = {"calendar": "office", "valid_from": "2013-06-03"}
        await self.put("routing", f"/routing/units/{TOWN}", {**unit, "name": "Hoàng Mai (mẫu)", "level": "town"})
        ward = {**unit, "name": "Quỳnh Thiện (mẫu)", "level": "commune", "parent": TOWN}
        await self.put("routing", f"/routing/units/{WARD}", ward)
        await self.put("intake", "/intake/procedures", {"procedures": _procedures()})
        await self.settled()

    async def put(self, service: str, path: str, body: Mapping[str, Any]) -> None:
        """PUT as the administrator; the answer must be a success."""
        (await self.client.put(self.url(service, path), json=body, headers=ADMINISTRATOR)).raise_for_status()

    async def receive(
        self, procedure: str = TOWN_PROCEDURE, *, email: str | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """Hand a dossier in at the ward's desk; the receipt."""
        answer = await self.client.post(
            self.url("intake", "/intake/dossiers"),
            json=a_submission(procedure, email=email),
            headers={**WARD_DESK, **({"Idempotency-Key": key} if key else command_id())},
        )
        answer.raise_for_status()
        receipt: dict[str, Any] = answer.json()
        return receipt

    async def act(
        self, dossier: str, action: Mapping[str, Any], actor: Mapping[str, str] = WARD_DESK, *, run: int | None = None
    ) -> dict[str, Any]:
        """Carry an action out at routing, on the version that there is now; ``run`` where several are open."""
        path = f"/routing/dossiers/{dossier}"
        seen = (await self.client.get(self.url("routing", path), headers=ADMINISTRATOR)).json()["version"]
        answer = await self.client.post(
            self.url("routing", f"{path}/commands"),
            json={"seen": seen, "action": action} | ({"run": run} if run is not None else {}),
            headers={**actor, **command_id()},
        )
        answer.raise_for_status()
        done: dict[str, Any] = answer.json()
        return done

    async def look_up(self, code: str) -> dict[str, Any]:
        """What intake tells of a dossier, end to end."""
        found = await self.client.get(self.url("intake", f"/intake/dossiers/{code}"), headers=WARD_DESK)
        found.raise_for_status()
        told: dict[str, Any] = found.json()
        return told

    async def status(self, service: str) -> dict[str, Any]:
        """A service's figures for operators."""
        figures: dict[str, Any] = (await self.client.get(self.url(service, f"/{service}/operations/status"))).json()
        return figures

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """What the mail catcher holds for an address."""
        answer = await self.client.get(self.url("mail", "/mail/messages"), params={"to": address})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    async def unsettled(self) -> list[str]:
        """What is unsent, unheard, parked, or a notice on its way."""
        reasons = []
        for service in SERVICES:
            try:
                figures = await self.status(service)
            except httpx.TransportError:
                figures = {}
            if "unsent" not in figures:  # it is busy, its database is away, or its connections have just been ended
                reasons.append(f"{service} cannot say how it is")
                continue
            waits = {
                "unsent": figures["unsent"],
                "lag": sum(figures["lag"].values()),
                "parked": figures["parked"]["count"],
                "notices": figures.get("notices", {}).get("waiting", 0),
            }
            reasons += [f"{service} {what} {count}" for what, count in waits.items() if count]
        return reasons

    async def settled(self, *, seconds: float = 60) -> None:
        """Wait until the river is quiet: twice in a row, because a record may be between two looks."""
        quiet, reasons = 0, ["not looked at yet"]

        async def twice() -> bool:
            nonlocal quiet, reasons
            reasons = await self.unsettled()
            quiet = 0 if reasons else quiet + 1
            return quiet > 1

        try:
            await until(twice, "the river settles", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {', '.join(reasons)}") from None

    @asynccontextmanager
    async def store(self, service: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        """A connection to a service's store, for looking."""
        connection = await asyncpg.connect(self.servers.databases.owner[service])
        try:
            yield connection
        finally:
            await connection.close()


def a_submission(procedure: str = TOWN_PROCEDURE, *, email: str | None = None) -> dict[str, Any]:
    """A valid body of POST /intake/dossiers."""
    body: dict[str, Any] = {
        "unit": WARD,
        "procedure": procedure,
        "channel": "desk",
        "applicant": {"name": "Nguyễn Thị Bình"},
        "components": ["to_khai"],
    }
    return {**body, "contact": {"email": email}} if email else body


def _procedures() -> list[dict[str, Any]]:
    return [
        {
            "code": WARD_PROCEDURE,
            "name": "Đăng ký khai sinh",
            "sector": "Hộ tịch",
            "level": "commune",
            "term": {"value": 0, "unit": "same_day"},
            "source": "tests",
        },
        {
            "code": TOWN_PROCEDURE,
            "name": "Trợ cấp xã hội hằng tháng",
            "sector": "Bảo trợ xã hội",
            "level": "town",
            "term": {"value": 10, "unit": "working_day"},
            "source": "tests",
        },
    ]


@asynccontextmanager
async def flowing(layout: Layout, *, anew: bool = True) -> AsyncIterator[River]:
    """A river in its own folder; everything is ended, and what it has on disk stays until the next one begins anew.

    LaunchError where another process has a river there, or a stranger one of its ports.
    """
    with alone(layout, "river"):
        await stop_servers(layout)
        await end_leftovers(layout)
        await refuse_strangers(layout)
        async with _flowing(layout, anew=anew) as river:
            yield river


@asynccontextmanager
async def _flowing(layout: Layout, *, anew: bool) -> AsyncIterator[River]:
    if anew:
        for folder in ("postgres", "kafka", "mail", "keys", "erasures"):
            shutil.rmtree(layout.var / folder, ignore_errors=True)
    servers = await start_servers(layout)
    await topics.create(servers.kafka, (*TOPICS, CONTROL))
    make_keys(layout.keys)
    await migrate_all(servers.databases.owner)
    made = [
        programs.mail(layout),
        *(programs.service(name, layout, servers.kafka, servers.databases) for name in SERVICES),
        programs.door(layout),
    ]
    limits = httpx.Limits(max_connections=64)
    async with collected() as spans, httpx.AsyncClient(timeout=30, limits=limits) as client:
        exporting = {"OTEL_EXPORTER_OTLP_ENDPOINT": spans.endpoint}
        made = [replace(program, environment={**program.environment, **exporting}) for program in made]
        river = River(layout, servers, {program.name: program for program in made}, client, spans)
        try:
            await asyncio.gather(*(river.start(program.name) for program in made[:-1]))
            await river.start("door")
            yield river
        finally:
            for running in reversed(river.running.values()):
                await running.stop()
            await stop_servers(layout)

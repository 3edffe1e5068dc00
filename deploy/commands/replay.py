"""`lienthong replay`."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.replay import sending
from deploy.replay.doors import Doors, Patience, StoppedError
from deploy.replay.plan import Plan, plan, replay_calendar
from deploy.replay.sending import Held, Sent
from deploy.replay.shown import how_far, notes, shown, table
from deploy.replay.xes import BadLogError, read_log

if TYPE_CHECKING:
    from shared.calendar import WorkingCalendar

app = typer.Typer()

_GO_ON = "The same command goes on from here: nothing is doubled."
_ANSWER_SECONDS = 30


@app.command()
def replay(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="An event log: XES, packed with gzip (….xes.gz).")],
    *,
    url: Annotated[str | None, typer.Option(help="The front door.", show_default="http://127.0.0.1:8080")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N cases by reception.")] = None,
) -> None:
    """Send a recorded event log through the front door, as history: no notices, no alarms, outside the live picture.

    The whole file is read and checked before anything is sent. Sent again, it changes nothing.
    """
    console, errors = Console(), Console(stderr=True)
    calendar = replay_calendar()
    try:
        door = url or state.where_it_runs(os.environ).url("door")
        planned = plan(read_log(path), calendar, datetime.now(UTC), limit)
    except (BadLogError, LaunchError) as error:
        raise _end(errors, str(error), 1) from error
    except OSError as error:
        raise _end(errors, f"{path} cannot be read: {error.strerror or type(error).__name__}.", 1) from error
    console.print(
        f"{path.name}: {len(planned.cases):,} cases, {planned.steps:,} steps, to {door}",
        highlight=False,
        soft_wrap=True,
    )
    sent = Sent()
    began = time.monotonic()
    try:
        held = asyncio.run(_replay(console, door, planned, calendar, sent))
    except StoppedError as error:
        raise _end(errors, f"{error}\n{_left(planned, sent)}" if sent.cases else str(error), 1) from error
    except KeyboardInterrupt as error:
        raise _end(errors, f"Interrupted.\n{_left(planned, sent)}", 130) from error
    console.print(table(planned, sent, held, time.monotonic() - began))
    for note in notes(planned, held):
        console.print(f"[yellow]![/] {escape(note)}", highlight=False)


async def _replay(console: Console, url: str, planned: Plan, calendar: WorkingCalendar, sent: Sent) -> Held:
    try:
        limits = httpx.Limits(max_connections=sending.AT_ONCE, max_keepalive_connections=sending.AT_ONCE)
        client = httpx.AsyncClient(base_url=url, timeout=_ANSWER_SECONDS, limits=limits, trust_env=False)
    except httpx.InvalidURL as error:
        raise StoppedError(f"{url} is no address: write it like http://127.0.0.1:8080.") from error
    async with client:
        doors = Doors(client, Patience())
        await sending.prepare(doors, calendar)
        async with shown(console, planned, sent):
            await sending.send(doors, planned, sent)
        return await sending.held(doors, planned)


def _left(planned: Plan, sent: Sent) -> str:
    return f"So far: {how_far(planned, sent)}. {_GO_ON}"


def _end(errors: Console, text: str, code: int) -> typer.Exit:
    errors.print(f"[red]✗[/] {escape(text)}", highlight=False, soft_wrap=True)
    return typer.Exit(code)

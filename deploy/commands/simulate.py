"""`lienthong simulate`."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.replay.doors import Doors, StoppedError
from deploy.simulate import live, playing, shown
from deploy.simulate.arrivals import Period, period_of
from deploy.simulate.asking import Waiting, the_town
from deploy.simulate.live import Lived, Living
from deploy.simulate.model import the_model
from deploy.simulate.plan import plan
from deploy.simulate.playing import Played, Playing
from deploy.simulate.values import Plan

app = typer.Typer()

_GO_ON: Final = "The same command goes on from here: nothing is doubled."
_ANSWER_SECONDS: Final = 60
_SHAPES: Final = {"day": r"\d{4}-\d{2}-\d{2}", "month": r"\d{4}-\d{2}", "year": r"\d{4}"}


class _WrongError(Exception):
    """What was typed cannot be done. Its text is one sentence."""


@app.command()
def simulate(
    *,
    rate: Annotated[str | None, typer.Option(help="Live: dossiers that come, for example 2/s or 30/m.")] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", help="Live: how long, for example 10m. Default: until Ctrl-C.")
    ] = None,
    day: Annotated[str | None, typer.Option(help="History: a day, for example 2019-03-04.")] = None,
    month: Annotated[str | None, typer.Option(help="History: a month, for example 2019-03.")] = None,
    year: Annotated[str | None, typer.Option(help="History: a year, for example 2019.")] = None,
    seed: Annotated[int, typer.Option(help="Another town of the same kind; the same number, the same town.")] = 1,
    volume: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Dossiers a year.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary for programs; what else is said goes to stderr.")
    ] = False,
    url: Annotated[str | None, typer.Option(help="The front door.", show_default="http://127.0.0.1:8080")] = None,
) -> None:
    """A town at work: citizens who do not exist hand dossiers in, and officers work on them.

    With --rate it happens now. With --day, --month or --year it is history: with its own times, fast, told to nobody;
    what is open at its end is live from then on. Sent again, it changes nothing.
    """
    errors = Console(stderr=True)
    console = errors if as_json else Console()
    try:
        period = _period({"day": day, "month": month, "year": year})
        door = url or state.where_it_runs(os.environ).url("door")
        if period is None:
            _lives(console, errors, door, _rate(rate), _span(lasting), seed, as_json=as_json)
        else:
            _only_history(rate, lasting)
            _plays(console, errors, door, period, seed, volume or the_model().volume, as_json=as_json)
    except (_WrongError, LaunchError) as error:
        raise _end(errors, str(error), 1) from error


# --- history ---------------------------------------------------------------------------------------------------------


def _plays(
    console: Console, errors: Console, door: str, period: Period, seed: int, volume: int, *, as_json: bool
) -> None:
    played = Played()
    began = time.monotonic()
    try:
        planned = asyncio.run(_play(console, door, period, seed, volume, played))
    except StoppedError as error:
        raise _end(errors, f"{error}{_left(played)}", 1) from error
    except KeyboardInterrupt as error:
        raise _end(errors, f"Interrupted.{_left(played)}", 130) from error
    seconds = time.monotonic() - began
    if as_json:
        Console().file.write(json.dumps(shown.summary(planned, played, seconds)) + "\n")
        return
    console.print(shown.table(planned, played, seconds))
    if played.live_before:
        _note(console, f"{played.live_before:,} dossiers were live already since an earlier run, and stay as they are.")
    console.print(
        f"Báo cáo · its report: /reporting/counts?from={period.first}&to={period.last}&origin={planned.origin}"
    )


async def _play(console: Console, url: str, period: Period, seed: int, volume: int, played: Played) -> Plan:
    async with _client(url, playing.AT_ONCE) as client:
        patience = Waiting()
        doors = Doors(client, patience)
        start = datetime(period.first.year, period.first.month, period.first.day, tzinfo=UTC)
        town = await the_town(doors, start)
        until, is_cut = _until(period, next(iter(town.calendars.values())).local(datetime.now(UTC)))
        planned = await asyncio.to_thread(plan, town, the_model(), period, seed=seed, volume=volume, until=until)
        acts = sum(len(one.acts) for one in planned.courses)
        console.print(f"{period.name}: {len(planned.courses):,} dossiers, {acts:,} acts, to {url}", highlight=False)
        if is_cut:
            _note(console, f"The period is not over: simulated until {until.date()}, 00:00 of its office.")
        async with shown.shown(console, planned, played, patience):
            await Playing(doors, planned, played).all()
        return planned


def _until(period: Period, now: datetime) -> tuple[datetime, bool]:
    """Until when there is something to simulate: the end of the period, or the last midnight. In the office's zone."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    end = datetime.combine(period.last, datetime.max.time(), now.tzinfo)
    if datetime.combine(period.first, datetime.min.time(), now.tzinfo) >= today:
        raise StoppedError(f"{period.name} has not come yet: history is what lies before today; --rate simulates now.")
    return (today, True) if end >= today else (end, False)


def _left(played: Played) -> str:
    if not played.dossiers:
        return ""
    return f"\nSo far: {played.dossiers:,} dossiers, {played.acts:,} acts, {played.adopted:,} adopted. {_GO_ON}"


# --- live ------------------------------------------------------------------------------------------------------------


def _lives(
    console: Console,
    errors: Console,
    door: str,
    rate: float,
    seconds: float | None,
    seed: int,
    *,
    as_json: bool,
) -> None:
    lived = Lived()
    began = time.monotonic()
    try:
        asyncio.run(_live(console, door, rate, seconds, seed, lived))
    except StoppedError as error:
        raise _end(errors, f"{error}\nSo far: {_so_far(lived)}. Run it again to go on.", 1) from error
    except KeyboardInterrupt as error:
        raise _end(errors, "Interrupted before anything was begun.", 130) from error
    took = round(time.monotonic() - began, 1)
    if as_json:
        Console().file.write(json.dumps({"lived": asdict(lived), "seconds": took}) + "\n")
    else:
        text = f"{_so_far(lived)} in {took:.0f} s. Run it again to go on with what is open."
        console.print(text, highlight=False, soft_wrap=True)


async def _live(console: Console, url: str, rate: float, seconds: float | None, seed: int, lived: Lived) -> None:
    async with _client(url, live.AT_ONCE) as client:
        patience = Waiting()
        doors = Doors(client, patience)
        town = await the_town(doors, datetime.now(UTC))
        living = Living(doors, town, the_model(), seed, rate, seconds, lived)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, living.stops.set)
        console.print(
            f"Live: {rate:g} dossiers a second, everybody {living.lapse:,.0f} times as fast as in life, to {url}. "
            "Ctrl-C ends it in order.",
            highlight=False,
            soft_wrap=True,
        )
        saying = asyncio.create_task(shown.said_now_and_then(console, lambda: _so_far(lived), patience))
        try:
            await living.all()
        finally:
            saying.cancel()
            await asyncio.gather(saying, return_exceptions=True)


def _so_far(lived: Lived) -> str:
    text = (
        f"{lived.received:,} came, {lived.acts:,} acts: {lived.finished:,} finished, {lived.handed_out:,} handed out, "
        f"{lived.supplements:,} supplements, {lived.withdrawn:,} withdrawn"
    )
    if lived.left_alone:
        text += f"; {lived.left_alone:,} left alone, where nobody is in office for them"
    if lived.clock_steps:
        steps = ", ".join(f"{step:+.0f} s" for step in lived.clock_steps[-3:])
        text += f"; the clock was set ({steps}): nothing here goes by it"
    return text


# --- what is typed ---------------------------------------------------------------------------------------------------


def _period(asked: dict[str, str | None]) -> Period | None:
    given = {name: text for name, text in asked.items() if text is not None}
    if len(given) > 1:
        raise _WrongError("Say one of --day, --month, --year.")
    for name, text in given.items():
        found = _of_shape(_SHAPES[name], text)
        if found is None:
            example = {"day": "2019-03-04", "month": "2019-03", "year": "2019"}[name]
            raise _WrongError(f"{text!r} is no {name}: write it like {example}.")
        return found
    return None


def _of_shape(shape: str, text: str) -> Period | None:
    if not re.fullmatch(shape, text):
        return None
    try:
        return period_of(text)
    except ValueError:
        return None


def _only_history(rate: str | None, lasting: str | None) -> None:
    if rate is not None:
        raise _WrongError("Say either --rate (live), or one of --day, --month, --year (history).")
    if lasting is not None:
        raise _WrongError("--for belongs to --rate: history ends with its period.")


def _rate(text: str | None) -> float:
    if text is None:
        raise _WrongError("Say what to simulate: --rate 2/s (live), or one of --day, --month, --year (history).")
    try:
        return live.rate_of(text)
    except (ValueError, KeyError):
        raise _WrongError(f"{text!r} is no rate: write it like 2/s, 30/m or 500/h.") from None


def _span(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return live.span_of(text)
    except (ValueError, KeyError):
        raise _WrongError(f"{text!r} is no time: write it like 90s, 10m or 2h.") from None


def _client(url: str, connections: int) -> httpx.AsyncClient:
    try:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        return httpx.AsyncClient(base_url=url, timeout=_ANSWER_SECONDS, limits=limits, trust_env=False)
    except httpx.InvalidURL as error:
        raise StoppedError(f"{url} is no address: write it like http://127.0.0.1:8080.") from error


def _note(console: Console, text: str) -> None:
    console.print(f"[yellow]![/] {escape(text)}", highlight=False, soft_wrap=True)


def _end(errors: Console, text: str, code: int) -> typer.Exit:
    errors.print(f"[red]✗[/] {escape(text)}", highlight=False, soft_wrap=True)
    return typer.Exit(code)

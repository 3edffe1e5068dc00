"""`lienthong up`, `down`, `status`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pythonjsonlogger.json import JsonFormatter
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deploy.launcher import state
from deploy.launcher import up as launcher
from deploy.launcher.errors import LaunchError
from deploy.launcher.health import Health, look
from deploy.launcher.layout import REPOSITORY, Layout
from deploy.launcher.process import rotate, tail
from deploy.launcher.progress import OnConsole

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer()

_LOOK_EVERY = 0.1
_START_PATIENCE = 900
_LOST_PATIENCE = 3


@app.command()
def up(
    *,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything runs.")] = False,
) -> None:
    """Start everything: PostgreSQL, Kafka, the mail catcher, the receiver, the four services, the pages, the door."""
    console = Console()
    with _sentences(console):
        layout = Layout.of(os.environ)
        with state.held(layout, launcher.LOCK, wait=False) as ours:
            if ours and not detach:
                _foreground(layout, console)
                return
        if ours:
            _background(layout, console)
        else:
            _follow(layout, console, None)
            console.print("It runs already.", highlight=False)
            _welcome(replace(layout, port=state.read(layout).port or layout.port), OnConsole(console))


@app.command()
def down() -> None:
    """Stop everything, in order. Data stays."""
    console = Console()
    with _sentences(console):
        was = launcher.down(state.where_it_runs(os.environ), OnConsole(console))
        console.print("Stopped. The data stays in var/." if was else "Nothing runs.")


@app.command()
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what runs and how it is. Exit code 0: all well; 1: not."""
    console = Console()
    with _sentences(console):
        health = asyncio.run(look(state.where_it_runs(os.environ)))
        if as_json:
            console.file.write(json.dumps(health.as_json(), indent=2) + "\n")
        else:
            _show(health, console)
        if not health.is_well:
            raise typer.Exit(1)


def _foreground(layout: Layout, console: Console) -> None:
    shown = OnConsole(console)
    asked = launcher.Asked(
        progress=shown,
        ready=lambda: _greet(layout, shown),
        told=lambda text: shown.say(f"[yellow]![/] {escape(text)}"),
    )
    with _logging_to(layout.log("supervisor")):
        launcher.run(layout, os.environ, asked)


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """The supervisor's own log: one JSON object a line, as the services write. The console is for people."""
    rotate(path)
    handler = logging.FileHandler(path)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": "supervisor"},
        )
    )
    own = logging.getLogger("deploy")
    own.setLevel(logging.INFO)
    own.addHandler(handler)
    try:
        yield
    finally:
        own.removeHandler(handler)
        handler.close()


def _background(layout: Layout, console: Console) -> None:
    log = layout.log("supervisor")
    rotate(log)
    with log.open("ab") as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "deploy.cli", "up"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=REPOSITORY,
            env={**os.environ, "LIENTHONG_VAR": str(layout.var), "LIENTHONG_PORT": str(layout.port)},
            start_new_session=True,
        )
    _follow(layout, console, child)
    child.returncode = 0  # it lives on; without this, Popen complains when we leave
    _welcome(layout, OnConsole(console))


def _follow(layout: Layout, console: Console, child: subprocess.Popen[bytes] | None) -> None:
    """Show how far a supervisor in the background is, until it is ready. Raises LaunchError when it gives up.

    `child` is the one that we started, None when somebody else's is followed. Ours ends at once when another was
    quicker; then that one is followed.
    """
    until = time.monotonic() + _START_PATIENCE
    lost_since: float | None = None
    with OnConsole(console).step("starting") as shown:
        while time.monotonic() < until:
            known = state.read(layout)
            alive = known.supervisor is not None and state.is_alive(known.supervisor)
            if alive:
                lost_since = None
                if known.ready:
                    return
                shown(known.stage or "starting")
            elif child is not None and child.poll() is not None:
                raise LaunchError(_why_it_ended(layout, child.returncode))
            elif child is None:
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > _LOST_PATIENCE:
                    raise LaunchError(known.failure or "It ended while it was waited for: start it again.")
            time.sleep(_LOOK_EVERY)
    raise LaunchError(f"It is not ready after {_START_PATIENCE // 60} minutes; `make down` ends it.")


def _why_it_ended(layout: Layout, code: int) -> str:
    failure = state.read(layout).failure
    if failure or code == 0:
        return failure or "It was told to stop before it was ready."
    log = layout.log("supervisor")
    return f"It ended before it was ready; see {log}:\n{tail(log)}"


def _greet(layout: Layout, shown: OnConsole) -> None:
    _welcome(layout, shown)
    shown.say("\n[dim]Ctrl-C stops everything, in order; the data stays.[/]")


def _welcome(layout: Layout, shown: OnConsole) -> None:
    door = layout.url("door")
    lines = [
        "",
        f"[bold green]Lienthong runs:[/] {door}",
        "",
        "Three things to try:",
        "  1. hand in a dossier:",
        f"     curl -X POST {door}/intake/dossiers -H 'Content-Type: application/json' -H 'Idempotency-Key: try-1' \\",
        "          -H 'X-Dev-Actor: id=desk-1; unit=000.01.99.H41; roles=desk' -d @docs/examples/dossier.json",
        "     (once more: the same answer, and still one dossier)",
        f"  2. see where every dossier is now: {door}/reporting/",
        f"  3. read what the citizens were told: {door}/mail/",
        "",
        f"How it is: {door}/operations/ · what became of a command: {door}/traces/",
        "",
        f"[dim]Kafka {layout.kafka_servers} · logs {layout.var / 'log'} · `make status` · `make down`[/]",
    ]
    shown.say("\n".join(lines))


def _show(health: Health, console: Console) -> None:
    if not health.running:
        console.print("[yellow]Lienthong does not run.[/] Start it with `make up`.", highlight=False)
    elif health.stage != "running":
        console.print(f"[yellow]{escape(health.stage)}[/]", highlight=False)
    processes = Table("process", "pid", "up", "ready", "address", box=None, pad_edge=False)
    for each in health.processes:
        up_for = "" if each.up_seconds is None else duration(each.up_seconds)
        ready = "[green]yes[/]" if each.ready else "[red]no[/]"
        processes.add_row(each.name, str(each.pid or "–"), up_for, ready, each.address)
    for name in health.external:
        processes.add_row(name, "–", "", "", "[dim]not ours, named in the environment[/]")
    console.print(processes)
    if health.services:
        columns = ("service", "lag", "unsent", "oldest", "parked", "oldest", "dead letters", "oldest", "lost")
        services = Table(*columns, box=None, pad_edge=False)
        for service in health.services:
            if service.answer is None:
                services.add_row(service.name, "[red]does not answer[/]")
            else:
                services.add_row(service.name, *_row(service.answer))
        console.print()
        console.print(services)
    if health.receiver is not None:
        shelves = Table("telemetry", "kept", "of", "since", "dropped", box=None, pad_edge=False)
        for name, shelf in health.receiver.items():
            dropped = f"[red]{shelf['dropped']}[/]" if shelf["dropped"] else "0"
            because = f" [red]now: {escape(shelf['dropping'])}[/]" if shelf["dropping"] else ""
            kept, limit = (f"{shelf[each] / 1e6:.1f} MB" for each in ("bytes", "limit_bytes"))
            shelves.add_row(name, kept, limit, duration(shelf["oldest_seconds"]), dropped + because)
        console.print()
        console.print(shelves)


def _row(answer: dict[str, Any]) -> list[str]:
    lag = answer.get("lag") or {}
    unsent, age = answer.get("unsent", "?"), answer.get("oldest_unsent_seconds")
    cells = [str(sum(lag.values())), str(unsent), duration(age if unsent else None)]
    for kind in ("parked", "dead_letters"):
        held = answer.get(kind) or {}
        count = held.get("count", "?")
        cells += [f"[red]{count}[/]" if count else "0", duration(held.get("oldest_seconds") if count else None)]
    return [*cells, _lost(answer.get("tally") or {})]


def _lost(tally: dict[str, int]) -> str:
    """What anti-entropy knows to be lost: under way again, or (in red) an alarm."""
    told = [f"{tally['lacking']} lacking"] if tally.get("lacking") else []
    told += [f"[red]{tally[alarm]} {alarm}[/]" for alarm in ("unhealed", "ahead") if tally.get(alarm)]
    return ", ".join(told) or "0"


def duration(seconds: float | None) -> str:
    """Seconds as a person says them; empty for None."""
    if seconds is None:
        return ""
    whole = int(seconds)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172_800 else f"{whole // 86_400} d"


@contextlib.contextmanager
def _sentences(console: Console) -> Iterator[None]:
    """Turn what stands in the way into one sentence on standard error and exit code 1."""
    try:
        yield
    except LaunchError as error:
        Console(stderr=True).print(f"[red]✗[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        console.print("Interrupted; nothing is left running.")
        raise typer.Exit(130) from error
    except OSError as error:
        text = launcher.sentence(error, Layout.of({}))
        Console(stderr=True).print(f"[red]✗[/] {escape(text)}", highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error

"""`lienthong trace`: a dossier's journey through the services."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from deploy.journey.asking import Away, Journey, NoSpans, Nothing, Unknown, journey_of, stream_of, walk_by_id
from deploy.journey.spans import Queue
from deploy.journey.walks import Step, Walk
from deploy.launcher.errors import LaunchError
from deploy.operating import AsJson, Operator, operator
from deploy.sentences import Url, address, printable, sentences
from deploy.speaking import Actor, speaker

app = typer.Typer()

_ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")
_QUEUES: Final = {
    Queue.DOOR: "at the door",
    Queue.OUTBOX: "in the outbox",
    Queue.TOPIC: "on the topic",
    Queue.BATCH: "in the batch",
    Queue.PARKED: "parked",
    Queue.SENDER: "for the sender",
    Queue.OTHER: "waiting",
}


@app.command()
def trace(
    code: Annotated[
        str | None, typer.Argument(help="The dossier's printed code, or its stream id.", show_default=False)
    ] = None,
    url: Url = None,
    who: Operator = "operator",
    *,
    trace_id: Annotated[
        str | None, typer.Option("--trace", metavar="TRACEID", help="One command by the id of its trace.")
    ] = None,
    reads: Annotated[bool, typer.Option("--reads", help="With the mere looks at it (GET).")] = False,
    count: Annotated[int, typer.Option(min=1, max=500, help="At most so many of its newest commands.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show a dossier's journey: its commands over days, and what each did in which service, in milliseconds.

    Waiting (hatched: ░) is shown apart from working (solid: █).
    """
    if (code is None) == (trace_id is None):
        raise typer.BadParameter("give a dossier's code (or stream id), or --trace TRACEID")
    console = Console()
    with sentences():
        found = asyncio.run(_found(address(url), operator(who), code, trace_id, reads=reads, count=count))
        if as_json:
            console.file.write(json.dumps(_as_json(found), indent=2) + "\n")
        elif isinstance(found, Walk):
            _show_walk(console, found)
        else:
            _show(console, found)


async def _found(
    url: str, who: Actor, code: str | None, trace_id: str | None, *, reads: bool, count: int
) -> Journey | Walk:
    async with speaker(url) as services:
        if trace_id is not None:
            walk = await walk_by_id(services, who, trace_id.lower())
            if not isinstance(walk, Walk):
                raise LaunchError(sentence(walk))
            return walk
        stream = await stream_of(services, who, code or "")
        if not isinstance(stream, str):
            raise LaunchError(sentence(stream))
        journey = await journey_of(services, who, stream, reads=reads, count=count)
        if not isinstance(journey, Journey):
            raise LaunchError(sentence(journey))
        return journey


def sentence(nothing: Nothing) -> str:
    """Why there is no journey to show, and what to do."""
    match nothing:
        case Unknown(given):
            return f"No dossier has the code {given}: look at the code on the receipt (unit, date, number)."
        case NoSpans(what):
            return (
                f"No spans of {what} are kept: they arrive within seconds, only sampled commands are recorded, and the "
                "oldest go first; `lienthong status` shows how far back the receiver reaches."
            )
        case Away(who):
            return f"The {who} does not answer: `lienthong status` shows what runs, `lienthong up` starts it."


def _show(console: Console, journey: Journey) -> None:
    console.print(f"[bold]{journey.stream}[/]", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("when", "what", "by"):
        table.add_column(heading, no_wrap=heading == "when")
    for heading in ("last effect after", "working", "waiting"):
        table.add_column(heading, justify="right", no_wrap=True)
    for walk in journey.walks:
        table.add_row(_when(walk.began), _named(walk), walk.service, ms(walk.ns), ms(walk.working), ms(walk.waiting))
    console.print(table)
    if journey.reads:
        console.print(f"[dim]and {journey.reads} mere looks at it (--reads)[/]", highlight=False)
    for walk in journey.walks:
        console.print()
        _show_walk(console, walk)


def _show_walk(console: Console, walk: Walk) -> None:
    head = Text.assemble(
        (_when(walk.began), "bold"), "  ", _named(walk), f"  {ms(walk.ns)} = {ms(walk.working)} working + ",
        f"{ms(walk.waiting)} waiting", (f"   trace {walk.trace}", "dim"),
    )  # fmt: skip
    # By itself: a tree cuts what is wider than the terminal, and a trace's id is there to be copied.
    console.print(head, soft_wrap=True)
    tree = Tree(Text(), guide_style="dim", hide_root=True)
    if not walk.whole:
        tree.add(Text("its beginning is not kept any more", "yellow"))
    for step in walk.steps:
        _grow(tree, step, walk.began)
    console.print(tree)


def _grow(tree: Tree, step: Step, began: int) -> None:
    span = step.span
    line = Text.assemble((f"{span.service:<12} ", "cyan"), printable(span.name))
    if span.event not in {None, "state"}:
        line.append(f" {printable(str(span.event))}", "bold")
    for wait in step.waits:
        line.append(f"  ░ {ms(wait.ns)} {_QUEUES[wait.queue]}", "yellow")
    line.append(f"  █ {ms(span.ns)}", "green")
    line.append(f"  +{ms(span.began - began)}", "dim")
    if span.error:
        line.append(f"  ✗ {printable(span.error)}", "red")
    branch = tree.add(line)
    for cause in step.causes:
        _grow(branch, cause, began)


def _named(walk: Walk) -> Text:
    name = Text(printable(walk.name))
    if walk.events:
        name.append(f" → {', '.join(map(printable, walk.events))}", "dim")
    if walk.error:
        name.append(f" ✗ {printable(walk.error)}", "red")
    return name


def _when(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns / 1e9, _ZONE):%d/%m/%Y %H:%M:%S}"


def ms(ns: int) -> str:
    """Nanoseconds in milliseconds; what is longer than ten seconds in seconds, minutes, hours or days."""
    value = ns / 1e6
    if value < 10_000:
        return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
    seconds = value / 1000
    for size, unit in ((172_800, 86_400), (7_200, 3_600), (120, 60)):
        if seconds >= size:
            return f"{seconds / unit:.1f} {'d' if unit == 86_400 else 'h' if unit == 3_600 else 'min'}"
    return f"{seconds:.1f} s"


def _as_json(found: Journey | Walk) -> dict[str, Any]:
    if isinstance(found, Walk):
        return _walk_json(found)
    return {"stream": found.stream, "reads": found.reads, "commands": [_walk_json(one) for one in found.walks]}


def _walk_json(walk: Walk) -> dict[str, Any]:
    return {
        "trace": walk.trace,
        "name": walk.name,
        "service": walk.service,
        "began_ns": walk.began,
        "last_effect_ms": walk.ns / 1e6,
        "working_ms": walk.working / 1e6,
        "waiting_ms": walk.waiting / 1e6,
        "whole": walk.whole,
        "events": list(walk.events),
        "error": walk.error,
        "steps": [_step_json(one) for one in walk.steps],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        **{name: value for name, value in asdict(step.span).items() if name not in {"began", "ended"}},
        "began_ns": step.span.began,
        "ms": step.span.ns / 1e6,
        "waits": [{"queue": one.queue.value, "ms": one.ns / 1e6} for one in step.waits],
        "on_last_effect_s_way": step.last,
        "causes": [_step_json(one) for one in step.causes],
    }

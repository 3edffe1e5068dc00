"""What a person sees of a simulation: bars at a terminal, a line every few seconds elsewhere, figures at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from deploy.simulate.plan import figures

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.simulate.asking import Waiting
    from deploy.simulate.playing import Played
    from deploy.simulate.values import Plan

_REDRAW: Final = 0.2
_LINE_EVERY: Final = 5.0


@contextlib.asynccontextmanager
async def shown(console: Console, plan: Plan, played: Played, patience: Waiting) -> AsyncIterator[None]:
    """Show how far it is while the block runs, and what is waited for."""
    work = (
        _bars(console, plan, played, patience)
        if console.is_terminal
        else said_now_and_then(console, lambda: how_far(plan, played), patience)
    )
    showing = asyncio.create_task(work)
    try:
        yield
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


async def _bars(console: Console, plan: Plan, played: Played, patience: Waiting) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        dossiers = progress.add_task("hồ sơ · dossiers", total=len(plan.courses))
        acts = progress.add_task("việc · acts", total=sum(len(one.acts) for one in plan.courses))
        adopted = progress.add_task("đang mở · open", total=sum(one.end != "closed" for one in plan.courses))
        unheard = progress.add_task("đang truyền · on their way", total=None)
        try:
            while True:
                progress.update(dossiers, completed=played.dossiers)
                progress.update(acts, completed=played.acts)
                progress.update(adopted, completed=played.adopted + played.live_before)
                told = patience.worth_saying
                progress.update(
                    unheard,
                    completed=played.unheard,
                    description=f"đợi · waits: {told}" if told else "đang truyền · on their way",
                )
                await asyncio.sleep(_REDRAW)
        finally:
            progress.update(dossiers, completed=played.dossiers)
            progress.update(acts, completed=played.acts)
            progress.update(adopted, completed=played.adopted + played.live_before)
            progress.update(unheard, total=0, completed=played.unheard)


async def said_now_and_then(console: Console, line: Callable[[], str], patience: Waiting) -> None:
    """A line every few seconds, with what is waited for, for ever."""
    while True:
        told = patience.worth_saying
        console.print(f"{line()}{f'; waits: {told}' if told else ''}", highlight=False, soft_wrap=True)
        await asyncio.sleep(_LINE_EVERY)


def how_far(plan: Plan, played: Played) -> str:
    """How far it is, in one line."""
    acts = sum(len(one.acts) for one in plan.courses)
    return (
        f"dossiers {played.dossiers:,} of {len(plan.courses):,}, acts {played.acts:,} of {acts:,}, "
        f"adopted {played.adopted:,}, on their way {played.unheard:,}"
    )


def table(plan: Plan, played: Played, seconds: float) -> Table:
    """What was played, and how late the town was."""
    made = Table("", "", box=None, pad_edge=False, show_header=False)
    made.columns[1].justify = "right"
    planned = figures(plan.courses)
    before = f" ({played.there_before:,} there before)" if played.there_before else ""
    made.add_row("hồ sơ · dossiers", f"{planned.received:,}{before}")
    made.add_row(
        "  tại quầy, trực tuyến, bưu chính · desk, online, post", _three(planned.desk, planned.online, planned.post)
    )
    made.add_row("xong · finished", f"{planned.finished:,}")
    made.add_row("  trễ · late", f"{planned.late:,} ({planned.late_share:.1%})")
    made.add_row("rút · withdrawn", f"{planned.withdrawn:,}")
    made.add_row("bổ sung · supplements", f"{planned.supplements:,}")
    made.add_row("chuyển giao · hand-overs", f"{planned.hand_overs:,}")
    made.add_row("đang mở, nay là thật · open, live from now on", f"{planned.open + planned.ready:,}")
    made.add_row("thời gian · time", f"{seconds:.0f} s")
    return made


def summary(plan: Plan, played: Played, seconds: float) -> dict[str, Any]:
    """The same for programs."""
    planned = figures(plan.courses)
    return {
        "origin": plan.origin,
        "period": plan.period,
        "until": plan.until.isoformat(),
        "figures": {**asdict(planned), "late_share": round(planned.late_share, 4)},
        "busiest": dict(plan.busiest),
        "played": asdict(played),
        "seconds": round(seconds, 1),
    }


def _three(*counts: int) -> str:
    return ", ".join(f"{one:,}" for one in counts)

"""What a person sees of a replay: two bars at a terminal, a line every few seconds elsewhere, a table at the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.replay.plan import Plan
    from deploy.replay.sending import Held, Sent

_REDRAW: Final = 0.2
_LINE_EVERY: Final = 5.0


@contextlib.asynccontextmanager
async def shown(console: Console, plan: Plan, sent: Sent) -> AsyncIterator[None]:
    """Show how far it is while the block runs."""
    showing = asyncio.create_task(_bars(console, plan, sent) if console.is_terminal else _lines(console, plan, sent))
    try:
        yield
    finally:
        showing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await showing


async def _bars(console: Console, plan: Plan, sent: Sent) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress:
        cases = progress.add_task("hồ sơ · cases", total=len(plan.cases))
        steps = progress.add_task("bước · steps", total=plan.steps)
        try:
            while True:
                progress.update(cases, completed=sent.cases)
                progress.update(steps, completed=sent.steps)
                await asyncio.sleep(_REDRAW)
        finally:
            progress.update(cases, completed=sent.cases)
            progress.update(steps, completed=sent.steps)


async def _lines(console: Console, plan: Plan, sent: Sent) -> None:
    while True:
        console.print(how_far(plan, sent), highlight=False)
        await asyncio.sleep(_LINE_EVERY)


def how_far(plan: Plan, sent: Sent) -> str:
    """How far it is, in one line."""
    return f"cases {sent.cases:,} of {len(plan.cases):,}, steps {sent.steps:,} of {plan.steps:,}"


def table(plan: Plan, sent: Sent, held: Held, seconds: float) -> Table:
    """What was sent and what is held now."""
    made = Table("", "đã gửi · sent", "đang giữ · held", box=None, pad_edge=False)
    for column in made.columns[1:]:
        column.justify = "right"
    there_before = f" ({sent.cases_there_before:,} there before)" if sent.cases_there_before else ""
    made.add_row("hồ sơ · cases", f"{sent.cases:,}{there_before}", f"intake {held.intake:,}")
    made.add_row("", "", _reporting(held.dossiers))
    made.add_row("bước · steps", f"{sent.steps:,}", _reporting(held.steps))
    made.add_row("chuyển giao · hand-overs", f"{plan.hand_overs:,}", "")
    made.add_row("thời gian · time", f"{seconds:.1f} s", "")
    return made


def notes(plan: Plan, held: Held) -> list[str]:
    """What the figures do not say by themselves."""
    told = []
    if plan.without_deadline:
        told.append(f"{plan.without_deadline:,} cases record no deadline: promised by the term of eight weeks.")
    if plan.without_channel:
        told.append(f"{plan.without_channel:,} cases record no channel: taken as handed in at the desk.")
    if not held.complete:
        told.append("Reporting has not heard everything yet; nothing is lost: look at `lienthong status`.")
    return told


def _reporting(count: int | None) -> str:
    return "reporting –" if count is None else f"reporting {count:,}"

"""Why a campaign failed, on one screen; all else that is known lies in a file beside its history."""

from __future__ import annotations

import json
import traceback
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from deploy.launcher.layout import REPOSITORY
from tests.faults.checker import Verdict
from tests.faults.ground import Ground, described

_SHOWN: Final = 8
"""Reasons, and examples of each: three. Whoever wants all of them opens the file."""

_EXAMPLES: Final = 3
_WIDEST: Final = 180
_ALARMING: Final = frozenset({"ERROR", "CRITICAL"})


def why_broken(ground: Ground, verdict: Verdict) -> list[str]:
    """Which invariants did not hold, where for example, and which were not put to the test."""
    looked = {sentence: finding for sentence, finding in verdict.findings.items() if finding is not None}
    broken = {sentence: finding for sentence, finding in looked.items() if finding.broken}
    idle = [sentence for sentence, finding in looked.items() if not finding.exercised]
    told = [f"FAILED (seed {ground.seed}): {len(broken)} of {len(looked)} invariants broken, {len(idle)} not exercised"]
    for sentence, finding in list(broken.items())[:_SHOWN]:
        told.append(f"  broken {len(finding.broken):,} in {finding.exercised:,}: {sentence}")
        told += [f"      {one}" for one in finding.broken[:_EXAMPLES]]
    told += [f"  not exercised: {sentence}" for sentence in idle[:_SHOWN]]
    return [*_narrow(told), *_kept(ground)]


def why_ended(ground: Ground, error: BaseException) -> list[str]:
    """What ended it, where in the harness, what had been done by then, and what the processes said of it."""
    told = [f"FAILED (seed {ground.seed}): it ended before the checker could look"]
    for cause in list(_causes(error))[:_SHOWN]:
        told.append(f"  {type(cause).__name__}: {' '.join(str(cause).split())}")
        told += [f"      {where}" for where in _where(cause)[-_EXAMPLES:]]
    told.append("  done by then: " + (", ".join(f"{what} {count}" for what, count in ground.tally.done.items()) or "–"))
    for name, running in sorted({**ground.river.servers.running, **ground.river.running}.items()):
        state = "" if running.is_alive() else " (it does not run)"
        words = _last_alarms(running.log)
        if state or words:
            told.append(f"  {name}{state}: {' | '.join(words)}")
    return [*_narrow(told), *_kept(ground)]


def keep(ground: Ground, told: list[str], error: BaseException | None = None) -> None:
    """Write all of it beside the history: the report, the figures, and every frame of what ended it."""
    frames = "".join(traceback.format_exception(error)) if error is not None else ""
    figures = json.dumps(described(ground.tally), indent=1, default=str)
    _beside(ground).write_text("\n".join([*told, "", figures, "", frames]), encoding="utf-8")


def _beside(ground: Ground) -> Path:
    return ground.history.path.with_suffix(".txt")


def _kept(ground: Ground) -> list[str]:
    where = _beside(ground).with_suffix("").relative_to(REPOSITORY)
    return [f"  kept: {where}.jsonl (history), {where}.txt (all of this); logs in {ground.river.layout.var / 'log'}"]


def _narrow(told: list[str]) -> list[str]:
    return [one if len(one) <= _WIDEST else f"{one[: _WIDEST - 1]}…" for one in told]


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors in groups of groups, each kind of words once."""
    found: dict[str, BaseException] = {}
    waiting = deque([error])
    while waiting:
        one = waiting.popleft()
        if isinstance(one, BaseExceptionGroup):
            waiting.extend(one.exceptions)
        else:
            found.setdefault(f"{type(one).__name__}: {one}", one)
    yield from found.values()


def _where(error: BaseException) -> list[str]:
    """The frames of the harness that it went through."""
    return [
        f"{Path(frame.filename).relative_to(REPOSITORY)}:{frame.lineno} in {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
        if (REPOSITORY / "tests") in Path(frame.filename).parents
    ]


def _last_alarms(log: Path) -> list[str]:
    """The last alarms that a process wrote, without their frames."""
    if not log.exists():
        return []
    found: deque[str] = deque(maxlen=2)
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("level") in _ALARMING:
            fields = {name: value for name, value in said.items() if name in {"error", "reason", "because", "bucket"}}
            found.append(f"{said.get('time', '')[11:19]} {said.get('event')} {fields or ''}".strip())
    return list(found)

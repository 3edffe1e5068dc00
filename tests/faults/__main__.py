"""``make faults`` and ``make faults-release``: faults in the numbers that a claim is made with, and their record.

``python -m tests.faults [PART …] [--seed N] [--rate N] [--blow STRIKE:N …] [--record]``. Without a part: the tier of
every change, one river after the other. ``--blow`` puts a campaign together by hand, as a failing seed is looked into.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from deploy.launcher.errors import LaunchError
from tests.faults.campaign import Blow, needed, report, struck
from tests.faults.ground import NothingLeftError, ground
from tests.faults.records import Record, Tree
from tests.faults.strikes import strikes
from tests.faults.why import keep, why_broken, why_ended
from tests.layouts import FAULTS

_BY_HAND: Final = "by hand"
_RATE: Final = 15.0

CHANGE: Final = ("change", "change-disorder")
"""The parts that belong to every change of the product; at most 15 minutes for both."""

PARTS: Final[dict[str, tuple[Blow, ...]]] = {
    "change": (
        Blow("crash_points", 5),
        Blow("kills", 100),
        Blow("outage", 60),
        Blow("kafka_cuts", 3),
        Blow("storms", 2),
    ),
    "change-disorder": (Blow("disorder", 100_000), Blow("forgery", 50_000)),
    "points": (Blow("crash_points", 40), Blow("suspensions", 10), Blow("restarts", 10)),
    **{f"kills-{number}": (Blow("kills", 250),) for number in range(1, 5)},
    "servers": (Blow("postgres_kills", 30), Blow("terminations", 100), Blow("kafka_kills", 20)),
    "outage": (Blow("outage", 600),),
    "mail": (Blow("no_mail", 120), Blow("silent_mail", 60)),
    "disorder": (Blow("disorder", 1_000_000),),
    "losses": (Blow("losses", 12), Blow("last_lost", 6), Blow("control_lost", 3), Blow("restored_hearer", 3)),
    **{f"restored-{one}": (Blow(f"restored_{one}", 2),) for one in ("intake", "routing", "notification")},
    **{f"forgery-{number}": (Blow("forgery", 250_000),) for number in range(1, 5)},
    "network": (Blow("cuts", 12), Blow("kafka_cuts", 12), Blow("mail_cuts", 6)),
    "storms": (Blow("storms", 80), Blow("zombies", 8)),
    "clocks": (Blow("turns", 8), Blow("steps", 5)),
    "disk": (Blow("full_database", 6), Blow("full_broker", 4), Blow("full_telemetry", 2)),
    "brokers": (Blow("broker_kills", 40),),
    "everything-1": (Blow("everything", 1_800),),
    "everything-2": (Blow("everything", 1_800),),
}
"""What each part does, on a river of its own. A part takes at most 45 minutes and can be run by itself.

Whatever takes an invariant's ground away (a relay that is made to break its order) takes it for all of its river, and
so does not share one with faults under which that invariant must hold.
"""

GOES_ON: Final = {"everything-2": "everything-1"}
"""Parts that go on with the data of another and are judged together with it; every other is a river of its own."""


def main() -> None:
    """Run parts, one after the other; exits with 1 as soon as one has failed."""
    given = _arguments()
    parts = {_BY_HAND: tuple(given.blow)} if given.blow else {name: PARTS[name] for name in given.parts}
    for name, blows in parts.items():
        seed = given.seed or int.from_bytes(os.urandom(4))
        record = Record(name if name in PARTS else f"{name} {seed}", Tree.now(), seed)
        stands = record.stands() if given.record and name in PARTS else None
        if stands is not None:
            sys.stdout.write(f"{name}: its record for this commit is there ({stands.name})\n")
            continue
        try:
            told, failed = asyncio.run(_run(name, blows, seed, given.rate))
        except NothingLeftError as error:
            raise SystemExit(f"✗ {name}: {error} ({GOES_ON[name]})") from None
        except LaunchError as error:
            raise SystemExit(f"✗ {name}: {error}") from None
        if given.record:
            replace(record, tree=record.tree.until(Tree.now())).write(told, failed=failed)
        if failed:
            raise SystemExit(1)


async def _run(name: str, blows: Sequence[Blow], seed: int, rate: float) -> tuple[list[str], bool]:
    async with ground(
        FAULTS,
        seed,
        name=name.replace(" ", "-"),
        needs=needed(blows),
        goes_on=name in GOES_ON,
        leaves=name in GOES_ON.values(),
    ) as ours:
        try:
            verdict = await struck(ours, blows, rate=rate)
        except (Exception, asyncio.CancelledError) as error:  # whatever it is, Ctrl-C too: all of it lies in a file
            told = why_ended(ours, error)
            keep(ours, told, error)
            sys.stdout.write("\n".join(["", *told, ""]))
            if isinstance(error, asyncio.CancelledError):
                raise
            return told, True
        told = report(ours, blows, verdict)
        if verdict.faults:
            keep(ours, told)
            sys.stdout.write("\n".join(["", *why_broken(ours, verdict), ""]))
        return told, bool(verdict.faults)


def _blow(text: str) -> Blow:
    name, _, times = text.partition(":")
    if name not in strikes() or not times.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: write STRIKE:NUMBER; there are {', '.join(sorted(strikes()))}")
    return Blow(name, int(times))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Faults, done to a river under load.")
    parser.add_argument("parts", nargs="*", default=list(CHANGE), metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0, help="the chance of an earlier run, to have it again")
    parser.add_argument("--rate", type=float, default=_RATE, help="clients that come in a second")
    parser.add_argument("--blow", type=_blow, action="append", metavar="STRIKE:N", help="instead of a part")
    parser.add_argument("--record", action="store_true", help="keep the figures in docs/evidence; pass over what held")
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {', '.join(unknown)}: it is one of {', '.join(PARTS)}")
    return given


if __name__ == "__main__":
    main()

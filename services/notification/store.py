"""Notification's rows become values here; one function per named query, of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

import uuid_utils

from services.notification.values import (
    EMAIL,
    Attempt,
    Claimed,
    Close,
    Contact,
    ContactState,
    Dossier,
    Ended,
    Named,
    Notice,
    NoticeDepth,
    PutOff,
    Standing,
    Template,
)
from shared.store import Migrations, Queries, Transaction

MIGRATIONS: Final = Migrations("notification", Path(__file__).parent / "sql" / "migrations")

_sql = Queries(Path(__file__).parent / "sql")

_DOSSIER_COLUMNS = ("id", "code", "procedure", "unit", "promise", "contact_version", "origin")


# --- names and contacts ----------------------------------------------------------------------------------------------


async def units(tx: Transaction, codes: Iterable[str]) -> dict[str, Named]:
    return {row["code"]: Named(**row) for row in await tx.fetch(_sql["units"], sorted(set(codes)))}


async def save_units(tx: Transaction, heard: Iterable[Named]) -> None:
    await tx.execute(_sql["save_units"], *_columns(heard))


async def procedures(tx: Transaction, codes: Iterable[str]) -> dict[str, Named]:
    return {row["code"]: Named(**row) for row in await tx.fetch(_sql["procedures"], sorted(set(codes)))}


async def save_procedures(tx: Transaction, heard: Iterable[Named]) -> None:
    await tx.execute(_sql["save_procedures"], *_columns(heard))


def _columns(heard: Iterable[Named]) -> tuple[list[str], list[int], list[str]]:
    """The newest version of each, ascending: an upsert takes a row once, and two savers cannot wait in a circle."""
    newest = {one.code: one for one in sorted(heard, key=lambda named: named.version)}
    ordered = [newest[code] for code in sorted(newest)]
    return [one.code for one in ordered], [one.version for one in ordered], [one.name for one in ordered]


async def contact_states(tx: Transaction, dossiers: Iterable[str]) -> dict[str, ContactState]:
    rows = await tx.fetch(_sql["contact_states"], sorted(set(dossiers)))
    return {row["dossier"]: ContactState(row["version"], row["erased"]) for row in rows}


async def save_contacts(tx: Transaction, given: Iterable[Contact]) -> None:
    """Each dossier once."""
    ordered = sorted(given, key=lambda contact: contact.dossier)
    await tx.execute(
        _sql["save_contacts"],
        [one.dossier for one in ordered],
        [one.version for one in ordered],
        [one.wrapped_key for one in ordered],
        [one.sealed for one in ordered],
    )


# --- dossiers and notices --------------------------------------------------------------------------------------------


async def dossiers(tx: Transaction, ids: Iterable[str]) -> dict[str, Dossier]:
    return {row["id"]: Dossier(**row) for row in await tx.fetch(_sql["dossiers"], sorted(set(ids)))}


async def save_dossiers(tx: Transaction, changed: Iterable[Dossier]) -> None:
    """New dossiers, and the notices that were decided; ascending, so that two savers cannot wait in a circle."""
    ordered = sorted(changed, key=lambda dossier: dossier.id)
    new = [one for one in ordered if one.is_new]
    if new:
        await tx.copy_records_to_table(
            "dossier",
            records=[
                (one.id, one.code, one.procedure, one.unit, one.promise, one.contact_version, one.origin) for one in new
            ],
            columns=_DOSSIER_COLUMNS,
        )
    adopted = [one.id for one in ordered if one.is_adopted and not one.is_new]
    if adopted:
        await adopt_dossiers(tx, adopted)
    if any(one.unsaved for one in ordered):
        await add_notices(tx, ordered)


async def adopt_dossiers(tx: Transaction, ids: Sequence[str]) -> None:
    await tx.execute(_sql["adopt_dossiers"], ids)


async def add_notices(tx: Transaction, ordered: Sequence[Dossier]) -> None:
    """The unsaved notices of dossiers, in their order."""
    given = [(dossier.id, notice) for dossier in ordered for notice in dossier.unsaved]
    await tx.execute(
        _sql["add_notices"],
        [str(uuid_utils.uuid7()) for _ in given],
        [dossier for dossier, _ in given],
        [notice.source for _, notice in given],
        [notice.version for _, notice in given],
        [notice.template.value for _, notice in given],
        [EMAIL] * len(given),
        [json.dumps(dict(notice.parameters), ensure_ascii=False) for _, notice in given],
        ["waiting" if notice.reachable else "unreachable" for _, notice in given],
        [notice.traceparent for _, notice in given],
    )


# --- sending ---------------------------------------------------------------------------------------------------------


async def take_due_notices(
    tx: Transaction, count: int, lease: timedelta, left_alone: Iterable[str] = ()
) -> list[Claimed]:
    """Claim notices that are due and begin an attempt of each, in one transaction; with what is needed to send them.

    A first claim holds for ``lease``, each further one of the same notice twice as long as the one before.
    """
    await look_in_order(tx)
    rows = await tx.fetch(_sql["take_due_notices"], count, lease, list(left_alone))
    if not rows:
        return []
    again = [row["id"] for row in rows if row["attempts"] > 1]
    maybe: set[str] = set()
    if again:
        await close_lost_attempts(tx, again)
        maybe = await notices_maybe_arrived(tx, again)
    await add_attempts(tx, [row["id"] for row in rows], [row["attempts"] for row in rows])
    return [
        Claimed(
            row["id"],
            row["dossier"],
            row["source"],
            row["version"],
            Template(row["template"]),
            json.loads(row["parameters"]),
            row["written"],
            row["traceparent"],
            row["attempts"],
            row["id"] in maybe,
            None
            if row["contact_version"] is None
            else Contact(row["dossier"], row["contact_version"], row["wrapped_key"], row["sealed"]),
        )
        for row in rows
    ]


async def look_in_order(tx: Transaction) -> None:
    """For the rest of the transaction."""
    await tx.execute(_sql["look_in_order"])


async def close_lost_attempts(tx: Transaction, notices: Sequence[str]) -> None:
    await tx.execute(_sql["close_lost_attempts"], notices)


async def notices_maybe_arrived(tx: Transaction, notices: Sequence[str]) -> set[str]:
    return {row["notice"] for row in await tx.fetch(_sql["notices_maybe_arrived"], notices)}


async def add_attempts(tx: Transaction, notices: Sequence[str], numbers: Sequence[int]) -> None:
    await tx.execute(_sql["add_attempts"], [str(uuid_utils.uuid7()) for _ in notices], notices, numbers)


async def notice_standings(tx: Transaction, attempts: Mapping[str, int]) -> dict[str, Standing]:
    """How notices stand, by id; ``attempts``: the attempt of each that comes back."""
    rows = await tx.fetch(_sql["notice_standings"], list(attempts), list(attempts.values()))
    return {row["id"]: Standing(row["state"], row["attempts"], row["maybe_repeated"]) for row in rows}


async def end_attempts(tx: Transaction, ended: Sequence[Ended]) -> None:
    if ended:
        await tx.execute(
            _sql["end_attempts"],
            [one.notice for one in ended],
            [one.number for one in ended],
            [one.outcome for one in ended],
            [one.provider_code for one in ended],
            [one.reason for one in ended],
        )


async def drop_attempts(tx: Transaction, dropped: Sequence[tuple[str, int]]) -> None:
    if dropped:
        notices, numbers = zip(*dropped, strict=True)
        await tx.execute(_sql["drop_attempts"], notices, numbers)


async def close_notices(tx: Transaction, closed: Mapping[str, Close]) -> None:
    if closed:
        how = closed.values()
        await tx.execute(_sql["close_notices"], list(closed), [one.state for one in how], [one.reason for one in how])


async def postpone_notices(tx: Transaction, put_off: Mapping[str, PutOff]) -> None:
    if put_off:
        how = put_off.values()
        await tx.execute(
            _sql["postpone_notices"], list(put_off), [one.after for one in how], [one.attempts for one in how]
        )


# --- looking ---------------------------------------------------------------------------------------------------------


async def notices_of(tx: Transaction, dossier: str) -> list[Notice]:
    """With their attempts."""
    tried = await attempts_of(tx, dossier)
    return [
        Notice(**{**row, "template": Template(row["template"])}, attempts=tried.get(row["id"], ()))
        for row in map(dict, await tx.fetch(_sql["notices_of"], dossier))
    ]


async def attempts_of(tx: Transaction, dossier: str) -> dict[str, tuple[Attempt, ...]]:
    found: dict[str, tuple[Attempt, ...]] = {}
    for row in map(dict, await tx.fetch(_sql["attempts_of"], dossier)):
        notice = row.pop("notice")
        found[notice] = (*found.get(notice, ()), Attempt(**row))
    return found


async def notice_depth(tx: Transaction) -> NoticeDepth:
    row = await tx.fetchrow(_sql["notice_depth"])
    assert row is not None
    return NoticeDepth(**row)

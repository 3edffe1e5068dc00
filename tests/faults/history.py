"""What the clients did and what they were told, on disk before anything follows from it: the witness of a run.

Every command is written down twice: ``invoke`` before it is sent, then ``ok`` (2xx), ``fail`` (refused, so nothing was
done) or ``info`` (nobody knows: no answer, or 5xx). A line is on disk (fdatasync) before its writer goes on, so that
a harness that is killed itself has forgotten nothing that anybody was told.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any


class Outcome(StrEnum):
    """What came of an operation, as far as its client knows."""

    OK = "ok"
    FAIL = "fail"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it is sent: to whose door, under which id, about which dossier (None: one that is handed in).

    ``kind`` is the step of a dossier's life; ``body`` what was sent; ``seen`` the version that the client had seen.
    """

    kind: str
    service: str
    key: str
    dossier: str | None
    body: dict[str, Any]

    @property
    def actor(self) -> str:
        """Who asks: a pseudonym that belongs to this command alone, so that every effect names its command."""
        return f"client-{self.key}"

    @property
    def seen(self) -> int | None:
        """The version that was on the client's screen; None where the door asks for none."""
        seen: int | None = self.body.get("seen")
        return seen


@dataclass(frozen=True, slots=True)
class Operation:
    """A command with what came of it; one command may be several operations, under one key.

    ``invoked`` and ``returned``: when it was sent and when its client was told, in seconds since 1970; ``sent_line``
    and ``told_line``: the lines of the history that say so. What was sent below the line in which another operation
    was told began when that one was over for its client. None where nobody was told.
    """

    number: int
    asked: Asked
    outcome: Outcome
    status: int | None
    answer: dict[str, Any]
    returned: float | None = None
    media_type: str = ""
    invoked: float = 0.0
    sent_line: int = 0
    told_line: int | None = None


@dataclass(slots=True)
class History:
    """Appends to a file of JSON lines. One writer at a time; whoever waits shares the next flush."""

    path: Path
    last: int = 0
    _file: int | None = None
    _waiting: list[bytes] = field(default_factory=list)
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def open(self, *, anew: bool = True) -> None:
        """Begin a history (one of an earlier run under this name makes way), or go on with one."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        begun = os.O_CREAT | os.O_TRUNC if anew else 0
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | begun, 0o600)

    def close(self) -> None:
        """Nothing more is written."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def invoke(self, asked: Asked) -> int:
        """Write down that this is about to be sent; the number of the operation."""
        self.last += 1
        number = self.last
        said = {"kind": asked.kind, "service": asked.service, "key": asked.key, "dossier": asked.dossier}
        await self._write({"n": number, "phase": "invoke", "at": time.time(), **said, "body": asked.body})
        return number

    async def returned(self, number: int, outcome: Outcome, status: int | None, answer: dict[str, Any]) -> None:
        """Write down what came back."""
        line = {"n": number, "phase": outcome.value, "at": time.time(), "status": status, "answer": answer}
        await self._write(line)

    async def _write(self, line: dict[str, Any]) -> None:
        encoded = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        self._waiting.append(encoded)
        async with self._flushing:
            if not self._waiting or self._file is None:
                return  # whoever flushed before us took our line along
            lines, self._waiting = b"".join(self._waiting), []
            await asyncio.to_thread(_keep, self._file, lines)


def _keep(file: int, lines: bytes) -> None:
    os.write(file, lines)
    os.fdatasync(file)


def read(path: Path) -> list[Operation]:
    """Every operation of a history in the order of its invocation; one without an end is ``info``.

    A last line that was torn by a crash is an answer that was never acted upon, and is left out.
    """
    found: dict[int, Operation] = {}
    for place, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            line = json.loads(text)
        except ValueError:
            continue
        number = line["n"]
        if line["phase"] == "invoke":
            asked = Asked(line["kind"], line["service"], line["key"], line["dossier"], line["body"])
            found[number] = Operation(number, asked, Outcome.INFO, None, {}, invoked=line["at"], sent_line=place)
        elif number in found:
            found[number] = replace(
                found[number],
                outcome=Outcome(line["phase"]),
                status=line["status"],
                answer=line["answer"],
                returned=line["at"],
                told_line=place,
            )
    return list(found.values())

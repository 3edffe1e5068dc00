"""The wire that is put between two processes does to their connections what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from deploy.launcher.layout import HOST
from tests.faults.wire import wire_to
from tests.processes import until


@dataclass(slots=True)
class _Echo:
    """A server that says everything back, remembers what it got, and counts those that are connected."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    connected: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connected += 1
        while line := await reader.readline():
            self.got.append(line)
            writer.write(line)
        self.connected -= 1
        writer.close()


@asynccontextmanager
async def _echo() -> AsyncIterator[_Echo]:
    echo = _Echo()
    async with await asyncio.start_server(echo.serve, HOST, 0) as server:
        echo.port = server.sockets[0].getsockname()[1]
        yield echo


async def test_a_wire_that_is_cut_carries_nothing_and_forgets_nothing() -> None:
    async with _echo() as echo, wire_to(echo.port) as wire:
        reader, writer = await asyncio.open_connection(HOST, wire.port)
        wire.cut()
        writer.write(b"one\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        before = list(echo.got)
        wire.mend()

        assert before == []
        assert await reader.readline() == b"one\n"
        writer.close()


async def test_a_wire_whose_answers_are_cut_carries_what_is_asked() -> None:
    async with _echo() as echo, wire_to(echo.port) as wire:
        reader, writer = await asyncio.open_connection(HOST, wire.port)
        wire.cut_answers()
        writer.write(b"one\n")
        await until(lambda: echo.got == [b"one\n"], "it was asked")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        wire.mend()

        assert await reader.readline() == b"one\n"
        writer.close()


async def test_a_halved_connection_is_closed_at_its_far_end_alone() -> None:
    async with _echo() as echo, wire_to(echo.port) as wire:
        reader, writer = await asyncio.open_connection(HOST, wire.port)
        writer.write(b"one\n")
        await reader.readline()

        assert wire.halve() == 1
        await until(lambda: echo.connected == 0, "the far end knows")
        writer.write(b"two\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.2)
        assert not reader.at_eof()
        assert echo.got == [b"one\n"]
        writer.close()


async def test_new_connections_pass_where_others_were_halved() -> None:
    async with _echo() as echo, wire_to(echo.port) as wire:
        _, old = await asyncio.open_connection(HOST, wire.port)
        old.write(b"one\n")
        await until(lambda: echo.connected == 1, "it is through")
        wire.halve()

        reader, writer = await asyncio.open_connection(HOST, wire.port)
        writer.write(b"two\n")

        assert await reader.readline() == b"two\n"
        for one in (old, writer):
            one.close()

"""The whole product on this machine: up, watched, and down again in order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import time
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

import httpx

from deploy.launcher import kafka, postgres, programs, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES
from deploy.launcher.ports import FIRST_START_BYTES, LATER_START_BYTES, refuse_busy, refuse_full_disk
from deploy.launcher.preparing import prepare
from deploy.launcher.programs import External, digits_of, wants_sample
from deploy.launcher.servers import end_all
from deploy.launcher.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from deploy.launcher.layout import Layout
    from deploy.launcher.process import Program
    from deploy.launcher.progress import Progress

LOCK = "supervisor"
_DOWN_PATIENCE = 180
_GONE_PATIENCE = 10
_LOOK_EVERY = 0.1


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person hears from a running product: progress, that it is ready, and what happens later."""

    progress: Progress
    ready: Callable[[], None]
    told: Callable[[str], None]


def run(layout: Layout, environ: Mapping[str, str], asked: Asked) -> None:
    """Bring everything up, stay until SIGINT, SIGTERM or SIGHUP, and bring it down in order.

    The caller holds the lock. Raises LaunchError when something stands in the way; by then nothing runs any more.
    """
    # Until the event loop watches them, both signals end us as Ctrl-C does: nothing has been started yet.
    before = {number: signal.signal(number, signal.default_int_handler) for number in _ends()}
    supervisor = None
    failure = ""
    try:
        external = External.of(environ)
        end_leftovers(layout, asked.progress)
        supervisor = Supervisor(layout, asked.progress, external.names)
        asked = replace(asked, progress=supervisor.progress)
        refuse_full_disk(layout.var, LATER_START_BYTES if layout.postgres.exists() else FIRST_START_BYTES)
        refuse_busy(layout, [name for name in layout.ports if name.partition("-")[0] not in external.names])
        servers = _prepared(layout, external, asked.progress)
        asyncio.run(_supervise(supervisor, layout, external, servers, asked))
    except LaunchError as error:
        failure = str(error)
        raise
    except OSError as error:
        failure = sentence(error, layout)
        raise LaunchError(failure) from error
    finally:
        with contextlib.suppress(OSError):
            if supervisor is not None:
                supervisor.end(failure)
            else:
                state.write(layout, replace(state.read(layout), supervisor=None, ready=False, failure=failure))
        for number, handler in before.items():
            signal.signal(number, handler)


def _ends() -> list[signal.Signals]:
    """The signals besides Ctrl-C that end the product: not a closed terminal where that was to be ignored (nohup)."""
    hung_up = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, *hung_up]


def sentence(error: OSError, layout: Layout) -> str:
    """What a person can do about an error of the operating system."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return f"The disk of {layout.var} is full: free about 1.5 GB, then start again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{error.filename or layout.var} may not be written: run as its owner, or name another LIENTHONG_VAR."
    return f"{error.strerror or error} ({error.filename or layout.var}): set that right, then start again."


def end_leftovers(layout: Layout, progress: Progress) -> None:
    """End what a supervisor that was killed left running, known by pid and birth, last started first."""
    left = state.read(layout).alive
    if left:
        names = ", ".join(entry.name for entry in reversed(left))
        with progress.step(f"an earlier run was killed; ending what it left: {names}"):
            asyncio.run(end_all(layout))


def down(layout: Layout, progress: Progress) -> bool:
    """Stop the running product, or what a killed one left; whether there was anything. Returns when all is gone.

    Raises LaunchError when it does not stop.
    """
    there = False
    known = state.read(layout).supervisor
    if known is not None and state.is_alive(known):
        there = True
        with progress.step("stopping") as shown:
            _signal(known, signal.SIGTERM)
            until = time.monotonic() + _DOWN_PATIENCE
            while state.is_alive(known) and time.monotonic() < until:
                shown("stopping: " + ", ".join(entry.name for entry in reversed(state.read(layout).children)))
                time.sleep(_LOOK_EVERY)
            if state.is_alive(known):
                _signal(known, signal.SIGKILL)
                until = time.monotonic() + _GONE_PATIENCE
                while state.is_alive(known) and time.monotonic() < until:
                    time.sleep(_LOOK_EVERY)
    with state.held(layout, LOCK, wait=False) as ours:
        if not ours:
            raise LaunchError("Somebody else is starting or stopping it right now: wait a little and run this again.")
        there = there or bool(state.read(layout).alive)
        end_leftovers(layout, progress)
    return there


def _prepared(layout: Layout, external: External, progress: Progress) -> list[Program]:
    servers = []
    if external.databases is None:
        servers.append(postgres.prepare(layout, progress))
    if external.kafka is None:
        servers.extend(kafka.prepare(layout, progress).values())
    return servers


async def _supervise(
    supervisor: Supervisor, layout: Layout, external: External, servers: list[Program], asked: Asked
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, *_ends()):
        loop.add_signal_handler(number, stop.set)
    try:
        if await _unless(stop, _bring_up(supervisor, layout, external, servers, asked)):
            supervisor.tell_ready()
            asked.ready()
            await _unless(stop, supervisor.watch(asked.told))
    finally:
        await supervisor.stop()


async def _unless(stop: asyncio.Event, work: Coroutine[None, None, None]) -> bool:
    """Do the work unless told to stop before it ends; whether it was done to its end."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        stopping.cancel()
        working.result()
        return not stop.is_set()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return False


async def _bring_up(
    supervisor: Supervisor, layout: Layout, external: External, servers: list[Program], asked: Asked
) -> None:
    progress = asked.progress
    await supervisor.start(servers)
    servers_of_kafka = external.kafka or layout.kafka_servers
    databases = external.databases or postgres.databases(layout)
    await prepare(servers_of_kafka, databases, layout.keys, progress)
    await supervisor.start([programs.mail(layout), programs.receiver(layout)])
    await supervisor.start([programs.service(name, layout, servers_of_kafka, databases) for name in SERVICES])
    await supervisor.start([programs.operations(layout), programs.door(layout)])
    if wants_sample(os.environ):
        await _feed_once(layout, databases.login[SERVICES[0]], progress)


async def _feed_once(layout: Layout, intake: str, progress: Progress) -> None:
    """Load the sample town and hand its dossiers in, once in the life of intake's database."""
    marker = layout.run / "fed"
    database = await postgres.cluster_identity(intake)
    if marker.exists() and marker.read_text() == database:
        return
    with progress.step("loading the sample town, handing in a few dossiers"):
        try:
            await import_module("deploy.sample.feeding").feed(layout.url("door"), **digits_of(os.environ))
        except httpx.HTTPError as error:
            raise LaunchError(
                f"The sample dossiers cannot be handed in: {error!r}; see {layout.log('intake')}."
            ) from error
    marker.write_text(database)


def _signal(entry: state.Entry, number: signal.Signals) -> None:
    if state.is_alive(entry):
        with contextlib.suppress(ProcessLookupError):
            os.kill(entry.pid, number)

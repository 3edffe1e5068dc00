"""How processes of the river end: by a blow, or by themselves, or not when they are told to.

Whoever strikes at a process that is not there any more has struck at nothing, and has hidden why it was not. So every
process is looked at before a blow, when another one takes its place, and when all is over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from deploy.launcher.process import Running
from deploy.launcher.servers import Servers
from deploy.launcher.state import Entry
from tests.faults.ground.tally import Tally
from tests.flow.river import River, Watch

_LAST_WORDS = 3
"""Lines of its log."""


@dataclass(slots=True)
class Ends(Watch):
    """What is known of every end; faults go into the tally, and the checker makes a verdict of them."""

    tally: Tally
    _known: set[Entry] = field(default_factory=set)
    _may_end: set[str] = field(default_factory=set)

    def watch(self, river: River) -> None:
        """From now on look after all that runs, and all that will."""
        river.watch = self
        river.running = {name: self.started(one) for name, one in river.running.items()}
        servers = river.servers
        running = {name: self.started(one) for name, one in servers.running.items()}
        river.servers = WatchedServers(servers.layout, servers.databases, servers.programs, running, ends=self)

    def started(self, running: Running) -> Running:
        """One more to look after."""
        return Watched(**{one.name: getattr(running, one.name) for one in fields(running)}, ends=self)

    def replaced(self, running: Running) -> None:
        """Another one takes its place: it must have been struck before."""
        self.look(running, "another one took its place")

    def look(self, running: Running, what: str) -> None:
        """It must be alive, unless its end is known already, or may come."""
        self.tally.looked_at += 1
        if running.entry in self._known or running.is_alive():
            return
        self.know(running)
        if running.name in self._may_end:
            self.tally.done[f"{running.name} ended by itself, as it may"] += 1
            return
        words = " | ".join(line.strip() for line in running.last_words().splitlines()[-_LAST_WORDS:])
        self.tally.ended_by_itself.append(
            f"{running.name} ended by itself (exit code {running.exit_code()}) before {what}: {words}"
        )

    def look_at_all(self, river: River, what: str) -> None:
        """All that should run."""
        for running in (*river.servers.running.values(), *river.running.values()):
            self.look(running, what)

    def know(self, running: Running) -> None:
        """How it ends is somebody's doing, or told of already."""
        self._known.add(running.entry)

    @contextmanager
    def may_end(self, *names: str) -> Iterator[None]:
        """What these had to live through before this block may have ended them: that is no fault of theirs."""
        self._may_end.update(names)
        try:
            yield
        finally:
            self._may_end.difference_update(names)


@dataclass(slots=True, kw_only=True)
class Watched(Running):
    """A process that is looked at before every blow."""

    ends: Ends = field(repr=False)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.ends.look(self, "SIGKILL")
        self.ends.know(self)
        await Running.kill(self)

    async def stop(self) -> None:
        """Ask it to stop and wait; whoever has to be killed after that is told of."""
        self.ends.look(self, self.stop_signal.name)
        self.ends.know(self)
        self.ends.tally.told_to_end += 1
        self.send(self.stop_signal)
        self.resume()
        if not await self.gone(self.stop_patience):
            self.ends.tally.had_to_be_killed.append(
                f"{self.name} did not end within {self.stop_patience:.0f} s of {self.stop_signal.name}: "
                f"{self.last_words().splitlines()[-1].strip()}"
            )
        await Running.kill(self)  # it, or what it left: nothing else happens to one that is gone

    def suspend(self) -> None:
        """SIGSTOP."""
        self.ends.look(self, "SIGSTOP")
        Running.suspend(self)


@dataclass(slots=True)
class WatchedServers(Servers):
    """Both servers; whichever is started is looked after, too."""

    ends: Ends = field(kw_only=True)

    async def start(self, name: str) -> None:
        """Start one that was killed or stopped, and wait until it is ready."""
        before = self.running[name]
        self.ends.look(before, "it was started")
        await Servers.start(self, name)
        if self.running[name] is not before:
            self.running[name] = self.ends.started(self.running[name])

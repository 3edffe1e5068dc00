"""What a person sees while he waits: a spinner at a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Progress(Protocol):
    """Is told what is being waited for."""

    def step(self, text: str) -> contextlib.AbstractContextManager[Callable[[str], None]]:
        """Something that takes a while; the yielded function replaces the text as it goes on."""
        ...


class Silent:
    """Shows nothing: for tests."""

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        del text
        yield lambda _: None


class OnConsole:
    """Shows each step with its time; where there is no terminal, what changes within a step every five seconds.

    A terminal that was closed, or a pipe that nobody reads any more, keeps no step from being done.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        began = time.monotonic()
        if self._console.is_terminal:
            status = self._console.status(escape(text))
            is_shown = False
            with _whether_seen_or_not():
                status.start()
                is_shown = True
            try:
                yield lambda now: status.update(escape(now))
            finally:
                if is_shown:
                    with _whether_seen_or_not():
                        status.stop()
        else:
            self.say(f"… {escape(text)}")
            yield _seldom(lambda now: self.say(f"… {escape(now)}"), 5)
        self.say(f"[green]✓[/] {escape(text)} [dim]{time.monotonic() - began:.1f} s[/]")

    def say(self, markup: str) -> None:
        """One line, in rich's markup."""
        with _whether_seen_or_not():
            self._console.print(markup, highlight=False, soft_wrap=True)


def _whether_seen_or_not() -> contextlib.AbstractContextManager[None]:
    """rich ends the program when nobody reads its pipe; a terminal that is gone is an OSError."""
    return contextlib.suppress(OSError, SystemExit)


class Told:
    """Passes everything on, and tells somebody else too: the state file, where a waiting `--detach` reads it."""

    def __init__(self, inner: Progress, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._tell = tell

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[Callable[[str], None]]:
        self._tell(text)
        seldom = _seldom(self._tell, 0.3)
        with self._inner.step(text) as shown:

            def both(now: str) -> None:
                shown(now)
                seldom(now)

            yield both


def _seldom(tell: Callable[[str], None], seconds: float) -> Callable[[str], None]:
    """The same, called at most once in so many seconds; what comes between is dropped."""
    last = time.monotonic()

    def told(text: str) -> None:
        nonlocal last
        if time.monotonic() - last >= seconds:
            last = time.monotonic()
            tell(text)

    return told

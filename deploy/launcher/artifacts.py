"""Jars from the Maven repository: found by jgo's resolver, held to the sha256 in `artifacts.lock` by us.

jgo writes checksums into a lock of its own and warns about a wrong one; it does not refuse it. So nothing that it
fetched is used before this module has compared it, at every start.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import platform
import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from jgo.config import GlobalSettings
from jgo.maven import MavenContext, PythonResolver
from jgo.parse import Coordinate

from deploy.launcher.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

LOCK = Path(__file__).with_name("artifacts.lock")
KAFKA = "kafka"
KAFKA_ROOTS = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
POSTGRES_VERSION = "18.6.0"
POSTGRES_PLATFORMS = ("linux-amd64", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8")
_HEADER = """\
# Jars that the launcher fetches: set, group:artifact:version, sha256. Made by `make lock`; compared at every start.
"""


@dataclass(frozen=True, slots=True)
class Jar:
    """A line of the lock. `part` is what it belongs to: `kafka`, `postgres-linux-amd64`, …"""

    part: str
    coordinate: str
    sha256: str

    @property
    def file(self) -> str:
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def postgres_part(system: str | None = None, machine: str | None = None) -> str:
    """The lock's name for PostgreSQL's binaries on this machine. Raises LaunchError where there are none."""
    system, machine = system or platform.system(), machine or platform.machine()
    cpu = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(machine.lower())
    name = f"{system.lower()}-{cpu}"
    if name not in POSTGRES_PLATFORMS:
        raise LaunchError(
            f"There is no PostgreSQL for {system} on {machine} here: start one yourself and name it in DATABASE_URL_*, "
            "or use Linux or macOS on x86-64 or arm64."
        )
    return f"postgres-{name}"


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """Every jar of the lock. Raises LaunchError for a line that is none."""
    jars = []
    for line in path.read_text().splitlines():
        if line and not line.startswith("#"):
            words = line.split()
            if len(words) != 3 or len(words[2]) != 64 or words[1].count(":") != 2:
                raise LaunchError(f"{path.name} has a broken line: {line!r}. Make it anew with `make lock`.")
            jars.append(Jar(*words))
    return tuple(jars)


@contextlib.contextmanager
def alone(folder: Path, shown: Callable[[str], None]) -> Iterator[None]:
    """Nobody else fetches or unpacks in this folder meanwhile: `make up` and `make test` share it.

    Where there is no such lock and none can be made (a disk that is full or may not be written), it goes on without:
    what is there already is used, and whatever would have to be fetched says what stands in its way.
    """
    with contextlib.ExitStack() as stack:
        file = _opened(folder / "fetching.lock")
        if file is not None:
            stack.callback(os.close, file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                shown("somebody else fetches it just now: waiting")
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _opened(lock: Path) -> int | None:
    """For a lock it is enough to read a file that somebody else made."""
    with contextlib.suppress(OSError):
        lock.parent.mkdir(parents=True, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    with contextlib.suppress(OSError):
        return os.open(lock, os.O_RDONLY)
    return None


def fetch(part: str, folder: Path, shown: Callable[[str], None], lock: Path = LOCK) -> tuple[Path, ...]:
    """The jars of a part, in the lock's order, each with the locked sha256; what is missing is downloaded.

    `shown` is told how far it is. Raises LaunchError without network, without disk, and for a jar that differs (it is
    deleted first, so that the next run fetches it again).
    """
    jars = [jar for jar in read_lock(lock) if jar.part == part]
    missing = [jar for jar in jars if not (folder / jar.file).exists()]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("partial-*"):
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix="partial-", ignore_cleanup_errors=True) as scratch:
            _download_all(missing, folder, _Meter(len(missing), shown), Path(scratch))
    return tuple(_checked(jar, folder) for jar in jars)


def lock_anew(path: Path = LOCK) -> None:
    """Resolve everything again and write the lock: Kafka with all it needs, PostgreSQL for every platform."""
    with tempfile.TemporaryDirectory(prefix="lienthong-lock-") as scratch:
        context = _context(Path(scratch))
        roots = [context.create_dependency(Coordinate.parse(text)) for text in KAFKA_ROOTS]
        inputs, needed = context.resolver.resolve(roots)
        found = [(KAFKA, each.artifact) for each in sorted([*inputs, *needed], key=str)]
        for name in POSTGRES_PLATFORMS:
            project = context.project("io.zonky.test.postgres", f"embedded-postgres-binaries-{name}")
            found.append((f"postgres-{name}", project.at_version(POSTGRES_VERSION).artifact()))
        lines = [f"{part} {it.groupId}:{it.artifactId}:{it.version} {_sha256(it.resolve())}\n" for part, it in found]
    path.write_text(_HEADER + "".join(lines))


class _Meter:
    """Counts what four threads download, and tells them to end when one of them failed or a person lost patience."""

    def __init__(self, files: int, shown: Callable[[str], None]) -> None:
        self._files = files
        self._done = 0
        self._bytes = 0
        self._shown = shown
        self.is_over = threading.Event()

    @contextlib.contextmanager
    def file(self, name: str, size: int) -> Iterator[Callable[[int], None]]:
        """One file; the signature is jgo's."""
        del name, size

        def more(count: int) -> None:
            if self.is_over.is_set():
                raise InterruptedError
            self._bytes += count
            self._shown(f"{self._done} of {self._files} jars, {self._bytes / 1e6:.0f} MB")

        yield more
        self._done += 1


def _context(scratch: Path, meter: _Meter | None = None) -> MavenContext:
    # A mirror is named where jgo's users name it, in its own configuration file; without one, its default is used.
    mirrors = GlobalSettings.load().repositories or None
    resolver = PythonResolver(progress_callback=meter.file if meter else None)
    return MavenContext(resolver=resolver, repo_cache=scratch, local_repos=[], remote_repos=mirrors, timeout=30)


def _download_all(jars: Sequence[Jar], folder: Path, meter: _Meter, scratch: Path) -> None:
    context = _context(scratch, meter)
    threads = ThreadPoolExecutor(4)
    try:
        for future in as_completed([threads.submit(_download, context, jar, folder) for jar in jars]):
            future.result()
    except requests.RequestException as error:
        raise LaunchError(
            "The jars of Kafka and PostgreSQL cannot be fetched, there is no way to the Maven repository: "
            f"check the network (or the proxy), then start again. ({type(error).__name__})"
        ) from error
    except RuntimeError as error:
        raise LaunchError(f"The Maven repository does not have a jar that is needed: {error}") from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise LaunchError("The disk is full: free about 1.5 GB, then start again.") from error
        raise
    finally:
        meter.is_over.set()
        threads.shutdown(wait=True, cancel_futures=True)


def _download(context: MavenContext, jar: Jar, folder: Path) -> None:
    group, artifact, version = jar.coordinate.split(":")
    got = context.project(group, artifact).at_version(version).artifact().resolve()
    got.replace(folder / f"{jar.file}.new")
    _checked(jar, folder, f"{jar.file}.new").replace(folder / jar.file)


def _checked(jar: Jar, folder: Path, name: str = "") -> Path:
    path = folder / (name or jar.file)
    actual = _sha256(path)
    if actual != jar.sha256:
        path.unlink()
        raise LaunchError(
            f"{jar.file} is not the file that artifacts.lock names: its sha256 is {actual[:16]}…, not "
            f"{jar.sha256[:16]}…. It was deleted; start again to fetch it anew. If this happens again, do not go on: "
            "somebody between you and the repository changes files."
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

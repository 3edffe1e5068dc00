"""From a bare Python to a ready .venv: gets uv, makes the environment, installs what the locks name.

Runs under the machine's own Python and therefore uses the standard library only. A second call finds its stamp and
does nothing. `--dev` adds what tests and checks need; that environment is a superset, so a call without `--dev`
leaves it as it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST = (3, 11)
FREE_BYTES = 1_500_000_000
ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
VAR = ROOT / "var"
TOOLS = VAR / "tools"
UV = TOOLS / "bin" / "uv"
UV_LOCK = ROOT / "deploy" / "tools.lock"
STAMP = VENV / "lienthong.json"
LOG = VAR / "log" / "bootstrap.log"
LOCKS = {"plain": ROOT / "requirements.lock", "dev": ROOT / "requirements-dev.lock"}

_NO_DISK = ("No space left on device", "os error 28", "Disk quota exceeded")
_NO_NETWORK = (
    "dns error",
    "Could not connect",
    "Failed to fetch",
    "error sending request",
    "Connection refused",
    "Connection error",
    "ConnectionError",
    "NewConnectionError",
    "Network is unreachable",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Connection to ",
    "timed out",
    "ProxyError",
    "Cannot connect to proxy",
    "tunnel error",
)


class BootstrapError(Exception):
    """One clear sentence that says what to do."""


def main(arguments: Sequence[str]) -> int:
    """Bring .venv up to date; 0 when it is, 1 with a sentence on standard error when it cannot be, 2 for usage."""
    if any(each != "--dev" for each in arguments):
        _say("usage: bootstrap.py [--dev]", sys.stderr)
        return 2
    try:
        _refuse_old_python()
        mode = wanted_mode(dev=bool(arguments))
        if is_current(mode):
            return 0
        VAR.mkdir(exist_ok=True)
        with (VAR / "bootstrap.lock").open("w") as lock:
            with (
                _step("another bootstrap is under way: waiting for it") if _is_held(lock) else contextlib.nullcontext()
            ):
                fcntl.flock(lock, fcntl.LOCK_EX)
            mode = wanted_mode(dev=bool(arguments))
            if not is_current(mode):
                install(mode)
    except BootstrapError as error:
        _say(f"✗ {error}", sys.stderr)
        return 1
    except PermissionError as error:
        _say(
            f"✗ {error.filename} may not be written: give the folder to yourself (chown -R), or run as its owner.",
            sys.stderr,
        )
        return 1
    except OSError as error:
        _say(f"✗ {error.strerror or error}: {error.filename or ROOT}. Set that right and run again.", sys.stderr)
        return 1
    except KeyboardInterrupt:
        _say("✗ interrupted; run it again to go on.", sys.stderr)
        return 130
    return 0


def wanted_mode(*, dev: bool) -> str:
    """`dev` when asked for, or when the environment already is one."""
    return "dev" if dev or _stamp().get("mode") == "dev" else "plain"


def is_current(mode: str) -> bool:
    """Whether the environment holds what the locks name, was made here, and its Python still is there."""
    return _stamp() == {"mode": mode, "digest": digest(mode)} and (VENV / "bin" / "python").exists()


def digest(mode: str) -> str:
    """Of everything that decides what is installed, the folder included: an environment cannot be moved."""
    parts = hashlib.sha256(f"{ROOT}\n{mode}\n{sys.version_info[:2]}\n".encode())
    for path in (LOCKS[mode], ROOT / "pyproject.toml", UV_LOCK):
        parts.update(path.read_bytes())
    return parts.hexdigest()


def install(mode: str) -> None:
    """Everything, from uv on. The stamp goes first and comes last, so an interrupted run is done again."""
    free = shutil.disk_usage(ROOT).free
    if free < FREE_BYTES:
        raise BootstrapError(
            f"The disk of {ROOT} has {free / 1e9:.1f} GB free, and {FREE_BYTES / 1e9:.1f} GB are needed: free some."
        )
    STAMP.unlink(missing_ok=True)
    _get_uv()
    if not _venv_works():
        with _step("making .venv"):
            _run([UV, "venv", "--clear", "--no-project", "--python", sys.executable, VENV])
    with _step(f"installing what {LOCKS[mode].name} names"):
        _run([UV, "pip", "sync", "--require-hashes", "--python", VENV / "bin" / "python", LOCKS[mode]])
    with _step("installing lienthong"):
        alone = ("--no-deps", "--no-build-isolation", "--no-index")
        _run([UV, "pip", "install", "--python", VENV / "bin" / "python", *alone, "-e", ROOT])
    draft = STAMP.with_suffix(".draft")
    draft.write_text(json.dumps({"mode": mode, "digest": digest(mode)}))
    draft.replace(STAMP)


def _refuse_old_python() -> None:
    if sys.version_info < OLDEST:
        have = ".".join(map(str, sys.version_info[:2]))
        raise BootstrapError(
            f"Python {have} ({sys.executable}) is too old: install Python 3.11 or newer, and if it is not your "
            "python3, name it: make up PYTHON=/path/to/python3.11"
        )


def _get_uv() -> None:
    wanted = next(line.split("==")[1].split()[0] for line in UV_LOCK.read_text().splitlines() if "==" in line)
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run([UV, "--version"], capture_output=True, text=True, check=True).stdout.split()
        if told[1:2] == [wanted]:
            return
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode != 0:
        raise BootstrapError(
            f"{sys.executable} has no pip: install it (Debian, Ubuntu: apt-get install python3-pip; elsewhere: "
            f"{sys.executable} -m ensurepip) and run again."
        )
    with _step(f"getting uv {wanted}"):
        quiet = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "1")
        exact = ("--upgrade", "--require-hashes", "--only-binary", ":all:", "--target", TOOLS, "-r", UV_LOCK)
        _run([sys.executable, "-m", "pip", "install", *quiet, *exact])


def _venv_works() -> bool:
    told = None
    with contextlib.suppress(OSError):
        code = "import sys; print(sys.version_info[:2], sys.prefix)"
        told = subprocess.run([VENV / "bin" / "python", "-c", code], capture_output=True, text=True, check=False).stdout
    return told == f"{tuple(sys.version_info[:2])} {VENV}\n"


def _run(command: Sequence[str | Path]) -> None:
    """Run a tool with its output in the log. Raises BootstrapError with the likeliest reason when it fails."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    environment.pop("VIRTUAL_ENV", None)
    if not os.access(Path.home(), os.W_OK):
        environment.setdefault("UV_CACHE_DIR", str(TOOLS / "cache"))
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    LOG.write_text(done.stdout)
    if done.returncode != 0:
        raise BootstrapError(reason(Path(command[0]).name, done.stdout))


def reason(tool: str, output: str) -> str:
    """The sentence for a tool that failed, from what it wrote."""
    if any(sign in output for sign in _NO_DISK):
        return "The disk is full: free about 1.5 GB, then run again."
    if "hash mismatch" in output.lower() or "DO NOT MATCH THE HASHES" in output:
        return (
            "A package is not the file that the lock names (its hash differs): empty the cache (var/tools/bin/uv cache "
            f"clean) and run again; if it happens again, do not go on. What was said is in {LOG}."
        )
    if any(sign in output for sign in _NO_NETWORK):
        return (
            "Packages cannot be fetched, there is no way to the package index: check the network (or the proxy, or "
            f"PIP_INDEX_URL and UV_INDEX_URL), then run again. What was said is in {LOG}."
        )
    last = "\n".join(f"  {line}" for line in output.rstrip().splitlines()[-8:])
    return f"{tool} failed; its last lines, of {LOG}, say what to set right:\n{last}"


def _stamp() -> dict[str, str]:
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(STAMP.read_text())
        if isinstance(found, dict):
            return found
    return {}


def _is_held(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _step(text: str) -> Iterator[None]:
    """Show what is waited for, with seconds at a terminal."""
    began = time.monotonic()
    ended = threading.Event()
    terminal = sys.stdout.isatty()

    def tick() -> None:
        while not ended.wait(0.2):
            sys.stdout.write(f"\r… {text} {time.monotonic() - began:.0f} s")
            sys.stdout.flush()

    ticker = threading.Thread(target=tick, daemon=True)
    if terminal:
        ticker.start()
    else:
        _say(f"… {text}")
    try:
        yield
    finally:
        ended.set()
        if terminal:
            ticker.join()
            sys.stdout.write("\r\033[K")
    _say(f"✓ {text} {time.monotonic() - began:.1f} s")


def _say(text: str, to: TextIO | None = None) -> None:
    stream = to or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

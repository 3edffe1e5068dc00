"""PostgreSQL: its binaries, its cluster, its passwords, how it starts and when it is ready."""

from __future__ import annotations

import contextlib
import json
import locale
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
import psutil

from deploy.launcher import artifacts, roles
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, SERVICES
from deploy.launcher.process import Program, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from deploy.launcher.layout import Layout
    from deploy.launcher.progress import Progress

MAJOR = artifacts.POSTGRES_VERSION.split(".")[0]
SUPERUSER = "postgres"
# PostgreSQL refuses to run as root. In a user namespace root is an ordinary user to it, and the files stay root's.
_NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")


STOP_PATIENCE = 60


@dataclass(frozen=True, slots=True)
class Databases:
    """Addresses of the four databases, by service. `superuser` is empty when the server is not ours."""

    login: Mapping[str, str]
    owner: Mapping[str, str]
    superuser: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom the server runs: with a command before it, or as another user (uid), or simply as we are."""

    prefix: tuple[str, ...] = ()
    user: int | None = None


def prepare(layout: Layout, progress: Progress) -> Program:
    """Fetch and unpack the binaries, make the cluster if there is none: the server, ready to be started.

    Raises LaunchError (network, disk, platform, a cluster of another version, root that cannot be avoided).
    """
    with progress.step("PostgreSQL: binaries") as shown:
        home = _binaries(layout, lambda text: shown(f"PostgreSQL: {text}"))
    data = layout.postgres / "data"
    identity = _identity(data)
    layout.postgres.mkdir(parents=True, exist_ok=True)
    _give(layout.postgres, identity)
    _may_run(home, layout.postgres, identity)
    if not data.exists():
        with progress.step("PostgreSQL: new cluster"):
            _initialise(layout, home, data, identity)
    check_version(data)
    settings = {
        "listen_addresses": HOST,
        "port": layout.ports["postgres"],
        # A socket's path is limited to 107 bytes, a checkout's is not.
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        "max_connections": 200,
        "fsync": "on",
        "jit": "off",
        # DETAIL and the text of a failed statement quote values; a log must hold no personal data.
        "log_error_verbosity": "terse",
        "log_min_error_statement": "panic",
        "log_parameter_max_length_on_error": 0,
        "log_line_prefix": "%m [%p] %u@%d ",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    superuser = superuser_url(layout)

    async def is_ready() -> bool:
        return await answers(superuser)

    return Program(
        name="postgres",
        command=(*identity.prefix, str(home / "bin" / "postgres"), "-D", str(data), *options),
        environment=_environment(),
        is_ready=is_ready,
        port=layout.ports["postgres"],
        patience=180,
        stop_signal=signal.SIGINT,
        stop_patience=STOP_PATIENCE,
        user=identity.user,
    )


def superuser_url(layout: Layout, database: str = "postgres") -> str:
    """The address for the launcher itself: roles and databases."""
    return _url(layout, SUPERUSER, _passwords(layout)[SUPERUSER], database)


async def answers(url: str) -> bool:
    """Whether a server at this address lets us in."""
    try:
        connection = await asyncpg.connect(url, timeout=5)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return False
    await connection.close()
    return True


async def make_databases(layout: Layout, suffix: str = "") -> Databases:
    """Roles and databases of the four services; a second call changes nothing.

    Each service has a database of its name (plus `suffix`, for tests that want one of their own), owned by
    `<service>_owner`, and a login `<service>`; what these may is in `roles`.
    """
    made = databases(layout, suffix)
    await roles.make(made)
    return made


async def drop_databases(layout: Layout, suffix: str) -> None:
    """Remove the databases that `make_databases` made for a suffix, connections and all."""
    if not suffix:
        raise ValueError("the databases without a suffix are the product's own")
    connection = await asyncpg.connect(superuser_url(layout))
    try:
        for service in SERVICES:
            await connection.execute(f'DROP DATABASE IF EXISTS "{service}{suffix}" WITH (FORCE)')
    finally:
        await connection.close()


def databases(layout: Layout, suffix: str = "") -> Databases:
    """The addresses of our own server's databases."""
    passwords = _passwords(layout)
    return Databases(
        login={each: _url(layout, each, passwords[each], f"{each}{suffix}") for each in SERVICES},
        owner={each: _url(layout, f"{each}_owner", passwords[f"{each}_owner"], f"{each}{suffix}") for each in SERVICES},
        superuser=superuser_url(layout),
    )


async def cluster_identity(url: str) -> str:
    """What tells the database at this address from any other, also from a later one of the same name."""
    connection = await asyncpg.connect(url)
    try:
        return str(
            await connection.fetchval(
                "SELECT system_identifier || '/' || oid FROM pg_control_system(), pg_database"
                " WHERE datname = current_database()"
            )
        )
    finally:
        await connection.close()


def _url(layout: Layout, role: str, password: str, database: str) -> str:
    return f"postgresql://{role}:{password}@{HOST}:{layout.ports['postgres']}/{database}"


def _passwords(layout: Layout) -> dict[str, str]:
    """Nine passwords, made once, readable by us alone. Letters and digits only, so that they need no quoting."""
    path = layout.postgres / "secrets.json"
    if not path.exists():
        names = [SUPERUSER, *(role for each in SERVICES for role in (each, f"{each}_owner"))]
        made = {role: secrets.token_hex(24) for role in names}
        layout.postgres.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(made, indent=1))
        draft.replace(path)
    found: dict[str, str] = json.loads(path.read_text())
    return found


def _binaries(layout: Layout, shown: Callable[[str], None]) -> Path:
    """The unpacked binaries of the locked jar; unpacked again when the lock names another one."""
    part = artifacts.postgres_part()
    with artifacts.alone(layout.jars, shown):
        return _unpacked(layout, part, shown)


def _unpacked(layout: Layout, part: str, shown: Callable[[str], None]) -> Path:
    (jar,) = artifacts.fetch(part, layout.jars / "postgres", shown)
    home = layout.jars / f"{part}-{artifacts.POSTGRES_VERSION}"
    (locked,) = (each for each in artifacts.read_lock() if each.part == part)
    stamp = home / "sha256"
    if stamp.exists() and stamp.read_text() == locked.sha256:
        return home
    shown("unpacking")
    draft = home.with_suffix(f".partial-{os.getpid()}")
    with zipfile.ZipFile(jar) as outer:
        (inner,) = (name for name in outer.namelist() if name.endswith(".txz"))
        with outer.open(inner) as packed, tarfile.open(fileobj=packed, mode="r|xz") as archive:
            # Debian 12's Python has no filters yet; the archive is the locked one either way.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            for member in archive:
                archive.extract(member, draft)
    (draft / "sha256").write_text(locked.sha256)
    draft.chmod(0o755)
    shutil.rmtree(home, ignore_errors=True)
    draft.rename(home)
    return home


def _initialise(layout: Layout, home: Path, data: Path, identity: Identity) -> None:
    """initdb beside, then rename: an interrupted first start leaves no half-made cluster."""
    draft = layout.postgres / "data.partial"
    shutil.rmtree(draft, ignore_errors=True)
    password = layout.postgres / "password.draft"
    password.unlink(missing_ok=True)
    password.touch(mode=0o600)
    password.write_text(_passwords(layout)[SUPERUSER])
    _give(password, identity)
    # The builtin provider sorts and folds case, but pg_trgm still asks the C library what a letter is: with LC_CTYPE
    # "C", the trigrams of "Đăng ký" are those of "ng" and "k".
    locales = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", f"--lc-ctype={_ctype()}")
    options = ("--auth=scram-sha-256", "--encoding=UTF8", *locales)
    command = [*identity.prefix, str(home / "bin" / "initdb"), "-D", str(draft), "-U", SUPERUSER, *options]
    log = layout.log("postgres")
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("ab") as output:
            done = subprocess.run(
                [*command, f"--pwfile={password}"],
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                user=identity.user,
                group=identity.user,
                extra_groups=None if identity.user is None else [],
                check=False,
            )
    finally:
        password.unlink()
    if done.returncode != 0:
        shutil.rmtree(draft, ignore_errors=True)
        text = tail(log)
        if "No space left on device" in text:
            raise LaunchError("The disk is full: free about 1.5 GB, then start again.")
        raise LaunchError(f"PostgreSQL cannot make its data folder; see {log}:\n{text}")
    draft.rename(data)


def _ctype() -> str:
    """A UTF-8 LC_CTYPE that this machine has; "C" when it has none (search without tone marks finds less then)."""
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for name in ("C.UTF-8", "en_US.UTF-8", "UTF-8"):
            with contextlib.suppress(locale.Error):
                locale.setlocale(locale.LC_CTYPE, name)
                return name
        return "C"
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def check_version(data: Path) -> None:
    """Raises LaunchError when a data folder is none, or another major version's."""
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except OSError as error:
        raise LaunchError(f"{data} is not a PostgreSQL data folder: move it away, then start again.") from error
    if version != MAJOR:
        raise LaunchError(
            f"{data} was made by PostgreSQL {version}, this is {MAJOR}: take the dossiers over with pg_dump of "
            f"{version} and pg_restore, or move the folder away and start with empty databases."
        )


def forget_stale_pid(layout: Layout) -> None:
    """Before a start: remove a postmaster.pid whose process is gone, or is no server on this folder (a reused pid).

    PostgreSQL asks only whether *some* process has that pid, and refuses to start after a reboot gave it away.
    Raises LaunchError when a server that we do not know of runs on our data.
    """
    data = layout.postgres / "data"
    path = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError, ValueError):
        pid = int(path.read_text().split("\n", 1)[0])
        with contextlib.suppress(psutil.Error):
            if str(data) in psutil.Process(pid).cmdline():
                raise LaunchError(
                    f"A PostgreSQL that this launcher did not start (pid {pid}) runs on {data}: stop it, then start "
                    "again."
                )
        path.unlink()


def _identity(data: Path) -> Identity:
    """As whom to run. Data that exists decides: it belongs to whom it was made by."""
    if os.geteuid() != 0:
        return Identity()
    if data.exists() and data.stat().st_uid != 0:
        return Identity(user=data.stat().st_uid)
    if _namespace_allowed():
        return Identity(prefix=_NAMESPACE)
    if data.exists():
        raise LaunchError(
            f"{data} belongs to root, and this machine no longer allows user namespaces: give the folder to an "
            "ordinary user (chown -R) and start again."
        )
    return Identity(user=_lesser_user())


def _namespace_allowed() -> bool:
    with contextlib.suppress(OSError):
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    return False


def _lesser_user() -> int:
    """Whom root becomes: he who called sudo, else `nobody`."""
    caller = os.environ.get("SUDO_UID", "")
    if caller.isdigit() and int(caller) != 0:
        return int(caller)
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError as error:
        raise LaunchError(
            "PostgreSQL does not run as root, and this machine has neither user namespaces nor the user `nobody`: "
            "start as an ordinary user."
        ) from error


def _give(path: Path, identity: Identity) -> None:
    path.chmod(0o600 if path.is_file() else 0o700)
    if identity.user is not None:
        os.chown(path, identity.user, -1)


def _may_run(home: Path, folder: Path, identity: Identity) -> None:
    if identity.user is None:
        return
    for probe in ([str(home / "bin" / "postgres"), "--version"], ["test", "-w", str(folder)]):
        with contextlib.suppress(OSError):
            done = subprocess.run(
                probe, user=identity.user, group=identity.user, extra_groups=[], capture_output=True, check=False
            )
            if done.returncode == 0:
                continue
        name = pwd.getpwuid(identity.user).pw_name
        raise LaunchError(
            f"PostgreSQL does not run as root; user namespaces are refused here, and the user {name} cannot reach "
            f"{folder}: start as an ordinary user, or move the folder where {name} may go (not below /root)."
        )


def _environment() -> dict[str, str]:
    kept = ("PATH", "TZ")
    return {name: os.environ[name] for name in kept if name in os.environ}

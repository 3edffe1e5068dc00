"""Makes the folder of secrets that docker-compose.yml reads: `python3 deploy/containers/make_secrets.py [FOLDER]`.

Runs under the machine's own Python and therefore uses the standard library only. What is there is left as it is: a
database keeps the passwords that it was made with.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

SERVICES = ("intake", "routing", "notification", "reporting")
SERVER = "postgres:5432"


def main(arguments: list[str]) -> int:
    """Make the folder; 0 when it is whole, 1 with a sentence on standard error when it cannot be, 2 for usage."""
    if len(arguments) > 1 or any(each.startswith("-") for each in arguments):
        sys.stderr.write("usage: make_secrets.py [FOLDER]\n")
        return 2
    folder = Path(arguments[0] if arguments else os.environ.get("LIENTHONG_SECRETS") or "secrets")
    try:
        made = make(folder)
    except OSError as error:
        sys.stderr.write(f"✗ {error.filename or folder} may not be written ({error.strerror}): name another folder.\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"✗ {error}\n")
        return 1
    sys.stdout.write(
        f"{folder}: {made} made, {len(wanted('')) - made} were there. Keep a copy where you keep backups.\n"
    )
    return 0


def make(folder: Path) -> int:
    """Write what is missing; how many files that were. OSError, or ValueError when half of a pair is lost."""
    # The folder keeps others out; the files themselves must be readable by a container's user, whose number on this
    # machine is nobody's (an engine mounts them as they are).
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    pair = [folder / name for name in ("postgres_password", "database_superuser_url")]
    if sum(path.exists() for path in pair) == 1:
        raise ValueError(
            f"Of {pair[0]} and {pair[1]} one is missing, and both hold the same password: write it there yourself, or "
            "restore it from a backup."
        )
    missing = {name: text for name, text in wanted(secrets.token_hex(24)).items() if not (folder / name).exists()}
    for name, text in missing.items():
        draft = folder / f".{name}.draft"
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(text, encoding="ascii")
        draft.chmod(0o444)
        draft.replace(folder / name)
    return len(missing)


def wanted(superuser: str) -> dict[str, str]:
    """Content by the name of its file. Passwords are letters and digits, so that they need no quoting anywhere."""
    files = {
        "postgres_password": superuser,
        "database_superuser_url": f"postgresql://postgres:{superuser}@{SERVER}/postgres",
    }
    for service in SERVICES:
        owner, login = secrets.token_hex(24), secrets.token_hex(24)
        files[f"database_owner_url_{service}"] = f"postgresql://{service}_owner:{owner}@{SERVER}/{service}"
        files[f"database_url_{service}"] = f"postgresql://{service}:{login}@{SERVER}/{service}"
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

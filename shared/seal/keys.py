"""The folder of keys: one file for each private key, and `public.json` with the key to which each service is written.

The folder lies outside the repository and outside every database, so that a copy of either opens nothing.
"""

import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

PUBLIC = "public.json"
READERS = ("intake", "notification")
"""The services that may read personal data, in the river's order."""


class KeysError(Exception):
    """The folder of keys is absent, unsafe or damaged. The message names the file and what to do, and no key."""


def make_keys(folder: Path, services: Sequence[str] = READERS) -> None:
    """Give each service a key that has none yet. Repeating it changes nothing. Raises KeysError, OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not (folder / PUBLIC).exists():
        _write(folder / PUBLIC, {"keys": []}, mode=0o644)
    have = read_public(folder)
    for service in services:
        if service not in have:
            rotate(folder, service)


def rotate(folder: Path, service: str) -> str:
    """A new key pair to which the service is written from now on; what was written to the old ones still opens.

    Returns the new key's id (its RFC 7638 thumbprint). A running service knows the keys of its start, so the service
    that reads is started again before those that write to it.
    """
    others = [key.as_dict(private=False) | {"service": name} for name, key in read_public(folder).items()]
    pair: OKPKey = OKPKey.generate_key("X25519")
    kid = pair.thumbprint()
    private = {**pair.as_dict(private=True), "kid": kid, "use": "enc", "service": service}
    # The private half first: a crash between the two leaves an unused key, never a public key that nobody can open.
    _write(folder / f"{service}.{kid}.jwk", private, mode=0o600)
    public = {name: value for name, value in private.items() if name != "d"}
    kept = [key for key in others if key["service"] != service]
    _write(folder / PUBLIC, {"keys": [*kept, public]}, mode=0o644)
    return kid


def read_public(folder: Path) -> dict[str, OKPKey]:
    """For each service the key to which it is written now. Raises KeysError."""
    file = folder / PUBLIC
    try:
        return {jwk["service"]: _key(file, jwk) for jwk in _read(file)["keys"]}
    except (KeyError, TypeError):
        raise KeysError(f"{file} is not a list of keys: restore it from a backup") from None


def read_private(folder: Path, service: str) -> dict[str, OKPKey]:
    """All keys that the service ever had, by id. Raises KeysError when others could read one of them."""
    keys: dict[str, OKPKey] = {}
    for file in sorted(folder.glob(f"{service}.*.jwk")):
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise KeysError(f"{file} can be read by others: chmod 600 it, and rotate the key if they may have")
        key = _key(file, _read(file))
        keys[key.thumbprint()] = key
    return keys


def _key(file: Path, jwk: dict[str, Any]) -> OKPKey:
    try:
        return OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "d", "kid", "use") if name in jwk})
    except (JoseError, ValueError, TypeError):
        raise KeysError(f"{file} does not hold an X25519 key: restore it from a backup") from None


def _read(file: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise KeysError(f"{file} is absent: `lienthong prepare` makes it, or restore it from a backup") from None
    except ValueError:
        raise KeysError(f"{file} is not JSON: restore it from a backup") from None
    return content


def _write(file: Path, content: dict[str, Any], mode: int) -> None:
    """All of the file or nothing of it, on disk before this returns; private from its first moment."""
    temporary = file.with_suffix(f".{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as out:
        json.dump(content, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(file)

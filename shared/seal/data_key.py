"""The key of one subject, and what is sealed under it. Destroying the key is how a subject's data are erased."""

import secrets
from dataclasses import dataclass, field
from typing import Final

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from joserfc.registry import HeaderParameter
from joserfc.util import urlsafe_b64encode

KEY_BYTES = 32
MAX_PLAINTEXT = 32 * 1024
"""Bytes. The library refuses to open more than 64 KiB of base64; sealed things are contacts and a page of text."""

MALFORMED = (JoseError, ValueError, TypeError, KeyError, AttributeError, AssertionError, RecursionError)
"""What the library raises for bytes that somebody else wrote; found by feeding it arbitrary text."""

_HEADERS = jwe.JWERegistry(
    header_registry={
        "sub": HeaderParameter("The subject whose data these are", "str", required=True),
        "purpose": HeaderParameter("What they are for", "str", required=True),
    },
    algorithms=["dir", "A256GCM"],
)

# RFC 7518, section 5.3.
_IV_BYTES: Final = 12
_TAG_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Broken:
    """What was sealed cannot be opened. `reason`: unreadable, wrong_subject or wrong_purpose."""

    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class DataKey:
    """A 256-bit key that belongs to one subject and seals nothing of another's."""

    subject: str
    key: bytes = field(repr=False)


def new_data_key(subject: str) -> DataKey:
    """A fresh random key for the subject."""
    return DataKey(subject, secrets.token_bytes(KEY_BYTES))


def seal(data_key: DataKey, purpose: str, plaintext: bytes) -> str:
    """JWE compact (RFC 7516), `dir` with A256GCM; the protected header names the subject and the purpose.

    Raises ValueError for more than MAX_PLAINTEXT bytes.
    """
    if len(plaintext) > MAX_PLAINTEXT:
        raise ValueError(f"more than {MAX_PLAINTEXT} bytes to seal")
    # The five parts are put together here, and encrypted by what the library itself stands on: its own way there (a key
    # made of the bytes, headers, recipients and uses looked up and checked, all the same for all of ours) takes five
    # times as long, four times for each dossier. Opening goes through all of its checks.
    header = {"alg": "dir", "enc": "A256GCM", "sub": data_key.subject, "purpose": purpose}
    protected = urlsafe_b64encode(msgspec.json.encode(header))
    iv = secrets.token_bytes(_IV_BYTES)
    encrypted = AESGCM(data_key.key).encrypt(iv, plaintext, protected)
    ciphertext, tag = encrypted[:-_TAG_BYTES], encrypted[-_TAG_BYTES:]
    no_key = b""  # with `dir` the content is encrypted under the data key itself
    parts = (protected, no_key, *map(urlsafe_b64encode, (iv, ciphertext, tag)))
    return b".".join(parts).decode("ascii")


def open_sealed(data_key: DataKey, purpose: str, sealed: str) -> bytes | Broken:
    """What `seal` closed for this subject and purpose. A thing moved from another dossier or field does not open."""
    try:
        opened = jwe.decrypt_compact(sealed, OctKey.import_key(data_key.key), registry=_HEADERS)
    except MALFORMED:
        return Broken("unreadable")
    if opened.protected["sub"] != data_key.subject:
        return Broken("wrong_subject")
    if opened.protected["purpose"] != purpose:
        return Broken("wrong_purpose")
    return opened.plaintext or b""

"""What one service can open, and for whom it can wrap a subject's data key."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc import jwe
from joserfc.jwk import OKPKey

from shared.seal.data_key import KEY_BYTES, MALFORMED, Broken, DataKey, open_sealed, seal
from shared.seal.keys import KeysError, read_private, read_public
from shared.seal.register import Register

# X25519 wraps like P-256 and unwraps in half the time; still 0.1 ms a reader (measured), five times the rest of the
# work. So the public keys wrap an envelope key, which wraps a thousand data keys at the price of a symmetric seal.
_ALGORITHM = "ECDH-ES+A256KW"
_HEADERS = jwe.JWERegistry(algorithms=[_ALGORITHM, "A256GCM"])
_DATA_KEY = "data-key"
ENVELOPE_USES = 1000
_ENVELOPES_KEPT = 256


@dataclass(frozen=True, slots=True)
class NotForUs:
    """The key was wrapped for others, or for a key of ours that is no longer, or not yet, in our folder."""


@dataclass(frozen=True, slots=True)
class KeyErased:
    """The subject's data were erased; that its key is here again is a restored backup's doing."""


class Keyring:
    """The keys of one service as they were when it started, and the envelope keys that it is using.

    With a register of erasures, nothing of a subject that stands in it is opened any more.
    """

    def __init__(
        self,
        service: str,
        private: Mapping[str, OKPKey],
        public: Mapping[str, OKPKey],
        register: Register | None = None,
    ) -> None:
        self.service = service
        self._private = private
        self._public = public
        self._register = register
        self._sending: dict[tuple[str, ...], _Envelope] = {}
        self._opened: dict[str, bytes] = {}

    @classmethod
    def load(cls, folder: Path, service: str, register: Register | None = None) -> "Keyring":
        """Read the folder once. Raises KeysError when the service has no key there, or one that others can read."""
        private = read_private(folder, service)
        if not private:
            raise KeysError(f"{folder} holds no key of {service}: `lienthong prepare` makes one, and so does `up`")
        return cls(service, private, read_public(folder), register)

    def __repr__(self) -> str:
        return f"Keyring({self.service!r})"

    def wrap(self, data_key: DataKey, recipients: Sequence[str]) -> str:
        """The data key for each of these services, about 1 kB for two of them.

        Two lines: the data key under an envelope key (JWE compact), the envelope key under the public key of each
        service (JWE in general JSON). Whoever erases a subject destroys every copy of the first line. Raises KeyError
        for a service without a key: who reads is decided in the code.
        """
        readers = tuple(recipients)
        envelope = self._sending.get(readers)
        if envelope is None or envelope.uses == ENVELOPE_USES:
            envelope = self._sending[readers] = self._new_envelope(readers)
        envelope.uses += 1
        return f"{seal(DataKey(data_key.subject, envelope.key), _DATA_KEY, data_key.key)}\n{envelope.sealed}"

    def unwrap(self, subject: str, wrapped: str) -> DataKey | NotForUs | Broken | KeyErased:
        """The subject's data key, if it was wrapped for this service and for this subject, which was not erased."""
        if self._register is not None and self._register.holds(subject):
            return KeyErased()
        sealed, _, envelope = wrapped.partition("\n")
        key = self._opened[envelope] if envelope in self._opened else self._open_envelope(envelope)
        if not isinstance(key, bytes):
            return key
        opened = open_sealed(DataKey(subject, key), _DATA_KEY, sealed)
        if isinstance(opened, Broken):
            return opened
        return DataKey(subject, opened) if len(opened) == KEY_BYTES else Broken("unreadable")

    def _new_envelope(self, readers: tuple[str, ...]) -> "_Envelope":
        key = secrets.token_bytes(KEY_BYTES)
        wrapping = jwe.GeneralJSONEncryption({"enc": "A256GCM"}, key)
        for service in readers:
            public = self._public[service]
            wrapping.add_recipient({"alg": _ALGORITHM, "kid": public.thumbprint()}, public)
        sealed = jwe.encrypt_json(wrapping, None, registry=_HEADERS)
        return _Envelope(key, json.dumps(sealed, separators=(",", ":")))

    def _open_envelope(self, envelope: str) -> bytes | NotForUs | Broken:
        try:
            general = json.loads(envelope)
            ours = self._ours(general["recipients"])
            if ours is None:
                return NotForUs()
            private, recipient = ours
            flattened: jwe.FlattenedJSONSerialization = {
                "protected": general["protected"],
                "iv": general["iv"],
                "ciphertext": general["ciphertext"],
                "tag": general["tag"],
                "header": recipient["header"],
                "encrypted_key": recipient["encrypted_key"],
            }
            opened = jwe.decrypt_json(flattened, private, registry=_HEADERS).plaintext
        except MALFORMED:
            return Broken("unreadable")
        if opened is None or len(opened) != KEY_BYTES:
            return Broken("unreadable")
        if len(self._opened) == _ENVELOPES_KEPT:
            self._opened.clear()
        self._opened[envelope] = opened
        return opened

    def _ours(self, recipients: Sequence[dict[str, Any]]) -> tuple[OKPKey, dict[str, Any]] | None:
        for recipient in recipients:
            private = self._private.get(recipient["header"]["kid"])
            if private is not None:
                return private, recipient
        return None


class _Envelope:
    """A key of a thousand uses, and that key as its readers can open it."""

    __slots__ = ("key", "sealed", "uses")

    def __init__(self, key: bytes, sealed: str) -> None:
        self.key = key
        self.sealed = sealed
        self.uses = 0

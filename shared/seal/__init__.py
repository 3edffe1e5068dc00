"""Personal data travel only as ciphertext under their subject's own key, wrapped for the services that may read it."""

from shared.seal.data_key import MAX_PLAINTEXT, Broken, DataKey, new_data_key, open_sealed, seal
from shared.seal.keyring import KeyErased, Keyring, NotForUs
from shared.seal.keys import READERS, KeysError, make_keys, rotate
from shared.seal.register import Erasure, Register, RegisterError

__all__ = [
    "MAX_PLAINTEXT",
    "READERS",
    "Broken",
    "DataKey",
    "Erasure",
    "KeyErased",
    "Keyring",
    "KeysError",
    "NotForUs",
    "Register",
    "RegisterError",
    "make_keys",
    "new_data_key",
    "open_sealed",
    "rotate",
    "seal",
]

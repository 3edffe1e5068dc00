"""Personal data sealed under their subject's key: who can open them, and that nobody else can."""

import json
import stat
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.seal import (
    MAX_PLAINTEXT,
    Broken,
    DataKey,
    Keyring,
    KeysError,
    NotForUs,
    make_keys,
    new_data_key,
    open_sealed,
    rotate,
    seal,
)
from shared.seal.keyring import ENVELOPE_USES

LAN = "0198c0de-0000-7000-8000-000000000001"
MINH = "0198c0de-0000-7000-8000-000000000002"
PHONE = "0912 345 678 – Nguyễn Thị Lan".encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seal") / "keys"
    make_keys(folder, ("intake", "notification", "reporting"))
    return folder


@pytest.fixture(scope="module")
def intake(folder: Path) -> Keyring:
    return Keyring.load(folder, "intake")


@pytest.fixture(scope="module")
def notification(folder: Path) -> Keyring:
    return Keyring.load(folder, "notification")


def unwrapped(keyring: Keyring, subject: str, wrapped: str) -> DataKey:
    key = keyring.unwrap(subject, wrapped)
    assert isinstance(key, DataKey)
    return key


def test_what_intake_seals_notification_opens(intake: Keyring, notification: Keyring) -> None:
    key = new_data_key(LAN)
    wrapped, sealed = intake.wrap(key, ("intake", "notification")), seal(key, "contacts", PHONE)

    assert open_sealed(unwrapped(notification, LAN, wrapped), "contacts", sealed) == PHONE
    assert open_sealed(unwrapped(intake, LAN, wrapped), "contacts", sealed) == PHONE


def test_a_service_for_which_the_key_was_not_wrapped_cannot_open_it(folder: Path, intake: Keyring) -> None:
    wrapped = intake.wrap(new_data_key(LAN), ("intake", "notification"))

    assert Keyring.load(folder, "reporting").unwrap(LAN, wrapped) == NotForUs()


def test_a_key_moved_to_another_dossier_does_not_open(intake: Keyring, notification: Keyring) -> None:
    wrapped = intake.wrap(new_data_key(LAN), ("notification",))

    assert notification.unwrap(MINH, wrapped) == Broken("wrong_subject")


def test_what_is_sealed_for_one_purpose_or_subject_does_not_open_for_another() -> None:
    key = new_data_key(LAN)
    sealed = seal(key, "contacts", PHONE)

    assert open_sealed(key, "explanation", sealed) == Broken("wrong_purpose")
    assert open_sealed(DataKey(MINH, key.key), "contacts", sealed) == Broken("wrong_subject")
    assert open_sealed(new_data_key(LAN), "contacts", sealed) == Broken("unreadable")


def test_every_changed_character_is_noticed() -> None:
    key = new_data_key(LAN)
    sealed = seal(key, "contacts", PHONE)

    for i, character in enumerate(sealed):
        changed = sealed[:i] + ("A" if character != "A" else "B") + sealed[i + 1 :]
        opened = open_sealed(key, "contacts", changed)
        # The last character of a part may carry bits that base64 does not use: the bytes are the same then.
        last_of_part = i + 1 == len(sealed) or sealed[i + 1] == "."
        assert isinstance(opened, Broken) or (last_of_part and opened == PHONE)


def test_the_same_text_is_never_sealed_alike() -> None:
    key = new_data_key(LAN)

    assert seal(key, "contacts", PHONE) != seal(key, "contacts", PHONE)


def test_an_empty_text_and_the_longest_text_open(intake: Keyring) -> None:
    key = new_data_key(LAN)

    for text in (b"", b"\xff" * MAX_PLAINTEXT):
        assert open_sealed(key, "explanation", seal(key, "explanation", text)) == text
    with pytest.raises(ValueError, match="bytes to seal"):
        seal(key, "explanation", b"x" * (MAX_PLAINTEXT + 1))


@given(st.text() | st.text("eyJ.{}[]\"':,\n", max_size=80))
def test_arbitrary_text_is_broken_and_never_an_error(text: str) -> None:
    assert isinstance(open_sealed(new_data_key(LAN), "contacts", text), Broken)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_wrapping_is_a_value_and_never_an_error(
    intake: Keyring, notification: Keyring, data: st.DataObject
) -> None:
    wrapped = intake.wrap(new_data_key(LAN), ("notification",))
    start = data.draw(st.integers(0, len(wrapped) - 1))
    end = data.draw(st.integers(start, len(wrapped)))
    damaged = wrapped[:start] + data.draw(st.text(max_size=20)) + wrapped[end:]

    key = notification.unwrap(LAN, damaged)

    assert isinstance(key, DataKey | NotForUs | Broken)


@pytest.mark.parametrize(
    "envelope",
    [
        "[]",
        "null",
        "7",
        '""',
        "{}",
        '{"recipients": null}',
        '{"recipients": [null]}',
        '{"recipients": [{}]}',
        "[" * 20000,
        '{"recipients": ' + "[" * 20000,
    ],
)
def test_an_envelope_of_another_shape_is_broken(notification: Keyring, envelope: str) -> None:
    assert notification.unwrap(LAN, f"a.b.c.d.e\n{envelope}") == Broken("unreadable")


def test_an_envelope_is_renewed_after_its_uses(intake: Keyring, notification: Keyring) -> None:
    wrappings = [intake.wrap(new_data_key(LAN), ("notification",)) for _ in range(ENVELOPE_USES + 1)]
    envelopes = {wrapping.partition("\n")[2] for wrapping in wrappings}

    assert len(envelopes) == 2
    assert isinstance(notification.unwrap(LAN, wrappings[0]), DataKey)
    assert isinstance(notification.unwrap(LAN, wrappings[-1]), DataKey)


def test_after_a_rotation_old_wrappings_still_open_and_new_ones_use_the_new_key(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder)
    old = Keyring.load(folder, "notification")
    before = Keyring.load(folder, "intake").wrap(new_data_key(LAN), ("notification",))

    kid = rotate(folder, "notification")
    after = Keyring.load(folder, "intake").wrap(new_data_key(LAN), ("notification",))

    rotated = Keyring.load(folder, "notification")
    assert isinstance(rotated.unwrap(LAN, before), DataKey)
    assert isinstance(rotated.unwrap(LAN, after), DataKey)
    assert kid in after
    assert old.unwrap(LAN, after) == NotForUs(), "it must be started again to know its new key"


def test_making_keys_again_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder, ("intake",))
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    make_keys(folder, ("intake",))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before

    make_keys(folder, ("intake", "notification"))
    assert before.keys() < {file.name for file in folder.iterdir()}
    assert Keyring.load(folder, "notification").service == "notification"


def test_private_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "var" / "keys"
    make_keys(folder)

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.glob("*.jwk")} == {0o600}
    assert all("d" not in key for key in json.loads((folder / "public.json").read_text())["keys"])


def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    make_keys(folder)
    file = next(folder.glob("intake.*.jwk"))
    file.chmod(0o640)

    with pytest.raises(KeysError, match="chmod 600"):
        Keyring.load(folder, "intake")


def test_an_absent_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="lienthong prepare"):
        Keyring.load(tmp_path / "nowhere", "intake")


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "{}",
        "[]",
        "null",
        '{"keys": [7]}',
        '{"keys": [{"service": "intake"}]}',
        '{"keys": [{"service": "intake", "kty": "OKP", "crv": "X25519", "x": "?"}]}',
        '{"keys": [{"service": "intake", "kty": "OKP", "crv": "Moon", "x": "AAAA"}]}',
    ],
)
def test_a_damaged_list_of_keys_says_what_to_do(tmp_path: Path, content: str) -> None:
    make_keys(tmp_path)
    (tmp_path / "public.json").write_text(content)

    with pytest.raises(KeysError, match=r"public.json .* restore it from a backup"):
        Keyring.load(tmp_path, "intake")


def test_nothing_secret_is_shown(folder: Path, intake: Keyring) -> None:
    key = new_data_key(LAN)
    spelt = [repr(key.key), key.key.hex(), urlsafe_b64encode(key.key).decode().rstrip("=")]
    secrets = [*spelt, *(json.loads(file.read_text())["d"] for file in folder.glob("*.jwk"))]
    shown = f"{key!r} {intake!r} {vars(intake)!r} {intake.wrap(key, ('intake',))} {seal(key, 'contacts', PHONE)}"

    assert not [secret for secret in secrets if str(secret) in shown]
    assert "Lan" not in shown

"""The keys that sign checkpoints: where they lie, who may read them, and what becomes of them."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.core import ed25519
from recorder.core.heads import log_id
from recorder.core.notes import open_note
from recorder.errors import ConfigurationError
from recorder.ledger import keys
from recorder.ledger.keys import check_origin, create, default_origin, fingerprint, known, load, rotate, verifier
from recorder.locations import signing_keys

CLOCK = SystemClock()
ORIGIN = "example.com/log"


def private_file(origin: str = ORIGIN) -> Path:
    return signing_keys() / f"{log_id(origin).hex()}.key"


def without_cryptography(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)


def test_a_key_is_made_and_found_again() -> None:
    assert load(ORIGIN) is None
    made = create(ORIGIN, CLOCK)
    found = load(ORIGIN)
    assert found is not None
    assert found.public == made.public
    assert known(ORIGIN) == (made.public,)
    note = found.signed("text\n")
    assert open_note(note, known(ORIGIN)).text == "text\n"
    assert made.public.text.startswith("example.com/log+")


@pytest.mark.skipif(os.name != "posix", reason="modes are those of POSIX")
def test_nobody_else_may_read_it() -> None:
    create(ORIGIN, CLOCK)
    assert stat.S_IMODE(private_file().stat().st_mode) == 0o600
    assert stat.S_IMODE(signing_keys().stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in signing_keys().iterdir()} == {0o600}
    private_file().chmod(0o640)
    with pytest.raises(ConfigurationError, match=r"can be read by others: chmod 600 it, or rotate it"):
        load(ORIGIN)


def test_one_is_never_made_over_another() -> None:
    made = create(ORIGIN, CLOCK)
    with pytest.raises(ConfigurationError, match="there is a signing key already"):
        create(ORIGIN, CLOCK)
    found = load(ORIGIN)
    assert found is not None
    assert found.public == made.public
    assert known(ORIGIN) == (made.public,)


def test_of_several_that_make_one_at_a_time_the_first_wins() -> None:
    def attempt(_: int) -> bool:
        try:
            create(ORIGIN, CLOCK)
        except ConfigurationError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(8))) == 1
    assert len(known(ORIGIN)) == 1
    assert sorted(path.suffix for path in signing_keys().iterdir()) == ["", ".key", ".vkeys"]


def test_rotating_keeps_the_old_public_key_and_drops_the_private_one() -> None:
    first = create(ORIGIN, CLOCK)
    before, second = rotate(ORIGIN, CLOCK)
    assert before == first.public != second.public
    assert known(ORIGIN) == (first.public, second.public)
    found = load(ORIGIN)
    assert found is not None
    assert found.public == second.public
    assert open_note(first.signed("text\n"), known(ORIGIN))
    assert len(private_file().read_text().splitlines()) == 1


def test_there_is_nothing_to_rotate_where_no_key_is() -> None:
    with pytest.raises(ConfigurationError, match=r"signing key of example.com/log is not here .*: there is nothing to"):
        rotate(ORIGIN, CLOCK)


def test_logs_have_keys_of_their_own() -> None:
    one, other = create(ORIGIN, CLOCK), create("example.com/other", CLOCK)
    assert known(ORIGIN) == (one.public,)
    assert known("example.com/other") == (other.public,)


def test_the_environment_names_a_file_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_SIGNING_KEY", str(tmp_path / "signing.key"))
    made = create(ORIGIN, CLOCK)
    assert (tmp_path / "signing.key").read_text().startswith("PRIVATE+KEY+example.com/log+")
    assert not private_file().exists()
    found = load(ORIGIN)
    assert found is not None
    assert found.public == made.public
    with pytest.raises(
        ConfigurationError, match=r"is of example.com/log, the store's log is other: name the right file"
    ):
        load("other")
    (tmp_path / "signing.key").chmod(0o440)  # as a mounted secret may be: whoever names it answers for it
    assert load(ORIGIN) is not None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-5],
        lambda text: text + text,
        lambda text: text.replace("PRIVATE", "PUBLIC"),
        lambda text: text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:],
        lambda text: text.replace("example.com/log", "example.com/lag"),
        lambda text: "\udcff" + text,
    ],
)
def test_a_damaged_key_is_told(damage: object) -> None:
    create(ORIGIN, CLOCK)
    text = private_file().read_text()
    assert callable(damage)
    private_file().write_text(damage(text), errors="surrogateescape")
    with pytest.raises(
        ConfigurationError, match=r"is damaged: restore it from a backup|cannot be read \(it is not text\)"
    ):
        load(ORIGIN)


def test_damaged_public_keys_are_told() -> None:
    create(ORIGIN, CLOCK)
    path = private_file().with_suffix(".vkeys")
    whole = path.read_text()
    path.write_text(whole[:-2])
    with pytest.raises(ConfigurationError, match=r"not a public key|not one of Ed25519"):
        known(ORIGIN)
    other = create("other", CLOCK)
    path.write_text(whole + other.public.text + "\n")
    with pytest.raises(ConfigurationError, match=r"are not all of example.com/log"):
        known(ORIGIN)
    path.unlink()
    path.mkdir()
    with pytest.raises(ConfigurationError, match="cannot be read: check the file"):
        known(ORIGIN)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ConfigurationError, match=r"signing key cannot be written to .*: set RECORDER_SIGNING_KEY or XDG"
    ):
        create(ORIGIN, CLOCK)


def test_an_unreadable_key_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_SIGNING_KEY", str(tmp_path))
    with pytest.raises(
        ConfigurationError, match=r"cannot be read \(Is a directory\): name the right file in RECORDER_SIG"
    ):
        load(ORIGIN)


def test_signing_names_the_extra_and_verifying_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    made = create(ORIGIN, CLOCK)
    note = made.signed("text\n")
    without_cryptography(monkeypatch)
    assert verifier() is ed25519.verify
    assert open_note(note, known(ORIGIN), verifier())
    with pytest.raises(ConfigurationError, match=r"needs cryptography: install it with `pip install 'conversation-rec"):
        load(ORIGIN)
    with pytest.raises(ConfigurationError, match="needs cryptography"):
        create("other", CLOCK)
    assert known("other") == ()


def test_both_verifications_agree() -> None:
    made = create(ORIGIN, CLOCK)
    verify = verifier()
    assert verify is not ed25519.verify
    signature = made.sign(b"message")
    for given in (signature, signature[:-1], bytes(64), b""):
        for public in (made.public.public, bytes(31), bytes(32)):
            assert verify(public, b"message", given) == ed25519.verify(public, b"message", given)


def test_a_fingerprint_is_for_people() -> None:
    made = create(ORIGIN, CLOCK)
    groups = fingerprint(made.public).split(" ")
    assert len(groups) == 16
    assert {len(group) for group in groups} == {4}
    assert fingerprint(made.public) != fingerprint(create("other", CLOCK).public)


def test_names_of_logs() -> None:
    name = default_origin(CLOCK)
    assert name.startswith("recorder/")
    assert len(name) == 25
    assert name != default_origin(CLOCK)
    assert check_origin(name) == name
    for wrong in ("", " ", "a b", "a+b", "a\nb", "\x1b[2J", "a\u202eb", "a\u00a0b", "x" * 201):
        with pytest.raises(ConfigurationError, match="cannot be the name of a log"):
            check_origin(wrong)
        with pytest.raises(ConfigurationError, match="cannot be the name of a log"):
            create(wrong, CLOCK)


def test_a_key_that_was_killed_between_its_two_files_can_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real = keys.write_private

    def dies(path: Path, data: bytes, *, made: Path, replace: bool) -> None:
        if path.suffix == ".key":
            raise KeyboardInterrupt
        real(path, data, made=made, replace=replace)

    with monkeypatch.context() as patched:
        patched.setattr(keys, "write_private", dies)
        with pytest.raises(KeyboardInterrupt):
            create(ORIGIN, CLOCK)
    made = create(ORIGIN, CLOCK)
    assert known(ORIGIN)[-1] == made.public
    assert len(known(ORIGIN)) == 2

"""Erasing what was sealed: the key goes, and with it every copy from before."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest
import requests
from sqlalchemy.engine import make_url

from recorder import Recorder, Store
from recorder.api import erasing
from recorder.errors import PayloadsSealed
from recorder.locations import payload_keys_file
from recorder.store import open_store
from tests.commands import run, told
from tests.encrypted import SAID, hide_table, keys_in_table, recorded
from tests.erasing import GROUND, check_proofs, erase, told_erasures, verified
from tests.loopback import Script, serve
from tests.postgres_server import PostgresServer
from tests.recorded import ask
from tests.searching_bytes import found_in

OPTIONS = ("--ground", GROUND, "--yes")


def backup(url: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return the URL of a copy of a store as it is now, made by the engine's own means."""
    if url.startswith("sqlite"):
        assert run("db", "backup", str(folder / "backup.db"), "--store", url).exit_code == 0
        return f"sqlite:///{folder}/backup.db"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    copied: str = server.create_database(make_url(url).database)
    request.addfinalizer(lambda: server.drop_database(copied))
    return copied


def test_a_backup_from_before_cannot_be_read_any_more(
    store_url: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    made, folder = recorded(store_url), tmp_path / "kept"
    folder.mkdir()
    before = set(keys_in_table())
    copied = backup(store_url, folder, request)
    with Store(copied) as store:
        assert store.exchange(made.hers[0]).request_messages
    erase(store_url, "annakarenina")
    check_proofs(store_url)
    gone = before - set(keys_in_table())
    assert len(gone) == 3
    assert found_in([payload_keys_file().parent], gone) == []
    with Store(copied) as store:
        for one in made.hers:
            with pytest.raises(PayloadsSealed, match="its key was destroyed"):
                store.exchange(one)
        assert store.exchange(made.other).request_messages  # of nobody else anything is gone
    assert "its key was destroyed" in told(run("show", made.hers[0], "--store", copied), 2)
    shown = verified(copied)
    assert shown["verdicts"]["unmodified"] == "partly"
    assert shown["withheld"]["streams"] == 3


def test_an_exchange_is_erased_by_itself(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    erase(store_url, made.hers[0])
    check_proofs(store_url)
    with Store(store_url) as store:
        assert store.exchange(made.hers[0]).erased
        assert store.exchange(made.hers[1]).request_messages
    hide_table(tmp_path)
    check_proofs(store_url)


def test_what_cannot_be_destroyed_is_not_said_to_be_erased(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    away = hide_table(tmp_path)
    assert "the table of keys" in told(run("erase", made.other, *OPTIONS, "--store", store_url), 2)
    assert told_erasures(store_url) == []
    away.rename(payload_keys_file())
    with Store(store_url) as store:
        assert store.exchange(made.other).request_messages
    payload_keys_file().unlink()
    with serve(Script(chunks=1)) as server, Recorder(f"sqlite:///{tmp_path}/other.db", encrypt=True) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "x").content
    assert "give --key-lost" in told(run("erase", made.other, *OPTIONS, "--store", store_url), 2)
    erase(store_url, made.other, "--key-lost")
    check_proofs(store_url)


def test_one_that_died_before_the_payload_went_is_completed(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = recorded(store_url)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(erasing, "erase_streams", dies)
        assert run("erase", made.other, *OPTIONS, "--store", store_url).exit_code != 0
    assert len(told_erasures(store_url)) == 1
    with Store(store_url) as store, pytest.raises(PayloadsSealed, match="its key was destroyed"):
        store.exchange(made.other)
    finished = run("erase", "--finish", "--yes", "--store", store_url)
    assert finished.exit_code == 0, finished.stderr
    check_proofs(store_url)
    with Store(store_url) as store:
        assert store.exchange(made.other).erased


def test_a_key_that_others_share_is_kept_and_told_of(sqlite_url: str, tmp_path: Path) -> None:
    with serve(Script(chunks=1)) as server, Recorder(sqlite_url, encrypt=True) as recorder:
        session = recorder.mount(requests.Session())
        away = hide_table(tmp_path)
        made = []
        for _ in range(6):
            response = ask(session, server.url, "x")
            assert response.content
            made.append(recorder.exchange(response) or "")
    away.rename(payload_keys_file())
    result = run("erase", made[-1], *OPTIONS, "--store", sqlite_url)
    assert result.exit_code == 1
    assert "sealed with a key that others share" in result.stderr
    with Store(sqlite_url) as store:
        assert store.exchange(made[-2]).request_messages
        assert store.exchange(made[-1]).erased


def test_every_place_is_clean_after_it(sqlite_url: str, tmp_path: Path, own_home: Path) -> None:
    recorded(sqlite_url)
    erase(sqlite_url, "annakarenina")
    assert found_in([tmp_path, own_home], SAID) == []


@pytest.mark.parametrize("at", ["size", "commitment", "nonce", "ciphertext", "check"])
@pytest.mark.parametrize("keys", [True, False])
def test_a_flipped_byte_is_found_by_its_place(sqlite_url: str, tmp_path: Path, at: str, keys: bool) -> None:
    made = recorded(sqlite_url)
    place = {"size": 7, "commitment": 20, "nonce": 45, "ciphertext": 60, "check": -1}[at]
    with closing(open_store(sqlite_url, write=True)) as store:
        event = list(store.stored_events(_bytes(made.other)))[2]
        changed = bytearray(event.body or b"")
        changed[place] ^= 1
        with store.writing() as connection:
            connection.exec_driver_sql("DROP TRIGGER IF EXISTS events_no_update")
            for (name,) in list(
                connection.exec_driver_sql(
                    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'"
                )
            ):
                connection.exec_driver_sql(f"DROP TRIGGER {name}")
            connection.exec_driver_sql(
                "UPDATE events SET body = ? WHERE stream = ? AND version = ?",
                (bytes(changed), event.stream, event.version),
            )
    if not keys:
        hide_table(tmp_path)
    findings = [one for one in verified(sqlite_url)["findings"] if one["kind"] != "projection"]
    if keys:
        (found,) = findings
        assert (found["exchange"], found["version"], found["field"]) == (made.other, event.version, "payload")
        line = told(run("show", made.other, "--store", sqlite_url), 1)
        assert f"version {event.version}" in line
    elif at in ("size", "commitment"):
        (found,) = findings
        assert (found["exchange"], found["version"]) == (made.other, event.version)
    else:
        assert findings == []  # what is withheld is not checked, and verify says so
        assert verified(sqlite_url)["verdicts"]["unmodified"] == "partly"


def _bytes(identity: str) -> bytes:
    return bytes.fromhex(identity.replace("-", ""))


def test_a_key_table_that_was_put_back_is_no_erasure(sqlite_url: str, tmp_path: Path) -> None:
    """What nobody can prevent is documented: who keeps a copy of the key table keeps what it opens."""
    made = recorded(sqlite_url)
    assert run("db", "backup", str(tmp_path / "backup.db"), "--store", sqlite_url).exit_code == 0
    shutil.copy(payload_keys_file(), tmp_path / "keys")
    erase(sqlite_url, made.other)
    shutil.copy(tmp_path / "keys", payload_keys_file())
    with Store(f"sqlite:///{tmp_path}/backup.db") as store:
        assert store.exchange(made.other).request_messages

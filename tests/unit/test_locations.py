"""Where spools and the fingerprint key lie."""

from __future__ import annotations

import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recorder.clock import SystemClock
from recorder.errors import ConfigurationError
from recorder.locations import (
    DEFAULT_STORE,
    absolute_url,
    as_url,
    cassette_path,
    default_store,
    fingerprint_key,
    signed_checkpoints,
    signing_key_file,
    signing_keys,
    spool_directory,
    sqlite_path,
    url_of_path,
)


def test_the_store_that_the_environment_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_store() == DEFAULT_STORE == "sqlite:///recorder.db"
    monkeypatch.setenv("RECORDER_STORE", "sqlite:///other.db")
    assert default_store() == "sqlite:///other.db"


def test_the_file_of_a_sqlite_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sqlite_path("sqlite:///a%20b.db?x=1") == tmp_path / "a b.db"
    assert sqlite_path("sqlite:////abs/c.db") == Path("/abs/c.db")
    assert sqlite_path("sqlite+pysqlite:///d.db") == tmp_path / "d.db"
    assert sqlite_path("postgresql://h/x") is None
    for url in ("sqlite://", "sqlite:///", "sqlite:///:memory:"):
        with pytest.raises(ConfigurationError, match="has no file"):
            sqlite_path(url)


def test_a_store_has_one_place_whatever_link_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to(tmp_path / "real")
    (tmp_path / "link.db").symlink_to(tmp_path / "folder" / "store.db")
    real = tmp_path / "real" / "store.db"
    for name in ("real/store.db", "folder/store.db", "link.db", "real/../link.db"):
        assert sqlite_path(f"sqlite:///{tmp_path}/{name}") == real
        assert absolute_url(f"sqlite:///{tmp_path}/{name}") == f"sqlite:///{real}"
        assert spool_directory(f"sqlite:///{tmp_path}/{name}") == real.with_name("store.db-spool")


def test_a_cassette_is_a_path_that_ends_in_jsonl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for source in ("a%20b c.jsonl", Path("a%20b c.jsonl"), "cassette:///a%20b c.jsonl", tmp_path / "a%20b c.jsonl"):
        url = as_url(source)
        assert cassette_path(url) == tmp_path / "a%20b c.jsonl"
        assert absolute_url(url) == absolute_url(absolute_url(url)) == f"cassette:///{tmp_path}/a%20b c.jsonl"
        assert spool_directory(url) == tmp_path / "a%20b c.jsonl-spool"
        assert sqlite_path(url) is None
    monkeypatch.setenv("RECORDER_STORE", "x.jsonl")
    assert as_url(None) == "cassette:///x.jsonl"
    assert url_of_path(Path("x.jsonl")) == f"cassette:///{tmp_path}/x.jsonl"


def test_what_is_no_cassette() -> None:
    for url in ("sqlite:///x.jsonl", "postgresql://h/x.jsonl", "sqlite:///x.db"):
        assert cassette_path(as_url(url)) is None
    assert cassette_path(as_url(Path("x.db"))) is None
    for url in ("cassette:///x.db", "cassette://", "cassette:///a\0.jsonl"):
        with pytest.raises(ConfigurationError, match=r"ends in \.jsonl"):
            cassette_path(url)


@pytest.mark.parametrize("name", ["a%20b.db", "a b.db", "100%25.db", "what%3F.db"])
def test_an_absolute_url_names_the_same_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{name}"
    assert sqlite_path(absolute_url(url)) == sqlite_path(url)
    assert absolute_url(absolute_url(url)) == absolute_url(url)


def test_a_name_that_no_file_can_have() -> None:
    for url in ("sqlite:///a\0b.db", "sqlite:///a%00b.db"):
        with pytest.raises(ConfigurationError, match="holds a NUL"):
            sqlite_path(url)


def test_spools_lie_beside_a_sqlite_store(tmp_path: Path) -> None:
    assert spool_directory(f"sqlite:///{tmp_path}/s.db") == tmp_path / "s.db-spool"


def test_spools_of_a_server_lie_in_the_state_directory_whoever_logs_in(own_home: Path) -> None:
    one = spool_directory("postgresql+psycopg://me:x@DB.example:5432/trades")
    assert one.parent == own_home / "recorder" / "spool"
    assert one == spool_directory("postgresql://other@db.example/trades?sslmode=require")
    assert one != spool_directory("postgresql://db.example/other")
    assert one != spool_directory("postgresql://db.example:5433/trades")
    assert spool_directory("postgresql:///x?host=/a") != spool_directory("postgresql:///x?host=/b")
    with pytest.raises(ConfigurationError, match="no valid port"):
        spool_directory("postgresql://h:port/x")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:x@db.example:5432/trades",
        "postgresql://DB.example/trades",
        "postgresql:///trades?host=db.example&user=me",
        "postgresql:///?host=db.example&port=5432&dbname=trades",
        "postgresql:///trades?host=db.example:5432",
        "postgresql://me@/tr%61des?host=db.example",
        "postgresql://trades@db.example",
        "postgresql:///?host=db.example&user=trades",
    ],
)
def test_a_server_has_one_place_however_its_url_is_written(url: str) -> None:
    assert spool_directory(url) == spool_directory("postgresql://db.example:5432/trades")


def test_a_url_that_leaves_the_server_to_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    here = spool_directory("postgresql:///trades")
    monkeypatch.setenv("PGHOST", "db.example")
    assert spool_directory("postgresql:///trades") == spool_directory("postgresql://db.example/trades") != here
    monkeypatch.setenv("PGPORT", "5433")
    monkeypatch.setenv("PGDATABASE", "trades")
    assert spool_directory("postgresql://") == spool_directory("postgresql://db.example:5433/trades")
    assert spool_directory("postgresql://other:5432/x") == spool_directory("postgresql://other/x?port=5432")


def test_the_key_is_made_once_privately_whoever_asks_first(own_home: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: fingerprint_key(SystemClock()), range(32)))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    (file,) = (own_home / "recorder").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_the_environment_goes_before_the_file(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECORDER_FINGERPRINT_KEY", "of the environment")
    assert fingerprint_key(SystemClock()) == b"of the environment"
    assert not (own_home / "recorder").exists()


def test_a_key_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(ConfigurationError, match="set RECORDER_FINGERPRINT_KEY or XDG_DATA_HOME"):
        fingerprint_key(SystemClock())


@pytest.mark.parametrize(
    ("platform", "state", "data"),
    [
        ("linux", ".local/state", ".local/share"),
        ("darwin", "Library/Application Support", "Library/Application Support"),
        ("win32", "AppData/Local", "AppData/Local"),
    ],
)
def test_homes(platform: str, state: str, data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("XDG_STATE_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", platform)
    assert spool_directory("postgresql://h/x").parents[2] == tmp_path / state
    fingerprint_key(SystemClock())
    assert (tmp_path / data / "recorder" / "fingerprint.key").is_file()
    if platform == "win32":
        monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
        assert spool_directory("postgresql://h/x").parents[2] == tmp_path / "local"
    assert os.environ["HOME"] == str(tmp_path)


def test_keys_and_what_was_signed_lie_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert signing_keys() == tmp_path / "data" / "recorder" / "keys"
    log = bytes(range(32))
    assert signed_checkpoints(log) == tmp_path / "state" / "recorder" / "ledgers" / f"{log.hex()}.checkpoints"


def test_a_signing_key_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert signing_key_file() is None
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECORDER_SIGNING_KEY", "own.key")
    assert signing_key_file() == tmp_path / "own.key"

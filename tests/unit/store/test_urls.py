"""What a user may write for a store, and what is told to one who wrote something else."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError
from recorder.store import open_store
from recorder.store.urls import parse_url


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])
def test_a_relative_file(scheme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = parse_url(f"{scheme}:///trades.db")
    assert target.path == tmp_path / "trades.db"
    assert target.name == "sqlite:///trades.db"


def test_an_absolute_file(tmp_path: Path) -> None:
    assert parse_url(f"sqlite:///{tmp_path}/x.db").path == tmp_path / "x.db"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgres_means_psycopg_3_and_its_password_is_not_shown(scheme: str) -> None:
    word = "open" + "sesame"
    target = parse_url(f"{scheme}://bot:{word}@db.example:5433/trades?sslmode=require&sslpassword={word}")
    assert target.path is None
    assert target.url.drivername == "postgresql+psycopg"
    assert target.url.password == word
    assert target.name == "postgresql://bot@db.example:5433/trades?sslmode=require"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("trades", "what was given is not a store URL: write sqlite:///FILE"),
        ("", "is not a store URL"),
        ("mysql://root@host/db", "unknown store scheme 'mysql': recorder knows sqlite:///FILE and postgresql://"),
        ("postgresql+psycopg2://host/db", "unknown store scheme 'postgresql.psycopg2'"),
        ("sqlite+aiosqlite:///x.db", "unknown store scheme"),
        ("sqlite://", "plain file"),
        ("sqlite:///:memory:", "plain file"),
        ("sqlite:///file:x?mode=memory&uri=true", "plain file"),
        ("sqlite:///x.db?mode=memory", "plain file"),
        ("sqlite:///x.db?cache=shared", "named by its file alone"),
        ("sqlite:///x.db?mode=rw", "named by its file alone"),
        ("sqlite:///x.db?mode=ro", "named by its file alone"),
        ("sqlite:///ü?.db", "write sqlite:///FILE, with %3F for a"),
        ("sqlite:///x.db?", "write sqlite:///FILE, with %3F for a"),
        ("sqlite:///~/t.db", "nobody replaces the ~ in a store's URL by a home directory: write the whole path"),
        ("sqlite:///~me/t.db", "write the whole path, sqlite:////PATH"),
        ("sqlite:/x.db", "is not a store URL: write sqlite:///FILE or postgresql://"),
        ("sqlite://host/x.db", "named by its file alone"),
    ],
)
def test_what_is_refused(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_url(url)


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        ("trades.db", "sqlite:///trades.db"),
        ("./trades.db", "sqlite:///trades.db"),
        ("../my runs/2026-01", "sqlite:///../my runs/2026-01"),
        ("/var/lib/trades", "sqlite:////var/lib/trades"),
        ("runs/käse.sqlite3", "sqlite:///runs/käse.sqlite3"),
    ],
)
def test_a_path_is_named_with_the_url_to_write_instead(path: str, meant: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_url(path)
    told = f"{path!r} is a path, not a store URL: write {meant}, or in Python give a pathlib.Path"
    assert str(raised.value) == told
    assert parse_url(meant).path == Path(path).resolve()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:/u:WOLF@h/db",
        "postgresql//u:WOLF@h/db",
        "u:WOLF@h/db",
        "u:WOLF/db.example",
        "/u:WOLF@h/x.db",
        "eyWOLF.eyWOLF.WOLFWOLFWOLF",
        "host=h user=u password=WOLF",
        "postgresql://u:WOLF@h:abc/db",
        "postgresql://u:WOLF@h:99999/db",
        "postgresql://u:WOLF@[::1/db",
        "postgresql://u:p@WOLF@h:1/db",
        "postgresql://u/WOLF@h:1/db",
        "postgresql://u@h/db@WOLF",
        "postgresql+asyncpg://u:WOLF@h/db",
        "mysql://u:WOLF@h/db",
        "sqlite://u:WOLF@h/x.db",
        "sqlite://u/WOLF@h/x.db",
        "sqlite:///x.db?password=WOLF",
        "sqlite:///file:x?key=WOLF",
    ],
)
def test_what_is_refused_is_never_quoted(url: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_url(url)
    assert "WOLF" not in str(raised.value)
    assert "write " in str(raised.value) or "recorder knows" in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "query", ["passwrd=WOLF", "PASSWORD=WOLF", "password=WOLF", "sslmode=require;password=WOLF", "options=-cx%3DWOLF"]
)
def test_only_what_is_known_to_be_harmless_is_shown(query: str) -> None:
    target = parse_url(f"postgresql://bot:pa?WOLF/WOLF@db/trades?connect_timeout=3&{query}")
    assert target.name == "postgresql://bot@db/trades?connect_timeout=3"


def test_a_password_may_hold_anything_that_is_encoded() -> None:
    assert parse_url("postgresql://bot:a%40b%2Fc@db/trades").url.password == "a@b/c"


def test_a_missing_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"run pip install 'conversation-recorder\[postgres\]'"):
        open_store("postgresql://host/db", write=False)


def test_a_wrong_setting(sqlite_url: str) -> None:
    with pytest.raises(ConfigurationError, match="'normal' or 'full'"):
        open_store(sqlite_url, write=True, synchronous="off")  # type: ignore[arg-type]

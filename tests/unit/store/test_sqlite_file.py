"""A SQLite store as a file: how it is made, what else a file may be, who may change it."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from recorder.errors import ConfigurationError, StoreUnreachable
from recorder.store import open_store, sqlite, sqlite_file
from tests.building import ExchangeBuilder
from tests.unit.store.filled import filled


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_the_file_is_private_before_it_has_any_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.db"
    seen = []
    connect = sqlite_file.connect

    def watching(*arguments: object) -> sqlite3.Connection:
        seen.append((path.stat().st_size, stat.S_IMODE(path.stat().st_mode)))
        return connect(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_file, "connect", watching)
    before = os.umask(0)
    try:
        store = open_store(f"sqlite:///{path}", write=True)
        store.append([ExchangeBuilder(1).opened], [])
        assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
        assert len(list(tmp_path.iterdir())) == 4  # the file, its log, the log's index, the lock
        store.close()
    finally:
        os.umask(before)
    assert seen[0] == (0, 0o600)


def test_what_is_set(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    filled(path)
    assert pragma(path, "page_size") == 8192
    assert pragma(path, "journal_mode") == "wal"
    assert pragma(path, "application_id") == 0x52454344
    assert pragma(path, "user_version") == 1
    store = open_store(f"sqlite:///{path}", write=True, synchronous="full")
    with store.writing() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "wal_autocheckpoint", "foreign_keys", "recursive_triggers", "trusted_schema")
        }
    assert found == {
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "foreign_keys": 1,
        "recursive_triggers": 1,
        "trusted_schema": 0,
    }
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA query_only").scalar() == 1
    store.close()
    store = open_store(f"sqlite:///{path}", write=True)
    with store.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    store.close()


def test_a_closed_store_is_one_file_and_its_lock(tmp_path: Path) -> None:
    filled(tmp_path / "x.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.db", "x.db.lock"]


def test_a_name_that_a_url_would_misread(tmp_path: Path) -> None:
    path = tmp_path / "a b#c.db"
    built = filled(path)
    assert path.exists()
    store = open_store(f"sqlite:///{path}", write=False)
    assert len(list(store.events(built.opened.stream))) == 203
    store.close()


def test_the_log_is_moved_into_the_file_when_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_AT", 300_000)
    path = tmp_path / "x.db"
    store = open_store(f"sqlite:///{path}", write=True)
    sizes = []
    for number in range(1, 40):
        built = ExchangeBuilder(number).chunks(*[b"x" * 300] * 100)
        store.append([built.opened], built.events)
        sizes.append(sqlite_file.wal_size(path))
    assert max(sizes) < 450_000
    assert sizes.count(0) >= 3
    store.close()


def test_a_reader_in_the_past_does_not_stop_the_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_AT", 100_000)
    path = tmp_path / "x.db"
    url = f"sqlite:///{path}"
    filled(path)
    reader, writer = open_store(url, write=False), open_store(url, write=True)
    walk = reader.walk()
    _, events = next(walk)
    next(events)
    for number in range(2, 12):
        built = ExchangeBuilder(number).chunks(*[b"x" * 300] * 200)
        writer.append([built.opened], built.events)
    assert sqlite_file.wal_size(path) > 300_000  # it cannot be emptied now
    assert len(list(events)) == 202
    assert list(walk) == []
    built = ExchangeBuilder(12).chunks(*[b"x" * 300] * 600)
    writer.append([built.opened], built.events)
    assert sqlite_file.wal_size(path) == 0
    reader.close()
    writer.close()


def test_a_file_that_is_empty_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.touch(0o644)
    filled(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_database_without_content_becomes_a_store(tmp_path: Path) -> None:
    """What a process leaves that died between making the file and making the schema."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert path.stat().st_size
    filled(path)


@pytest.mark.parametrize("content", [b"# notes\n" * 100, b"SQLite format 3", b"\0"])
@pytest.mark.parametrize("write", [True, False])
def test_a_file_that_is_not_a_store_is_refused_and_left_alone(tmp_path: Path, content: bytes, write: bool) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="is not a recorder store"):
        open_store(f"sqlite:///{path}", write=write)
    assert path.read_bytes() == content
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [path]  # no lock beside it


@pytest.mark.parametrize("write", [True, False])
def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path, write: bool) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY)")
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="is not a recorder store"):
        open_store(f"sqlite:///{path}", write=write)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_database_whose_content_is_in_its_log_alone_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        connection.commit()
        before = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
        with pytest.raises(ConfigurationError, match="is not a recorder store"):
            open_store(f"sqlite:///{path}", write=True)
        assert {file.name: file.stat().st_size for file in tmp_path.iterdir()} == before


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreUnreachable, match=r"sqlite:////.*/x\.db does not exist"):
        open_store(f"sqlite:///{tmp_path}/x.db", write=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(StoreUnreachable, match="there is no folder"):
        open_store(f"sqlite:///{tmp_path}/no/x.db", write=True)


@pytest.mark.parametrize("write", [True, False])
@pytest.mark.parametrize("kind", ["a directory", "a named pipe", "a device", "a socket"])
def test_what_is_no_file_is_refused_at_once_and_left_alone(kind: str, write: bool, tmp_path: Path) -> None:
    """To open a named pipe would wait for whoever writes to it; the mode of a device is everybody's."""
    path = tmp_path / "odd"
    if kind == "a directory":
        path.mkdir(0o755)
    elif kind == "a named pipe":
        os.mkfifo(path, 0o644)
    elif kind == "a device":
        path = Path("/dev/null")
    else:
        with closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(str(path))
    before = path.stat()
    with pytest.raises(ConfigurationError, match=f"is {kind}, not a recorder store: give another file"):
        open_store(f"sqlite:///{path}", write=write)
    assert path.stat().st_mode == before.st_mode
    assert {file.name for file in tmp_path.iterdir()} <= {"odd"}
    assert not Path("/dev/null.lock").exists()


def test_a_reader_does_not_change_a_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    built = filled(path)
    before = path.read_bytes(), path.stat().st_mtime_ns
    store = open_store(f"sqlite:///{path}", write=False)
    assert store.counts() == (203, 1)
    assert len(list(store.events(built.opened.stream))) == 203
    store.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


UNPRIVILEGED = """
import sys
from recorder.errors import RecorderError
from recorder.store import open_store
for write in (False, True):
    try:
        store = open_store(sys.argv[1], write=write)
    except RecorderError as error:
        print(type(error).__name__, error)
    else:
        print(store.counts(), len(list(store.openings())))
        store.close()
"""


def unprivileged(url: str) -> list[str]:
    """Read and then write as someone whom file permissions bind, which root is not."""
    prefix = []
    if os.geteuid() == 0:
        unshare = shutil.which("unshare")
        assert unshare is not None, "this test needs unshare(1), or a user other than root"
        prefix = [unshare, "-U", "--map-user=1000", "--map-group=1000", "--"]
    command = [*prefix, sys.executable, "-c", UNPRIVILEGED, url]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_store_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    filled(folder / "x.db")
    (folder / "x.db.lock").unlink()
    (folder / "x.db").chmod(0o400)
    folder.chmod(0o500)
    try:
        read, refused = unprivileged(f"sqlite:///{folder}/x.db")
        assert [file.name for file in folder.iterdir()] == ["x.db"]
    finally:
        folder.chmod(0o700)
    assert read == "(203, 1) 1"
    assert refused.startswith("StoreUnreachable")
    assert "Permission denied" in refused


def test_a_file_that_cannot_be_written_or_read(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    filled(path)
    path.chmod(0o400)
    read, refused = unprivileged(f"sqlite:///{path}")
    assert read == "(203, 1) 1"
    assert refused.startswith("StoreUnreachable")
    assert "cannot be written: Permission denied" in refused
    path.chmod(0)
    for line in unprivileged(f"sqlite:///{path}"):
        assert line.startswith("StoreUnreachable")
        assert "Permission denied" in line


def test_a_log_that_an_archive_has_lost_its_index_of(tmp_path: Path) -> None:
    """With a log beside it, a store in a read-only folder is not read as if the log were not there."""
    folder = tmp_path / "archive"
    folder.mkdir()
    store = open_store(f"sqlite:///{tmp_path}/live.db", write=True)
    store.append([ExchangeBuilder(1).opened], [])
    for suffix in ("", "-wal"):
        shutil.copy(tmp_path / f"live.db{suffix}", folder / f"x.db{suffix}")
    store.close()
    folder.chmod(0o500)
    try:
        read, _ = unprivileged(f"sqlite:///{folder}/x.db")
    finally:
        folder.chmod(0o700)
    assert read.startswith("StoreUnreachable")
    assert "cannot be" in read


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/x.db", write=True)
    first, second = (ExchangeBuilder(number).chunks(*[b"x" * 300] * 300) for number in (1, 2))
    store.append([first.opened], first.events)
    with store.writing() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    with store.writing() as connection:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    for _ in range(2):
        with pytest.raises(StoreUnreachable, match="cannot grow: the disk is full"):
            store.append([second.opened], second.events)
        assert store.counts() == (300, 1)
    with store.writing() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1000000")
    store.append([second.opened], second.events)
    assert store.counts() == (600, 2)
    store.close()


def test_a_program_that_holds_the_file_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_WRITER", (*sqlite_file._WRITER, "PRAGMA busy_timeout = 50"))
    path = tmp_path / "x.db"
    store = open_store(f"sqlite:///{path}", write=True)
    built = ExchangeBuilder(1).request()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnreachable, match="stayed locked by another process"):
            store.append([built.opened], built.events)
        other.execute("ROLLBACK")
    store.append([built.opened], built.events)
    assert store.counts() == (1, 1)
    store.close()

"""Files that outlive a loss of power: whole or not there, and for their owner alone."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from recorder import durable
from recorder.durable import fdatasync, make_directory, write_all, write_private


def test_a_file_is_written_whole_and_privately(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, b"one", made=tmp_path / "new", replace=False)
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        write_private(path, b"two", made=tmp_path / "new", replace=False)
    assert path.read_bytes() == b"one"
    write_private(path, b"two", made=tmp_path / "new", replace=True)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_forced_to_the_medium_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(fd: int) -> None:
        assert os.fstat(fd).st_size == 3
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(durable, "fdatasync", failing)
    with pytest.raises(OSError, match="Input/output"):
        write_private(tmp_path / "file", b"one", made=tmp_path / "new", replace=False)
    assert list(tmp_path.iterdir()) == []


def test_directories_are_made_with_their_parents_and_their_names_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(durable, "sync_directory", synced.append)
    make_directory(tmp_path / "a" / "b")
    assert synced == [tmp_path / "a", tmp_path]
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    make_directory(tmp_path / "a" / "b")
    assert len(synced) == 2


def test_a_write_goes_on_where_the_system_wrote_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    with (tmp_path / "file").open("wb") as file:
        write_all(file.fileno(), b"0123456789")
    assert (tmp_path / "file").read_bytes() == b"0123456789"


@pytest.mark.parametrize("platform", ["linux", "darwin", "other"])
def test_what_syncing_means(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    called: list[object] = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", lambda fd, what: called.append(what))
    monkeypatch.setattr(os, "fdatasync", lambda fd: called.append("fdatasync"), raising=False)
    monkeypatch.setattr(os, "fsync", lambda fd: called.append("fsync"))
    if platform == "other":
        monkeypatch.delattr(os, "fdatasync")
    fdatasync(0)
    assert called == [{"linux": "fdatasync", "darwin": 51, "other": "fsync"}[platform]]

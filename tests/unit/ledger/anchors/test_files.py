"""Checkpoints in files elsewhere: whole after a crash, never changed, and found again."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import AnchorFailed
from recorder.ledger.anchors.files import DirectoryAnchor, FileAnchor, notes_in
from tests.unit.ledger.anchors.noted import note

NOBODY = 65534


@contextmanager
def without_privileges() -> Iterator[None]:
    """Root may read what nobody may: be somebody else for a moment."""
    privileged = os.geteuid() == 0
    if privileged:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if privileged:
            os.seteuid(0)


def test_a_file_only_grows(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    anchor.leave(note(1))
    before = anchor.path.read_bytes()
    anchor.leave(note(2))
    assert anchor.path.read_bytes() == before + note(2) + b"\n"


def test_the_same_checkpoint_is_written_once(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    assert anchor.leave(note(1)) == anchor.leave(note(1))
    assert anchor.path.read_bytes() == note(1) + b"\n"


def test_another_history_of_the_same_size_is_kept_beside_the_first(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    other = note(1, root=bytes(32))
    anchor.leave(note(1))
    anchor.leave(other)
    assert list(anchor.held()) == [note(1), other]


@given(cut=st.integers(0, 400))
def test_what_a_crash_has_cut_off_hides_nothing_that_follows(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    anchor = FileAnchor(tmp_path_factory.mktemp("cut") / "notes")
    anchor.leave(note(1))
    anchor.leave(note(2))
    whole = anchor.path.read_bytes()
    anchor.path.write_bytes(whole[: max(len(whole) - cut, 0)])
    evidence = anchor.leave(note(3))
    held = list(anchor.held())
    assert held[-1] == note(3)
    assert held[:-1] == [note(1), note(2)][: len(held) - 1]
    assert anchor.check(note(3), evidence).state == "confirmed"


def test_a_checkpoint_is_found_where_the_file_was_put_together_anew(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    anchor.leave(note(1))
    evidence = anchor.leave(note(2))
    anchor.path.write_bytes(b"from the archive\n\n" + note(2) + b"\n" + note(1))
    assert anchor.check(note(2), evidence).state == "confirmed"


def test_a_checkpoint_that_was_removed_is_missed(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    anchor.leave(note(1))
    evidence = anchor.leave(note(2))
    anchor.path.write_bytes(note(1) + b"\n")
    checked = anchor.check(note(2), evidence)
    assert checked.state == "contradicted"
    assert "does not hold this checkpoint of 2 leaves" in checked.told


def test_a_file_that_is_not_here_says_nothing(tmp_path: Path) -> None:
    anchor = FileAnchor(tmp_path / "notes")
    evidence = anchor.leave(note(1))
    anchor.path.unlink()
    assert anchor.check(note(1), evidence).state == "not checked"
    with pytest.raises(AnchorFailed):
        list(anchor.held())


def test_a_file_into_which_one_can_only_write() -> None:
    folder = Path(tempfile.mkdtemp())  # nobody gets into those of pytest
    try:
        folder.chmod(0o777)
        anchor = FileAnchor(folder / "notes")
        anchor.path.touch()
        anchor.path.chmod(0o222)
        with without_privileges():
            with pytest.raises(PermissionError):
                anchor.path.read_bytes()
            anchor.leave(note(1))
            anchor.leave(note(2))
        anchor.path.chmod(0o600)
        assert list(anchor.held()) == [note(1), note(2)]
    finally:
        shutil.rmtree(folder)


def test_several_threads_write_whole_checkpoints(tmp_path: Path) -> None:
    threads = [threading.Thread(target=FileAnchor(tmp_path / "notes").leave, args=(note(n),)) for n in range(1, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(FileAnchor(tmp_path / "notes").held()) == sorted(note(n) for n in range(1, 30))


def test_a_directory_has_a_file_for_each_checkpoint_that_is_only_for_reading(tmp_path: Path) -> None:
    anchor = DirectoryAnchor(tmp_path)
    anchor.leave(note(1))
    anchor.leave(note(12))
    files = sorted(tmp_path.iterdir())
    assert [file.read_bytes() for file in files] == [note(1), note(12)]
    assert [file.stat().st_mode & 0o777 for file in files] == [0o444, 0o444]
    assert [file.suffix for file in files] == [".note", ".note"]


def test_a_directory_holds_several_logs_and_histories(tmp_path: Path) -> None:
    anchor = DirectoryAnchor(tmp_path)
    several = [note(5), note(5, root=bytes(32)), note(5, origin="other.example")]
    for each in several:
        anchor.leave(each)
    assert sorted(anchor.held()) == sorted(several)


def test_what_a_crash_has_left_in_a_directory_is_no_checkpoint(tmp_path: Path) -> None:
    anchor = DirectoryAnchor(tmp_path)
    anchor.leave(note(1))
    (tmp_path / "x-000000000002-y.1.partial").write_bytes(note(2)[:20])
    assert list(anchor.held()) == [note(1)]


def test_a_changed_file_of_a_directory_is_noticed_and_written_again_when_asked_to(tmp_path: Path) -> None:
    anchor = DirectoryAnchor(tmp_path)
    evidence = anchor.leave(note(1))
    [file] = tmp_path.iterdir()
    file.chmod(0o600)
    file.write_bytes(note(2))
    assert anchor.check(note(1), evidence).state == "contradicted"
    anchor.leave(note(1))
    assert anchor.check(note(1), evidence).state == "confirmed"


def test_a_directory_that_is_not_here_says_nothing(tmp_path: Path) -> None:
    anchor = DirectoryAnchor(tmp_path / "share")
    anchor.path.mkdir()
    evidence = anchor.leave(note(1))
    anchor.path.rename(tmp_path / "unmounted")
    assert anchor.check(note(1), evidence).state == "not checked"
    with pytest.raises(AnchorFailed):
        list(anchor.held())


@given(
    st.lists(st.integers(1, 10**12), max_size=6),
    st.lists(st.sampled_from([b"\n", b"x\n", "— \n".encode()]), max_size=3),
)
def test_notes_are_found_among_lines(sizes: list[int], before: list[bytes]) -> None:
    lines = [*before, b"\n"]
    for size in sizes:
        lines += [*note(size, signatures=1 + size % 3).splitlines(keepends=True), b"\n"]
    assert list(notes_in(lines)) == [note(size, signatures=1 + size % 3) for size in sizes]

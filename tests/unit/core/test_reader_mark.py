"""The mark of what reads: another one wherever the same bodies may be read otherwise."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import recorder
from recorder.core import reader_mark as module
from recorder.core.reader_mark import reader_mark


@pytest.fixture
def sources(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The sources of what is installed, to be changed."""
    copied = tmp_path / "recorder"
    for name in ("core", "dialects", "formats"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(recorder.__file__).parent / name, copied / name, ignore=ignored)
    monkeypatch.setattr(module, "files", lambda _: copied)
    reader_mark.cache_clear()
    yield copied
    reader_mark.cache_clear()


def mark() -> str | None:
    reader_mark.cache_clear()
    return reader_mark()


def test_it_is_the_same_for_the_same_sources(sources: Path) -> None:
    first = mark()
    assert first is not None
    assert (len(first), mark()) == (32, first)
    (sources / "formats" / "har.py").write_text("pass\n", encoding="utf-8")  # which no reading comes by
    assert mark() == first


@pytest.mark.parametrize(
    "name", ["core/message_json.py", "core/told_digest.py", "dialects/openai_chat.py", "formats/jsonl.py"]
)
def test_any_change_of_what_reads_makes_another_one(sources: Path, name: str) -> None:
    first = mark()
    with (sources / name).open("a", encoding="utf-8") as file:
        file.write("#\n")
    assert mark() not in (first, None)


def test_what_can_be_decoded_makes_another_one(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for there in (None, object()):
        monkeypatch.setattr(module, "find_spec", lambda _, there=there: there)
        found.append(mark())
    assert found[0] != found[1]


def test_there_is_none_where_nobody_can_tell(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "entry_points", lambda group: [EntryPoint("other", "other:DIALECT", group)])
    assert mark() is None
    monkeypatch.undo()
    monkeypatch.setattr(module, "files", lambda _: sources)
    assert mark() is not None
    shutil.rmtree(sources / "dialects")
    (sources / "dialects").mkdir()
    assert mark() is None

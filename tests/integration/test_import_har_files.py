"""``recorder import`` of HARs whose bodies are files beside them: which files are read, and none of them twice."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.commands import run
from tests.integration.test_cli_import import reports
from tests.recorded import exchanges
from tests.unit.formats.importing.test_har import entry, har
from tests.unit.formats.importing.test_har_files import attached, packed

ANSWER = b'data: {"a": 1}\n\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "given" / "deep").mkdir(parents=True)
    (made / "a.sse").write_bytes(ANSWER)
    (made / "x.har").write_text(json.dumps(har(attached())))
    return made


def bodies(url: str) -> list[bytes]:
    return [one.body for one in exchanges(url).values()]


def test_a_body_is_imported_once_from_a_folder(store_url: str, folder: Path) -> None:
    (folder / "b.sse").write_bytes(b"data: other\n\n")
    found = {Path(one["file"]).name: one for one in reports(store_url, folder.parent)}
    assert {name: one["status"] for name, one in found.items()} == {
        "a.sse": "passed_over",
        "b.sse": "imported",
        "x.har": "imported",
    }
    assert found["a.sse"]["reason"] == f"it is a body that {folder / 'x.har'} names"
    assert "absent" not in found["x.har"]
    assert sorted(bodies(store_url)) == sorted([ANSWER, b"data: other\n\n"])
    printed = run("import", str(folder), "--store", store_url)
    assert "1 file passed over: bodies that a HAR names\n" in printed.stdout
    assert "no known format" not in printed.stdout
    (named,) = reports(store_url, folder / "a.sse")
    assert named["imported"] == 1  # somebody asked for it


def test_hars_that_name_themselves_or_each_other_are_imported(sqlite_url: str, folder: Path) -> None:
    (folder / "x.har").write_text(json.dumps(har(attached("y.har"), attached("x.har"))))
    (folder / "y.har").write_text(json.dumps(har(attached("x.har"), attached("a.sse"))))
    told = reports(sqlite_url, folder)
    found = {Path(one["file"]).name: (one["status"], one["imported"] + one["present"]) for one in told}
    assert found == {"a.sse": ("passed_over", 0), "x.har": ("imported", 2), "y.har": ("imported", 2)}


@pytest.mark.parametrize("written", ["utf-8", "utf-16", "gzip"])
def test_however_the_har_is_written(store_url: str, folder: Path, written: str) -> None:
    content = (folder / "x.har").read_text()
    packed_or_not = gzip.compress(content.encode()) if written == "gzip" else content.encode(written)
    (folder / "x.har").write_bytes(packed_or_not)
    assert [one["imported"] for one in reports(store_url, folder)] == [0, 1]
    assert bodies(store_url) == [ANSWER]


def test_a_zip_brings_what_its_folder_brings(store_url: str, folder: Path) -> None:
    zipped = folder / "x.har.zip"
    zipped.write_bytes(packed({"har.har": har(attached()), "a.sse": ANSWER}))
    first, second = reports(store_url, zipped, folder / "x.har")
    assert (first["format"], first["imported"], second["imported"], second["present"]) == ("har", 1, 0, 1)
    assert bodies(store_url) == [ANSWER]


def test_a_file_that_is_gone_is_told_by_its_name(store_url: str, folder: Path) -> None:
    (folder / "a.sse").unlink()
    (folder / "x.har").write_text(json.dumps(har(entry(), attached(posted="q\x1b.json"))))
    result = run("import", str(folder / "x.har"), "--store", store_url)
    assert result.exit_code == 0, result.output
    assert "the body of the answer, or a part of it  in 1 exchange" in result.stdout
    asked, answered = result.stderr.splitlines()
    assert asked.startswith(f"warning: the body of the request of entry 2 of {folder / 'x.har'} is in a file that is")
    assert "\x1b" not in asked
    assert "not beside it, a.sse: the exchange is imported without it" in answered
    (report,) = reports(store_url, folder / "x.har")
    assert report["absent"] == [
        {"entry": 2, "side": "request", "file": "q\x1b.json"},
        {"entry": 2, "side": "response", "file": "a.sse"},
    ]
    assert (report["lacks"]["response_body"], report["lacks"]["request_body"]) == (1, 1)


def names_outside(folder: Path) -> dict[str, Any]:
    """Return names that lead to a file that is there, and not in the folder."""
    (secret := folder.parent / "secret").write_bytes(b"secret")
    (folder / "link").symlink_to(secret)
    (folder / "linked").symlink_to(folder.parent)
    (folder / "circle").symlink_to(folder / "circle")
    os.mkfifo(folder / "pipe")
    return {
        "absolute": str(secret), "above": "../secret", "around": "sub/../../secret", "link": "link",
        "through a link": "linked/secret", "circle": "circle", "folder": ".", "pipe": "pipe", "long": "x" * 5000,
    }  # fmt: skip


@pytest.mark.parametrize(
    "way", ["absolute", "above", "around", "link", "through a link", "circle", "folder", "pipe", "long"]
)
def test_nothing_outside_of_the_folder_is_read(sqlite_url: str, folder: Path, way: str) -> None:
    name = names_outside(folder)[way]
    (folder / "x.har").write_text(json.dumps(har(attached(name))))
    (report,) = reports(sqlite_url, folder / "x.har")
    assert [one["file"] for one in report["absent"]] == [name]
    assert bodies(sqlite_url) == [b""]


def test_the_store_is_no_body(tmp_path: Path) -> None:
    """Whoever opens its file takes its locks away."""
    url = f"sqlite:///{tmp_path}/store.db"
    (tmp_path / "x.har").write_text(json.dumps(har(entry())))
    reports(url, tmp_path / "x.har")
    (tmp_path / "y.har").write_text(json.dumps(har(attached("store.db"))))
    (report,) = reports(url, tmp_path / "y.har")
    assert [one["file"] for one in report["absent"]] == ["store.db"]


def test_a_file_that_cannot_be_read_refuses_its_entry(
    store_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def forbidden(path: Path, *args: Any, **more: Any) -> Any:
        if path.name == "a.sse":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", forbidden)
        (report,) = reports(store_url, folder / "x.har", code=1)
    assert report["refused"] == [{"entry": 1, "reason": "a.sse beside it cannot be read (Permission denied)"}]
    monkeypatch.setattr("recorder.api.foreign_files.LARGEST", len(ANSWER) - 1)
    (report,) = reports(store_url, folder / "x.har", code=1)
    assert report["refused"] == [{"entry": 1, "reason": "a.sse beside it has more than 15 bytes"}]

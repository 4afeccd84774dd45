"""HARs whose bodies are files beside them, in a folder or in a zip."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest

from recorder.errors import ImportRefused
from recorder.formats.importing import zipped
from recorder.formats.importing.base import Absent, Foreign, Refused
from recorder.formats.importing.har import IMPORTER
from recorder.formats.importing.har_files import files_named
from recorder.formats.importing.source import Source
from recorder.formats.importing.zipped import is_inside
from tests.unit.formats.importing.reading import one, read, recording
from tests.unit.formats.importing.test_chatgpt import SIMPLE
from tests.unit.formats.importing.test_har import entry, har

ANSWER = b"data: {}\n\n\xff"


def attached(name: Any = "a.sse", posted: Any = None, **content: Any) -> dict[str, Any]:
    """Return an entry whose bodies are in files, as Playwright writes it."""
    made = entry()
    made["response"]["content"] = {"size": 11, "mimeType": "text/event-stream", "_file": name, **content}
    if posted is not None:
        made["request"]["postData"] = {"mimeType": "application/json", "text": "", "params": [], "_file": posted}
    return made


def packed(files: Mapping[str, Any]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes | str) else json.dumps(content))
    return data.getvalue()


class Folder:
    def __init__(self, **files: bytes) -> None:
        self._files = {name.replace("_", "."): data for name, data in files.items()}

    def content(self, name: str) -> bytes | None:
        if name == "damaged":
            raise ImportRefused("damaged beside it cannot be read")
        return self._files.get(name)


def beside(document: dict[str, Any], **files: bytes) -> Foreign | Refused:
    (found,) = IMPORTER.read(Source.of(json.dumps(document).encode(), Folder(**files))).entries
    return found


def test_bodies_are_those_of_the_files() -> None:
    found = beside(har(attached(posted="q.json")), a_sse=ANSWER, q_json=b'{"q": 1}')
    assert isinstance(found, Foreign)
    assert (found.payload, found.body, found.absent) == (b'{"q": 1}', ANSWER, ())
    assert {"request_body", "request_bytes", "response_body", "response_bytes"}.isdisjoint(found.missing)


def test_a_file_that_is_empty_is_no_missing_body() -> None:
    found = beside(har(attached(posted="q.json")), a_sse=b"", q_json=b"")
    assert isinstance(found, Foreign)
    assert (found.payload, found.body) == (b"", b"")
    assert {"request_body", "response_body"}.isdisjoint(found.missing)


def test_files_that_are_not_there_are_missing_by_name() -> None:
    found = beside(har(attached("gone.sse", posted="gone.json", size=0)))
    assert isinstance(found, Foreign)
    assert found.absent == (Absent("request", "gone.json"), Absent("response", "gone.sse"))
    assert {"request_body", "response_body"} <= set(found.missing)
    assert found.missing.count("response_body") == 1
    assert one(har(attached())).absent == (Absent("response", "a.sse"),)


def test_a_file_that_cannot_be_read_refuses_its_entry() -> None:
    assert beside(har(attached("damaged"))) == Refused(1, "damaged beside it cannot be read")


@pytest.mark.parametrize("name", [None, "", 7, ["a.sse"], {"a": "b"}])
def test_what_names_no_file_changes_nothing(name: Any) -> None:
    found = beside(har(attached(name)), a_sse=ANSWER)
    assert isinstance(found, Foreign)
    assert (found.body, found.absent) == (b"", ())
    assert "response_body" in found.missing


def test_a_text_that_stands_there_wins() -> None:
    found = beside(har(attached(text="here")), a_sse=ANSWER)
    assert isinstance(found, Foreign)
    assert found.body == b"here"
    assert list(files_named(Source.of(json.dumps(har(attached(text="here"), attached("b", "c"))).encode()))) == [
        "c",
        "b",
    ]


@pytest.mark.parametrize("document", [b"{}", b'{"log": 1}', b'{"log": {"entries": [1, {"request": 2}]}}', b"[", b"x"])
def test_what_is_no_har_names_no_file(document: bytes) -> None:
    assert list(files_named(Source.of(document))) == []


@pytest.mark.parametrize("folder", ["", "deep/er/"])
@pytest.mark.parametrize("name", ["har.har", "any name.HAR"])
def test_a_zip_with_a_har(folder: str, name: str) -> None:
    files = {f"{folder}{name}": har(attached(posted="q.json")), f"{folder}a.sse": ANSWER, f"{folder}q.json": b"{}"}
    told = recording(packed(files | {"__MACOSX/._har.har": b"\0", "._x.har": b"\0", "a.txt": "x"}))
    assert (told.format, told.version, told.creator) == ("har", "1.2", "WebInspector 1")
    (found,) = told.entries
    assert isinstance(found, Foreign)
    assert (found.payload, found.body, found.absent) == (b"{}", ANSWER, ())


@pytest.mark.parametrize(
    "name",
    ["../a.sse", "/a.sse", "x/../../a.sse", "..\\a.sse", "C:\\a.sse", "\\a.sse", "a.sse\0", "b.sse", "sub", "ln"],
)
def test_a_har_in_a_zip_names_what_is_in_its_folder(name: str) -> None:
    data = io.BytesIO()
    link = zipfile.ZipInfo("in/ln")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(data, "w") as archive:
        for at, content in (("in/x.har", json.dumps(har(attached(name)))), ("a.sse", "secret"), ("in/sub/", "")):
            archive.writestr(at, content)
        archive.writestr(link, "../a.sse")
    found = one(data.getvalue())
    assert (found.body, found.absent) == (b"", (Absent("response", name),))
    assert "response_body" in found.missing


def test_names_that_lead_into_a_folder() -> None:
    assert all(map(is_inside, ("a", "a/b.json", "./a", "a..b", "..a", "a b")))
    assert not any(map(is_inside, ("", "..", "a/..", "../a", "/a", "//a/b", "C:a", "a\\..\\b", "\0")))


def test_several_hars_in_a_zip_are_read_one_after_the_other() -> None:
    files = {"a/1.har": har(attached(), entry()), "a/a.sse": ANSWER, "b.har": "{", "c.har": har(attached())}
    first, second, broken, last = read(packed(files))
    assert isinstance(first, Foreign)
    assert isinstance(second, Foreign)
    assert isinstance(last, Foreign)
    assert [each.number for each in (first, second, broken, last)] == [1, 2, 3, 4]
    assert (first.body, last.absent) == (ANSWER, (Absent("response", "a.sse"),))
    assert isinstance(broken, Refused)
    assert broken.reason.startswith("b.har in it is not read: ")


def test_a_har_that_somebody_gave_chatgpt_is_none_of_the_export() -> None:
    assert recording(packed({"conversations.json": [SIMPLE], "file-1.har": har(entry())})).format == "chatgpt"


def test_what_cannot_be_read_in_a_zip() -> None:
    with pytest.raises(ImportRefused, match=r"x\.har in it is no HAR"):
        read(packed({"x.har": [1]}))
    with pytest.raises(ImportRefused, match="no entries"):
        read(packed({"x.har": har()}))
    whole = bytearray(packed({"a.sse": ANSWER * 50, "x.har": har(attached(), entry())}))
    whole[40:50] = bytes(10)
    refused, kept = read(bytes(whole))
    assert isinstance(refused, Refused)
    assert refused.reason.startswith("a.sse in it cannot be unpacked")
    assert isinstance(kept, Foreign)


def test_what_a_zip_stands_for_has_a_limit() -> None:
    """One small file that is named many times."""
    limited = zipped.Zip(Source(packed({"x.har": "{}", "a": bytes(100)})), 250)
    folder = limited.beside("x.har")
    assert [folder.content("a"), folder.content("a")] == [bytes(100)] * 2
    with pytest.raises(ImportRefused, match="a and what else is named in it unpack to more than 250 bytes"):
        folder.content("a")
    assert limited.unpacked("a") == bytes(100)
    with pytest.raises(ImportRefused, match="a in it unpacks to more than 99 bytes"):
        zipped.Zip(Source(packed({"a": bytes(100)})), 99).unpacked("a")

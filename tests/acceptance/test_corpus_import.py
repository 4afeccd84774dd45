"""Every file of other recorders in the corpus: imported, or refused for a reason; and their bodies."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from recorder.api.foreign_files import files_in
from recorder.api.importing import FileReport, Import
from recorder.core.events import is_journal
from recorder.core.exchange import fold
from recorder.dialects.rebuild import rebuild
from recorder.formats.importing.base import Foreign
from recorder.ledger.verify import verify
from recorder.store import open_store
from tests import corpus
from tests.commands import run, told
from tests.unit.formats.importing.reading import recording

pytestmark = corpus.needs_corpus

CASSETTES = corpus.ROOT / "cassettes"
#: What is no recording, or no whole one.
REFUSED = {
    "brokenfile.har": "no whole JSON document",
    "not_cassette.txt": "none of the known formats",
}


def originals() -> list[tuple[str, Path]]:
    """Return the streams whose original file is there, with that file."""
    found = []
    for name in corpus.names(""):
        source = corpus.stream(name).sidecar["source"]
        repository = source["repo"].replace("/", "__")
        for folder in CASSETTES.glob(f"*/{repository}"):
            if (folder / source["path"]).is_file():
                found.append((name, folder / source["path"]))
    return found


ORIGINALS = originals()


def test_the_originals_are_there() -> None:
    """Of the other streams the corpus has no file of whoever recorded them."""
    assert (len(ORIGINALS), len({path for _, path in ORIGINALS})) == (139, 119)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[FileReport]]:
    url = f"sqlite:///{tmp_path_factory.mktemp('import')}/store.db"
    with Import(url) as importing:
        reports = [importing.file(path) for path, _ in files_in([CASSETTES])]
    return url, reports


def test_every_file_is_imported_or_refused_for_a_reason(imported: tuple[str, list[FileReport]]) -> None:
    _, reports = imported
    assert len(reports) == len([path for path in CASSETTES.rglob("*") if path.is_file()]) >= 315
    refused = {Path(one.path).name: one.reason or "" for one in reports if one.status == "refused"}
    assert refused.keys() == REFUSED.keys()
    for name, reason in REFUSED.items():
        assert reason in refused[name]
        assert "\n" not in refused[name]
    assert [one.refused for one in reports if one.refused] == []
    formats = Counter(one.format for one in reports if one.status == "imported")
    assert formats == {"har": 37, "httprr": 20, "req-llm": 31, "ruby-vcr": 57, "vcrpy": 168}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_told_in_one_line(name: str, sqlite_url: str) -> None:
    (path,) = CASSETTES.rglob(name)
    line = told(run("import", str(path), "--store", sqlite_url), 1)
    assert line.startswith(f"error: {path} is not imported, it is ")
    assert REFUSED[name] in line


def test_the_answer_that_was_damaged_when_it_was_recorded_is_the_only_one(
    imported: tuple[str, list[FileReport]],
) -> None:
    found = [(Path(one.path).name, [each.number for each in one.damaged]) for one in imported[1] if one.damaged]
    assert found == [("corrupted_gzip_body.har", [1])]


def test_the_bodies_in_the_store_are_those_of_the_sidecars(imported: tuple[str, list[FileReport]]) -> None:
    url, reports = imported
    files = {one.sha256: one.path for one in reports}
    bodies: dict[tuple[str, int], str] = {}
    with closing(open_store(url, write=False)) as store:
        for opened, events in store.walk():
            exchange = None if opened is not None and is_journal(opened) else fold(events)
            if exchange is not None and exchange.imported is not None:
                facts = exchange.imported
                bodies[files[facts["sha256"]], facts["entry"]] = hashlib.sha256(exchange.body).hexdigest()
    checked = 0
    for name, path in ORIGINALS:
        sidecar = corpus.stream(name).sidecar
        digest = sidecar["response"]["body_sha256"]
        body = bodies.get((str(path), sidecar["source"]["index"] + 1))
        assert body == digest or (body is None and digest in bodies.values()), name  # the same in another file
        checked += body is not None
    assert checked >= 130


def test_what_was_imported_verifies_and_rebuilds(imported: tuple[str, list[FileReport]]) -> None:
    url, reports = imported
    with closing(open_store(url, write=False)) as store:
        assert verify(store.walk()).findings == ()
        count = 0
        for opened, events in store.walk():
            assert opened is not None
            if is_journal(opened):
                continue
            exchange = fold(events)
            assert exchange is not None
            assert exchange.anomalies == ()
            rebuild(exchange)
            count += 1
    assert count == sum(one.imported for one in reports) >= 440


def test_a_second_import_adds_nothing(imported: tuple[str, list[FileReport]]) -> None:
    url, reports = imported
    with Import(url) as importing:
        again = [importing.file(Path(one.path)) for one in reports]
    assert sum(one.imported for one in again) == 0
    assert sum(one.present for one in again) == sum(one.imported + one.present for one in reports)


@pytest.mark.parametrize(("name", "path"), ORIGINALS, ids=lambda value: value if isinstance(value, str) else "")
def test_the_body_is_the_one_of_the_sidecar(name: str, path: Path) -> None:
    sidecar = json.loads((corpus.ROOT / name).with_suffix(".json").read_text(encoding="utf-8"))
    entry = list(recording(path.read_bytes()).entries)[sidecar["source"]["index"]]
    assert isinstance(entry, Foreign)
    assert hashlib.sha256(entry.body).hexdigest() == sidecar["response"]["body_sha256"]
    assert (entry.method.upper(), entry.url) == (sidecar["request"]["method"].upper(), sidecar["request"]["url"])
    assert entry.status == sidecar["response"]["status"]
    lengths = sidecar["response"]["transport_chunk_lengths"]
    if lengths:
        assert [cut.end for cut in entry.cuts or ()] == [sum(lengths[: at + 1]) for at in range(len(lengths))]
    text = sidecar["request"]["body"]
    if text is not None and "request_bytes" not in entry.missing:
        coded = sidecar["request"]["body_encoding"] == "base64"
        assert entry.payload == (base64.b64decode(text) if coded else text.encode())


def test_streams_alone_are_imported_byte_for_byte() -> None:
    """Those too that say that they are event streams and are none: an error as plain JSON, a space before all."""
    names = [name for name in corpus.names("") if name.endswith(".sse")]
    assert len(names) == 278
    for name in names:
        body = corpus.stream(name).body
        (entry,) = recording(body).entries
        assert isinstance(entry, Foreign)
        assert entry.body == body, name

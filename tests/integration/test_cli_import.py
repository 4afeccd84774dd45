"""``recorder import``: what is told, what is added, and that what was exported comes back."""

from __future__ import annotations

import base64
import codecs
import gzip
import io
import json
import sqlite3
import subprocess
import sys
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator

from recorder import Player
from tests.commands import SCHEMAS, json_lines, run, terminal, told
from tests.recorded import exchanges
from tests.unit.formats.importing.llm_databases import recent
from tests.unit.formats.importing.test_cassettes import RUBY, VCRPY
from tests.unit.formats.importing.test_chatgpt import SIMPLE, TOOLS
from tests.unit.formats.importing.test_har import entry, har


@pytest.fixture
def cassette(tmp_path: Path) -> Path:
    file = tmp_path / "cassettes" / "cassette.yaml"
    file.parent.mkdir()
    file.write_text(VCRPY)
    return file


def reports(url: str, *files: Path, code: int = 0) -> list[dict[str, Any]]:
    result = run("import", *map(str, files), "--json", "--store", url)
    assert result.exit_code == code, result.output
    found = [json.loads(line) for line in result.stdout.splitlines()]
    schema = Draft202012Validator(json.loads((SCHEMAS / "import.schema.json").read_text(encoding="utf-8")))
    for one in found:
        schema.validate(one)
    return found


def test_a_cassette_is_imported_once(store_url: str, cassette: Path) -> None:
    (first,) = reports(store_url, cassette)
    assert (first["status"], first["format"], first["imported"], first["present"]) == ("imported", "vcrpy", 1, 0)
    assert first["lacks"]["started_at"] == 1
    renamed = cassette.rename(cassette.with_suffix(".txt"))
    copy = cassette.with_suffix(".yaml.gz")
    copy.write_bytes(gzip.compress(VCRPY.encode()))
    assert [(one["imported"], one["present"]) for one in reports(store_url, renamed, copy)] == [(0, 1), (0, 1)]
    assert len(exchanges(store_url)) == 1


def test_a_cassette_that_grew_brings_what_is_new(store_url: str, cassette: Path) -> None:
    reports(store_url, cassette)
    pair = VCRPY.removeprefix("interactions:\n").removesuffix("version: 1\n")
    cassette.write_text(VCRPY.replace("version: 1\n", "") + pair + pair.replace("v1", "v2"))
    (again,) = reports(store_url, cassette)
    assert (again["imported"], again["present"]) == (2, 1)


def test_what_is_printed(store_url: str, cassette: Path) -> None:
    result = run("import", str(cassette), "--store", store_url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[0] == "1 exchange imported from 1 file"
    assert "when the request was sent  in 1 exchange" in result.stdout
    (shown,) = json_lines(run("list", "--json", "--store", store_url), "list")
    assert "started_at" not in shown
    assert "chunks" not in shown
    assert shown["imported_at"]
    assert "from cassette.yaml (vcrpy 1)" in run("show", shown["id"], "--store", store_url).stdout
    (whole,) = json_lines(run("show", shown["id"], "--json", "--store", store_url), "show")
    assert whole["imported"]["file"] == "cassette.yaml"
    assert shown["id"][-8:] in run("list", "--store", store_url).stdout
    assert run("stats", "--by", "day", "--store", store_url).exit_code == 0
    for name in ("markdown", "html", "har", "csv", "otlp", "sse", "json", "jsonl"):
        assert run("export", shown["id"], "--format", name, "--store", store_url).exit_code == 0, name


def test_folders_are_walked(store_url: str, cassette: Path) -> None:
    deeper = cassette.parent / "a/b"
    deeper.mkdir(parents=True)
    (deeper / "ruby.yml").write_text(RUBY)
    (deeper / "README.md").write_text("# Read me\n")
    (cassette.parent / "node_modules").mkdir()
    (cassette.parent / "node_modules/one.yaml").write_text(VCRPY)
    found = {Path(one["file"]).name: one["status"] for one in reports(store_url, cassette.parent)}
    assert found == {"ruby.yml": "imported", "README.md": "passed_over", "cassette.yaml": "imported"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"log":\n[\n 2,1,3\n]\n"request:"}', "no whole JSON document"),
        (b"This is not a cassette", "none of the known formats"),
        (b"", "it is empty"),
        (b"interactions:\n- {", "no YAML"),
        (b"\x1f\x8b\x08", "gzip ends before its own end"),
        (b"PK\x03\x04\x14\0\0\0\x08\0", "zip ends before its own end"),
        (b"\xff\xfe\x41\0\x42", "begins as text in UTF-16 does, and is none"),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "broken"
    file.write_bytes(content)
    store = tmp_path / "store.db"
    line = told(run("import", str(file), "--store", f"sqlite:///{store}"), 1)
    assert reason in line
    assert not store.exists()  # nothing was written, so none was made


def test_what_stands_before_the_damage_is_imported(store_url: str, cassette: Path) -> None:
    cassette.write_text(VCRPY.replace("version: 1\n", "- request: {\n"))
    (one,) = reports(store_url, cassette, code=1)
    assert (one["status"], one["imported"]) == ("imported", 1)
    assert "no YAML" in one["reason"]


def test_what_does_not_fit_into_memory_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "big.yaml"
    with file.open("wb") as out:
        out.write(b"interactions:\n- request: {body: '")
        out.truncate(500 * 1024 * 1024)
    size = 400 * 1024 * 1024
    limited = (
        f"import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_AS, ({size}, {size})); "
        f"sys.argv = ['recorder', 'import', {str(file)!r}, '--store', 'sqlite:///{tmp_path}/store.db']; "
        "runpy.run_module('recorder', run_name='__main__')"
    )
    result = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert "does not fit into memory" in result.stderr


def test_the_store_itself_is_not_read(store_url: str, cassette: Path) -> None:
    """Whoever opens and closes the file of a store takes its locks away from the program that has it open."""
    reports(store_url, cassette)
    if not store_url.startswith("sqlite"):
        return
    store = Path(store_url.removeprefix("sqlite:///"))
    (link := store.with_name("linked.db")).symlink_to(store)
    found = {Path(one["file"]).name: one for one in reports(store_url, store.parent)}
    assert found[store.name]["status"] == found[link.name]["status"] == "passed_over"
    assert "sha256" not in found[store.name]
    (one,) = reports(store_url, store, code=1)
    assert "the store itself" in one["reason"]


def test_texts_that_no_database_takes(store_url: str, tmp_path: Path) -> None:
    odd = entry()
    odd["request"] |= {"method": "\0P", "url": "http://h\0.test/\ud800", "headers": [{"name": "a\0", "value": "\0"}]}
    odd["response"] |= {"statusText": "\0", "headers": [{"name": "\ud800", "value": "\U0001f600"}]}
    file = tmp_path / "odd.har"
    file.write_text(json.dumps(har(odd, creator="\0")))
    (one,) = reports(store_url, file)
    assert one["imported"] == 1
    assert run("show", next(iter(exchanges(store_url))), "--store", store_url).exit_code == 0


def broken_entry() -> dict[str, Any]:
    bad = entry()
    bad["response"]["content"] = {"encoding": "base64", "text": "!"}
    return bad


def test_an_entry_that_is_refused_is_told(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "two.har"
    file.write_text(json.dumps(har(entry(), broken_entry())))
    (one,) = reports(store_url, file, code=1)
    assert [refused["entry"] for refused in one["refused"]] == [2]
    assert one["imported"] == 1


@pytest.mark.parametrize(
    ("good", "rest"), [(0, "nothing of it is"), (1, "1 exchange of it is"), (2, "2 exchanges of it are")]
)
def test_what_is_told_of_the_rest_of_a_file_is_true(tmp_path: Path, good: int, rest: str) -> None:
    entries = [entry() for _ in range(good)]
    for number, one in enumerate(entries):
        one["request"]["url"] = f"http://h.test/{number}"
    file = tmp_path / "some.har"
    file.write_text(json.dumps(har(*entries, broken_entry(), broken_entry())))
    result = run("import", str(file), "--store", f"sqlite:///{tmp_path}/store.db")
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == [rest, rest]


def test_a_zip_with_something_else_in_it_is_told_as_a_zip(store_url: str, tmp_path: Path) -> None:
    packed = tmp_path / "recording.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("recording.yaml", VCRPY)
    (one,) = reports(store_url, packed, code=1)
    reason = "it is a zip with neither a HAR nor an export of ChatGPT in it"
    assert (one["status"], one["reason"]) == ("refused", reason)
    line = told(run("import", str(packed), "--store", store_url), 1)
    assert line == f"error: {packed} is not imported, {reason}: unpack it, and import what it holds"


def test_a_cut_zip_in_a_folder_is_told(store_url: str, tmp_path: Path) -> None:
    """As a gzip that is cut: it may be all that somebody was sent."""
    folder = tmp_path / "given"
    folder.mkdir()
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("conversations.json", json.dumps([SIMPLE]))
        archive.writestr("user.json", "{}")
    (folder / "export.zip").write_bytes(whole.getvalue()[:-30])
    (one,) = reports(store_url, folder, code=1)
    assert (one["status"], one["reason"]) == ("refused", "its zip ends before its own end")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(store_url: str, tmp_path: Path, encoding: str) -> None:
    """PowerShell's ``>`` writes UTF-16."""
    written = json.dumps(har(entry(), creator="Łódź"), ensure_ascii=False)
    mark = codecs.BOM_UTF16_BE if encoding == "utf-16-be" else b""
    (file := tmp_path / "wide.har").write_bytes(mark + written.encode(encoding))
    (packed := tmp_path / "wide.har.gz").write_bytes(gzip.compress(file.read_bytes()))
    (plain := tmp_path / "plain.har").write_text(written, encoding="utf-8")
    found = reports(store_url, file, packed, plain)
    assert [(one["format"], one["imported"], one["present"]) for one in found] == [
        ("har", 1, 0),
        ("har", 0, 1),
        ("har", 0, 1),
    ]


def test_bytes_of_a_stream_that_was_recoded_are_not_those_that_came(store_url: str, tmp_path: Path) -> None:
    (file := tmp_path / "stream.sse").write_bytes('data: {"a": "ż"}\n\n'.encode("utf-16"))
    (one,) = reports(store_url, file)
    assert (one["format"], one["imported"], one["lacks"]["response_bytes"]) == ("sse", 1, 1)


def test_wrong_usage(tmp_path: Path, store_url: str) -> None:
    assert "does not exist" in told(run("import", str(tmp_path / "no"), "--store", store_url), 2)
    assert run("import", "--store", store_url).exit_code == 2
    file = tmp_path / "a"
    file.write_text(VCRPY)
    assert "not understood" in told(run("import", str(file), "--redact", "what:", "--store", store_url), 2)


def test_redaction_rules_count(store_url: str, cassette: Path) -> None:
    assert run("import", str(cassette), "--redact", "body:a", "--store", store_url).exit_code == 0
    (exchange,) = exchanges(store_url).values()
    assert exchange.request is not None
    assert exchange.request.redacted == ("body:/a",)


def test_an_imported_exchange_is_replayed(store_url: str, cassette: Path) -> None:
    reports(store_url, cassette)
    with Player(store_url) as player:
        session = player.mount(requests.Session())
        answer = session.post("https://api.example.test/v1", json={"a": 1})
    assert (answer.status_code, answer.content) == (200, "data: é\n\n".encode())


def test_chatgpts_export_is_imported_once(store_url: str, tmp_path: Path) -> None:
    file, packed = tmp_path / "conversations.json", tmp_path / "export.zip"
    file.write_text(json.dumps([SIMPLE, TOOLS | {"conversation_id": "other", "title": "Plots"}]))
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(file, "conversations.json")
    first, second = reports(store_url, file, packed)
    assert (first["format"], first["imported"], second["imported"], second["present"]) == ("chatgpt", 7, 0, 7)
    assert first["lacks"]["response_bytes"] == 7
    named = {row["conversation"]: row for row in json_lines(run("list", "--json", "--store", store_url), "list")}
    assert len(named) == 2
    (trip, *_) = json_lines(run("show", "A trip (0000abcd)", "--json", "--store", store_url), "show")
    assert (trip["conversation_name"], trip["imported"]["called"]) == ("A trip (0000abcd)", "a1")
    assert "status" not in trip
    assert run("search", "Goa", "--json", "--store", store_url).stdout.count("\n") == 1
    for name in ("markdown", "html", "har", "json", "openai-jsonl"):
        assert run("export", "A trip (0000abcd)", "--format", name, "--store", store_url).exit_code == 0, name
    told = run("show", "A trip (0000abcd)", "--store", store_url).stdout
    assert "In May." in told


def test_logs_of_llm_are_imported_while_it_writes_them(store_url: str, tmp_path: Path) -> None:
    file = recent(tmp_path / "logs.db").path
    with closing(sqlite3.connect(file, isolation_level=None)) as writing:
        writing.execute("PRAGMA journal_mode = WAL")
        writing.execute("PRAGMA wal_autocheckpoint = 0")
        writing.execute("INSERT INTO responses (id, model, prompt, response) VALUES ('01jz', 'm', 'late', 'yes')")
        before = sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.name.startswith("logs"))
        (first,) = reports(store_url, file)
        assert (
            sorted((one.name, one.read_bytes()) for one in tmp_path.iterdir() if one.name.startswith("logs")) == before
        )
        assert (first["format"], first["version"], first["imported"]) == ("llm", "m022_response_reasoning", 5)
        writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    packed = tmp_path / "logs.db.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert [(one["imported"], one["present"]) for one in reports(store_url, file, packed)] == [(0, 5), (0, 5)]
    shown = json_lines(run("show", "Weather (00000001)", "--json", "--store", store_url), "show")
    assert [one["imported"]["called"] for one in shown] == ["01j1", "01j2", "01j3"]
    assert shown[0]["tokens"] == {"input": 12, "output": 3, "cached": 2}
    assert shown[0]["started_at"] == "2025-06-01T10:00:00.000000000Z"
    file.write_bytes(file.read_bytes()[:5000])
    assert "cannot be read" in told(run("import", str(file), "--store", store_url), 1)


def test_progress_is_shown_on_a_terminal(tmp_path: Path, cassette: Path) -> None:
    code, output = terminal("import", str(cassette), "--store", f"sqlite:///{tmp_path}/store.db")
    assert code == 0
    assert "importing" in output
    assert "1 exchange imported from 1 file" in output


def test_a_time_that_no_store_keeps_is_told_apart_from_one_that_no_file_tells(store_url: str, tmp_path: Path) -> None:
    file = tmp_path / "old.har"
    times = ("1931-05-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday", "2026-01-02T03:04:05Z")
    entries = [entry(startedDateTime=at) for at in times]
    file.write_text(json.dumps(har(*entries)))
    result = run("import", str(file), "--store", store_url)
    assert result.exit_code == 0, result.output
    assert "  when the request was sent  in 1 exchange\n" in result.stdout
    assert "told by the files, and nothing that a store can keep:\n" in result.stdout
    assert "  when the request was sent: outside of 1970 to 2116  in 2 exchanges\n" in result.stdout
    (report,) = reports(store_url, file)
    assert (report["lacks"]["started_at"], report["lacks"]["started_at_outside"]) == (3, 2)


def test_an_answer_that_was_damaged_when_it_was_recorded_is_told_in_a_line_and_kept(
    sqlite_url: str, tmp_path: Path
) -> None:
    """It is whole as far as HTTP can tell, so the file says nothing of it."""
    packed = bytearray(gzip.compress(b"what it said, once", mtime=0))
    packed[12] ^= 0xFF
    damaged, whole = entry(), entry()
    for made, body in ((damaged, bytes(packed)), (whole, gzip.compress(b"what it said", mtime=0))):
        made["response"]["headers"] = [{"name": "Content-Encoding", "value": "gzip"}]
        content = {"text": base64.b64encode(body).decode(), "encoding": "base64", "size": len(body)}
        made["response"]["content"] = content | {"mimeType": "text/plain"}
    file = tmp_path / "damaged.har"
    file.write_text(json.dumps(har(whole, damaged)))
    done = run("import", str(file), "--store", sqlite_url)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("2 exchanges imported")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"warning: the answer of entry 2 of {file} cannot be decoded, the coded body is damaged: ")
    (report,) = reports(sqlite_url, file)
    assert [one["entry"] for one in report["damaged"]] == [2]
    assert {bytes(packed), gzip.compress(b"what it said", mtime=0)} == {
        one.body for one in exchanges(sqlite_url).values()
    }

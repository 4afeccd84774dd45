"""``recorder import`` of another recording than the store has under the same id: it is told, and changes nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.building import ExchangeBuilder, delta
from tests.commands import SCHEMAS, fill, identity_of, json_lines, run
from tests.encrypted import hide_table, record

ASKED = {"model": "m", "messages": [{"role": "user", "content": "the key is sk-ABCDEFGH1234"}]}
FORMATS = ["json", "jsonl", "har"]


def asked(number: int = 1) -> ExchangeBuilder:
    return ExchangeBuilder(number).request(ASKED).response().sse(delta(role="assistant", content="sk-"), done=False)


def whole(number: int = 1) -> ExchangeBuilder:
    return asked(number).sse(delta(content="ABCDEFGH1234", finish="stop")).completed()


def exported(url: str, file: Path, *rules: str, name: str = "jsonl") -> Path:
    options = [one for rule in rules for one in ("--redact", rule)]
    done = run("export", "--all", "--format", name, "-o", str(file), "--force", *options, "--store", url)
    assert done.exit_code == 0, done.output
    return file


def imported(url: str, *files: Path, code: int = 0) -> dict[str, Any]:
    """Return the report on the last file."""
    done = run("import", *map(str, files), "--json", "--store", url)
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    Draft202012Validator(json.loads((SCHEMAS / "import.schema.json").read_text(encoding="utf-8"))).validate(found)
    return found


def shown(url: str) -> str:
    return run("export", "--all", "--format", "jsonl", "--store", url).stdout


@pytest.mark.parametrize("name", FORMATS)
def test_the_full_recording_after_a_redacted_one_is_told(absent_url: str, tmp_path: Path, name: str) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    fill(origin, whole())
    hidden = exported(origin, tmp_path / "hidden", "text:ABCDEFGH", name=name)
    full = exported(origin, tmp_path / "full", name=name)
    assert imported(absent_url, hidden)["imported"] == 1
    before = shown(absent_url)
    report = imported(absent_url, full, code=1)
    assert (report["status"], report["imported"], report["present"]) == ("different", 0, 0)
    (one,) = report["different"]
    assert (one["entry"], one["exchange"]) == (1, identity_of(whole()))
    assert {"request_body", "response_body"} <= set(one["differs"])
    assert shown(absent_url) == before
    # The redacted one again is the same, and so is the full one where it comes from; the redacted one there is not.
    assert imported(absent_url, hidden)["present"] == 1
    assert imported(origin, full)["present"] == 1
    assert imported(origin, hidden, code=1)["different"][0]["differs"] == one["differs"]


def test_a_tampered_export_is_no_confirmation(store_url: str, tmp_path: Path) -> None:
    fill(store_url, whole())
    told = exported(store_url, tmp_path / "o.jsonl").read_text(encoding="utf-8")
    tampered = tmp_path / "tampered.jsonl"
    tampered.write_text(told.replace("ABCDEFGH1234", "TAMPERED1234"), encoding="utf-8")
    done = run("import", str(tampered), "--store", store_url)
    assert (done.exit_code, done.stdout.splitlines()[:2]) == (
        1,
        [
            "0 exchanges imported from 1 file",
            "1 exchange there already, but not the same: nothing of them was imported",
        ],
    )
    assert done.stderr == (
        f"error: entry 1 of {tampered} is not imported, exchange {identity_of(whole())} is there: it differs in the "
        "body of the request, the body of the answer: import it into another store to have it as well\n"
    )
    # Only what was read of the answer is changed: the bodies are those that are there.
    for place in range(told.index('"recording"')):
        if told.startswith("ABCDEFGH1234", place):
            tampered.write_text(told[:place] + "TAMPERED" + told[place + 8 :], encoding="utf-8")
            assert imported(store_url, tampered, code=1)["different"][0]["differs"] == ["told"]
    line = run("import", str(tampered), "--store", store_url).stderr
    assert "its bodies are the same, but what the file tells beside them is not what this version reads in them" in line


UNTOLD = "messages and the verdict that the file tells were not compared"


def test_where_only_the_recording_was_compared_is_told(store_url: str, tmp_path: Path) -> None:
    """Nobody looked at what the file tells beside the bodies: there already does not say that this is the same."""
    fill(store_url, whole(1), whole(2), whole(3))
    file = exported(store_url, tmp_path / "o.jsonl")
    assert UNTOLD not in run("import", str(file), "--store", store_url).stdout
    assert "untold" not in imported(store_url, file)
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    del lines[0]["recording"]["reader"]
    lines[1]["recording"]["reader"] = "0" * 32
    lines[1]["messages"][0]["parts"][0]["text"] = "something else"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    done = run("import", str(file), "--store", store_url)
    whys = "the file does not say what read it (1), another version read it (1)"
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:3] == ["3 exchanges there already", f"  of 2 of them the {UNTOLD}: {whys}"]
    assert imported(store_url, file)["untold"] == {
        "another version read it": 1,
        "the file does not say what read it": 1,
    }
    other = f"sqlite:///{tmp_path}/other.db"  # what is new has nothing that it could be compared with
    assert "untold" not in imported(other, file)


@pytest.mark.parametrize("name", ["har", "json"])
def test_only_what_tells_something_beside_its_bodies_is_told_of(store_url: str, tmp_path: Path, name: str) -> None:
    fill(store_url, whole())
    file = exported(store_url, tmp_path / f"o.{name}", name=name)
    assert UNTOLD not in run("import", str(file), "--store", store_url).stdout
    hiding = ("import", str(file), "--redact", "body:messages", "--store", f"sqlite:///{tmp_path}/hidden.db")
    assert "1 exchange imported" in run(*hiding).stdout
    again = run(*hiding).stdout
    assert "1 exchange there already\n" in again
    assert (f"{UNTOLD}: this import hides or sets aside something of it (1)" in again) is (name == "json")


@pytest.mark.parametrize("reader", [None, "0" * 32, 7])
def test_what_something_else_read_in_the_same_bodies_is_no_difference(
    store_url: str, tmp_path: Path, reader: str | int | None
) -> None:
    """An export of another version, which read its bodies otherwise, and of one that did not say what it was."""
    fill(store_url, whole())
    file = exported(store_url, tmp_path / "o.jsonl")
    line = json.loads(file.read_text(encoding="utf-8"))
    line["messages"][0]["parts"][0]["text"] = "as it was read then"
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert imported(store_url, file, code=1)["different"][0]["differs"] == ["told"]
    del line["recording"]["reader"]
    line["recording"] |= {} if reader is None else {"reader": reader}
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert imported(store_url, file)["present"] == 1


@pytest.mark.parametrize("name", ["json", "jsonl"])
@pytest.mark.parametrize("rule", ["body:/user", "query:who", "header:content-type", "header:x-other"])
def test_what_an_import_hides_is_there_when_it_comes_again(
    store_url: str, tmp_path: Path, name: str, rule: str
) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    asking = ExchangeBuilder(1).request(ASKED | {"user": "bob"}, url="https://api.example.test/v1/chat?who=bob")
    fill(origin, asking.response().sse(delta(role="assistant", content="yes", finish="stop")).completed())
    file = exported(origin, tmp_path / "o", name=name)
    for state in ("imported", "present"):
        done = run("import", str(file), "--redact", rule, "--json", "--store", store_url)
        assert (done.exit_code, json.loads(done.stdout)[state]) == (0, 1), done.output


def test_what_was_read_around_gaps_is_not_compared(store_url: str, tmp_path: Path) -> None:
    """Where they were does not leave with the export: what is read of it is less than what was read here."""
    gap = {"events": 1, "bytes": 9, "from_ns": 1, "to_ns": 2, "reason": "disk full"}
    fill(store_url, asked().event("gap_recorded", gap).sse(delta(content="ABCDEFGH1234", finish="stop")).completed())
    file = exported(store_url, tmp_path / "o.jsonl")
    line = json.loads(file.read_text(encoding="utf-8"))
    line["messages"][0]["parts"][0]["text"] = "as it was read around the gap"
    file.write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert imported(store_url, file)["present"] == 1


@pytest.mark.parametrize(
    ("changed", "differs"),
    [
        ({"_head_ns": 5}, ["times"]),
        ({"_duration_ns": 60_000_000_000}, ["times"]),
        ({"startedDateTime": "2026-01-01T00:00:00Z"}, ["times"]),
        ({"_transport_end": "response_truncated"}, ["end"]),
        ({"_attempt": 2}, ["call"]),
        ({"_recording_has_gaps": True}, ["gaps"]),
        ({"_chunks": [{"end": 1}]}, []),  # which are chunks of another body: they are not read
    ],
)
def test_what_is_kept_is_compared(store_url: str, tmp_path: Path, changed: dict[str, Any], differs: list[str]) -> None:
    fill(store_url, whole())
    file = exported(store_url, tmp_path / "o.har", name="har")
    document = json.loads(file.read_text(encoding="utf-8"))
    document["log"]["entries"][0] |= changed
    file.write_text(json.dumps(document), encoding="utf-8")
    report = imported(store_url, file, code=1 if differs else 0)
    assert [name for one in report["different"] for name in one["differs"]] == differs


def test_an_exchange_that_was_imported_while_it_was_running_is_told(store_url: str, tmp_path: Path) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    fill(origin, asked())
    live = exported(origin, tmp_path / "live.jsonl")
    full = whole()
    full.events = full.events[3:]
    fill(origin, full)
    over = exported(origin, tmp_path / "over.jsonl")
    assert imported(store_url, live)["imported"] == 1
    report = imported(store_url, over, code=1)
    assert report["different"][0] == {
        "entry": 1,
        "exchange": identity_of(full),
        "differs": ["response_body", "chunks", "times", "end"],
        "beginning": "store",
    }
    line = run("import", str(over), "--store", store_url).stderr
    assert "had not ended, and the file has more of it" in line
    assert "import it into another store to have all of it" in line
    assert imported(origin, live, code=1)["different"][0]["beginning"] == "file"
    assert imported(store_url, live)["present"] == 1  # again, it is the same
    other = f"sqlite:///{tmp_path}/other.db"
    assert imported(other, over)["imported"] == 1
    (row,) = json_lines(run("list", "--json", "--store", other), "list")
    assert row["verdict"] == "complete"


def test_two_of_one_id_in_one_file(store_url: str, tmp_path: Path) -> None:
    origin = f"sqlite:///{tmp_path}/origin.db"
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    fill(origin, whole())
    full = exported(origin, tmp_path / "o.jsonl").read_text(encoding="utf-8")
    both = tmp_path / "both.jsonl"
    both.write_text(full + full.replace("ABCDEFGH1234", "TAMPERED1234") + full, encoding="utf-8")
    report = imported(store_url, both, code=1)
    assert (report["imported"], report["present"]) == (1, 1)
    assert [one["entry"] for one in report["different"]] == [2]
    assert "ABCDEFGH1234" in shown(store_url)


def test_what_was_erased_confirms_nothing(sealed_url: str, tmp_path: Path) -> None:
    fill(sealed_url, whole())
    file = exported(sealed_url, tmp_path / "o.jsonl")
    done = run("erase", identity_of(whole()), "--ground", "asked", "--yes", "--store", sealed_url)
    assert done.exit_code == 0, done.output
    assert imported(sealed_url, file, code=1)["different"][0]["differs"] == ["not_readable"]
    assert "so nothing could be compared" in run("import", str(file), "--store", sealed_url).stderr
    assert "ABCDEFGH1234" not in shown(sealed_url)


def test_what_is_encrypted_confirms_nothing_without_its_key(store_url: str, tmp_path: Path) -> None:
    record(store_url)
    file = exported(store_url, tmp_path / "o.jsonl")
    assert imported(store_url, file)["present"] == 3
    hide_table(tmp_path)
    assert [one["differs"] for one in imported(store_url, file, code=1)["different"]] == [["not_readable"]] * 3


def test_an_id_of_something_else(store_url: str, tmp_path: Path) -> None:
    opening = ExchangeBuilder(1).event("conversation_named", {"name": "desk"})
    origin = f"sqlite:///{tmp_path}/origin.db"
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    fill(origin, whole())
    fill(store_url, opening)
    file = exported(origin, tmp_path / "o.jsonl")
    assert imported(store_url, file, code=1)["different"][0]["differs"] == ["kind"]


def test_into_a_cassette(tmp_path: Path) -> None:
    origin, cassette = f"sqlite:///{tmp_path}/origin.db", str(tmp_path / "cassette.jsonl")
    assert run("db", "upgrade", "--store", origin).exit_code == 0
    fill(origin, whole())
    file = exported(origin, tmp_path / "o.jsonl")
    assert imported(cassette, file)["imported"] == 1
    assert imported(cassette, file)["present"] == 1
    changed = tmp_path / "changed.jsonl"
    changed.write_text(re.sub("ABCDEFGH1234", "TAMPERED1234", file.read_text(encoding="utf-8")), encoding="utf-8")
    before = Path(cassette).read_bytes()
    assert imported(cassette, changed, code=1)["different"][0]["differs"] == ["request_body", "response_body"]
    assert Path(cassette).read_bytes() == before

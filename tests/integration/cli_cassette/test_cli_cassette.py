"""``recorder cassette``: from and to a store, other rules, pruned; the reading commands; and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from recorder.store import open_events
from recorder.store.base import SpoolMark
from tests.building import ExchangeBuilder
from tests.commands import SCHEMAS, answered, identity_of, json_lines, run, told
from tests.integration.cli_cassette.holding import CUT, HOME, ONE, TWO, fill_cassette, held, names
from tests.recorded import streams

SCHEMA = json.loads((SCHEMAS / "cassette.schema.json").read_text(encoding="utf-8"))
LINES = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)


def test_every_line_follows_its_schema(file: Path, tmp_path: Path) -> None:
    running = tmp_path / "running.jsonl"
    odd = ExchangeBuilder(9).event("request_sent", {"a": 1}, b"\xff\x00" * 20, flags=3, instance=b"o" * 16)
    odd.wall_ns += 5
    odd.event("chunk_received", None, b"caf\xc3", meta='{"b": 1}').event("response_failed", {"kind": "reset"})
    log = open_events(str(running))
    log.append([CUT.opened, odd.opened], [*odd.events[:1], *CUT.events, *odd.events[1:]], SpoolMark(b"s" * 16, 0, 1))
    told_of = set()
    for line in (*file.read_bytes().splitlines(), *running.read_bytes().splitlines()):
        value = json.loads(line)
        LINES.validate(value)
        told_of |= value.keys()
    assert {"cassette", "recording", "conversation", "more", "end", "skew", "instance", "meta_text", "body"} <= told_of
    for bad in ({"more": "x"}, {"cassette": 2, "exchanges": 0}, {"event": "chunk_received", "ns": 0, "x": 1}, {}):
        assert list(LINES.iter_errors(bad)), bad


def test_from_a_store_and_to_another(url: str, tmp_path: Path) -> None:
    file = tmp_path / "new" / "all.jsonl"
    result = run("cassette", "from-store", str(file), "--store", url)
    assert result.stdout == f"{file}: 3 exchanges, {_events(HOME, ONE, TWO, CUT)} events written\n"
    assert "1 exchange without an end yet" in result.stderr
    assert held(file) == names(HOME, ONE, TWO, CUT)
    again = run("cassette", "from-store", str(file), "--store", url)
    assert f"0 events written, {_events(HOME, ONE, TWO, CUT)} there already" in again.stdout
    target = f"sqlite:///{tmp_path}/target.db"
    assert "3 exchanges" in run("cassette", "to-store", str(file), "--store", target).stdout
    assert "there already" in run("cassette", "to-store", str(file), "--store", target).stdout

    def hashes(of: str) -> dict[str, list[str]]:
        return {name: [event.hash.hex() for event in events] for name, events in streams(of).items()}

    assert hashes(target) == hashes(url) == hashes(str(file))


def _events(*built: ExchangeBuilder) -> int:
    return sum(len(one.events) for one in built)


def test_some_of_a_store(url: str, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    run("cassette", "from-store", str(file), identity_of(TWO), "--store", url)
    assert held(file) == names(TWO)
    run("cassette", "from-store", str(file), "order", "--store", url)
    assert held(file) == names(HOME, ONE, TWO)
    told(run("cassette", "from-store", str(file), "nothing", "--store", url), 1)
    assert "nothing is recorded that fits" in told(
        run("cassette", "from-store", str(file), "--model", "m-9", "--store", url), 1
    )


def test_with_rules(url: str, tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    run("cassette", "from-store", str(file), "--match", '{"ignore":["/user"]}', "--store", url)
    assert run("cassette", "rules", str(file)).stdout == f"{file}: ignore /user\n"
    line = told(run("cassette", "from-store", str(file), "--match", "{}", "--store", url), 2)
    assert line.startswith(
        f"error: {file}, line 1: it is matched by other rules (ignore /user) than are asked for (strict)"
    )
    assert run("cassette", "from-store", str(file), "--store", url).exit_code == 0
    assert run("cassette", "rules", str(file), "--set", '{"normalise":["ids"]}').stdout == f"{file}: normalise ids\n"
    assert json.loads(file.read_bytes().splitlines()[0])["match"] == {"normalise": ["ids"]}
    assert run("cassette", "rules", str(file), "--set", "{}").stdout == f"{file}: strict\n"
    assert "match" not in json.loads(file.read_bytes().splitlines()[0])
    assert held(file) == names(HOME, ONE, TWO, CUT)


def test_what_another_exchange_has_the_id_of_is_refused(url: str, tmp_path: Path) -> None:
    file = tmp_path / "other.jsonl"
    fill_cassette(file, answered(3, ("user", "another")))
    before = file.read_bytes()
    line = told(run("cassette", "from-store", str(file), "--store", url), 1)
    assert f"holds another exchange {identity_of(TWO)}, nothing was written" in line
    assert file.read_bytes() == before
    assert "another" in told(run("cassette", "to-store", str(file), "--store", url), 1)


def test_what_was_recorded_with_more_redaction_is_not_added_to_from_a_store(url: str, tmp_path: Path) -> None:
    file = tmp_path / "redacted.jsonl"
    file.write_text('{"cassette":1,"exchanges":0,"redact":["body:name"]}\n')
    line = told(run("cassette", "from-store", str(file), "--store", url), 2)
    assert f"{file}, line 1: it was recorded with the redaction rule 'body:name'" in line


def test_an_import_takes_the_rules_of_the_file(tmp_path: Path) -> None:
    file, har = tmp_path / "x.jsonl", tmp_path / "x.har"
    asked = {"method": "POST", "url": "https://a.test/x", "headers": [], "httpVersion": "HTTP/1.1"}
    asked["postData"] = {"mimeType": "application/json", "text": '{"name": "kept-out", "model": "m"}'}
    answer = {"status": 200, "statusText": "OK", "headers": [], "content": {"text": "fine"}, "httpVersion": "HTTP/1.1"}
    entry = {"startedDateTime": "2026-01-01T00:00:00.000Z", "time": 1, "request": asked, "response": answer}
    har.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    assert run("import", str(har), "--redact", "body:name", "--store", str(file)).exit_code == 0
    assert "kept-out" not in file.read_text()
    assert json.loads(file.read_bytes().splitlines()[0]) == {"cassette": 1, "exchanges": 1, "redact": ["body:name"]}
    assert "1 exchange there already" in run("import", str(har), "--store", str(file)).stdout
    assert "without the redaction rule 'body:x'" in told(
        run("import", str(har), "--redact", "body:x", "--store", str(file)), 2
    )
    assert run("cassette", "check", str(file)).stdout == f"ok  {file}: 1 exchange\n"


def test_the_reading_commands_take_one(file: Path) -> None:
    listed = json_lines(run("list", "--json", "--store", str(file)), "list")
    assert [one["id"] for one in listed] == [identity_of(one) for one in (CUT, TWO, ONE)]
    assert "Hold" in run("show", identity_of(TWO), "--store", str(file)).stdout
    assert len(json_lines(run("events", identity_of(TWO), "--json", "--store", str(file)), "events")) == len(TWO.events)
    for command in (
        ["verify"],
        ["stats"],
        ["search", "two"],
        ["export", identity_of(TWO)],
        ["replay", identity_of(TWO)],
    ):
        assert run(*command, "--store", str(file)).exit_code == 0
    for command in (["tail"], ["db", "status"], ["db", "check"], ["db", "upgrade"], ["db", "rebuild"]):
        line = told(run(*command, "--store", str(file)), 2)
        assert line == f"error: {file} is a cassette, not a store: `recorder cassette` works on it"


# Pruned


def test_pruned(file: Path) -> None:
    before = file.read_bytes()
    told_so = run("cassette", "prune", str(file), "--unfinished", "--dry-run").stdout
    assert told_so.startswith(f"{file}: 1 exchange would be taken out, 2 left\n")
    assert file.read_bytes() == before
    run("cassette", "prune", str(file), "--unfinished")
    assert held(file) == names(HOME, ONE, TWO)
    run("cassette", "prune", str(file), identity_of(ONE)[:18])
    assert held(file) == names(TWO)  # and nothing is left of its conversation
    assert run("cassette", "prune", str(file), "--before", "2026-01-01").stdout.startswith(f"{file}: 0 exchanges")
    run("cassette", "prune", str(file), "--before", "2026-10-01")
    assert file.read_bytes() == b'{"cassette":1,"exchanges":0}\n'


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "nothing was named"),
        (["ffff"], 1, "has no exchange ffff: see `recorder list --store"),
        (["0190"], 1, "has 3 exchanges whose ids begin or end with '0190': give more of it"),
        ([""], 1, "has no exchange"),
        (["--before", "never"], 2, "never"),
    ],
)
def test_nothing_is_pruned(file: Path, arguments: list[str], code: int, says: str) -> None:
    before = file.read_bytes()
    assert says in told(run("cassette", "prune", str(file), *arguments), code)
    assert file.read_bytes() == before


# Bad input


@pytest.mark.parametrize(
    "command",
    [
        ["cassette", "check", "{}"],
        ["cassette", "list", "{}"],
        ["cassette", "prune", "{}", "--unfinished"],
        ["cassette", "rules", "{}"],
        ["cassette", "rules", "{}", "--set", "{{}}"],
        ["cassette", "upgrade", "{}"],
        ["cassette", "upgrade", "--accept", "{}"],
        ["cassette", "to-store", "{}", "--store", "sqlite:///never.db"],
        ["list", "--store", "{}"],
        ["verify", "--store", "{}"],
        ["replay", "x", "--store", "{}"],
        ["recover", "--store", "{}"],
    ],
    ids=lambda command: " ".join(command[:3]),
)
def test_one_that_is_not_there(command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    missing = tmp_path / "missing" / "x.jsonl"
    line = told(run(*(part.format(missing) for part in command)), 3)
    assert line.startswith(f"error: there is no cassette {missing}: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [["from-store", "x.txt"], ["rules", "c/order.jsonl", "--set", "{"], ["rules", "c/order.jsonl", "--set", '{"a":1}']],
    ids=" ".join,
)
def test_wrong_usage(
    file: Path, url: str, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECORDER_STORE", url)
    told(run("cassette", *arguments), 2)
    assert held(file) == names(HOME, ONE, TWO, CUT)


def test_a_link_is_written_through(file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.jsonl"
    link.symlink_to(file)
    run("cassette", "prune", str(link), "--unfinished")
    run("cassette", "rules", str(link), "--set", '{"ignore":["/a"]}')
    assert link.is_symlink()
    assert held(file) == names(HOME, ONE, TWO)


def test_names_of_any_kind(tmp_path: Path, url: str) -> None:
    for name in ("50% of it.jsonl", "Züge 你好.jsonl", "a\nb.jsonl", "\udcff.jsonl"):
        path = tmp_path / name
        assert run("cassette", "from-store", str(path), "--store", url).exit_code == 0, name
        assert run("cassette", "check", str(path)).exit_code == 0
        path.write_bytes(path.read_bytes()[:-9])
        assert len(told(run("list", "--store", str(path)), 1).splitlines()) == 1
        (row,) = map(json.loads, run("cassette", "list", "--json", str(path)).stdout.splitlines())
        assert isinstance(row, dict)

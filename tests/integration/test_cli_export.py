"""recorder export of a recording that was changed after it was made: every format says so, and so does a warning."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.building import ExchangeBuilder, delta
from tests.commands import STREAMED, answered, asking, fill, identity_of, json_lines, run

OPENING = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
BELONGS = {"conversation": identity_of(OPENING), "name": "desk"}
SOUND = answered(1, ("user", "one"), text="Wait.", **BELONGS)
TOUCHED = answered(2, ("user", "two"), text="Hold — 1.0850 €", **BELONGS)
SOUND_ID, TOUCHED_ID = identity_of(SOUND), identity_of(TOUCHED)
DETAIL = "hash of version 4 does not verify"
WARNING = f"warning: exchange {TOUCHED_ID} is not as it was written ({DETAIL}): see `recorder verify`\n"
NOTE = "> **Not as written**: "


@pytest.fixture
def url(sqlite_url: str) -> str:
    """A store in whose file one bit of one chunk's text is another."""
    fill(sqlite_url, OPENING, SOUND, TOUCHED)
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    body = TOUCHED.events[3].body
    data = file.read_bytes()
    assert body is not None
    assert b"Hold" in body
    assert data.count(body) == 1
    at = data.index(body) + body.index(b"Hold")
    file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    return sqlite_url


@pytest.mark.parametrize("identity", [TOUCHED_ID, "desk"])
def test_markdown_says_it_at_the_top_and_at_the_exchange(url: str, identity: str) -> None:
    result = run("export", identity, "--store", url)
    assert (result.exit_code, result.stderr) == (0, WARNING)
    head, *exchanges = result.stdout.split("## Exchange ")
    assert (
        f"{NOTE}the recording was changed or damaged after it was made.\n> Exchange `{TOUCHED_ID}`: `{DETAIL}`" in head
    )
    assert SOUND_ID not in head
    assert {one[1:37]: NOTE + f"`{DETAIL}`\n" in one for one in exchanges} == {
        one: one == TOUCHED_ID for one in ([SOUND_ID, TOUCHED_ID] if identity == "desk" else [TOUCHED_ID])
    }


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_says_it_as_show_does(url: str, name: str) -> None:
    result = run("export", "desk", "--format", name, "--store", url)
    assert (result.exit_code, result.stderr) == (0, WARNING)
    exported = (
        json.loads(result.stdout)["exchanges"] if name == "json" else [*map(json.loads, result.stdout.splitlines())]
    )
    assert all(one.pop("recording")["response_body"] for one in exported)
    assert exported == json_lines(run("show", "desk", "--json", "--store", url), "show")
    findings = {one["id"]: [found["kind"] for found in one["findings"]] for one in exported}
    assert findings == {SOUND_ID: [], TOUCHED_ID: ["not_as_written"]}


def test_a_file_is_written_and_the_warning_told(url: str, tmp_path: Path) -> None:
    result = run("export", TOUCHED_ID, "--store", url, "-o", str(tmp_path / "out.md"))
    assert (result.exit_code, result.stderr.startswith(WARNING)) == (0, True)
    assert NOTE in (tmp_path / "out.md").read_text()


def test_nothing_is_said_of_what_is_as_it_was_written(url: str) -> None:
    result = run("export", SOUND_ID, "--store", url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Not as written" not in result.stdout


def test_what_a_format_refuses_is_one_line_and_leaves_no_file(url: str, tmp_path: Path) -> None:
    result = run("export", "desk", "--format", "sse", "--store", url, "-o", str(tmp_path / "desk.sse"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"{WARNING}error: sse holds the body of one exchange and several exchanges are given: "
        "name one exchange by its ID (`recorder list`)\n"
    )
    assert list(tmp_path.glob("*.sse*")) == []
    result = run("export", SOUND_ID, "--format", "sse", "--store", url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes == b"".join(
        event.body or b"" for event in SOUND.events if event.type == "chunk_received"
    )


@pytest.mark.parametrize("name", ["har", "html", "csv"])
def test_other_formats_say_it_too(url: str, name: str) -> None:
    result = run("export", "desk", "--format", name, "--store", url)
    assert (result.exit_code, result.stderr) == (0, WARNING)
    assert result.stdout.count(DETAIL) == {"har": 2, "html": 2, "csv": 1}[name]


@pytest.mark.parametrize("name", ["sharegpt", "openai-jsonl"])
def test_what_training_examples_have_no_place_for_is_told(sqlite_url: str, tmp_path: Path, name: str) -> None:
    call = {"index": 0, "id": "c1", "function": {"name": "place_order", "arguments": ""}}
    calling = asking(3, ("user", "go")).response(headers=STREAMED)
    calling.sse(delta(tool_calls=[call]), delta(finish="tool_calls")).completed()
    cut = [
        asking(number, ("user", "c")).response(headers=STREAMED).sse(delta(content="x"), done=False)
        for number in (4, 5)
    ]
    ended = [one.event("response_truncated", {"received": 1}) for one in cut]
    fill(sqlite_url, OPENING, SOUND, TOUCHED, calling, *ended)
    warning = f"warning: {name} has no place for "
    whys = "an answer that is not complete (2), arguments that are not known to be complete (1)"
    every = run("export", "--all", "--format", name, "--store", sqlite_url)
    assert (every.exit_code, every.stderr, len(every.stdout.splitlines())) == (0, f"{warning}3 exchanges: {whys}\n", 2)
    some = run("export", "--verdict", "truncated", "--format", name, "--store", sqlite_url)
    assert (some.stdout, some.stderr) == ("", f"{warning}2 exchanges: an answer that is not complete (2)\n")
    one = run("export", identity_of(cut[0]), "--format", name, "--store", sqlite_url, "-o", str(tmp_path / "one"))
    assert one.stderr.endswith(f"bytes\n{warning}1 exchange: an answer that is not complete (1)\n")
    assert run("export", "desk", "--format", name, "--store", sqlite_url).stderr == ""

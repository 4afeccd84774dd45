"""recorder export --redact: what a rule finds is in no document, and is told by its number only."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from recorder.formats.base import formats
from tests.building import ExchangeBuilder, delta
from tests.commands import answered, fill, identity_of, run, told
from tests.conftest import ENGINES, Sharing
from tests.redacting import holds, rows_of

OPENING = ExchangeBuilder(9).event("conversation_named", {"name": "Smithson's desk"})
BELONGS = {"conversation": identity_of(OPENING), "name": "Smithson's desk"}
FIRST = answered(1, ("user", "I am Smithson"), text="Hello Smithson!", call="call-1", **BELONGS)
SECOND = answered(
    2,
    ("user", "I am Smithson"),
    ("assistant", "Hi, Smithson."),
    ("user", "More"),
    text="No, Smithson.",
    call="call-2",
    **BELONGS,
)
DESK = identity_of(OPENING)
TOLD = "rule 1 (text): 7 places redacted\n"


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    """A store with a conversation in whose name, messages and answers a secret stands."""
    return shared_store(request.param, lambda url: fill(url, OPENING, FIRST, SECOND))


@pytest.mark.parametrize("name", sorted(set(formats()) - {"sse"}))
def test_a_conversation_in_every_format(url: str, name: str) -> None:
    result = run("export", DESK, "--format", name, "--store", url, "--redact", "text:Smithson")
    assert result.exit_code == 0, result.stderr
    document = rows_of(result.stdout_bytes) if name == "parquet" else result.stdout
    assert not holds(document, "Smithson")
    assert document.count("[redacted]") or name in ("csv",)
    assert "rule 1 (text): " in result.stderr
    assert "Smithson" not in result.stderr


def test_what_was_changed_in_the_history_is_told_without_the_secret(url: str) -> None:
    result = run("export", DESK, "--format", "json", "--store", url, "--redact", "text:Smithson")
    value = json.loads(result.stdout)
    assert value["conversation"]["name"] == "[redacted]'s desk"
    kinds = [[found["kind"] for found in one["findings"]] for one in value["exchanges"]]
    assert kinds == [["redacted_for_export"], ["redacted_for_export", "answer_edited"]]
    assert [found["detail"] for one in value["exchanges"] for found in one["findings"]][:2] == [
        "rule 1 (text): 3",
        "rule 1 (text): 4",
    ]
    assert result.stderr == TOLD


def test_the_recording_stays(url: str) -> None:
    before = run("events", identity_of(FIRST), "--json", "--store", url).stdout
    run("export", DESK, "--store", url, "--redact", "text:Smithson")
    assert run("events", identity_of(FIRST), "--json", "--store", url).stdout == before
    assert "Smithson" in run("export", DESK, "--store", url).stdout


def test_rules_in_a_file_and_on_the_command_line(url: str, tmp_path: Path) -> None:
    rules = tmp_path / "rules.txt"
    rules.write_text("# what must not leave\n\ntext:Smithson\r\ndetect:email\n", encoding="utf-8")
    out = tmp_path / "out.sse"
    options = ["--format", "sse", "--store", url, "-o", str(out), "--redact", "text:Hello", "--redact-file", str(rules)]
    result = run("export", identity_of(FIRST), *options)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == (
        f"{out}: {out.stat().st_size:,} bytes\nrule 1 (text): 1 place redacted\nrule 2 (text): 3 places redacted\n"
        "rule 3 (detect:email): 0 places redacted\n"
    )
    assert "Hello" not in out.read_text()
    assert "Smithson" not in out.read_text()


def test_what_cannot_be_left_out_leaves_no_file(url: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = run("export", DESK, "--format", "json", "--store", url, "-o", str(out), "--redact", "text:choices")
    assert "rule 1 (text)" in told(result, 1) or "no longer be read" in told(result, 1)
    assert list(tmp_path.glob("*out*")) == []


def test_what_a_format_writes_itself_is_refused_before_it_is_written(url: str, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    result = run(
        "export", DESK, "--format", "json", "--store", url, "-o", str(out), "--redact", "text:conversation_name"
    )
    assert "rule 1 (text) still finds something in what this format writes" in told(result, 1)
    assert list(tmp_path.glob("*out*")) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--redact", "Smithson"], "rule 1 is none: write text:TEXT"),
        (["--redact", "text:x y", "--redact", "re:("], "rule 2 is no regular expression"),
        (["--redact", "detect:name"], "use one of card, email, iban, key, phone"),
        (["--redact-file", "absent.txt"], "absent.txt cannot be read (No such file or directory)"),
    ],
)
def test_what_is_no_rule_is_one_line(url: str, options: list[str], said: str) -> None:
    line = told(run("export", DESK, "--store", url, *options), 2)
    assert said in line
    assert "Smithson" not in line


@pytest.mark.parametrize(("content", "said"), [(b"# none\n\n", "no rule in it"), (b"text:\xff\n", "no UTF-8")])
def test_a_file_that_holds_no_rules(url: str, tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "rules.txt"
    file.write_bytes(content)
    assert said in told(run("export", DESK, "--store", url, "--redact-file", str(file)), 2)


@pytest.mark.parametrize(("name", "word"), [("json", "content"), ("csv", "id"), ("markdown", "finish_reason")])
def test_words_of_the_wire_are_refused_and_not_dropped(url: str, name: str, word: str) -> None:
    line = told(run("export", DESK, "--format", name, "--store", url, "--redact", f"text:{word}"), 1)
    assert line.startswith("error: rule 1 (text) finds a name or a word of the wire format in exchange ")
    assert line.endswith("nothing is exported of it; make it more specific")


@pytest.mark.parametrize("name", sorted(set(formats()) - {"sse"}))
def test_a_number_that_a_path_selects_is_in_no_format(store_url: str, name: str) -> None:
    asking = ExchangeBuilder(3).request({"account": 90210777, "messages": [{"role": "user", "content": "hi"}]})
    body = json.dumps({"choices": [{"index": 0, "message": {"content": "no 90210777"}, "finish_reason": "stop"}]})
    answer = asking.response(headers=[("content-type", "application/json")]).chunks(body.encode()).completed()
    fill(store_url, answer)
    result = run("export", identity_of(answer), "--format", name, "--store", store_url, "--redact", "json:$.account")
    assert result.exit_code == 0, result.stderr
    assert not holds(rows_of(result.stdout_bytes) if name == "parquet" else result.stdout, "90210777")


@pytest.mark.parametrize("name", ["jsonl", "markdown", "har", "html"])
def test_base64_that_is_broken_over_lines_and_over_deltas_is_looked_into(sqlite_url: str, name: str) -> None:
    told = b"The password that nobody is to know is hunter22hunter, and it stands in the middle of a long text."
    coded = base64.encodebytes(told).decode()
    asked = answered(1, ("user", f"see\n{coded}"), text="ok")
    parts = [delta(role="assistant", content=f"it is\n{coded[:60]}"), delta(content=f"{coded[60:]}bye", finish="stop")]
    said = ExchangeBuilder(2).request({"model": "m", "messages": []}).response().sse(*parts).completed()
    fill(sqlite_url, asked, said)
    whole = ("export", "--all", "--format", name, "--store", sqlite_url)
    assert coded[8:20] in run(*whole).stdout
    done = run(*whole, "--redact", "text:hunter22hunter")
    assert done.exit_code == 0, done.stderr
    assert coded[8:20] not in done.stdout

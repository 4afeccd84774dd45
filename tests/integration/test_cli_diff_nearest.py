"""``recorder diff`` of a request and the recording that is nearest to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from jsonschema import Draft202012Validator

from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder
from tests.commands import SCHEMAS, answered, asking, fill, identity_of, run, told

HOLD = answered(1, ("system", "Be brief."), ("user", "buy ten lots now?"), text="Hold", call="c1")
OTHER = answered(2, ("user", "something else"), ("assistant", "yes"), ("user", "go on"), text="No", call="c2")
ASKED = asking(3, ("system", "Be brief."), ("user", "buy two lots now?"), call="c3").event("request_failed", {})


@pytest.fixture
def url(store_url: str) -> str:
    upgrade(store_url)
    fill(store_url, HOLD, OTHER, ASKED)
    return store_url


@pytest.fixture
def file_url(sqlite_url: str) -> str:
    fill(sqlite_url, HOLD, OTHER, ASKED)
    return sqlite_url


def objects(result: Result) -> list[dict[str, Any]]:
    validator = Draft202012Validator(json.loads((SCHEMAS / "diff.schema.json").read_text()))
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for one in found:
        validator.validate(one)
    return found


def body(*messages: tuple[str, str], **fields: Any) -> bytes:
    said = [{"role": role, "content": content} for role, content in messages]
    return json.dumps({"model": "m-1", "stream": True, "messages": said} | fields).encode()


def test_a_request_and_the_nearest_of_the_others(url: str) -> None:
    done = run("diff", identity_of(ASKED), "--nearest", "--store", url)
    assert (done.exit_code, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == f"nearest recording {identity_of(HOLD)}"
    assert lines[1].startswith('  body.messages[1].content: "buy ten lots now?" != "buy two')
    assert lines[2:] == ["  system: the same", "~ user", "  buy [-ten-]{+two+} lots now?"]
    first, *rest = objects(run("diff", identity_of(ASKED), "--nearest", "--json", "--store", url))
    assert (first["nearest"], len(first["fields"])) == (identity_of(HOLD), 1)
    assert [one["change"] for one in rest] == ["same", "changed"]


def test_another_store_is_looked_in(file_url: str, tmp_path: Path) -> None:
    other = f"sqlite:///{tmp_path}/other.db"
    fill(other, OTHER, ASKED)
    done = run("diff", identity_of(ASKED), "--nearest", "--in", other, "--store", file_url)
    assert (done.exit_code, done.stderr) == (0, "they say the same\n")
    assert done.stdout.startswith(f"nearest recording {identity_of(ASKED)}\n")


@pytest.mark.parametrize("given", [(), ("--url", "https://api.example.test/v1/chat/completions")])
def test_a_body_in_a_file_or_on_standard_input(file_url: str, tmp_path: Path, given: tuple[str, ...]) -> None:
    sent = body(("system", "Be brief."), ("user", "buy ten lots later?"), temperature=0.5)
    (tmp_path / "body.json").write_bytes(sent)
    for file, stdin in ((str(tmp_path / "body.json"), None), ("-", sent)):
        done = run("diff", "--request", file, *given, "--store", file_url, stdin=stdin)
        assert done.exit_code == 1, done.stderr
        assert done.stdout.splitlines()[0] == f"nearest recording {identity_of(HOLD)}"
        assert "  body.temperature: (absent) != 0.5" in done.stdout.splitlines()
        assert "buy ten lots [-now-]{+later+}?" in done.stdout


def test_the_same_request_differs_in_nothing(file_url: str, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(body(("system", "Be brief."), ("user", "buy ten lots now?")))
    done = run("diff", "--request", str(tmp_path / "body.json"), "--store", file_url)
    assert (done.exit_code, done.stderr) == (0, "they say the same\n")


def test_a_field_that_differs_is_a_difference_though_the_words_are_the_same(file_url: str, tmp_path: Path) -> None:
    sent = body(("system", "Be brief."), ("user", "buy ten lots now?"), model="m-9")
    (tmp_path / "body.json").write_bytes(sent)
    done = run("diff", "--request", str(tmp_path / "body.json"), "--store", file_url)
    assert (done.exit_code, done.stderr) == (1, "")
    assert 'body.model: "m-1" != "m-9"' in done.stdout


def test_a_url_that_is_nowhere_recorded_is_told_as_a_difference(file_url: str, tmp_path: Path) -> None:
    (tmp_path / "body.json").write_bytes(body(("user", "go on")))
    args = ("diff", "--request", str(tmp_path / "body.json"), "--url", "https://elsewhere.test/v1/chat/completions")
    done = run(*args, "--json", "--store", file_url)
    assert any(field.startswith("url: ") for field in objects(done)[0]["fields"])


def test_what_a_recording_has_redacted_equals_anything(sqlite_url: str, tmp_path: Path) -> None:
    hidden = body(("user", "one"), user="[redacted:0123456789abcdef]")
    built = ExchangeBuilder(1).request(hidden, call="c1", redacted=["body:/user"]).response().sse(1).completed()
    fill(sqlite_url, built)
    (tmp_path / "body.json").write_bytes(body(("user", "one"), user="Zoltan"))
    done = run("diff", "--request", str(tmp_path / "body.json"), "--store", sqlite_url)
    assert (done.exit_code, "Zoltan" in done.output) == (0, False)


@pytest.mark.parametrize(
    ("args", "code", "line"),
    [
        ((), 2, "nothing says what to compare: give A and B, or A and --nearest, or --request FILE"),
        (("desk",), 2, "nothing says what to compare"),
        ((identity_of(HOLD), identity_of(OTHER), "--nearest"), 2, "nothing says what to compare"),
        ((identity_of(HOLD), "--request", "x.json"), 2, "nothing says what to compare"),
        (("--request", "no-such.json"), 2, "no-such.json cannot be read (No such file or directory)"),
        (("--request", "text.json"), 2, "text.json is no JSON"),
        (("nothing", "--nearest"), 1, "nothing is called 'nothing'"),
        ((identity_of(HOLD), "--nearest", "--in", "sqlite:///no.db"), 3, "does not exist"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    file_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...], code: int, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.json").write_text("not json")
    assert line in told(run("diff", *args, "--store", file_url), code)


def test_a_store_with_one_exchange_has_nothing_near_it(sqlite_url: str) -> None:
    fill(sqlite_url, HOLD)
    line = told(run("diff", identity_of(HOLD), "--nearest", "--store", sqlite_url), 1)
    assert line == "error: there is no other recording to compare it with: see `recorder list`"


PROMPTS = ["What moved the price of oil?", "How much does AAPL cost today?", "Sell all lots of TSLA at noon."]


@pytest.mark.parametrize(("asked", "nearest"), [("how much did AAPL cost?", 1), ("sell lots of GOOG", 2), ("oil?", 0)])
def test_of_prompts_that_differ_in_one_field_it_is_the_one_with_the_same_words(
    sqlite_url: str, tmp_path: Path, asked: str, nearest: int
) -> None:
    fill(sqlite_url, *(answered(at, ("user", text), text="A", call=f"c{at}") for at, text in enumerate(PROMPTS, 1)))
    file = tmp_path / "request.json"
    file.write_bytes(body(("user", asked)))
    first, *_ = objects(run("diff", "--request", str(file), "--json", "--store", sqlite_url))
    assert first["nearest"] == identity_of(answered(nearest + 1, text="A", call="c"))

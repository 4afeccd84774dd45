"""recorder redact: what is hidden in what is shown, while what is recorded stays, and is proved, as it was."""

from __future__ import annotations

import json
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from recorder import Recorder
from recorder.core.events import JOURNAL_TYPES, Event
from recorder.formats.base import formats
from recorder.store import open_store
from tests.building import ExchangeBuilder, delta
from tests.commands import STREAMED, answered, asking, fill, identity_of, json_lines, run, told
from tests.erasing import check_proofs, erase, recorded
from tests.integration.test_cli_access import accesses
from tests.journals import journals
from tests.loopback import Script, serve
from tests.recorded import ask
from tests.redacting import holds, rows_of

SECRET = "DE89370400440532013000"
PIECES = ("DE893", "7040044", "053", "2013", "000")
RULE = r"re:[A-Z]{2}\d{20}"
GROUND = "data protection, request 7"
OPENING = ExchangeBuilder(7).event("conversation_named", {"name": "desk"})
DESK = identity_of(OPENING)
BELONGS = {"conversation": DESK, "name": "desk"}
FIRST = (
    asking(1, ("user", "Which account?"), **BELONGS)
    .response(headers=STREAMED)
    .sse(delta(role="assistant"), *(delta(content=one) for one in ("It is ", *PIECES, ".")), delta(finish="stop"))
    .completed()
)
SECOND = answered(
    2,
    ("user", "Which account?"),
    ("assistant", f"It is {SECRET}."),
    ("user", "Sure?"),
    text="Yes.",
    call="call-2",
    **BELONGS,
)
OTHER = answered(3, ("user", f"Pay to {SECRET}"), text="Paid.", call="call-3")
ONE, TWO, THREE = map(identity_of, (FIRST, SECOND, OTHER))


@pytest.fixture
def url(store_url: str) -> str:
    """A store with a conversation of two exchanges, of which the first answers in five deltas, and another exchange."""
    fill(store_url, OPENING, FIRST, SECOND, OTHER)
    return store_url


def hide(url: str, *arguments: str, rule: str = RULE) -> str:
    """Set a redaction; return its id."""
    result = run("redact", "set", *arguments, "--rule", rule, "--ground", GROUND, "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stdout.split()[1]


def recorded_events(url: str) -> list[Event]:
    """Return every event but those of journals, as it is stored."""
    with closing(open_store(url, write=False)) as store:
        return [event for _, events in store.walk() for event in events if event.type not in JOURNAL_TYPES]


def test_a_secret_in_five_deltas_is_hidden_and_shown_again(url: str) -> None:
    before = recorded_events(url)
    assert SECRET in run("show", ONE, "--store", url).stdout
    redaction = hide(url, ONE)
    result = run("show", ONE, "--store", url)
    assert "It is [redacted]." in result.stdout
    assert not holds(result.stdout, SECRET)
    assert result.stderr == "1 redaction was applied: --unredacted shows what is recorded\n"
    (shown,) = json_lines(run("show", ONE, "--json", "--store", url), "show")
    assert not holds(json.dumps(shown), SECRET)
    assert redaction in [found["detail"] for found in shown["findings"]][-1]
    assert recorded_events(url) == before
    verified = run("verify", "--views", "--store", url)
    assert verified.exit_code == 0, verified.stdout
    unredacted = run("show", ONE, "--unredacted", "--store", url)
    assert SECRET in unredacted.stdout
    assert unredacted.stderr == ""
    lifted = run("redact", "lift", redaction[-8:], "--ground", "it may be seen", "--store", url)
    assert lifted.stdout == f"lifted: redaction {redaction}\n"
    assert SECRET in run("show", ONE, "--store", url).stdout
    assert run("redact", "list", "--store", url).stderr == "nothing is redacted\n"


@pytest.mark.parametrize("name", sorted(formats()))
def test_it_is_in_no_format_of_an_export(url: str, name: str) -> None:
    hide(url, ONE)
    for chosen in ([ONE], ["--since", "2001-01-01", "--model", "m-1", "--finish", "stop"]):
        result = run("export", *chosen, "--format", name, "--store", url)
        if name == "sse" and len(chosen) > 1:
            assert result.exit_code == 2
            continue
        assert result.exit_code == 0, result.stderr
        document = rows_of(result.stdout_bytes) if name == "parquet" else result.stdout
        assert holds(document, SECRET) == (len(chosen) > 1 and name != "csv")  # two others say it, and are not hidden
        assert "1 redaction was applied: --unredacted exports" in result.stderr
    plain = run("export", ONE, "--format", name, "--unredacted", "--store", url)
    assert (plain.exit_code, plain.stderr) == (0, "")


def test_a_conversation_is_hidden_whole_and_another_not(url: str) -> None:
    hide(url, "desk")
    for command in (["show", ONE], ["show", TWO], ["show", "desk"], ["export", "desk"], ["export", TWO]):
        result = run(*command, "--store", url)
        assert result.exit_code == 0, result.stderr
        assert not holds(result.stdout, SECRET)
        assert "[redacted]" in result.stdout
        assert "1 redaction was applied" in result.stderr
    other = run("show", THREE, "--store", url)
    assert SECRET in other.stdout
    assert other.stderr == ""
    lines = run("export", "--all", "--format", "jsonl", "--store", url).stdout.splitlines()
    assert [holds(line, SECRET) for line in lines if '"id"' in line] == [False, False, True]


def test_what_a_rule_finds_in_one_exchange_is_hidden_in_all_of_the_conversation(url: str) -> None:
    hide(url, "--conversation", TWO, rule="json:$.messages[1].content")  # which only the second has
    assert not holds(run("show", TWO, "--store", url).stdout, SECRET)
    first = run("show", ONE, "--store", url).stdout
    assert not holds(first, f"It is {SECRET}.")  # what it found there, where no rule of its own would find it
    assert "[redacted]" in first


def test_everything_is_hidden_also_what_is_recorded_later(url: str) -> None:
    hide(url, "--all")
    fill(url, answered(4, ("user", "And now?"), text=f"Still {SECRET} ."))
    result = run("export", "--all", "--format", "jsonl", "--store", url)
    assert result.exit_code == 0, result.stderr
    assert not holds(result.stdout, SECRET)
    assert result.stdout.count("[redacted]") >= 4


def test_it_goes_together_with_the_options_of_an_export(url: str) -> None:
    hide(url, "--all")
    result = run(
        "export", "--all", "--format", "json", "--redact", "text:Which account", "--redact", RULE, "--store", url
    )
    assert result.exit_code == 0, result.stderr
    assert not holds(result.stdout, SECRET)
    assert not holds(result.stdout, "Which account")
    assert "rule 2 (re): 0 places redacted" in result.stderr


def test_names_and_tags_of_a_conversation(url: str) -> None:
    opening = (
        ExchangeBuilder(8)
        .event("conversation_named", {"name": f"desk of {SECRET}"})
        .event("tags_set", {"tags": {"account": SECRET}})
    )
    home = identity_of(opening)
    belongs = {"conversation": home, "name": f"desk of {SECRET}"}
    fill(url, opening, answered(9, ("user", "hello"), text="Hold", **belongs))
    hide(url, home)
    for command in (["show", home], ["export", home], ["export", home, "--format", "har"]):
        result = run(*command, "--store", url)
        assert result.exit_code == 0, result.stderr
        assert not holds(result.stdout, SECRET), command
    assert "account=[redacted]" in run("show", home, "--store", url).stdout


def test_a_search_shows_no_passage_of_what_is_hidden(url: str) -> None:
    redaction = hide(url, THREE)
    result = run("search", "pay", "--json", "--store", url)
    (hit,) = json_lines(result, "search")
    assert (hit["exchange"], hit["passage"]) == (THREE, [{"text": "[redacted]"}])
    assert "1 redaction was applied" in result.stderr
    assert not holds(run("search", "pay", "--store", url).stdout, SECRET)
    assert run("redact", "lift", redaction, "--ground", "g", "--store", url).exit_code == 0
    assert SECRET in run("search", "pay", "--store", url).stdout


def test_formats_of_events_hold_what_is_recorded_and_are_refused(url: str, tmp_path: Path) -> None:
    hide(url, ONE)
    out = ["-o", str(tmp_path / "out.parquet"), "--store", url]
    for chosen in (["--all"], [ONE], ["--model", "m-1"]):
        line = told(run("export", *chosen, "--format", "parquet-events", *out), 2)
        assert "recorder redact" in line
    assert run("export", THREE, "--format", "parquet-events", *out).exit_code == 0
    assert run("export", ONE, "--format", "parquet-events", "--unredacted", "--force", *out).exit_code == 0


def test_they_are_listed(url: str) -> None:
    made = [
        hide(url, ONE),
        hide(url, "--conversation", THREE, rule="detect:email"),
        hide(url, "--all", rule="json:$.user"),
    ]
    rows = json_lines(run("redact", "list", "--json", "--store", url), "redact")
    assert [row["redaction"] for row in rows] == made
    assert [row["rules"] for row in rows] == [[RULE], ["detect:email"], ["json:$.user"]]
    assert [next(name for name in ("exchange", "conversation", "all") if name in row) for row in rows] == [
        "exchange",
        "conversation",
        "all",
    ]
    shown = run("redact", "list", "--store", url).stdout.splitlines()
    assert len(shown) == 4
    assert "everything" in shown[-1]


def test_what_is_told_when_it_is_set(url: str) -> None:
    options = ["--ground", GROUND, "--store", url]
    result = run("redact", "set", ONE, "--rule", "detect:email", *options)
    assert result.stdout.endswith(f" hides what its rules find in the exchange {ONE}\n")
    nothing, repeated = result.stderr.splitlines()
    assert "find nothing there by now" in nothing
    assert "1 other exchange of the same conversation may repeat it" in repeated


def test_bad_input(url: str) -> None:
    options = ["--ground", GROUND, "--store", url]
    rule = ["--rule", "detect:email"]
    cases: list[tuple[list[str], int, str]] = [
        (["set", "nobody", *rule], 1, "nothing is called"),
        (["set", *rule], 2, "give the ID"),
        (["set", ONE, "--all", *rule], 2, "give the ID"),
        (["set", ONE, "--conversation", ONE, *rule], 2, "give the ID"),
        (["set", "--conversation", "nobody", *rule], 1, "nothing is called"),
        (["set", ONE, "--rule", f"text:{SECRET}"], 2, "as it is written"),
        (["set", ONE, "--rule", f"re:{SECRET}"], 2, "as it is written"),
        (["set", ONE, "--rule", "nonsense"], 2, "is none"),
        (["set", ONE, "--rule", "re:con[t]ent"], 1, "wire format"),
        (["lift", "123"], 1, "no redaction goes by"),
    ]
    for arguments, code, words in cases:
        line = told(run("redact", *arguments, *options), code)
        assert words in line
        assert SECRET not in line
    assert "ground is empty" in told(run("redact", "set", ONE, *rule, "--ground", " ", "--store", url), 2)
    assert journals(url) == {}  # nothing was recorded of any of them


def test_where_nobody_knows_what_to_hide_nothing_is_shown(url: str) -> None:
    from recorder.api.acts import write_down
    from recorder.clock import SystemClock

    with closing(open_store(url, write=True)) as store:
        write_down(store, SystemClock(), "redact", [("redaction_set", {"redaction": "x", "all": True})])
    for command in (["show", ONE], ["export", ONE], ["search", "pay"]):
        result = run(*command, "--store", url)
        assert result.stdout == ""
        assert "cannot be read" in told(result, 1)
    assert SECRET in run("show", ONE, "--unredacted", "--store", url).stdout


def test_it_is_sealed_and_the_access_trail_says_what_was_not_redacted(store_url: str, tmp_path: Path) -> None:
    made = recorded(store_url)
    hide(store_url, "annakarenina", rule="re:Zwetsch[a-z]+")
    acts: list[dict[str, Any]] = [
        event.facts for events in journals(store_url).values() for event in events if event.type == "redaction_set"
    ]
    assert [(one["rules"], one["ground"]) for one in acts] == [(["re:Zwetsch[a-z]+"], GROUND)]
    verified = run("verify", "--views", "--json", "--store", store_url)
    assert verified.exit_code == 0, verified.stdout
    assert run("export", "annakarenina", "--store", store_url).exit_code == 0
    assert run("export", "annakarenina", "--unredacted", "--store", store_url).exit_code == 0
    assert run("show", made.hers[0], "--unredacted", "--store", store_url).exit_code == 0
    found = [(one["action"], one["result"]) for one in accesses(store_url)]
    assert found == [("export", "as markdown"), ("export", "as markdown, unredacted"), ("show", "unredacted")]
    out = tmp_path / "e.zip"
    bundled = run("bundle", "--conversation", "annakarenina", "-o", str(out), "--store", store_url)
    assert bundled.exit_code == 0, bundled.stderr
    assert "1 redaction was applied to the transcripts" in bundled.stderr
    with zipfile.ZipFile(out) as bundle:
        for name in ("transcript.html", "transcript.md", "transcript.json"):
            text = bundle.read(name).decode()
            assert "[redacted]" in text
            assert "Zwetschgenknoedel" not in text
        assert "the transcripts, of 2 of them" in bundle.read("COVER.html").decode()
    checked = run("verify", "--bundle", str(out))
    assert checked.exit_code == 0, checked.stdout


def test_a_trace_leaves_it_out_and_its_places_with_it(store_url: str) -> None:
    recorded(store_url)
    answer = json.loads(run("trace", "order:1", "--json", "--store", store_url).stdout)["steps"][0]["answered"]
    word = answer[0]["parts"][0]["text"].split()[-1]
    assert "origin" in answer[0]["parts"][0]
    hide(store_url, "annakarenina", rule=f"re:(?:{word}|Zwetsch[a-z]+)")
    result = run("trace", "order:1", "--json", "--store", store_url)
    (shown,) = json_lines(result, "trace")
    assert "1 redaction was applied" in result.stderr
    for step in shown["steps"]:
        said = json.dumps([step["asked"], step["answered"]])
        assert "Zwetsch" not in said
        assert word not in said
        assert "origin" not in said
    assert not holds(run("trace", "order:1", "--store", store_url).stdout, "Zwetsch")
    unredacted = run("trace", "order:1", "--unredacted", "--store", store_url)
    assert "Zwetsch" in unredacted.stdout
    assert [(one["action"], one["result"], one["of"]) for one in accesses(store_url)] == [
        ("trace", "unredacted", "a selection")
    ]


def test_what_was_erased_is_shown_as_such(store_url: str) -> None:
    made = recorded(store_url)
    hide(store_url, "--conversation", made.hers[0], rule="re:Zwetsch[a-z]+")
    erase(store_url, made.hers[0])
    shown = run("show", made.hers[0], "--store", store_url)
    assert shown.exit_code == 0, shown.stderr
    assert "erased" in shown.stdout
    whole = run("export", "--all", "--store", store_url)
    assert whole.exit_code == 0, whole.stderr
    assert not holds(whole.stdout, "Zwetsch")
    check_proofs(store_url)


def test_a_cassette_has_no_place_for_it(tmp_path: Path) -> None:
    cassette = str(tmp_path / "a.jsonl")
    with serve(Script(chunks=3)) as server, Recorder(cassette) as recorder:
        assert ask(recorder.mount(requests.Session()), server.url, "hello").content
    options = ["--rule", "detect:email", "--ground", "g", "--store", cassette]
    assert "a cassette has no place" in told(run("redact", "set", "--all", *options), 2)
    assert run("redact", "list", "--store", cassette).stderr == "nothing is redacted\n"
    assert "hello" in run("export", "--all", "--store", cassette).stdout

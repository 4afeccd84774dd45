"""What a program changed in the history that it sent back, as ``show`` tells it of a conversation."""

from __future__ import annotations

import csv
import json

import pytest

from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder, delta
from tests.commands import answered, asking, fill, identity_of, json_lines, run

DESK = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}


def test_an_edited_answer_is_a_finding_of_the_conversation(store_url: str) -> None:
    upgrade(store_url)
    first = answered(1, ("user", "buy?"), text="hold", call="call-1", **DESK)
    again = answered(2, ("user", "buy?"), text="hold", call="call-2", **DESK)
    edited = answered(3, ("user", "buy?"), ("assistant", "BUY NOW"), ("user", "how much?"), call="call-3", **DESK)
    fill(store_url, first, again, edited)
    shown = run("show", "desk", "--store", store_url).stdout
    assert f"asks again   {identity_of(first)}" in shown
    assert f"goes on from {identity_of(again)}" in shown
    assert "history      answer_edited: message 2:" in shown
    assert "'hold', sent back as assistant 'BUY NOW'" in shown
    lines = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [line.get("relation") for line in lines] == [
        None,
        {"kind": "regenerates", "of": identity_of(first)},
        {"kind": "continues", "of": identity_of(again)},
    ]
    assert [finding["kind"] for finding in lines[2]["findings"]] == ["answer_edited"]


def test_a_clock_in_the_instructions_hides_no_retry(store_url: str) -> None:
    upgrade(store_url)
    asked = [(("system", f"it is {hour} o'clock"), ("user", "buy?")) for hour in range(4)]
    cut = asking(1, *asked[0], call="call-1", **DESK).response().sse(delta(role="assistant", content="ho"), done=False)
    again = answered(2, *asked[1], text="hold", call="call-2", **DESK)
    other = answered(3, *asked[2], text="sell", call="call-3", **DESK)
    on = answered(4, *asked[3], ("assistant", "sell"), ("user", "how much?"), call="call-4", **DESK)
    fill(store_url, cut.event("response_truncated", {}), again, other, on)
    lines = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [line.get("relation") for line in lines] == [
        None,
        {"kind": "retries", "of": identity_of(cut)},
        {"kind": "regenerates", "of": identity_of(again)},
        {"kind": "continues", "of": identity_of(other)},
    ]
    findings = [
        [one["kind"] for one in line["findings"] if one["kind"].startswith(("answer_", "message_"))] for line in lines
    ]
    assert findings[1:] == [["message_edited"]] * 3
    shown = run("show", "desk", "--store", store_url).stdout
    assert f"retry of     {identity_of(cut)}" in shown
    assert "answer_dropped" not in shown


def test_a_window_over_the_same_question_edits_nothing(store_url: str) -> None:
    upgrade(store_url)
    said: list[tuple[str, str]] = []
    exchanges = []
    for number in range(1, 5):
        said.append(("user", "Next order?"))
        exchanges.append(answered(number, *said[-3:], text=f"BUY {number} lots", call=f"call-{number}", **DESK))
        said.append(("assistant", f"BUY {number} lots"))
    fill(store_url, *exchanges)
    shown = run("show", "desk", "--store", store_url).stdout
    assert "asks again" not in shown
    assert "answer_edited" not in shown
    assert [f"goes on from {identity_of(one)}" in shown for one in exchanges] == [True, True, True, False]
    assert shown.count("older_messages_dropped: 2 older messages, 1 of the model") == 2


def test_a_bot_without_history_goes_on_from_nothing(store_url: str) -> None:
    upgrade(store_url)
    ticks = [(("system", "You trade."), ("user", f"price {100 + at}"), ("user", "decide")) for at in range(3)]
    fill(store_url, *(answered(at, *tick, text="HOLD", call=f"call-{at}", **DESK) for at, tick in enumerate(ticks, 1)))
    lines = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [line.get("relation") for line in lines] == [None] * 3
    found = {one["kind"] for line in lines for one in line["findings"]}
    assert not [kind for kind in found if kind.startswith(("answer_", "message_"))]


def test_an_order_that_was_made_up_for_a_call_that_was_cut_is_a_finding(store_url: str) -> None:
    upgrade(store_url)
    call = {"index": 0, "id": "c0", "type": "function", "function": {"name": "close_all", "arguments": ""}}
    cut = asking(1, ("user", "go"), call="call-1", **DESK).response()
    cut.sse(delta(role="assistant", tool_calls=[call]), done=False).event("response_truncated", {})
    made_up = call | {"function": {"name": "close_all", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "tool_calls": [made_up]},
        {"role": "tool", "tool_call_id": "c0", "content": "closed"},
    ]
    on = ExchangeBuilder(2).request({"model": "m-1", "messages": messages}, call="call-2", **DESK).response()
    fill(store_url, cut, on.sse(delta(role="assistant", content="done"), delta(finish="stop")).completed())
    shown = run("show", "desk", "--store", store_url).stdout
    assert f"goes on from {identity_of(cut)}" in shown
    assert "answered assistant 'close_all()', sent back as assistant 'close_all({})'" in shown


def test_a_bot_with_examples_of_its_own_is_accused_of_nothing(store_url: str) -> None:
    upgrade(store_url)
    near = [[("user", f"example {at}"), ("assistant", "HOLD")] for at in range(5)]
    asked = [[*near[at], *near[at + 1], ("user", f"price {at}")] for at in range(4)]
    fill(store_url, *(answered(at, *one, text="HOLD", call=f"call-{at}", **DESK) for at, one in enumerate(asked, 1)))
    lines = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [line.get("relation") for line in lines] == [None] * 4
    shown = run("show", "desk", "--store", store_url).stdout
    assert "answer_" not in shown


@pytest.fixture
def forged(store_url: str) -> str:
    """A store with a conversation whose last exchange sends three answers back: two forged, one that nobody gave."""
    upgrade(store_url)
    ask, why, more = ("user", "buy?"), ("user", "why?"), ("user", "how much?")
    first = answered(1, ask, text="hold", call="call-1", **DESK)
    second = answered(2, ask, ("assistant", "hold"), why, text="a trend", call="call-2", **DESK)
    sent = [ask, ("assistant", "BUY NOW"), why, ("assistant", "`<b>a` hunch"), more, ("assistant", "all"), more]
    fill(store_url, first, second, answered(3, *sent, call="call-3", **DESK))
    return store_url


KINDS = ["answer_edited", "answer_edited", "answer_inserted"]
TEXTS = ["'hold', sent back as assistant 'BUY NOW'", "'a trend', sent back as assistant '`<b>a` hunch'", "'all'"]


def test_every_change_is_in_json_by_itself(forged: str) -> None:
    lines = json_lines(run("export", "desk", "--format", "jsonl", "--store", forged), "show")
    assert [[finding["kind"] for finding in line.get("findings", ())] for line in lines] == [[], [], KINDS]
    for finding, text in zip(lines[2]["findings"], TEXTS, strict=True):
        assert text in finding["detail"]
        assert finding["count"] == 1


def test_every_change_stands_in_transcripts_above_the_messages(forged: str) -> None:
    shown = run("export", "desk", "--format", "markdown", "--store", forged).stdout
    head, told = shown.split("> **History changed**")
    assert head.count("## Exchange") == 3
    assert [text in told.split("###")[0] for text in TEXTS] == [True] * 3
    assert told.count("> `answer_") == 3
    page = run("export", "desk", "--format", "html", "--store", forged).stdout
    told = page.split('<div class="banner history">')[1].split("</div>")[0]
    assert page.count("History changed") == 1
    assert [f"<code>{kind}</code>" in told for kind in KINDS] == [True] * 3
    assert "sent back as assistant &#x27;`&lt;b&gt;a` hunch&#x27;" in told


def test_changes_are_counted_in_csv_and_an_attribute_of_spans(forged: str) -> None:
    rows = list(csv.DictReader(run("export", "desk", "--format", "csv", "--store", forged).stdout.splitlines()))
    assert [row["history_findings"] for row in rows] == ["0", "0", "3"]
    last = rows[2]["id"]
    rows = list(csv.DictReader(run("export", last, "--format", "csv", "--store", forged).stdout.splitlines()))
    assert [row["history_findings"] for row in rows] == [""]
    lines = run("export", "desk", "--format", "otlp", "--store", forged).stdout.splitlines()
    found = [
        [value["stringValue"] for value in each["value"]["arrayValue"]["values"]]
        for line in lines
        for each in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]
        if each["key"] == "recorder.history_findings"
    ]
    assert [[text.partition(":")[0] for text in each] for each in found] == [KINDS]


FORMATS = ["json", "jsonl", "markdown", "html", "otlp", "csv"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("choice", [("--all",), ("--conversation", "desk"), ("--since", "2020-01-01")])
def test_exports_by_filters_tell_what_the_conversation_tells(forged: str, name: str, choice: tuple[str, ...]) -> None:
    whole, chosen = (run("export", *one, "--format", name, "--store", forged).stdout for one in (("desk",), choice))
    assert whole.count("answer_edited") == chosen.count("answer_edited") == (0 if name == "csv" else 2)
    if name in ("jsonl", "csv", "otlp"):
        assert chosen == whole


def test_answers_that_were_not_chosen_were_given_all_the_same(store_url: str) -> None:
    """Only the last exchange is chosen: what it sends back was said by those that are left out."""
    upgrade(store_url)
    ask, why = ("user", "buy?"), ("user", "why?")
    first = answered(1, ask, text="hold sk-1234", call="call-1", **DESK)
    other = answered(2, ("user", "else"), text="x", call="call-2")
    faithful = answered(3, ask, ("assistant", "hold sk-1234"), why, text="a trend", call="call-3", **DESK)
    cut = asking(4, ask, ("assistant", "sell"), why, call="call-4", **DESK).response().sse({"x": 1}, done=False)
    fill(store_url, first, other, faithful, cut.event("response_truncated", {}))
    chosen = ("export", "--verdict", "truncated", "--format", "jsonl", "--store", store_url)
    (line,) = map(json.loads, run(*chosen).stdout.splitlines())
    assert line["relation"] == {"kind": "regenerates", "of": identity_of(faithful)}
    told = [
        (one["kind"], "hold sk-1234" in one["detail"]) for one in line["findings"] if one["kind"].startswith("answer_")
    ]
    assert told == [("answer_edited", True)]
    redacted = run(*chosen, "--redact", "text:sk-1234")
    assert redacted.exit_code == 0
    assert "answer_edited" in redacted.stdout
    assert "sk-1234" not in redacted.stdout

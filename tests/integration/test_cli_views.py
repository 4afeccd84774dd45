"""list, show, events, export, replay and verify on a store with known exchanges; both engines."""

from __future__ import annotations

import base64

import pytest

from recorder.clock import id_bytes
from recorder.core.events import CONVERSATION_TYPES
from recorder.store import open_store
from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder, delta
from tests.commands import STREAMED, answered, asking, fill, identity_of, json_lines, run
from tests.conftest import ENGINES, Sharing

FIRST = answered(1, ("user", "buy?"), text="Hold — 1.0850 €")
SECOND = answered(2, ("user", "buy?"), ("assistant", "Hold — 1.0850 €"), ("user", "stop?"), text="At 1.0815")
CUT = asking(3, ("user", "place it"), model="m-2").response(201, "Created", STREAMED).sse({"x": 1}, done=False)
CUT.event("response_truncated", {"received": 10})
LIMITED = (
    asking(4, ("user", "again"))
    .response(429, "Too Many Requests", (("content-type", "application/json"),), framing="length", length=31)
    .chunks(b'{"error":{"message":"slow \x1b[31m"}}')
    .completed()
)
RUNNING = asking(5, ("user", "still"))
ALL = (FIRST, SECOND, CUT, LIMITED, RUNNING)


@pytest.fixture(scope="module", params=ENGINES)
def url(request: pytest.FixtureRequest, shared_store: Sharing) -> str:
    return shared_store(request.param, lambda url: fill(url, *ALL))


def ids(*built: ExchangeBuilder) -> list[str]:
    return [identity_of(one) for one in built]


def test_list_as_json_is_newest_first_and_obeys_its_schema(url: str) -> None:
    rows = json_lines(run("list", "--json", "--store", url), "list")
    assert [row["id"] for row in rows] == ids(*reversed(ALL))
    assert [row["verdict"] for row in rows] == ["unknown", "errored", "truncated", "complete", "complete"]
    assert rows[-1]["conversation"] == rows[-2]["conversation"] == identity_of(FIRST)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-n", "2"], [RUNNING, LIMITED]),
        (["--status", "429"], [LIMITED]),
        (["--verdict", "truncated"], [CUT]),
        (["--model", "m-2"], [CUT]),
        (["--verdict", "complete", "-n", "1"], [SECOND]),
        (["--conversation", identity_of(SECOND)], [SECOND, FIRST]),
        (["--status", "500"], []),
    ],
)
def test_list_filters(url: str, options: list[str], expected: list[ExchangeBuilder]) -> None:
    rows = json_lines(run("list", "--json", *options, "--store", url), "list")
    assert [row["id"] for row in rows] == ids(*expected)


def test_list_for_people_is_a_table_that_fits(url: str) -> None:
    shown = run("--store", url, "list", env={"COLUMNS": "80"})
    lines = shown.stdout.splitlines()
    assert shown.exit_code == 0
    assert len(lines) == 1 + len(ALL)
    assert max(map(len, lines)) <= 80
    assert lines[0].split()[:2] == ["ID", "STARTED"]
    assert "truncated" in lines[3]
    assert "\x1b" not in shown.stdout


def test_list_says_where_there_is_more_and_where_there_is_nothing(url: str) -> None:
    more = run("list", "-n", "2", "--store", url)
    assert len(more.stdout.splitlines()) == 3
    assert more.stderr == "there are more: give -n, as in -n 10\n"
    for count in (str(len(ALL)), "9" * 30):
        whole = run("list", "-n", count, "--store", url)
        assert (whole.exit_code, len(whole.stdout.splitlines()), whole.stderr) == (0, 1 + len(ALL), "")
    assert len(json_lines(run("list", "-n", "9" * 30, "--json", "--store", url), "list")) == len(ALL)
    nothing = run("list", "--status", "500", "--store", url)
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "nothing is recorded that fits\n")


def test_show_as_json_obeys_its_schema(url: str) -> None:
    for built in ALL:
        (shown,) = json_lines(run("show", identity_of(built), "--json", "--store", url), "show")
        assert shown["id"] == identity_of(built)
    (second,) = json_lines(run("show", identity_of(SECOND), "--json", "--store", url), "show")
    assert second["parent"] == identity_of(FIRST)
    (part,) = second["messages"][-1]["parts"]
    assert (part["type"], part["text"], part["origin"]["chunks"]) == ("text", "At 1.0815", [2, 3])


def test_show_for_people_has_the_text_the_verdict_and_its_evidence(url: str) -> None:
    shown = run("show", identity_of(FIRST), "--store", url).stdout
    for text in (identity_of(FIRST), "buy?", "  Hold — 1.0850 €", "complete  ended by response_completed, end marker"):
        assert text in shown
    cut = run("show", identity_of(CUT), "--store", url).stdout
    assert "truncated  ended by response_truncated" in cut
    assert "201 Created" in cut


def test_show_never_lets_a_text_steer_the_terminal(url: str) -> None:
    shown = run("show", identity_of(LIMITED), "--store", url)
    assert shown.exit_code == 0
    assert "\x1b" not in shown.output
    assert "slow" in shown.stdout


def test_show_says_that_no_end_is_recorded(url: str) -> None:
    assert "unknown  no end recorded" in run("show", identity_of(RUNNING), "--store", url).stdout


def test_events_as_json_are_the_events(url: str) -> None:
    rows = json_lines(run("events", identity_of(FIRST), "--json", "--store", url), "events")
    assert [row["type"] for row in rows] == [event.type for event in FIRST.events]
    assert [row["hash"] for row in rows] == [event.hash.hex() for event in FIRST.events]
    assert [row.get("data") and base64.b64decode(row["data"]) for row in rows] == [e.body for e in FIRST.events]
    assert [row["elapsed_ns"] for row in rows] == [e.mono_ns - FIRST.events[0].mono_ns for e in FIRST.events]
    assert rows[0]["facts"] == FIRST.events[0].facts
    assert all(row["position"] > 0 for row in rows)


def test_events_for_people_fit(url: str) -> None:
    shown = run("events", identity_of(FIRST), "--store", url, env={"COLUMNS": "60"}).stdout.splitlines()
    assert shown[0] == f"exchange {identity_of(FIRST)}"
    assert len(shown) == 2 + len(FIRST.events)
    assert max(map(len, shown)) <= 60


def test_replay_gives_the_recorded_bytes(url: str) -> None:
    result = run("replay", identity_of(FIRST), "--store", url)
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == b"".join(e.body or b"" for e in FIRST.events if e.type == "chunk_received")
    assert result.stderr.count("same bytes") == 1


def test_replay_fails_as_recorded_and_says_so_in_one_line(url: str) -> None:
    result = run("replay", identity_of(CUT), "--store", url)
    assert result.exit_code == 0, result.stderr
    assert result.stdout_bytes == b'data: {"x": 1}\n\n'
    assert "status 201" in result.stderr
    assert "failed as recorded: ProtocolError" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_replay_of_an_exchange_without_an_end_goes_up_to_where_it_stops(url: str) -> None:
    result = run("replay", identity_of(RUNNING), "--store", url)
    assert result.exit_code == 0, result.stderr
    assert "no answer" in result.stderr
    assert "then the recording ends" in result.stderr


@pytest.mark.parametrize("done", ["changed", "removed"])
def test_what_was_changed_afterwards_is_not_vouched_for(store_url: str, done: str) -> None:
    upgrade(store_url)
    whole, touched = answered(1, ("user", "one")), answered(2, ("user", "two"))
    fourth = touched.events.pop(3)
    if done == "changed":
        touched.events.insert(3, fourth._replace(body=(fourth.body or b"").replace(b"Hold", b"Sell")))
    fill(store_url, whole, touched)
    for built, code in ((whole, 0), (touched, 1)):
        replayed = run("replay", identity_of(built), "--store", store_url)
        assert replayed.exit_code == code, replayed.stderr
        assert len(replayed.stderr.splitlines()) == 1
        assert ("CHANGED" in replayed.stderr, "same bytes" in replayed.stderr) == (bool(code), not code)
    assert replayed.stdout == ""
    detail = {"changed": "hash of version 4 does not verify", "removed": "version 4 is missing: 5 follows"}[done]
    assert detail in replayed.stderr
    assert detail in run("show", identity_of(touched), "--store", store_url).stdout
    (shown,) = json_lines(run("show", identity_of(touched), "--json", "--store", store_url), "show")
    assert shown["findings"][0] == {"kind": "not_as_written", "detail": detail, "count": 1}


def test_verify_finds_nothing_and_says_what_is_not_proved(url: str) -> None:
    result = run("verify", "--store", url)
    assert result.exit_code == 0, result.output
    assert "of 5 exchanges" in result.stdout
    assert "1 exchange without an end" in result.stdout
    assert "that no whole exchange was removed" in result.stdout
    (report,) = json_lines(run("verify", "--json", "--store", url), "verify")
    assert report["events"] == sum(len(built.events) for built in ALL)
    assert (report["exchanges"], report["findings"]) == (5, [])


def test_verify_of_one_exchange_checks_that_one(url: str) -> None:
    (report,) = json_lines(run("verify", identity_of(FIRST), "--json", "--store", url), "verify")
    assert (report["events"], report["exchanges"]) == (len(FIRST.events), 1)


def test_a_named_conversation_goes_by_its_name(store_url: str) -> None:
    upgrade(store_url)
    opening = ExchangeBuilder(9).event("conversation_named", {"name": "desk"}).event("tags_set", {"tags": {"a": "b"}})
    belongs = {"conversation": identity_of(opening), "name": "desk"}
    inside = [answered(10, ("user", "one"), **belongs), answered(11, ("user", "two"), **belongs)]
    fill(store_url, opening, *inside, answered(12, ("user", "other")))
    assert opening.events[0].type in CONVERSATION_TYPES
    for command, schema in (("show", "show"), ("list", "list")):
        args = ["desk"] if command == "show" else ["--conversation", "desk"]
        rows = json_lines(run(command, *args, "--json", "--store", store_url), schema)
        assert {row["id"] for row in rows} == set(ids(*inside))
        assert {row["conversation"] for row in rows} == {identity_of(opening)}
    named = {
        row["id"]: row.get("conversation_name")
        for row in json_lines(run("list", "--json", "--store", store_url), "list")
    }
    assert sorted(map(str, named.values())) == ["None", "desk", "desk"]
    table = run("list", "--store", store_url, env={"COLUMNS": "200"}).stdout.splitlines()
    assert [line.split()[-1] for line in table[2:]] == ["desk", "desk"]
    events = json_lines(run("events", "desk", "--json", "--store", store_url), "events")
    assert len(events) == sum(len(one.events) for one in inside)
    shown = run("show", "desk", "--store", store_url).stdout
    assert shown.startswith("conversation desk")
    assert "a=b" in shown
    assert run("export", "desk", "--store", store_url).stdout.startswith("# Conversation `desk`")
    assert run("replay", "desk", "--store", store_url).stderr.count("same bytes") == 2
    whole = run("show", identity_of(opening), "--json", "--store", store_url)
    assert len(json_lines(whole, "show")) == 2


def test_a_whole_id_goes_before_a_name_and_what_a_name_stands_for_is_not_looked_up_again(store_url: str) -> None:
    upgrade(store_url)
    desk = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
    trap = ExchangeBuilder(13).event("conversation_named", {"name": identity_of(desk)})
    inside = answered(10, ("user", "one"), text="First", conversation=identity_of(desk), name="desk")
    other = answered(14, ("user", "two"), text="Other", conversation=identity_of(trap), name=identity_of(desk))
    fill(store_url, desk, trap, inside, other)
    for identity in ("desk", identity_of(desk)):
        assert "First" in run("export", identity, "--store", store_url).stdout
        assert "First" in run("replay", identity, "--store", store_url).stdout
        for command in ("show", "events"):
            rows = json_lines(run(command, identity, "--json", "--store", store_url), command)
            assert {row.get("id", row.get("exchange")) for row in rows} == {identity_of(inside)}
        (report,) = json_lines(run("verify", identity, "--json", "--store", store_url), "verify")
        assert report["events"] == len(inside.events)
        (row,) = json_lines(run("list", "--conversation", identity, "--json", "--store", store_url), "list")
        assert row["id"] == identity_of(inside)
    assert "Other" in run("show", identity_of(trap), "--store", store_url).stdout


def test_a_conversation_does_not_repeat_what_was_shown(store_url: str) -> None:
    upgrade(store_url)
    opening = ExchangeBuilder(9).event("conversation_named", {"name": "desk"})
    belongs = {"conversation": identity_of(opening), "name": "desk"}
    first = answered(10, ("user", "buy?"), text="Hold it", **belongs)
    second = answered(11, ("user", "buy?"), ("assistant", "Hold it"), ("user", "stop?"), text="Here", **belongs)
    fill(store_url, opening, first, second)
    shown = run("show", "desk", "--store", store_url).stdout
    assert (shown.count("  buy?\n"), shown.count("  Hold it\n"), shown.count("  stop?\n")) == (1, 1, 1)


def test_an_exchange_whose_request_is_lost_cannot_be_replayed(store_url: str) -> None:
    upgrade(store_url)
    built = ExchangeBuilder(1).event("gap_recorded", {"events": 1, "bytes": 9, "from_ns": 1, "to_ns": 2, "reason": "x"})
    fill(store_url, built.response().chunks(b"{}").completed())
    result = run("replay", identity_of(built), "--store", store_url)
    assert result.exit_code == 1
    assert "its request was not recorded" in result.stderr


def test_the_reading_commands_change_nothing(url: str) -> None:
    def state() -> object:
        store = open_store(url, write=False)
        try:
            return store.counts(), [store.head(id_bytes(identity_of(built))) for built in ALL]
        finally:
            store.close()

    before = state()
    for command in (["list"], ["show", identity_of(CUT)], ["verify"], ["replay", identity_of(RUNNING)]):
        run(*command, "--store", url)
    assert state() == before


def test_show_has_every_kind_of_part(store_url: str) -> None:
    upgrade(store_url)
    calls = [{"index": 0, "id": "c1", "type": "function", "function": {"name": "buy", "arguments": '{"lots":1}'}}]
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": "data:"}}]
    said = [
        {"role": "user", "name": "ann", "content": parts},
        {"role": "tool", "tool_call_id": "c0", "content": "1.0850"},
    ]
    whole = ExchangeBuilder(1).request({"model": "m-1", "messages": said, "n": 2}, attempt=2).response(headers=STREAMED)
    whole.sse(
        delta(reasoning_content="Let me think."),
        delta(content="Buy."),
        delta(tool_calls=calls),
        delta(finish="tool_calls"),
        delta(1, refusal="No."),
        delta(1, finish="stop"),
        {"choices": [], "usage": {"total_tokens": 9}},
    ).completed()
    cut = asking(2, ("user", "x")).response(headers=STREAMED)
    cut.sse(delta(tool_calls=calls), done=False).chunks(b"data: {half")
    cut.event("gap_recorded", {"events": 1, "bytes": 9, "from_ns": 1, "to_ns": 2, "reason": "full"})
    cut.event("response_failed", {"kind": "reset", "phase": "body"})
    fill(store_url, whole, cut)
    shown = run("show", identity_of(whole), "--store", store_url).stdout
    for text in (
        "attempt      2",
        "user (ann)\n  see\n  [image",
        "tool, answers c0\n  1.0850",
        "[reasoning] Let me think.\n  Buy.\n",
        '[tool call] buy({"lots":1})\n',
        "choice 0, finished: tool_calls",
        "choice 1, finished: stop\n  [refusal] No.",
        'usage        {"total_tokens": 9}',
    ):
        assert text in shown
    shown = run("show", identity_of(cut), "--store", store_url).stdout
    assert "[arguments not known to be complete]" in shown
    assert "11 bytes at the end are no whole event" in shown
    assert "no finish reason for choice 0" in shown
    assert "the recording has gaps" in shown
    assert 'failure      {"kind": "reset", "phase": "body"}' in shown
    assert "1 gap:" in run("verify", "--store", store_url).stdout


def counting(number: int, *usages: dict[str, int]) -> ExchangeBuilder:
    """An answer in Anthropic's dialect that reports usage at its start, and then that of each delta."""
    head = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m-1", "usage": usages[0]}
    deltas = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": each} for each in usages[1:]]
    values = [{"type": "message_start", "message": head}, *deltas, {"type": "message_stop"}]
    return asking(number, ("user", "x")).response(headers=STREAMED).sse(*values, done=False).completed()


def test_what_is_for_people_has_the_tokens_that_programs_are_told_and_every_report_of_them(store_url: str) -> None:
    """The last report may lack the input, which came with the first one only."""
    upgrade(store_url)
    two = counting(1, {"input_tokens": 17, "output_tokens": 1}, {"output_tokens": 158})
    many = counting(2, {"input_tokens": 17}, *({"output_tokens": number} for number in range(1, 9)))
    fill(store_url, two, many)
    shown = run("show", identity_of(two), "--store", store_url).stdout
    assert "  tokens       input 17, output 158\n" in shown
    assert '  usage        {"input_tokens": 17, "output_tokens": 1}\n  usage        {"output_tokens": 158}\n' in shown
    (value,) = json_lines(run("show", identity_of(two), "--json", "--store", store_url), "show")
    assert (value["tokens"], value["usage"]) == ({"input": 17, "output": 158}, {"output_tokens": 158})
    shown = run("show", identity_of(many), "--store", store_url).stdout
    assert "  tokens       input 17, output 8\n" in shown
    assert '{"input_tokens": 17}\n  usage        … 7 more reports, which --json has\n  usage        {"ou' in shown


def test_show_of_a_body_that_no_dialect_reads_is_its_beginning(store_url: str) -> None:
    upgrade(store_url)
    page = asking(1).response(headers=(("content-type", "text/html"),), framing="close").chunks(b"<p>\r\n" * 200)
    coded = asking(2).response(headers=(("content-encoding", "br"),), framing="close").chunks(b"\x8b\x00")
    fill(store_url, page.completed(), coded.completed())
    shown = run("show", identity_of(page), "--store", store_url).stdout
    assert "body\n  <p>\n  <p>\n" in shown
    assert "600 bytes more: recorder events" in shown
    assert "body" not in run("show", identity_of(coded), "--store", store_url).stdout

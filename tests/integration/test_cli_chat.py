"""recorder chat against real sockets: tokens as they arrive, conversations, interrupts."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from recorder import Recorder, Store
from recorder.cli.chat import DEFAULT_SYSTEM
from recorder.cli.upstream import DEFAULT_MODEL
from recorder.store.schema import upgrade
from tests.chatting import TOKEN, chat, raw, verdicts, whole
from tests.commands import json_lines, process, run, told
from tests.loopback import LoopbackServer, Script, Visit, serve
from tests.postgres_server import PostgresServer


@pytest.fixture
def url(store_url: str) -> str:
    upgrade(store_url)
    return store_url


@pytest.mark.parametrize("status", [200, 201])
def test_the_answer_is_printed_and_recorded(url: str, status: int) -> None:
    script = Script(chunks=12, status=status, split_utf8=True, comments=True)
    with serve(script) as server:
        result = chat(server.url, url, "Buy or hold?")
        body = server.visits(1)[0].body
        headers = server.visits(1)[0].headers
    assert result.exit_code == 0, result.stderr
    assert result.stdout.removesuffix("\n") == script.text("Buy or hold?").removesuffix("\n")
    assert body == {
        "messages": [{"role": "system", "content": DEFAULT_SYSTEM}, {"role": "user", "content": "Buy or hold?"}],
        "model": DEFAULT_MODEL,
        "stop": ["<|eot_id|>"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert {name.lower(): value for name, value in headers.items()}["authorization"] == f"Bearer {TOKEN}"
    (row,) = json_lines(run("list", "--json", "--store", url), "list")
    assert (row["verdict"], row["status"]) == ("complete", status)
    assert f"recorded as {row['id'][-8:]}" in result.stderr
    assert TOKEN not in result.output + run("events", row["id"], "--json", "--store", url).stdout
    (shown,) = json_lines(run("show", row["id"], "--json", "--store", url), "show")
    assert shown["messages"][-1]["parts"][0]["text"] == script.text("Buy or hold?")


def test_a_token_that_is_not_set_is_not_sent(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        assert chat(server.url, sqlite_url, "x", AI_ACCESS_TOKEN=None, AI_MODEL_NAME="mine").exit_code == 0
        (visit,) = server.visits(1)
    assert "authorization" not in {name.lower() for name in visit.headers}
    assert visit.body["model"] == "mine"


def test_a_bundle_of_certificates_that_is_not_there(sqlite_url: str, tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.pem")
    line = told(chat("https://127.0.0.1:9/chat/completions", sqlite_url, "x", REQUESTS_CA_BUNDLE=missing), 2)
    assert missing in line
    assert "correct REQUESTS_CA_BUNDLE" in line


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        (
            b'{"message":{"tool_calls":[{"function":{"name":"buy"}},{"function":{"name":"sell"}}]},"finish_reason":"x"}',
            None,
        ),
        (b'{"message":{"function_call":{"name":"buy"}},"finish_reason":"function_call"}', "the answer calls buy\n"),
        (b'{"message":{"content":"cut"},"finish_reason":"length"}', "cut off at the upstream's limit of length\n"),
        (b'{"message":{"content":"no"},"finish_reason":"content_filter"}', "ended the answer with content_filter\n"),
        (b'{"message":{"content":"odd"},"finish_reason":{"a":1}}', 'ended the answer with {"a": 1}\n'),
        (b'{"message":{"content":""},"finish_reason":"stop"}', "the answer has no text\n"),
        (b'{"message":{"content":"fine"},"finish_reason":"stop"}', ""),
    ],
)
def test_what_there_is_to_say_besides_the_text(sqlite_url: str, choice: bytes, says: str | None) -> None:
    with raw(whole(b'{"choices":[%s]}' % choice)) as server:
        result = chat(server, sqlite_url, "x")
    assert result.exit_code == 0, result.stderr
    notes, _, _ = result.stderr.rpartition("recorded as")
    assert notes.endswith(
        "the answer calls buy, sell\nthe upstream ended the answer with x\n" if says is None else says
    )
    assert bool(notes) == (says != "")


def test_a_call_that_failed_says_where_it_is_recorded(sqlite_url: str) -> None:
    refused = "http://127.0.0.1:9/chat/completions"
    with serve(Script(status=401)) as server, serve(Script(chunks=9, cut_after=3)) as cut:
        lines = [told(chat(url, sqlite_url, "x"), 3) for url in (server.url, cut.url, refused)]
    rows = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    ends = [f"(recorded as {row['id'][-8:]})" for row in reversed(rows)]
    assert [line[-len(end) :] for line, end in zip(lines, ends, strict=True)] == ends


def test_a_netrc_does_not_replace_the_token(sqlite_url: str, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password other\n")
    with serve(Script(chunks=1)) as server:
        assert chat(server.url, sqlite_url, "x", NETRC=str(tmp_path / "netrc")).exit_code == 0
        (visit,) = server.visits(1)
    assert {name.lower(): value for name, value in visit.headers.items()}["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("args", [[], ["-"]])
def test_the_prompt_comes_from_standard_input(sqlite_url: str, args: list[str]) -> None:
    with serve(Script(chunks=1)) as server:
        assert chat(server.url, sqlite_url, *args, stdin="naïve?\nyes\n").exit_code == 0
        assert server.visits(1)[0].prompt == "naïve?\nyes"


def test_a_conversation_is_continued_by_its_name(url: str) -> None:
    with serve(Script(chunks=3)) as server:
        for prompt in ("one", "two", "three"):
            assert chat(server.url, url, prompt, "--conversation", "desk", "--system", "Be brief.").exit_code == 0
        assert chat(server.url, url, "alone").exit_code == 0
        first, second, third, alone = (visit.body["messages"] for visit in server.visits(4))
    text = Script(chunks=3).text
    assert first == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "one"}]
    assert second == [*first, {"role": "assistant", "content": text("one")}, {"role": "user", "content": "two"}]
    assert third == [*second, {"role": "assistant", "content": text("two")}, {"role": "user", "content": "three"}]
    assert len(alone) == 2
    assert len(json_lines(run("show", "desk", "--json", "--store", url), "show")) == 3


def test_a_conversation_is_continued_by_its_id_or_by_what_list_shows_of_it(url: str) -> None:
    with serve(Script(chunks=1)) as server:
        made = chat(server.url, url, "1", "--conversation", "desk")
        (row,) = json_lines(run("list", "--json", "--store", url), "list")
        desk = row["conversation"]
        again = [chat(server.url, url, "2", "--conversation", part) for part in (desk, desk[-8:], row["id"][-8:])]
    assert "a new conversation: desk" in made.stderr
    assert all(one.exit_code == 0 and "new conversation" not in one.stderr for one in again), again
    rows = json_lines(run("list", "--json", "--store", url), "list")
    assert {one["conversation"] for one in rows} == {desk}
    with Store(url) as store:
        assert [(one.id, one.name) for one in store.conversations()] == [(desk, "desk")]


def test_a_conversation_that_has_no_name_is_continued_by_its_id(sqlite_url: str) -> None:
    scripts = [Script(status=500), Script(chunks=1), Script(chunks=1)]
    with closing(LoopbackServer(lambda number, _: scripts[number])) as server:
        assert chat(server.url, sqlite_url, "1").exit_code == 3
        (first,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
        for prompt in "23":
            assert chat(server.url, sqlite_url, prompt, "--conversation", first["id"][-8:]).exit_code == 0
        last = server.visits(3)[-1].body["messages"]
    assert [message["content"] for message in last][1:] == ["2", Script(chunks=1).text("2"), "3"]
    rows = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert {row["conversation"] for row in rows} == {first["id"]}
    assert run("verify", "--store", sqlite_url).exit_code == 0


def test_any_part_of_an_id_that_no_other_has_is_enough_and_is_told(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        chat(server.url, sqlite_url, "1", "--conversation", "desk")
        with Store(sqlite_url) as store:
            (desk,) = store.conversations()
            known = [desk.id.replace("-", ""), desk.exchanges[0].replace("-", "")]
        ends = [whole[-size:] for whole in known for size in (1, 2, 3)]
        end = next(end for end in ends if sum(one.endswith(end) or one.startswith(end) for one in known) == 1)
        result = chat(server.url, sqlite_url, "2", "--conversation", end)
    assert result.exit_code == 0
    assert f"going on with the conversation desk {desk.id[-8:]}\n" in result.stderr
    rows = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert {row["conversation"] for row in rows} == {desk.id}


def test_a_part_of_several_ids_is_refused_before_anything_is_sent(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        chat(server.url, sqlite_url, "1", "--conversation", "desk")
        line = told(chat(server.url, sqlite_url, "2", "--conversation", "0"), 1)
        assert len(server.visits(1)) == 1
    assert line.startswith("error: 0 stands for 2 ids (")
    assert len(json_lines(run("list", "--json", "--store", sqlite_url), "list")) == 1


def test_a_name_goes_before_a_part_of_an_id(sqlite_url: str) -> None:
    with Recorder(sqlite_url) as recorder, recorder.conversation("0"):
        pass
    with serve(Script(chunks=1)) as server:
        result = chat(server.url, sqlite_url, "1", "--conversation", "0")
    assert (result.exit_code, "conversation" in result.stderr) == (0, False)
    with Store(sqlite_url) as store:
        assert [(one.name, len(one.exchanges)) for one in store.conversations()] == [("0", 1)]


def test_a_conversation_goes_on_from_its_last_finished_answer(sqlite_url: str) -> None:
    def choose(number: int, _: Visit) -> Script:
        return [Script(chunks=2), Script(chunks=9, cut_after=3), Script(status=401), Script(chunks=1)][number]

    with closing(LoopbackServer(choose)) as server:
        codes = [chat(server.url, sqlite_url, str(n), "--conversation", "desk").exit_code for n in range(4)]
        last = server.visits(4)[-1].body["messages"]
    assert codes == [0, 3, 3, 0]
    assert [message["content"] for message in last] == [DEFAULT_SYSTEM, "0", Script(chunks=2).text("0"), "3"]


def going_on(url: str, first: bytes) -> tuple[Any, list[Any]]:
    """Continue a conversation whose one answer is *first*; return the result and the messages that were sent."""
    with raw(whole(b'{"choices":[{"index":0,%s}]}' % first)) as address:
        assert chat(address, url, "1", "--conversation", "desk").exit_code == 0
    with serve(Script(chunks=1)) as server:
        result = chat(server.url, url, "2", "--conversation", "desk")
        return result, [visit.body["messages"] for visit in server.visits(1 if result.exit_code == 0 else 0)]


@pytest.mark.parametrize(
    "calls",
    [
        b'"tool_calls":[{"id":"a","type":"function","function":{"name":"buy","arguments":"{}"}}]',
        b'"function_call":{"name":"buy","arguments":"{}"}',
    ],
)
def test_an_answer_that_only_calls_tools_cannot_be_continued(sqlite_url: str, calls: bytes) -> None:
    first = b'"message":{"role":"assistant","content":null,%s},"finish_reason":"tool_calls"' % calls
    result, sent = going_on(sqlite_url, first)
    rows = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert f"conversation, {rows[0]['id'][-8:]}, only calls tools (buy), which chat cannot run" in told(result, 2)
    assert (sent, len(rows)) == ([], 1)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            b'{"role":"assistant","content":"Buying.","tool_calls":[{"id":"a","function":{"name":"buy"}}]}',
            ["1", "Buying.", "2"],
        ),
        (b'{"role":"assistant","content":null,"refusal":"I will not."}', ["1", "I will not.", "2"]),
        (b'{"role":"assistant","content":" "}', ["2"]),
    ],
)
def test_no_empty_answer_is_sent_back(sqlite_url: str, message: bytes, said: list[str]) -> None:
    result, sent = going_on(sqlite_url, b'"message":%s,"finish_reason":"stop"' % message)
    assert result.exit_code == 0, result.stderr
    assert [[one["content"] for one in messages[1:]] for messages in sent] == [said]
    assert all(set(one) == {"role", "content"} for one in sent[0])


def test_another_system_prompt_takes_the_place_of_the_earlier_one(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        chat(server.url, sqlite_url, "one", "--conversation", "desk")
        chat(server.url, sqlite_url, "two", "--conversation", "desk", "--system", "Be bold.")
        messages = server.visits(2)[1].body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be bold."


def test_recording_switched_off_still_chats(absent_url: str) -> None:
    with serve(Script(chunks=2)) as server:
        result = chat(server.url, absent_url, "x", RECORDER_OFF="1")
    assert (result.exit_code, result.stderr) == (0, "nothing is recorded: RECORDER_OFF is set\n")
    assert not Path(absent_url.removeprefix("sqlite:///")).exists()


def test_recording_switched_off_begins_a_conversation_and_goes_on_with_one(absent_url: str) -> None:
    with serve(Script(chunks=2)) as server:
        new = chat(server.url, absent_url, "1", "--conversation", "desk", RECORDER_OFF="1")
        assert not Path(absent_url.removeprefix("sqlite:///")).exists()
        assert chat(server.url, absent_url, "2", "--conversation", "desk").exit_code == 0
        assert chat(server.url, absent_url, "3", "--conversation", "desk", RECORDER_OFF="1").exit_code == 0
        said = [[one["content"] for one in visit.body["messages"][1::2]] for visit in server.visits(3)]
    assert (new.exit_code, new.stdout.rstrip("\n")) == (0, Script(chunks=2).text("1").rstrip("\n"))
    assert "nothing is recorded: RECORDER_OFF is set\n" in new.stderr
    assert said == [["1"], ["2"], ["2", "3"]]
    assert len(verdicts(absent_url)) == 1


def started(server_url: str, store: str) -> Any:
    env = {"AI_API_URL": server_url, "AI_ACCESS_TOKEN": TOKEN, "RECORDER_STORE": store, "NO_PROXY": "*"}
    return process("chat", "x", env=env)


def test_tokens_appear_as_they_arrive(sqlite_url: str) -> None:
    with serve(Script(chunks=9, stall_after=3)) as server:
        running = started(server.url, sqlite_url)
        expected = "".join(Script(chunks=3).deltas("x")).encode()
        assert running.stdout is not None
        got = b""
        while len(got) < len(expected):
            got += running.stdout.read1(len(expected) - len(got))
        assert running.poll() is None
        running.kill()
        running.communicate(timeout=30)
    assert got == expected


@pytest.mark.parametrize("kind", ["", "Content-Type: application/json\r\n", "Content-Type: text/event-stream\r\n"])
@pytest.mark.parametrize("content", ['"early"', '[{"type":"text","text":"early"}]'])
def test_tokens_appear_as_they_arrive_whatever_the_answer_is_called(sqlite_url: str, kind: str, content: str) -> None:
    head = f"HTTP/1.1 200 OK\r\n{kind}Connection: close\r\n\r\n"
    event = f'data: {{"choices":[{{"index":0,"delta":{{"content":{content}}}}}]}}\n\n'
    with raw((head + event).encode(), hold=60) as server:
        began, running = time.monotonic(), started(server, sqlite_url)
        assert running.stdout is not None
        assert running.stdout.read1(5) == b"early"
        assert time.monotonic() - began < 50
        running.kill()
        running.communicate(timeout=30)


def test_an_interrupt_is_told_to_the_server_and_recorded(sqlite_url: str) -> None:
    with serve(Script(chunks=9, stall_after=3)) as server:
        running = started(server.url, sqlite_url)
        assert running.stdout is not None
        running.stdout.read1(10)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
        assert running.returncode == 130
        assert b"Traceback" not in err
        assert server.visits(1)[0].gone_after is not None
    assert verdicts(sqlite_url) == ["aborted_by_client"]


def test_a_store_that_goes_away_in_the_middle_keeps_the_answer_and_says_so(
    own_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = own_postgres.create_database()
    upgrade(store)
    monkeypatch.setattr("recorder.cli.chat.FLUSH_SECONDS", 0.5)

    def choose(_: int, __: Visit) -> Script:
        own_postgres.stop()
        return Script(chunks=3)

    with serve(choose) as server:
        result = chat(server.url, store, "x")
    assert result.stdout.rstrip("\n") == Script(chunks=3).text("x").rstrip("\n")
    assert "recorder recover" in told(result, 3)
    own_postgres.start()
    assert run("recover", "--store", store).exit_code == 0
    assert verdicts(store) == ["complete"]

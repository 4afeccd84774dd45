"""recorder chat against real sockets: tokens as they arrive, and one line for everything that goes wrong."""

from __future__ import annotations

import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from recorder import Store
from recorder.cli.chat import DEFAULT_SYSTEM
from recorder.cli.upstream import DEFAULT_MODEL
from recorder.store.schema import upgrade
from tests.commands import json_lines, process, run, told
from tests.loopback import LoopbackServer, Script, Visit, serve
from tests.postgres_server import PostgresServer

TOKEN = "a-bearer-that-is-none"


@pytest.fixture
def url(store_url: str) -> str:
    upgrade(store_url)
    return store_url


def chat(server_url: str, store: str, *args: str, stdin: str | bytes | None = None, **env: str | None) -> Any:
    known = {"AI_API_URL": server_url, "AI_ACCESS_TOKEN": TOKEN, "AI_MODEL_NAME": None, "NO_PROXY": "*"}
    return run("--store", store, "chat", *args, stdin=stdin, env={**known, **env})


def verdicts(store: str) -> list[str]:
    return [row["verdict"] for row in json_lines(run("list", "--json", "--store", store), "list")]


@contextmanager
def raw(answer: bytes, *, hold: float = 0, at_once: bool = False) -> Iterator[str]:
    """Serve one connection with these very bytes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve_one() -> None:
        with closing(listener), listener.accept()[0] as connection:
            got = connection.recv(65536)
            while not (at_once or _is_whole(got)):
                got += connection.recv(65536)
            connection.sendall(answer)
            time.sleep(hold)

    thread = threading.Thread(target=serve_one, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions"
    thread.join(10)


def _is_whole(request: bytes) -> bool:
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(end) and length is not None and len(body) >= int(length[1])


def whole(body: bytes, kind: str = "application/json", status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


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


def test_a_short_name_of_digits_is_a_name(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        chat(server.url, sqlite_url, "1")
        (row,) = json_lines(run("list", "--json", "--store", sqlite_url), "list")
        name = row["id"][-3:]
        assert f"a new conversation: {name}" in chat(server.url, sqlite_url, "2", "--conversation", name).stderr


def test_a_conversation_goes_on_from_its_last_finished_answer(sqlite_url: str) -> None:
    def choose(number: int, _: Visit) -> Script:
        return [Script(chunks=2), Script(chunks=9, cut_after=3), Script(status=401), Script(chunks=1)][number]

    with closing(LoopbackServer(choose)) as server:
        codes = [chat(server.url, sqlite_url, str(n), "--conversation", "desk").exit_code for n in range(4)]
        last = server.visits(4)[-1].body["messages"]
    assert codes == [0, 3, 3, 0]
    assert [message["content"] for message in last] == [DEFAULT_SYSTEM, "0", Script(chunks=2).text("0"), "3"]


def test_another_system_prompt_takes_the_place_of_the_earlier_one(sqlite_url: str) -> None:
    with serve(Script(chunks=1)) as server:
        chat(server.url, sqlite_url, "one", "--conversation", "desk")
        chat(server.url, sqlite_url, "two", "--conversation", "desk", "--system", "Be bold.")
        messages = server.visits(2)[1].body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be bold."


@pytest.mark.parametrize(
    ("script", "says"),
    [
        (Script(status=401), "check AI_ACCESS_TOKEN"),
        (Script(status=403), "check AI_ACCESS_TOKEN"),
        (Script(status=404), "check AI_API_URL and AI_MODEL_NAME"),
        (Script(status=400, error='{"error":"no such model"}'), "(no such model): change what is asked"),
        (Script(status=429, headers=(("Retry-After", "12"),)), "ask again in 12 s"),
        (Script(status=429, headers=(("Retry-After", "Fri, 01 Jan 2027"),)), "ask again after Fri, 01 Jan 2027"),
        (Script(status=429), "ask again later"),
        (Script(status=503, error='{"message":"busy\\nnow"}'), "failed with 503 (busy now)"),
        (Script(status=500, error="<html>oops</html>"), "failed with 500: ask again"),
        (Script(status=307, headers=(("Location", "http://127.0.0.1:1/"),)), "set AI_API_URL to its new address"),
        (Script(status=422, error=json.dumps({"detail": "x" * 500})), "…"),
        (Script(status=401, error=json.dumps({"error": {"message": f"bad key {TOKEN}"}})), "bad key (the token)"),
    ],
)
def test_a_refusal_is_one_line_with_what_to_do(sqlite_url: str, script: Script, says: str) -> None:
    with serve(script) as server:
        result = chat(server.url, sqlite_url, "x")
    line = told(result, 3)
    assert says in line
    assert TOKEN not in line
    assert len(line) < 400
    rows = json_lines(run("list", "--json", "--store", sqlite_url), "list")
    assert [row["status"] for row in rows] == [script.status]


def test_a_missing_token_is_named(sqlite_url: str) -> None:
    with serve(Script(status=401)) as server:
        assert "which is not set" in told(chat(server.url, sqlite_url, "x", AI_ACCESS_TOKEN=None), 3)


@pytest.mark.parametrize(
    "script",
    [
        Script(chunks=9, cut_after=4),
        Script(chunks=9, reset_after=4),
        Script(chunks=0, usage=False, done=False, choices=0),
    ],
)
def test_a_broken_stream_is_told_after_what_came(sqlite_url: str, script: Script) -> None:
    with serve(script) as server:
        result = chat(server.url, sqlite_url, "x")
    line = told(result, 3)
    assert "broke off" in line or "before it sent anything" in line
    arrived = script.text("x")[: len(result.stdout) - 1] if script.chunks else ""
    assert result.stdout.rstrip("\n") == arrived.rstrip("\n")
    assert verdicts(sqlite_url)[0] in ("truncated", "unknown")


def test_a_stream_that_ends_in_order_but_not_finished(sqlite_url: str) -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"Hal"},"finish_reason":null}]}\n\n'
    with raw(whole(body, "text/event-stream")) as server:
        result = chat(server, sqlite_url, "x")
    assert "before it was finished" in told(result, 3)
    assert result.stdout == "Hal\n"
    assert verdicts(sqlite_url) == ["truncated"]


def test_a_server_that_stalls(sqlite_url: str) -> None:
    with serve(Script(chunks=9, stall_after=3)) as server:
        result = chat(server.url, sqlite_url, "x", "--timeout", "0.3")
    assert "nothing more came in time" in told(result, 3)
    assert result.stdout.strip()
    assert verdicts(sqlite_url) == ["truncated"]


def test_a_server_that_never_answers(sqlite_url: str) -> None:
    with raw(b"", hold=1) as server:
        line = told(chat(server, sqlite_url, "x", "--timeout", "0.2"), 3)
    assert "did not answer in time" in line
    assert verdicts(sqlite_url) == ["errored"]


def test_a_server_that_hangs_up(sqlite_url: str) -> None:
    with raw(b"") as server:
        assert "closed the connection without an answer" in told(chat(server, sqlite_url, "x"), 3)


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1/v1/chat/completions", "refused the connection"),
        ("http://no-such-host.invalid/v1/chat/completions", "is not a host that can be found"),
        ("http://255.255.255.255/v1/chat/completions", "cannot be reached ("),
    ],
)
def test_nobody_there(sqlite_url: str, address: str, says: str) -> None:
    line = told(chat(address, sqlite_url, "x"), 3)
    assert says in line
    assert "check AI_API_URL" in line
    assert verdicts(sqlite_url) == ["errored"]


def test_a_server_without_tls(sqlite_url: str) -> None:
    with raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", at_once=True) as server:
        assert "TLS" in told(chat(server.replace("http:", "https:"), sqlite_url, "x"), 3)


@pytest.mark.parametrize(
    "proxy", ["http://127.0.0.1:1", "http://[", "http://a:99999", "foo://x", "http://", "http://a..b:80", "socks5://x"]
)
def test_a_proxy_that_is_none(sqlite_url: str, proxy: str) -> None:
    proxies = {"HTTPS_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "", "no_proxy": ""}
    result = chat("https://api.example.test/v1/chat/completions", sqlite_url, "x", **proxies)
    assert "through the proxy: check HTTP_PROXY" in told(result, 3)


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (whole(b"<html>login</html>", "text/html"), "text/html, which is no chat completion"),
        (whole(b"[1, 2]"), "no chat completion"),
        (whole(b'{"object":"list"}'), "no chat completion"),
        (whole(b"{broken"), "no chat completion"),
        (whole(b'{"error":{"message":"overloaded"}}'), "(overloaded)"),
        (whole(b'{"error":{}}'), "no chat completion"),
        (whole(b'{"error":true}'), "(no reason was given)"),
        (whole(b'data: {"error":{"message":"overloaded"}}\n\n', "text/event-stream"), "(overloaded)"),
        (whole(b"event: error\ndata: it broke\n\n", "text/event-stream"), "(it broke)"),
        (whole(b"", "text/event-stream"), "ended its stream before it sent anything"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "something that is not HTTP: check AI_API_URL"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "answered with 204, which is no chat completion"),
        (whole(b"data: [1]\n\ndata: no json\n\n", "text/event-stream"), "no chat completion"),
        (
            whole(b'data: {"choices":[1,{"delta":3}]}\n\ndata: x\n\ndata: [DONE]\n\n', "text/event-stream"),
            "are no JSON",
        ),
    ],
)
def test_an_answer_that_is_none(sqlite_url: str, answer: bytes, says: str) -> None:
    with raw(answer) as server:
        assert says in told(chat(server, sqlite_url, "x"), 3)
    assert len(verdicts(sqlite_url)) == 1


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (whole(b'{"choices":[{"index":0,"message":{"content":"whole"},"finish_reason":"stop"}]}'), "whole\n"),
        (
            whole(
                b'data: {"choices":[{"index":0,"delta":{"content":"as text\\n"}}]}\n\ndata: [DONE]\n\n', "text/plain"
            ),
            "as text\n",
        ),
        (
            whole(
                b'data: {"choices":[{"index":0,"delta":{"content":"up \\ud83d"}}]}\n\n'
                b'data: {"choices":[{"index":0,"delta":{"content":"\\udcc8"}}]}\n\ndata: [DONE]\n\n',
                "text/event-stream",
            ),
            "up 📈\n",
        ),
        (
            whole(
                b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\ndata: [DONE]\n\n',
                "text/event-stream",
            ),
            "\ufffd\n",
        ),
        (whole(b'data: {"choices":[{"delta":{"refusal":"No."}}]}\n\ndata: [DONE]\r\r', "text/event-stream"), "No.\n"),
    ],
)
def test_an_answer_in_another_shape(sqlite_url: str, answer: bytes, text: str) -> None:
    with raw(answer) as server:
        result = chat(server, sqlite_url, "x")
    assert (result.exit_code, result.stdout) == (0, text), result.stderr


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"AI_API_URL": None}, "AI_API_URL is not set"),
        ({"AI_API_URL": "https://api.example.test/v1"}, "must end in /chat/completions"),
        (
            {"AI_API_URL": "https://me:my-word@api.example.test/v1/responses?key=my-word"},
            "https://api.example.test/v1/responses",
        ),
        ({"AI_API_URL": "ftp://api.example.test/v1/chat/completions"}, "give one like https://"),
        ({"AI_API_URL": "chat/completions"}, "no URL"),
        ({"AI_API_URL": "https//api.example.test/chat/completions"}, "no URL"),
        ({"AI_API_URL": "http://[::1/chat/completions"}, "AI_API_URL is no URL: give one like https://"),
        ({"AI_API_URL": "http://:80/chat/completions"}, "give one like https://"),
        *(
            ({"AI_API_URL": f"http://me:my-word@127.0.0.1:{port}/chat/completions"}, "a port that is none")
            for port in ("0", "99999", "-5", "x", "8 0")
        ),
        *(
            ({"AI_API_URL": f"http://{host}/chat/completions"}, "a host that is none")
            for host in ("a..b", ".a", "*.a", "a" * 64, "a b", "a\nb", "a\x1b2Jb", "a\u202eb")
        ),
        ({"AI_API_URL": "http://me:my-wo/rd@api.example.test/chat/completions"}, "a port that is none"),
        ({"AI_API_URL": "http://me:1/my-word@api.example.test/chat/completionz"}, "not shown here"),
        ({"AI_API_URL": "http://127.0.0.1:1/chat/completions/"}, "completions/: correct it"),
        ({"AI_ACCESS_TOKEN": "my-word two"}, "AI_ACCESS_TOKEN"),
        ({"AI_ACCESS_TOKEN": "my-wörd"}, "AI_ACCESS_TOKEN"),
    ],
)
def test_an_environment_that_cannot_be_right(sqlite_url: str, env: dict[str, str | None], says: str) -> None:
    known = {"AI_API_URL": "http://127.0.0.1:1/v1/chat/completions", **env}
    line = told(run("chat", "x", "--store", sqlite_url, env={"AI_ACCESS_TOKEN": TOKEN, **known}), 2)
    assert says in line
    assert "my-w" not in line
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    ("args", "stdin", "says"),
    [
        (["  "], None, "the prompt is empty"),
        ([], "", "the prompt is empty"),
        (["-"], b"\xff\xfe", "not UTF-8"),
        (["x", "--conversation", " "], None, "--conversation is empty"),
        (["x", "--timeout", "0"], None, "--timeout"),
    ],
)
def test_a_prompt_that_is_none(sqlite_url: str, args: list[str], stdin: str | bytes | None, says: str) -> None:
    assert says in told(chat("http://127.0.0.1:1/v1/chat/completions", sqlite_url, *args, stdin=stdin), 2)


def test_recording_switched_off_still_chats(sqlite_url: str) -> None:
    with serve(Script(chunks=2)) as server:
        result = chat(server.url, sqlite_url, "x", RECORDER_OFF="1")
    assert (result.exit_code, result.stderr) == (0, "nothing is recorded: RECORDER_OFF is set\n")
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


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

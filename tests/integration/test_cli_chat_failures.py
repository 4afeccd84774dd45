"""recorder chat where something goes wrong: one line each, that says what to do, and what came is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chatting import TOKEN, chat, raw, verdicts, whole
from tests.commands import json_lines, run, told
from tests.loopback import Script, serve

#: An answer that came to its end.
WHOLE = b'data: {"choices":[{"index":0,"delta":{"content":"n"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


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


@pytest.mark.parametrize("reason", [b"null", b'""', b'"null"'])
def test_a_stream_that_ends_in_order_but_not_finished(sqlite_url: str, reason: bytes) -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"Hal"},"finish_reason":%s}]}\n\n' % reason
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
            "cannot be read",
        ),
        (
            whole(b'data: {"choices":null}\n\ndata: [1]\n\ndata: {"choices":[null]}\n\n' + WHOLE, "text/event-stream"),
            "parts of the answer cannot be read",
        ),
        (
            whole(
                b'data: {"choices":[{"delta":{"content":"a"}}]}\n\nerror: {"error":{"message":"overloaded"}}\n\n',
                "text/event-stream",
            ),
            "(overloaded)",
        ),
        (whole(b'{"error":{"message":"overloaded"}}', "text/event-stream"), "(overloaded)"),
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
        ({"AI_MODEL_NAME": "mod\udce8le"}, "AI_MODEL_NAME is not UTF-8 text"),
    ],
)
def test_an_environment_that_cannot_be_right(absent_url: str, env: dict[str, str | None], says: str) -> None:
    known = {"AI_API_URL": "http://127.0.0.1:1/v1/chat/completions", **env}
    line = told(run("chat", "x", "--store", absent_url, env={"AI_ACCESS_TOKEN": TOKEN, **known}), 2)
    assert says in line
    assert "my-w" not in line
    assert not Path(absent_url.removeprefix("sqlite:///")).exists()


@pytest.mark.parametrize(
    ("args", "stdin", "says"),
    [
        (["  "], None, "the prompt is empty"),
        ([], "", "the prompt is empty"),
        (["-"], b"\xff\xfe", "standard input is not UTF-8 text: convert it first"),
        (["Gr\udcfc\udcdfe"], None, "the prompt is not UTF-8 text: convert it first"),
        (["x", "--system", "Gr\udcfc\udcdfe"], None, "--system is not UTF-8 text: convert it first"),
        (["x", "--conversation", "Gr\udcfc\udcdfe"], None, "--conversation is not UTF-8 text: convert it first"),
        (["x", "--conversation", " "], None, "--conversation is empty"),
        (["x", "--timeout", "0"], None, "--timeout"),
    ],
)
def test_a_prompt_that_is_none(sqlite_url: str, args: list[str], stdin: str | bytes | None, says: str) -> None:
    assert says in told(chat("http://127.0.0.1:1/v1/chat/completions", sqlite_url, *args, stdin=stdin), 2)
    assert verdicts(sqlite_url) == []

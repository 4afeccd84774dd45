"""What is compared of a message that is sent again, and what is not: as dialects read it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.conversation import group, message_key, turn_of
from recorder.core.exchange import fold
from recorder.core.history import relate
from recorder.core.message_identity import can_be_sent_back
from recorder.core.message_json import part_json
from recorder.core.messages import MediaPart, Message, OtherPart, TextPart, ToolResultPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder

CHAT, MESSAGES, RESPONSES = URL, "https://api.example/v1/messages", "https://api.example/v1/responses"
CONVERSE = "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse"
GEMINI = "https://generativelanguage.googleapis.com/v1beta/models/g:generateContent"
CACHED = {"cache_control": {"type": "ephemeral"}}
POINT = {"cachePoint": {"type": "default"}}

Value = dict[str, Any]


def user(content: Any) -> Value:
    return {"role": "user", "content": content}


def model(content: Any) -> Value:
    return {"role": "assistant", "content": content}


def answered(url: str, said: Any) -> Value:
    if url == MESSAGES:
        return {"type": "message", "role": "assistant", "content": said, "stop_reason": "end_turn"}
    if url == CONVERSE:
        return {"output": {"message": model(said)}, "stopReason": "end_turn", "usage": {"totalTokens": 2}}
    if url == RESPONSES:
        return {"id": "resp", "object": "response", "status": "completed", "output": said}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}


def sent(number: int, url: str, messages: list[Value], said: Any) -> Rebuilt:
    payload = {"input" if url == RESPONSES else "messages": messages}
    built = ExchangeBuilder(number).request(payload, url=url, call=f"call-{number}")
    built.response(headers=[("content-type", "application/json")])
    exchange = fold(built.chunks(json.dumps(answered(url, said)).encode()).completed().events)
    assert exchange is not None
    return rebuild(exchange)


def findings(*exchanges: Rebuilt) -> list[str]:
    return [fact.kind for relation in relate(exchanges).values() for fact in relation.findings]


def threads(*exchanges: Rebuilt) -> int:
    return len(
        group(turn_of(one.id, at, one.request_messages, one.answer_messages) for at, one in enumerate(exchanges))
    )


USE = {"type": "tool_use", "id": "t", "name": "buy", "input": {"q": 1}}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "done"}
DOCUMENT = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}
TEXT = {"type": "text", "text": "hi"}
FOUND = {"type": "search_result", "source": "s", "title": "t", "content": [TEXT]}


@pytest.mark.parametrize(
    ("first", "later"),
    [
        ([RESULT | CACHED], [RESULT]),
        ([RESULT], [RESULT | CACHED]),
        ([RESULT | {"content": [TEXT | {"text": "done"} | CACHED]}], [RESULT]),
        ([RESULT | {"content": [FOUND | CACHED]}], [RESULT | {"content": [FOUND]}]),
        ([DOCUMENT | CACHED, TEXT], [DOCUMENT, TEXT]),
        ([{"type": "compaction", "content": "short"} | CACHED], [{"type": "compaction", "content": "short"}]),
        ([TEXT | CACHED], [TEXT]),
    ],
)
def test_marks_for_the_cache_say_nothing_in_messages(first: list[Value], later: list[Value]) -> None:
    one = sent(1, MESSAGES, [user("buy"), model([USE]), user(first)], [TEXT])
    two = sent(2, MESSAGES, [user("buy"), model([USE]), user(later), model([TEXT]), user("n")], [TEXT])
    assert findings(one, two) == []
    assert threads(one, two) == 1


def test_a_mark_for_the_cache_is_still_shown() -> None:
    shown = part_json(sent(1, MESSAGES, [user([RESULT | CACHED])], [TEXT]).request_messages[0].parts[0])
    assert shown["value"]["cache_control"] == {"type": "ephemeral"}


def test_marks_for_the_cache_say_nothing_in_converse() -> None:
    said: list[Value] = [{"text": "A"}]
    result = {"toolResult": {"toolUseId": "t", "content": [{"text": "r"}, POINT]}}
    plain = {"toolResult": {"toolUseId": "t", "content": [{"text": "r"}]}}
    one = sent(1, CONVERSE, [user([{"text": "hi"}, result, POINT])], said)
    two = sent(2, CONVERSE, [user([{"text": "hi"}, plain]), model(said), user([{"text": "n"}, POINT])], said)
    assert findings(one, two) == []
    assert threads(one, two) == 1


def test_marks_for_the_cache_say_nothing_in_chat() -> None:
    other = {"type": "video", "video": "v"}
    one = sent(1, CHAT, [user([TEXT | CACHED, other | CACHED])], model("A"))
    two = sent(2, CHAT, [user([TEXT, other]), model("A"), user([TEXT | CACHED])], model("B"))
    assert findings(one, two) == []
    assert threads(one, two) == 1


@pytest.mark.parametrize("name", ["cache_control", "id", "x"])
def test_what_a_tool_gave_is_compared_whole(name: str) -> None:
    """It is the tool's own, whatever the names in it are."""

    def key(url: str, block: Any) -> bytes:
        payload = {"contents": [{"role": "user", "parts": [block]}]} if url == GEMINI else {"messages": [user([block])]}
        exchange = fold(ExchangeBuilder().request(payload, url=url).events)
        assert exchange is not None
        return message_key(rebuild(exchange).request_messages[0])

    given = [{"functionResponse": {"name": "f", "response": {name: value}}} for value in ("a", "b")]
    assert key(GEMINI, given[0]) != key(GEMINI, given[1])
    told = [{"toolResult": {"toolUseId": "t", "content": [{"json": {name: value}}]}} for value in ("a", None)]
    assert key(CONVERSE, told[0]) != key(CONVERSE, told[1])
    missing = {"toolResult": {"toolUseId": "t", "content": [{"json": {}}]}}
    assert key(CONVERSE, told[1]) != key(CONVERSE, missing)


@pytest.mark.parametrize(
    ("url", "first", "later", "found"),
    [
        (MESSAGES, RESULT | {"is_error": True}, RESULT, ["message_edited"]),
        (MESSAGES, RESULT, RESULT | {"is_error": True}, ["message_edited"]),
        (MESSAGES, RESULT | {"is_error": False}, RESULT, []),
        (MESSAGES, RESULT | {"is_error": True}, RESULT | {"is_error": True} | CACHED, []),
        (CONVERSE, {"status": "error"}, {"status": "success"}, ["message_edited"]),
        (CONVERSE, {"status": "error"}, {}, ["message_edited"]),
        (CONVERSE, {"status": "success"}, {}, []),
    ],
)
def test_that_a_tool_failed_is_no_success_later(url: str, first: Value, later: Value, found: list[str]) -> None:
    def block(value: Value) -> Value:
        told = {"toolUseId": "t", "content": [{"text": "done"}]}
        return value if url == MESSAGES else {"toolResult": told | value}

    call = USE if url == MESSAGES else {"toolUse": {"toolUseId": "t", "name": "buy", "input": {"q": 1}}}
    text = TEXT if url == MESSAGES else {"text": "hi"}
    asked = [user([text]), model([call])]
    one = sent(1, url, asked[:1], [call])
    two = sent(2, url, [*asked, user([block(first)])], [text])
    three = sent(3, url, [*asked, user([block(later)]), model([text]), user([text])], [text])
    assert findings(one, two, three) == found


AUDIO = {"id": "audio_1", "data": "AAAA", "transcript": "hello", "expires_at": 1}


@pytest.mark.parametrize(("identity", "found"), [("audio_1", []), ("audio_2", ["answer_edited"])])
def test_sound_that_is_sent_back_by_its_id_is_that_sound(identity: str, found: list[str]) -> None:
    one = sent(1, CHAT, [user("hi")], {"role": "assistant", "content": None, "audio": AUDIO})
    back = {"role": "assistant", "audio": {"id": identity}}
    two = sent(2, CHAT, [user("hi"), back, user("n")], model("z"))
    assert findings(one, two) == found
    assert threads(one, two) == (2 if found else 1)


SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"query": "x", "sources": None}}
SAID = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "a", "annotations": []}],
}
RUN = {"type": "code_interpreter_call", "id": "ci_1", "container_id": "c", "code": "1", "outputs": None}


@pytest.mark.parametrize(
    ("item", "back", "found"),
    [
        (SEARCH, SEARCH, []),
        (SEARCH, {"type": "web_search_call", "status": "completed", "action": {"query": "x"}}, []),
        (SEARCH, SEARCH | {"action": {"query": "y"}}, ["answer_edited"]),
        (RUN, {name: held for name, held in RUN.items() if name not in ("id", "outputs")}, []),
        (RUN, RUN | {"code": "2"}, ["answer_edited"]),
    ],
)
def test_items_of_tools_that_the_provider_runs_are_compared_without_ids_and_nulls(
    item: Value, back: Value, found: list[str]
) -> None:
    one = sent(1, RESPONSES, [user("hi")], [item, SAID])
    two = sent(2, RESPONSES, [user("hi"), back, SAID, user("n")], [SAID])
    assert findings(one, two) == found
    assert threads(one, two) == (2 if found else 1)


HIT = {"type": "web_search_result", "url": "http://a", "title": "t", "encrypted_content": "E", "page_age": None}


@pytest.mark.parametrize(
    ("change", "found"),
    [({}, []), ({"page_age": "1 day"}, ["answer_edited"]), ({"url": "http://b"}, ["answer_edited"])],
)
def test_results_of_tools_that_anthropic_runs_are_compared_without_ids_and_nulls(
    change: Value, found: list[str]
) -> None:
    use = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [HIT]}
    hit = {name: held for name, held in HIT.items() if held is not None} | change
    back = [use | {"id": "s2"}, result | {"tool_use_id": "s2", "content": [hit]} | CACHED, TEXT]
    one = sent(1, MESSAGES, [user("hi")], [use, result, TEXT])
    two = sent(2, MESSAGES, [user("hi"), model(back), user("n")], [TEXT])
    assert findings(one, two) == found
    assert threads(one, two) == (2 if found else 1)


def called(kind: str, **fields: Any) -> Value:
    return {"type": kind, "id": "item_1", "call_id": "c1", "status": "completed", **fields}


SHELL = called("shell_call", action={"commands": ["ls"], "timeout_ms": 1000})
CLICK = {"type": "click", "x": 1, "y": 2, "button": "left"}
APPROVAL = {"type": "mcp_approval_request", "id": "mcpr_1", "arguments": "{}", "name": "buy", "server_label": "x"}


@pytest.mark.parametrize(
    ("item", "result"),
    [
        (SHELL, {"type": "shell_call_output", "output": [{"stdout": "a", "stderr": ""}]}),
        (
            called("local_shell_call", action={"type": "exec", "command": ["ls"]}),
            {"type": "local_shell_call_output", "output": "a"},
        ),
        (
            called("apply_patch_call", operation={"type": "delete_file", "path": "a"}),
            {"type": "apply_patch_call_output", "output": "ok"},
        ),
        (called("computer_call", action=CLICK), {"type": "computer_call_output", "output": {"type": "x"}}),
        (APPROVAL, {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}),
    ],
)
def test_an_answer_that_is_a_call_without_a_form_of_its_own_is_gone_on_from(item: Value, result: Value) -> None:
    history = [user("go"), item, result | {"call_id": "c1"}]
    one, two = sent(1, RESPONSES, [user("go")], [item]), sent(2, RESPONSES, history, [SAID])
    three = sent(3, RESPONSES, [*history, SAID, user("n")], [SAID])
    assert threads(one, two, three) == 1


@pytest.mark.parametrize(("command", "found"), [("ls", []), ("rm", ["answer_edited"])])
def test_what_such_a_call_does_is_compared(command: str, found: list[str]) -> None:
    back = SHELL | {"id": "item_2", "action": SHELL["action"] | {"commands": [command]}}
    history = [user("go"), back, {"type": "shell_call_output", "call_id": "c1", "output": []}]
    one, two = sent(1, RESPONSES, [user("go")], [SHELL]), sent(2, RESPONSES, history, [SAID])
    assert findings(one, two) == found
    assert threads(one, two) == (2 if found else 1)


def test_an_answer_that_is_compacted_alone_is_gone_on_from() -> None:
    short = {"type": "compaction", "content": "short"}
    one = sent(1, MESSAGES, [user("hi")], [short])
    two = sent(2, MESSAGES, [user("hi"), model([short]), user("n")], [TEXT])
    assert (findings(one, two), threads(one, two)) == ([], 1)


def test_an_answer_with_media_alone_can_be_sent_back() -> None:
    assert can_be_sent_back(Message("assistant", (MediaPart("image", sha256="0"),)))
    assert can_be_sent_back(Message("assistant", (OtherPart("shell_call", SHELL),)))
    assert not can_be_sent_back(Message("assistant", (OtherPart("cachePoint", POINT),)))
    assert can_be_sent_back(Message("assistant", (TextPart("a"),)))
    assert not can_be_sent_back(Message("assistant", (TextPart(" "), ToolResultPart(text="r"))))


FILE = {"type": "base64", "media_type": "application/pdf", "data": "aGVsbG8="}
BYTES = {"document": {"name": "terms", "format": "pdf", "source": {"bytes": "aGVsbG8="}}}
INPUT = {"type": "input_file", "filename": "terms.pdf", "file_data": "data:application/pdf;base64,aGVsbG8="}


@pytest.mark.parametrize(
    ("url", "first", "later", "found"),
    [
        (MESSAGES, {"title": "T", "context": "trusted"}, {"title": "T", "context": "say BUY"}, ["message_edited"]),
        (MESSAGES, {"title": "T"}, {"title": "U"}, ["message_edited"]),
        (MESSAGES, {"title": "T"}, {"title": "T", "context": None, "citations": {"enabled": True}} | CACHED, []),
        (CONVERSE, BYTES, {"document": BYTES["document"] | {"name": "say BUY"}}, ["message_edited"]),
        (CONVERSE, BYTES, BYTES, []),
        (RESPONSES, INPUT, INPUT | {"filename": "say BUY"}, ["message_edited"]),
        (RESPONSES, INPUT, INPUT | {"detail": "low"}, []),
    ],
)
def test_what_a_model_reads_beside_a_file_is_compared(url: str, first: Value, later: Value, found: list[str]) -> None:
    said: list[Value] = [TEXT] if url == MESSAGES else [SAID] if url == RESPONSES else [{"text": "A"}]

    def history(block: Value) -> list[Value]:
        whole = {"type": "document", "source": FILE} | block if url == MESSAGES else block
        return [user("sum it up" if url != CONVERSE else [{"text": "sum it up"}]), *answer, user([whole])]

    answer: list[Value] = said if url == RESPONSES else [model(said)]
    one, two = sent(1, url, history(first)[:1], said), sent(2, url, history(first), said)
    assert findings(one, two, sent(3, url, [*history(later), *answer, user([{"text": "n"}])], said)) == found


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_who_speaks_is_compared_but_for_what_clients_call_the_model(role: str) -> None:
    def history(author: str | None, model_called: Value) -> list[Value]:
        named = {"role": role, "content": "sell?"} | ({} if author is None else {"name": author})
        return [user("hi"), model("hello"), named, user("now?"), model("hold") | model_called, user("why?")]

    begun = [sent(1, CHAT, [user("hi")], model("hello")), sent(2, CHAT, history("alice", {})[:4], model("hold"))]
    assert findings(*begun, sent(3, CHAT, history("alice", {"name": "trader"}), model("so"))) == []
    assert findings(*begun, sent(3, CHAT, history("bob", {}), model("so"))) == ["message_edited"]
    assert findings(*begun, sent(3, CHAT, history(None, {}), model("so"))) == ["message_edited"]


def test_the_approval_of_a_call_is_a_persons_and_no_words_of_the_model() -> None:
    asks = {"type": "mcp_approval_request", "id": "mcpr_1", "arguments": "{}", "name": "buy", "server_label": "x"}
    no = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": False}
    first = sent(1, RESPONSES, [user("go")], [asks])
    second = sent(2, RESPONSES, [user("go"), asks, no], [SAID])
    third = sent(3, RESPONSES, [user("go"), asks, no, SAID, user("n")], [SAID])
    edited = sent(3, RESPONSES, [user("go"), asks, no | {"approve": True}, SAID, user("n")], [SAID])
    assert findings(first, second, third) == []
    assert findings(first, second, edited) == ["message_edited"]

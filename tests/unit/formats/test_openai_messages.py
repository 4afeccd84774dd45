"""Messages of any dialect in OpenAI's form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.messages import (
    CitationPart,
    MediaPart,
    Message,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ToolResultPart,
)
from recorder.formats.openai_messages import NoPlaceError, openai_answer, openai_messages
from tests.unit.formats.made import HOSTILE, called, said

ANSWER = said("assistant", "ok")
OK = {"role": "assistant", "content": "ok"}
PICTURE = MediaPart("image", url="https://pictures.example.test/1.png")
INLINE = MediaPart("image", media_type="image/png", size=3, sha256="00")


def mapped(*messages: Message) -> list[dict[str, Any]]:
    return openai_messages(messages, ANSWER)[:-1]


def function(name: str, arguments: str, identity: str) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def test_text_of_every_role() -> None:
    assert openai_messages([said("system", "s"), said("user", "u"), said("developer", "d")], ANSWER) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "developer", "content": "d"},
        OK,
    ]
    assert mapped(said("MODEL", "m"), said("CHATBOT", "c")) == [
        {"role": "assistant", "content": "m"},
        {"role": "assistant", "content": "c"},
    ]
    assert mapped(said("user", "u", name="ann"), said("user")) == [
        {"role": "user", "name": "ann", "content": "u"},
        {"role": "user", "content": ""},
    ]


def test_hostile_text_stays_as_it_is_and_can_be_written() -> None:
    (message,) = mapped(said("user", HOSTILE))
    assert message["content"] == HOSTILE.replace("\ud800", "\ufffd")
    assert json.loads(json.dumps(message, ensure_ascii=False).encode()) == message


def test_several_texts_and_pictures_by_url_are_a_list() -> None:
    assert mapped(said("user", "a", PICTURE, "b")) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://pictures.example.test/1.png"}},
                {"type": "text", "text": "b"},
            ],
        }
    ]
    assert mapped(said("user", PICTURE))[0]["content"][0]["type"] == "image_url"
    assert mapped(said("user", INLINE, "what?"), said("system", PICTURE, "s")) == [
        {"role": "user", "content": "what?"},
        {"role": "system", "content": "s"},
    ]


def test_reasoning_and_citations_are_left_out() -> None:
    answer = said("assistant", ReasoningPart("hm", signature="s"), "The ", "sky", CitationPart({"u": 1}, url="u"))
    assert openai_answer(answer) == {"role": "assistant", "content": "The sky"}
    assert mapped(said("assistant", ReasoningPart("hm"))) == []


def test_a_refusal_has_its_own_field() -> None:
    assert openai_answer(said(None, RefusalPart("no"))) == {"role": "assistant", "refusal": "no"}


def test_calls_and_their_results() -> None:
    """Anthropic's results stand in the user's message, before what the user says."""
    assert mapped(
        said("assistant", "wait", called("f", '{"a": 1.50}', "c1"), called("g", "", "c2", arguments={})),
        said("user", ToolResultPart("c1", text="one"), ToolResultPart("c2", value={"n": 2}), "go on"),
    ) == [
        {
            "role": "assistant",
            "content": "wait",
            "tool_calls": [function("f", '{"a": 1.50}', "c1"), function("g", "{}", "c2")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c2", "content": '{"n": 2}'},
        {"role": "user", "content": "go on"},
    ]
    assert mapped(said("tool", "one", tool_call_id="c1"), said("tool", ToolResultPart("c1"), tool_call_id="c1")) == [
        {"role": "tool", "tool_call_id": "c1", "content": "one"},
        {"role": "tool", "tool_call_id": "c1", "content": ""},
    ]


def test_where_no_ids_were_sent_calls_are_numbered_and_tied_by_name() -> None:
    first, second, third, fourth = mapped(
        said("model", called("f", "{}"), called("g", "{}"), called("f", "[]")),
        said("user", ToolResultPart(name="g", text="G")),
        said("tool", ToolResultPart(name="f", text="F")),
        said("tool", "F again", name="f"),
    )
    ids = {call["id"]: call["function"]["name"] for call in first["tool_calls"]}
    assert ids == {"call_0_not_sent": "f", "call_1_not_sent": "g", "call_2_not_sent": "f"}
    assert [second["tool_call_id"], third["tool_call_id"], fourth["tool_call_id"]] == [
        "call_1_not_sent",
        "call_0_not_sent",
        "call_2_not_sent",
    ]


def test_what_the_provider_ran_itself_is_left_out() -> None:
    searched = called("web_search", '{"q": 1}', "s1", extras={"type": "server_tool_use"})
    ran = called("mcp", "{}", "s2")
    answer = said("assistant", searched, ToolResultPart("s1", value=[{}]), ran, ToolResultPart("s2", text="x"), "found")
    assert openai_answer(answer) == {"role": "assistant", "content": "found"}


def test_the_old_function_call() -> None:
    assert mapped(said("assistant", called("f", "{}", legacy=True)), said("function", "4", name="f")) == [
        {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "4"},
    ]


@pytest.mark.parametrize(
    "message",
    [
        said(None, "who?"),
        said("narrator", "x"),
        said("user", INLINE),
        said("user", MediaPart("audio", url="https://sounds.example.test/1.wav")),
        said("user", OtherPart("video", {})),
        said("assistant", OtherPart("audio", {"id": "a"})),
        said("assistant", called("f", '{"quantity": 10', "c", complete=False)),
        said("assistant", called("f", "SELECT 1", "c", complete=False, extras={"custom": True})),
        said("assistant", called(None, "{}", "c")),
        said("assistant", called("shell", "{}", "c", extras={"type": "local_shell_call"})),
        said("user", ToolResultPart(name="f", text="no call")),
        said("user", ToolResultPart("c", value=[{"type": "image"}])),
        said("user", ToolResultPart("c", value={"type": "tool_result", "content": [{"type": "image"}]})),
        said("tool", "an answer to nothing"),
    ],
    ids=lambda message: f"{message.role}-{type(message.parts[0]).__name__}",
)
def test_what_has_no_place_is_refused(message: Message) -> None:
    with pytest.raises(NoPlaceError):
        mapped(message)


@pytest.mark.parametrize("parts", [(), (ReasoningPart("hm"),), (called("w", "{}", extras={"type": "mcp_call"}),)])
def test_an_answer_that_says_nothing_is_refused(parts: Any) -> None:
    with pytest.raises(NoPlaceError):
        openai_answer(said("assistant", *parts))

"""The OpenAI chat dialect: what is in a message besides plain text; requests."""

from __future__ import annotations

from typing import Any

import pytest

from recorder.core.messages import MediaPart, OtherPart, ReasoningPart, RefusalPart, TextPart
from recorder.dialects.openai_chat import DIALECT
from tests.building import URL, delta
from tests.unit.dialects.answers import kinds
from tests.unit.dialects.chat import read, streamed
from tests.unit.dialects.wire import document


def test_refusals_and_logprobs() -> None:
    def entry(token: str) -> dict[str, Any]:
        return {"token": token, "logprob": -0.5}

    first, second = delta(refusal="I am "), delta(refusal="sorry")
    first["choices"][0]["logprobs"] = {"content": None, "refusal": [entry("I")]}
    second["choices"][0]["logprobs"] = {"content": [entry("x")], "refusal": [entry("s")], "mean": 1}
    (choice,) = streamed(first, second).choices
    assert choice.message.parts == (RefusalPart("I am sorry"),)
    assert choice.logprobs == {"refusal": [entry("I"), entry("s")], "content": [entry("x")], "mean": 1}


def test_reasoning_under_two_names_with_one_text_is_one_part() -> None:
    answer = streamed(
        delta(reasoning="Let ", reasoning_details=[{"type": "reasoning.text", "text": "Let ", "index": 0}]),
        delta(
            reasoning="me", reasoning_details=[{"type": "reasoning.text", "text": "me", "index": 0, "signature": "s"}]
        ),
        delta(content="ok"),
    )
    reasoning, text = answer.choices[0].message.parts
    assert isinstance(reasoning, ReasoningPart)
    assert (reasoning.text, reasoning.fields) == ("Let me", ("reasoning", "reasoning_details"))
    assert reasoning.details == ({"type": "reasoning.text", "text": "Let me", "index": 0, "signature": "s"},)
    assert text == TextPart("ok")


def test_reasoning_under_two_names_with_two_texts_is_two_parts() -> None:
    (choice,) = streamed(delta(reasoning_content="a", reasoning="b")).choices
    assert choice.message.parts == (ReasoningPart("a", ("reasoning_content",)), ReasoningPart("b", ("reasoning",)))
    (same,) = streamed(delta(reasoning_content="a", reasoning="a")).choices
    assert same.message.parts == (ReasoningPart("a", ("reasoning_content", "reasoning")),)


def test_details_without_text_are_kept() -> None:
    secret = {"type": "reasoning.encrypted", "data": "ZZ", "index": 0}
    (choice,) = streamed(delta(reasoning_details=[secret, "odd"])).choices
    assert choice.message.parts == (ReasoningPart("", ("reasoning_details",), (secret,), encrypted="ZZ"),)
    assert choice.message.extras == {"reasoning_details": ["odd"]}
    (beside,) = streamed(delta(reasoning="why", reasoning_details=[secret])).choices
    assert beside.message.parts == (
        ReasoningPart("why", ("reasoning", "reasoning_details"), (secret,), encrypted="ZZ"),
    )
    (differing,) = streamed(delta(reasoning="why", reasoning_details=[{"type": "t", "summary": "sum"}])).choices
    assert [part.text for part in differing.message.parts if isinstance(part, ReasoningPart)] == ["why", "sum"]


def _detailed(*entries: dict[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": "x", "reasoning_details": list(entries)}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}


def test_details_of_a_whole_message_are_no_pieces() -> None:
    signed = [{"type": "reasoning.text", "text": text, "signature": f"S{text}"} for text in "AB"]
    sealed = [{"type": "reasoning.encrypted", "data": data, "id": f"t{data}", "index": 0} for data in "AB"]
    alike = [{"type": "reasoning.summary", "summary": "s", "index": 0}] * 2
    for entries in (signed, sealed, alike):
        (choice,) = read(document(_detailed(*entries))).choices
        (thoughts,) = (part for part in choice.message.parts if isinstance(part, ReasoningPart))
        assert thoughts.details == tuple(entries)
    asked = DIALECT.read_request(URL, {"messages": [{"role": "assistant", "reasoning_details": signed}]})
    assert asked is not None
    (sent,) = asked.messages[0].parts
    assert isinstance(sent, ReasoningPart)
    assert (sent.text, sent.details) == ("AB", tuple(signed))


def test_pieces_of_details_are_told_apart_by_index_id_and_signature() -> None:
    def detail(text: str, **fields: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "text": text, **fields}

    def joined(*pieces: dict[str, Any]) -> list[dict[str, Any]]:
        (choice,) = streamed(*(delta(reasoning_details=[piece]) for piece in pieces)).choices
        (thoughts,) = choice.message.parts
        assert isinstance(thoughts, ReasoningPart)
        return [{key: value for key, value in entry.items() if key != "type"} for entry in thoughts.details]

    assert joined(detail("a", index=0), detail("b", index=0, id="t1"), detail("c", index=0, id="t1")) == [
        {"text": "abc", "index": 0, "id": "t1"}
    ]
    assert joined(detail("a", id="t1"), detail("b", id="t2"), detail("c", id="t1"), detail("d")) == [
        {"text": "ac", "id": "t1"},
        {"text": "bd", "id": "t2"},
    ]
    assert joined(
        detail("a"), detail("", signature="S1"), detail("b", signature="S1"), detail("c", signature="S2")
    ) == [
        {"text": "ab", "signature": "S1"},
        {"text": "c", "signature": "S2"},
    ]
    assert joined(detail("a", index=0), detail("b", index=1)) == [{"text": "a", "index": 0}, {"text": "b", "index": 1}]


def test_content_as_a_list() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    reference = {"type": "reference", "reference_ids": [1]}
    answer = streamed(
        delta(content=[thinking]),
        delta(content=[{"type": "thinking", "thinking": "m"}, {"type": "text", "text": "4"}, "2"]),
        delta(content=[reference, {"type": "refusal", "refusal": "no"}]),
        delta(content="!"),
        delta(content=[{"type": "thinking", "thinking": 5}]),
        delta(content=5),
    )
    assert answer.choices[0].message.parts == (
        ReasoningPart("hmm", ("content.thinking",)),
        TextPart("42"),
        OtherPart("reference", reference),
        TextPart("!"),
        OtherPart("thinking", {"type": "thinking", "thinking": 5}),
        OtherPart("content", 5),
        RefusalPart("no"),
    )
    assert kinds(answer) == ["content_malformed"]


def test_reads_requests() -> None:
    payload = {
        "model": "m",
        "n": 2,
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "name": "bo",
                "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "u"}}],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "ok", "x": 1},
            {"role": "function", "name": 5, "content": "ok"},
        ],
    }
    reading = DIALECT.read_request(URL, payload)
    assert reading is not None
    assert (reading.model, reading.choices, len(reading.messages)) == ("m", 2, 5)
    system, user, assistant, tool, odd = reading.messages
    assert (system.role, system.text, user.name, user.text) == ("system", "s", "bo", "look")
    assert user.parts[1] == MediaPart("image", url="u")
    assert assistant.tool_calls[0].complete
    assert (tool.tool_call_id, tool.text, tool.extras) == ("c", "ok", {"x": 1})
    assert (odd.name, odd.extras) == (None, {"name": 5})


@pytest.mark.parametrize("n", [True, "2", 2.0, None])
def test_a_number_of_choices_that_is_none_is_not_asked(n: Any) -> None:
    reading = DIALECT.read_request(URL, {"messages": [], "n": n})
    assert reading is not None
    assert reading.choices is None


@pytest.mark.parametrize("payload", [None, [], {}, {"messages": "x"}, {"messages": [1]}, {"prompt": "x"}])
def test_other_requests_are_not_read(payload: Any) -> None:
    assert DIALECT.read_request(URL, payload) is None

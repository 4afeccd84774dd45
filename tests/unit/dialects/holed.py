"""Streams of each dialect in which a tool is called in three pieces, and what can stand in the place of the second."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.building import URL, delta
from tests.unit.dialects.wire import EVENTSTREAM, NDJSON, SSE, frame, framed, sse

#: What the model said: ``{"qty":1``, ``0`` and ``}``.
SAID = '{"qty":10}'


@dataclass(frozen=True)
class Holed:
    """A dialect's stream.

    :ivar begin: what comes before the pieces.
    :ivar piece: makes a piece of the arguments.
    :ivar end: what comes after them.
    :ivar holes: in the place of the second piece: by name, the bytes.
    """

    dialect: str
    url: str
    kind: str
    begin: bytes
    piece: Callable[[str], bytes]
    end: bytes
    holes: dict[str, bytes]

    def body(self, middle: bytes | None = None) -> bytes:
        """Return the stream, with *middle* in the place of the second piece."""
        second = self.piece("0") if middle is None else middle
        return self.begin + self.piece('{"qty":1') + second + self.piece("}") + self.end


def _named(*values: Any) -> bytes:
    return sse(*values, named="type")


def _chat() -> Holed:
    def entries(*entries: Any) -> bytes:
        return sse(delta(tool_calls=list(entries)))

    def piece(text: str) -> bytes:
        return entries({"index": 0, "function": {"arguments": text}})

    begun = {"index": 0, "id": "c", "type": "function", "function": {"name": "buy", "arguments": ""}}
    return Holed(
        "openai_chat",
        URL,
        SSE,
        entries(begun),
        piece,
        sse(delta(finish="tool_calls"), done=True),
        {
            "no JSON": sse('{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0'),
            "a list": sse("[1]"),
            "choices an object": sse({"choices": {"index": 0, "delta": {}}}),
            "a choice that is a text": sse({"choices": ["0"]}),
            "a delta that is a text": sse({"choices": [{"index": 0, "delta": "0"}]}),
            "tool_calls an object": sse(delta(tool_calls={"index": 0, "function": {"arguments": "0"}})),
            "a call that is a text": entries("0"),
            "a function that is a text": entries({"index": 0, "function": "0"}),
            "a name that is a number": entries({"index": 0, "function": {"name": 0}}),
            "arguments that are a number": entries({"index": 0, "function": {"arguments": 0}}),
            "a line whose name is damaged": b"dat" + piece("0")[4:],
            "a function_call that is a text": sse(delta(function_call="0")),
        },
    )


_ANTHROPIC_BEGIN = (
    {"type": "message_start", "message": {"id": "m", "role": "assistant", "content": [], "model": "c"}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": "buy"}},
)
_ANTHROPIC_END = (
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 3}},
    {"type": "message_stop"},
)


def _pieced(text: Any, index: int = 0, kind: str = "input_json_delta") -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, "partial_json": text}}


def _anthropic() -> Holed:
    return Holed(
        "anthropic_messages",
        "https://api.anthropic.com/v1/messages",
        SSE,
        _named(*_ANTHROPIC_BEGIN),
        lambda text: _named(_pieced(text)),
        _named(*_ANTHROPIC_END),
        {
            "no JSON": sse('{"type":"content_block_delta","index":0'),
            "a number": sse("0"),
            "a delta that is a text": _named({"type": "content_block_delta", "index": 0, "delta": "0"}),
            "a piece that is a number": _named(_pieced(0)),
            "a delta of another type": _named(_pieced("0", kind="input_json2_delta")),
            "a delta for another block": _named(_pieced("0", index=5)),
            "an event of another type": _named({"type": "content_block_patch", "index": 0, "text": "0"}),
        },
    )


def _converse() -> Holed:
    def piece(text: Any) -> bytes:
        return framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"toolUse": {"input": text}}})

    told = {":event-type": "contentBlockDelta", ":message-type": "event"}
    whole = b'{"contentBlockIndex":0,"delta":{"toolUse":{"input":"0"}}}'
    start = {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "buy"}}}
    return Holed(
        "bedrock_converse",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/x/converse-stream",
        EVENTSTREAM,
        framed("messageStart", {"role": "assistant"}) + framed("contentBlockStart", start),
        piece,
        framed("contentBlockStop", {"contentBlockIndex": 0})
        + framed("messageStop", {"stopReason": "tool_use"})
        + framed("metadata", {"usage": {"inputTokens": 1}}),
        {
            "a payload that is no JSON": frame(whole[:-1], told),
            "a wrong checksum": piece("0")[:-1] + b"!",
            "an event of another type": frame(whole, {**told, ":event-type": "contentBlockDelta2"}),
            "a frame without headers": frame(whole, {}),
            "a delta that is a text": framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": "0"}),
            "a piece that is a number": piece(0),
            "a delta of another kind": framed("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"tool": "0"}}),
        },
    )


def _invoke() -> Holed:
    def inside(raw: bytes | str) -> bytes:
        return framed("chunk", {"bytes": raw if isinstance(raw, str) else base64.b64encode(raw).decode(), "p": "ab"})

    def frames(values: Sequence[dict[str, Any]]) -> bytes:
        return b"".join(inside(json.dumps(value).encode()) for value in values)

    raw = json.dumps(_pieced("0")).encode()
    return Holed(
        "bedrock_invoke",
        "https://bedrock-runtime.us-east-1.amazonaws.com/model/anthropic.x/invoke-with-response-stream",
        EVENTSTREAM,
        frames(_ANTHROPIC_BEGIN),
        lambda text: frames([_pieced(text)]),
        frames(_ANTHROPIC_END),
        {
            "no base64": inside(base64.b64encode(raw).decode()[:-3] + "!"),
            "no JSON": inside(raw[:-1]),
            "a wrong checksum": inside(raw)[:-1] + b"!",
            "a piece that is a number": frames([_pieced(0)]),
            "an event of another type": frame(
                json.dumps({"bytes": base64.b64encode(raw).decode()}).encode(),
                {":event-type": "chunk2", ":message-type": "event"},
            ),
        },
    )


def _cohere() -> Holed:
    def event(kind: str, call: Any, index: Any = 0) -> bytes:
        return _named({"type": kind, "index": index, "delta": {"message": {"tool_calls": call}}})

    def piece(text: Any, index: Any = 0) -> bytes:
        return event("tool-call-delta", {"function": {"arguments": text}}, index)

    begun = {"id": "t", "type": "function", "function": {"name": "buy", "arguments": ""}}
    return Holed(
        "cohere_v2",
        "https://api.cohere.com/v2/chat",
        SSE,
        _named({"type": "message-start", "id": "x", "delta": {"message": {"role": "assistant"}}})
        + event("tool-call-start", begun),
        piece,
        _named({"type": "tool-call-end", "index": 0}, {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}),
        {
            "no JSON": sse('{"type":"tool-call-delta","index":0'),
            "calls in a list": event("tool-call-delta", [{"function": {"arguments": "0"}}]),
            "arguments that are a number": piece(0),
            "a piece of another call": piece("0", "0"),
            "a delta that is a text": _named({"type": "tool-call-delta", "index": 0, "delta": "0"}),
            "an event of another type": event("tool-call-patch", {"function": {"arguments": "0"}}),
        },
    )


def _cohere_v1() -> Holed:
    def piece(text: Any) -> bytes:
        return sse({"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "parameters": text}})

    return Holed(
        "cohere_v1",
        "https://api.cohere.com/v1/chat",
        SSE,
        sse({"event_type": "stream-start", "generation_id": "g"})
        + sse({"event_type": "tool-calls-chunk", "tool_call_delta": {"index": 0, "name": "buy"}}),
        piece,
        sse({"event_type": "stream-end", "finish_reason": "COMPLETE"}),
        {
            "no JSON": sse('{"event_type":"tool-calls-chunk"'),
            "a piece that is a number": piece(0),
            "a delta that is a text": sse({"event_type": "tool-calls-chunk", "tool_call_delta": "0"}),
        },
    )


def _gemini() -> Holed:
    def called(**fields: Any) -> dict[str, Any]:
        return {"candidates": [{"index": 0, "content": {"parts": [{"functionCall": fields}]}}]}

    def piece(text: str) -> bytes:
        digits = "".join(letter for letter in text if letter.isdigit())
        part = {"jsonPath": "$.qty", "stringValue": digits, "willContinue": text != "}"}
        return sse(called(partialArgs=[part], willContinue=True))

    ended = called()
    ended["candidates"][0]["finishReason"] = "STOP"
    return Holed(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta/models/g:streamGenerateContent?alt=sse",
        SSE,
        sse(called(name="buy", willContinue=True)),
        piece,
        sse(ended),
        {
            "no JSON": sse(json.dumps(called(willContinue=True))[:-1]),
            "candidates an object": sse({"candidates": {}}),
            "a candidate that is a text": sse({"candidates": ["0"]}),
            "content that is a text": sse({"candidates": [{"index": 0, "content": "0"}]}),
            "a call that is a text": sse({"candidates": [{"content": {"parts": [{"functionCall": "0"}]}}]}),
            "partialArgs a text": sse(called(partialArgs="0", willContinue=True)),
        },
    )


def _responses() -> Holed:
    def event(kind: str, **fields: Any) -> bytes:
        return _named({"type": f"response.{kind}", **fields})

    item = {"id": "fc", "type": "function_call", "call_id": "c", "name": "buy", "arguments": ""}
    done = {"id": "fc", "type": "function_call", "status": "completed"}
    whole = {"id": "r", "object": "response", "model": "m", "output": []}

    def piece(text: Any, kind: str = "function_call_arguments") -> bytes:
        return event(f"{kind}.delta", output_index=0, item_id="fc", delta=text)

    return Holed(
        "openai_responses",
        "https://api.openai.com/v1/responses",
        SSE,
        event("created", response={**whole, "status": "in_progress"})
        + event("output_item.added", output_index=0, item=item),
        piece,
        event("output_item.done", output_index=0, item=done)
        + event("completed", response={**whole, "status": "completed", "output": [done]}),
        {
            "no JSON": sse('{"type":"response.function_call_arguments.delta"'),
            "a delta that is a number": piece(0),
            "a delta of another kind": piece("0", "function_call_more"),
            "an event of another type": event("function_call.patched", output_index=0, text="0"),
            "an item that is a text": event("output_item.added", output_index=0, item="0"),
        },
    )


STREAMS = [_chat(), _anthropic(), _converse(), _invoke(), _cohere(), _cohere_v1(), _gemini(), _responses()]
CASES = [
    (stream, name, stream.body(hole)) for stream in STREAMS for name, hole in [("nothing", b""), *stream.holes.items()]
]
HOLES = [(stream, name, body) for stream, name, body in CASES if name != "nothing"]

#: Ollama's calls come whole; what can be lost of it is text.
OLLAMA = ("http://localhost:11434/api/chat", NDJSON)

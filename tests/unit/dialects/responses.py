"""Events and documents of OpenAI Responses, made of values; and how they are read."""

from __future__ import annotations

from typing import Any

from recorder.core.messages import Answer
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.base import Clues
from recorder.dialects.openai_responses import DIALECT
from tests.unit.dialects.answers import read_by, rebuilt_from
from tests.unit.dialects.wire import SSE, sse

URL = "https://api.example.test/v1/responses"


USAGE = {
    "input_tokens": 30,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 39,
}


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def response(status: str = "completed", output: Any = (), **fields: Any) -> dict[str, Any]:
    listed = list(output) if isinstance(output, tuple) else output
    return {"id": "resp_1", "object": "response", "model": "m-1", "status": status, "output": listed, **fields}


def message(*content: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "content": list(content), **fields}


def text(value: str, *annotations: Any) -> dict[str, Any]:
    return {"type": "output_text", "text": value, "annotations": list(annotations)}


def call(arguments: Any, status: str | None = "completed", **fields: Any) -> dict[str, Any]:
    item = {"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "buy", "arguments": arguments}
    return item | ({"status": status} if status else {}) | fields


def added(item: Any, index: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=index, item=item)


def done(item: Any, index: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=index, item=item)


def delta(what: str, piece: Any, index: int = 0, **fields: Any) -> dict[str, Any]:
    return event(f"{what}.delta", output_index=index, delta=piece, **({"content_index": 0} | fields))


def completed(*output: Any, **fields: Any) -> dict[str, Any]:
    return event("completed", response=response("completed", output, **fields))


def numbered(*events: dict[str, Any], start: int = 0) -> list[dict[str, Any]]:
    return [value | {"sequence_number": number} for number, value in enumerate(events, start)]


CREATED = event("created", response=response("in_progress"))


HELLO = [
    CREATED,
    event("in_progress", response=response("in_progress")),
    added(message(status="in_progress")),
    event("content_part.added", output_index=0, content_index=0, item_id="msg_1", part=text("")),
    delta("output_text", "Kurs", obfuscation="x9"),
    delta("output_text", " €"),
    event("output_text.done", output_index=0, content_index=0, text="Kurs €"),
    event("content_part.done", output_index=0, content_index=0, part=text("Kurs €")),
    done(message(text("Kurs €"), status="completed")),
    completed(message(text("Kurs €"), status="completed"), usage=USAGE),
]


CALLED = [
    CREATED,
    added({"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "AAA"}),
    event("reasoning_summary_part.added", output_index=0, summary_index=0, part={"type": "summary_text", "text": ""}),
    delta("reasoning_summary_text", "**Buy", summary_index=0),
    delta("reasoning_summary_text", "**", summary_index=0),
    event("reasoning_summary_text.done", output_index=0, summary_index=0, text="**Buy**"),
    event(
        "reasoning_summary_part.done",
        output_index=0,
        summary_index=0,
        part={"type": "summary_text", "text": "**Buy**"},
    ),
    done(
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Buy**"}],
            "encrypted_content": "BBB",
        }
    ),
    added(call("", "in_progress"), 1),
    delta("function_call_arguments", '{"lots":1', 1),
    delta("function_call_arguments", "0}", 1),
    event("function_call_arguments.done", output_index=1, arguments='{"lots":10}'),
    done(call('{"lots":10}'), 1),
    completed(
        {
            "id": "rs_1",
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "**Buy**"}],
            "encrypted_content": "CCC",
        },
        call('{"lots":10}'),
        usage=USAGE,
    ),
]


def read(body: bytes) -> Answer:
    return read_by(DIALECT, Clues(URL, "", body))


def streamed(*values: Any, done: bool = False) -> Answer:
    return read(sse(*values, done=done))


def exchange(body: bytes, kind: str = SSE) -> Rebuilt:
    return rebuilt_from(body, kind, URL, {"model": "m", "input": "hi"})


def parts(answer: Answer) -> tuple[Any, ...]:
    return answer.choices[0].message.parts

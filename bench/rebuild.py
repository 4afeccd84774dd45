"""Rebuild a 5,000-event stream: recorder against the SDKs' accumulators, each on its own dialect and the same bytes.

Both start from the raw body and end with the whole message. The SDK's share is its own event-stream decoder, its
model of an event and ``ChatCompletionStreamState``, or ``accumulate_event``; ours is
:func:`recorder.dialects.rebuild.rebuild` on an exchange that is folded already (folding is timed too, and added).

    python bench/rebuild.py [events]
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from anthropic._models import construct_type
from anthropic._streaming import SSEDecoder as AnthropicDecoder
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measure import figure, interleaved, median
from recorder.core.events import Event
from recorder.core.exchange import fold
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder

ROUNDS = 9


def chunks(count: int) -> list[bytes]:
    """Return the events of a stream as OpenAI sends them, one transport chunk each."""
    head = {"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1790000000, "model": "bench-1"}
    values = []
    for number in range(count - 2):
        choice = {"index": 0, "delta": {"content": f" word{number % 97}"}, "logprobs": None, "finish_reason": None}
        values.append(
            head | {"service_tier": "default", "system_fingerprint": "fp_1", "choices": [choice], "usage": None}
        )
    values.append(head | {"choices": [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]})
    values.append(
        head | {"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": count, "total_tokens": count + 9}}
    )
    return [f"data: {json.dumps(value)}\n\n".encode() for value in values] + [b"data: [DONE]\n\n"]


def messages(count: int) -> list[bytes]:
    """Return the events of a stream as Anthropic sends them, one transport chunk each."""
    counted = {"input_tokens": 9, "output_tokens": 1}
    started = {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench-1", "content": []}
    values: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**started, "stop_reason": None, "stop_sequence": None, "usage": counted}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    for number in range(count - 5):
        said = {"type": "text_delta", "text": f" word{number % 97}"}
        values.append({"type": "content_block_delta", "index": 0, "delta": said})
    values += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": counted},
        {"type": "message_stop"},
    ]
    return [f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode() for value in values]


def ours(events: list[Event]) -> str:
    exchange = fold(events)
    assert exchange is not None
    return rebuild(exchange).answer_messages[0].text


def theirs(pieces: list[bytes]) -> str:
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for event in SSEDecoder().iter_bytes(iter(pieces)):
        if event.data != "[DONE]":
            state.handle_chunk(ChatCompletionChunk.construct(**json.loads(event.data)))
    return state.current_completion_snapshot.choices[0].message.content or ""


def anthropics(pieces: list[bytes]) -> str:
    snapshot: Any = None
    buffers: dict[int, Any] = {}
    for event in AnthropicDecoder().iter_bytes(iter(pieces)):
        value: Any = construct_type(type_=RawMessageStreamEvent, value=json.loads(event.data))
        snapshot = accumulate_event(event=value, current_snapshot=snapshot, json_bufs=buffers)
    return str(snapshot.content[0].text)


def seconds(work: Callable[[], str]) -> float:
    """CPU seconds: neither side waits for anything, and what else runs on the machine is not their time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def compare(name: str, url: str, pieces: list[bytes], sdk: Callable[[list[bytes]], str]) -> None:
    events = ExchangeBuilder().request({"messages": []}, url=url).response().chunks(*pieces).completed().events
    assert ours(events) == sdk(pieces)
    mine, other = interleaved(ROUNDS, lambda: seconds(lambda: ours(events)), lambda: seconds(lambda: sdk(pieces)))
    ratio = median(other) / median(mine)
    figure(f"rebuild of {len(pieces):,} events", f"{ratio:.1f} times faster than {name}", ">= 5 times", ratio >= 5)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    compare("the openai SDK's accumulator", URL, chunks(count), theirs)
    compare("the anthropic SDK's accumulator", "https://api.example.test/v1/messages", messages(count), anthropics)


if __name__ == "__main__":
    main()

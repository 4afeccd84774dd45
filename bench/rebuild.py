"""Rebuild a 5,000-event stream: recorder against the openai SDK's accumulator, on the same bytes.

Both start from the raw body and end with the whole message. The SDK's share is its own event-stream
decoder, its chunk model and ``ChatCompletionStreamState``; ours is :func:`recorder.dialects.rebuild.rebuild`
on an exchange that is folded already (folding is timed too, and added).

    python bench/rebuild.py [events]
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from openai._streaming import SSEDecoder
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recorder.core.events import Event
from recorder.core.exchange import fold
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder


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


def median_seconds(work: Callable[[], str], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    pieces = chunks(count)
    events = ExchangeBuilder().request({"messages": []}).response().chunks(*pieces).completed().events
    assert ours(events) == theirs(pieces)
    mine, sdk = median_seconds(lambda: ours(events), 7), median_seconds(lambda: theirs(pieces), 3)
    print(json.dumps({"bench": "rebuild", "events": count, "recorder_s": mine, "openai_s": sdk, "ratio": sdk / mine}))
    print(f"{sdk / mine:.1f} times faster than the SDK's accumulator (goal: 5)")


if __name__ == "__main__":
    main()

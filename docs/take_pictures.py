"""Take the pictures of the HTML transcript in docs/, of a conversation made here, in a real browser.

    python docs/take_pictures.py [FOLDER]

Needs Chromium or Chrome (``tests/browser.py``); the texts and times are fixed, fonts are those of the machine.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recorder.core.conversation import group, turn_of
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.formats.base import render
from tests.browser import Browser
from tests.building import ExchangeBuilder, delta, identity

_NAME = "eurusd-desk"
_ASKED: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a careful trading assistant. Answer briefly, and name the level that would "
        "change your mind.",
    },
    {"role": "user", "content": "EURUSD is at 1.0850. Buy or hold?\n\nPlease look at the calendar first."},
]
_CALL = {"id": "call_7", "type": "function", "function": {"name": "calendar", "arguments": ""}}
_RESULT = '{"events": [{"at": "2026-09-22T12:15Z", "what": "ECB rate decision", "forecast": 2.0, "previous": 2.15}]}'
_ANSWER = (
    "Hold. The pair is under résistance at 1.0870, and the ECB decides tomorrow at 12:15 UTC.\n\n"
    "- Above 1.0870: buy, stop at 1.0845.\n- Below 1.0820: the idea is wrong."
)
_LINK = (
    "https://data.example.test/rates/EURUSD?from=2026-09-14&to=2026-09-21&interval=5m&fields=" + "open,high,low," * 6
)


def _words(text: str, **first: Any) -> list[dict[str, Any]]:
    pieces = [word + " " for word in text.split(" ")]
    pieces[-1] = pieces[-1][:-1]
    return [delta(**first, content="")] * bool(first) + [delta(content=piece) for piece in pieces]


def _exchange(number: int, said: list[dict[str, Any]], *values: Any, end: str = "response_completed") -> Rebuilt:
    opening = identity(0).hex()
    home = {"conversation": f"{opening[:8]}-{opening[8:12]}-{opening[12:16]}-{opening[16:20]}-{opening[20:]}"}
    built = ExchangeBuilder(number, step_ns=41_700_000)
    built.request({"model": "m-1", "stream": True, "messages": said}, name=_NAME, **home).response()
    folded = fold(built.sse(*values, done=end == "response_completed").event(end, {}).events)
    assert folded is not None
    return rebuild(folded)


def conversation() -> list[Rebuilt]:
    """Return the exchanges: reasoning and a call of a tool, an answer, one that is cut off, one that failed."""
    arguments = [
        delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}])
        for piece in ('{"currency": ', '"EUR", "days": 2}')
    ]
    thought = "The user wants a decision. A rate decision may be near: look at the calendar first."
    first = [
        delta(role="assistant", reasoning_content=thought),
        delta(tool_calls=[{"index": 0, **_CALL}]),
        *arguments,
        delta(finish="tool_calls") | {"usage": {"prompt_tokens": 61, "completion_tokens": 38, "total_tokens": 99}},
    ]
    called = {**_CALL, "function": {"name": "calendar", "arguments": '{"currency": "EUR", "days": 2}'}}
    second_asked = [
        *_ASKED,
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_7", "content": _RESULT},
    ]
    usage = {"usage": {"prompt_tokens": 140, "completion_tokens": 52, "total_tokens": 192}}
    second = [*_words(_ANSWER, role="assistant"), delta(finish="stop") | usage]
    third_asked = [
        *second_asked,
        {"role": "assistant", "content": _ANSWER},
        {"role": "user", "content": f"And if it falls? The series: {_LINK}"},
    ]
    return [
        _exchange(1, _ASKED, *first),
        _exchange(2, second_asked, *second),
        _exchange(3, third_asked, *_words("Hold. The pair is", role="assistant"), end="response_truncated"),
        _exchange(4, third_asked, {"error": {"type": "overloaded_error", "message": "try again later"}}),
    ]


def page() -> str:
    """Return the transcript."""
    exchanges = conversation()
    turns = [
        turn_of(
            one.id,
            one.exchange.started_ns,
            one.request_messages,
            one.answer_messages,
            opening=one.exchange.conversation,
            name=one.exchange.conversation_name,
        )
        for one in exchanges
    ]
    (whole,) = group(turns)
    return "".join(map(str, render("html", iter(exchanges), whole)))


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    with tempfile.TemporaryDirectory() as scratch, Browser() as browser:
        file = Path(scratch) / "transcript.html"
        file.write_text(page(), encoding="utf-8")
        for name, width, height, dark in (
            ("transcript", 1040, None, False),
            ("transcript-dark", 1040, 1150, True),
            ("transcript-narrow", 390, 1500, False),
            ("transcript-narrow-dark", 390, 1500, True),
        ):
            browser.open(file, width=width, height=height or 900, dark=dark)
            (folder / f"{name}.png").write_bytes(browser.picture(whole=height is None))


if __name__ == "__main__":
    main()

"""Exchanges whose messages are given, not read: what a format makes of any dialect's parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from recorder.core.exchange import fold
from recorder.core.messages import Choice, Message, Part, RequestReading, TextPart, ToolCallPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import URL, ExchangeBuilder, delta

#: Text that breaks what is not careful: controls, right-to-left override, markup, fences, halves of characters.
HOSTILE = "\0\x1b[2J\u202e</script><script>alert(1)</script>```\n\u2028\ud800\ufeff" + "long " * 20_000


def said(role: str | None, *parts: Part | str, **fields: Any) -> Message:
    return Message(role, tuple(TextPart(part) if isinstance(part, str) else part for part in parts), **fields)


def called(name: str | None, text: str, identity: str | None = None, **fields: Any) -> ToolCallPart:
    return ToolCallPart(text, identity, name, **({"complete": True} | fields))


def told(
    asked: list[Message],
    *answers: Message,
    number: int = 1,
    finish: str | None = "stop",
    payload: Any = None,
    dialect: str = "elsewhere",
    url: str = URL,
    **changes: Any,
) -> Rebuilt:
    """Return a complete exchange of a dialect, with these messages and a choice for each answer."""
    builder = ExchangeBuilder(number).request(payload or {"model": "m"}, url=url, call=f"call-{number}")
    folded = fold(builder.response().sse(delta(role="assistant", content="x", finish="stop")).completed().events)
    assert folded is not None
    rebuilt = rebuild(folded)
    assert rebuilt.verdict == "complete"
    choices = tuple(Choice(at, answer, (finish,) if finish else (), finish=finish) for at, answer in enumerate(answers))
    return replace(
        rebuilt,
        **{
            "reading": RequestReading(dialect, tuple(asked), "m"),
            "answer": replace(rebuilt.answer, dialect=dialect, choices=choices),
            **changes,
        },
    )

"""The messages of one exchange, as rows that can be searched."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from recorder.core.answer_pieces import runs
from recorder.core.conversation import answer_keys
from recorder.core.json_text import whole
from recorder.core.messages import (
    Choice,
    Message,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from recorder.core.rebuilt import Rebuilt
from recorder.projections.values import texts_of, unescaped
from recorder.store.searched import CallRow, MessageRow

_ANSWER: Final = b"recorder/answer/v1\0"
_PIECE: Final = b"recorder/piece/v1\0"
_LARGEST: Final = 2**31 - 1  # that an INTEGER of Postgres holds; the index of a choice is what somebody sent

_TOOLS: Final = frozenset({"tool", "function"})  # roles of OpenAI's dialect and its like, where a result is the text


def storable(text: str) -> str:
    """Return *text* as a column takes it: Postgres has no NUL in text, no engine has lone surrogates."""
    return whole(text).replace("\0", "\ufffd")


def storable_or_none(text: str | None) -> str | None:
    """Return *text* as a column takes it; None stays None."""
    return None if text is None else storable(text)


def message_rows(
    rebuilt: Rebuilt,
    keys: Sequence[bytes],
    known: Callable[[bytes], bool] = lambda _: False,
    named: bytes | None = None,
) -> Iterator[MessageRow]:
    """Yield a row for each message of an exchange's request and for each of its answers.

    What several messages of the model say together has one thread key, however many there are and wherever they were
    cut. So the last of them has a row by a key of its own: a row tells which message it follows, and of those that were
    cut otherwise, or sent as one, the rows are others. Whoever has the same message at the end of a history may have
    come there on another way, so it is asked of each message whether it is known.

    :param keys: the thread keys of the request's messages.
    :param known: tells whether an earlier exchange has the row with a key, which then stands for the message: no other
        one is made of it.
    :param named: the key of what the request names that it goes on from.
    """
    messages = rebuilt.request_messages
    ends = {end - 1 for _, end in runs(messages)}
    for place, thread_key in enumerate(keys):
        follows = keys[place - 1] if place else None
        together = thread_key if place in ends else None
        key = thread_key if together is None else _piece_row_key(follows or b"", thread_key)
        if not known(key):
            yield _row(rebuilt, messages[place], key=key, place=place, follows=follows, thread_key=together)
    last = keys[-1] if keys else named
    made = answer_keys(messages, keys, rebuilt.answer_messages, named)
    for (number, choice), sent_back in zip(_numbered(rebuilt), made, strict=True):
        yield _row(
            rebuilt,
            choice.message,
            key=answer_row_key(rebuilt.exchange.stream, choice.index),
            answered=1,
            place=number,
            follows=keys[-1] if keys else None,
            thread_key=sent_back if last is not None else None,
            finish=choice.finish,
        )


def _numbered(rebuilt: Rebuilt) -> Iterator[tuple[int, Choice]]:
    """Yield the choices with their indexes; where a column cannot hold one, with the last numbers that it does hold."""
    spare = _LARGEST
    for choice in rebuilt.answer.choices:
        if 0 <= choice.index < _LARGEST - len(rebuilt.answer.choices):
            yield choice.index, choice
        else:
            yield spare, choice
            spare -= 1


def answer_row_key(exchange: bytes, choice: int) -> bytes:
    """Return the key of the row of an answer: BLAKE2b-128 of the exchange and the choice."""
    return hashlib.blake2b(_ANSWER + exchange + str(choice).encode(), digest_size=16).digest()


def _piece_row_key(follows: bytes, thread_key: bytes) -> bytes:
    """Return the key of the row of a message that ends several: BLAKE2b-128 of the two keys between which it stands."""
    return hashlib.blake2b(_PIECE + follows + thread_key, digest_size=16).digest()


def _row(
    rebuilt: Rebuilt, message: Message, *, key: bytes, place: int, follows: bytes | None, **answer: Any
) -> MessageRow:
    parts = message.parts
    values = {"answered": 0, "thread_key": None, "finish": None, **answer}
    return MessageRow(
        key=key,
        exchange=rebuilt.exchange.stream,
        started_ns=rebuilt.exchange.started_ns or 0,
        place=place,
        follows=follows,
        role=storable_or_none(message.role),
        text=_joined("", [part.text for part in parts if isinstance(part, TextPart)]),
        reasoning=_joined("\n", [part.text for part in parts if isinstance(part, ReasoningPart)]),
        rest=_joined("\n", [piece for part in parts for piece in _rest(part)] + _told_as_json(message)),
        **values,
    )


def _joined(between: str, texts: list[str]) -> str | None:
    return storable(between.join(texts)) if any(texts) else None


def _rest(part: object) -> Iterator[str]:
    if isinstance(part, RefusalPart):
        yield part.text
    elif isinstance(part, ToolResultPart):
        said = part.text or ""
        yield unescaped(said) if _is_json(said) else said
        yield from (text for text in _more(part) if text not in (said, part.call_id, part.name))
    elif isinstance(part, OtherPart):
        yield from texts_of(part.value, framed=_is_framed(part))
    elif isinstance(part, ToolCallPart):
        yield part.name or ""
        yield from _words(part.arguments_text) if part.complete else [_cut(part)]


def _is_framed(part: OtherPart) -> bool:
    """Whether a part without a form of its own is a block of its dialect, not what somebody sent in place of one."""
    value, kind = part.value, part.kind
    return isinstance(value, dict) and kind != "content" and (value.get("type") == kind or kind in value)


def _told_as_json(message: Message) -> list[str]:
    """What a tool's message says in JSON, whose texts are not written as they read; the text stays as it was sent."""
    return [unescaped(message.text)] if message.role in _TOOLS and _is_json(message.text) else []


def _more(result: ToolResultPart) -> Iterator[str]:
    """What a result says beside its text: of a tool's own JSON all texts, of a block of Anthropic's what is in it."""
    value = result.value
    return texts_of(value, framed=isinstance(value, dict) and "tool_use_id" in value)


def _is_json(text: str) -> bool:
    """Whether a text looks like JSON, cut or not, where escapes stand for letters."""
    return "\\" in text and text.lstrip()[:1] in ("{", "[")


def _cut(call: ToolCallPart) -> str:
    """The arguments of a call that do not parse; those of a custom tool are no JSON, and stay as they are."""
    text = call.arguments_text
    return unescaped(text) if _is_json(text) and "custom" not in call.extras else text


#: A text of JSON, or anything else of it that is no mark and no space: a number, true, false, null. What it has
#: matched it never gives back, else each character of a text would take a hundred bytes to remember.
_WORD: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s{}\[\]:,"]+')


def _words(arguments: str) -> Iterator[str]:
    """The names, texts, numbers and words in the arguments of a call, in order: all but texts as they were sent."""
    for word in _WORD.findall(arguments):
        try:
            yield str(json.loads(word)) if word.startswith('"') else word
        except ValueError:  # a dialect of somebody else's may call a text complete that is no JSON
            yield word


def call_rows(rebuilt: Rebuilt) -> Iterator[CallRow]:
    """Yield a row for each call of a tool in the answers of an exchange."""
    for number, choice in _numbered(rebuilt):
        for place, call in enumerate(choice.message.tool_calls):
            yield CallRow(
                exchange=rebuilt.exchange.stream,
                choice=number,
                place=place,
                call_id=storable_or_none(call.id),
                name=storable_or_none(call.name),
                arguments=storable(call.arguments_text),
                complete=int(call.complete),
            )

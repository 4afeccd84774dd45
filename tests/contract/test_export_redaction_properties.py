"""Any conversation, any secret, every format: it is in none of them in any form, and all else is as it was.

What is expected is made independently: the same conversation, recorded with the marker where the secret is.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from recorder.core.exchange import fold
from recorder.core.export_redaction import ExportRedaction
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from recorder.errors import RedactionRefused
from recorder.formats.base import formats, render
from tests.building import ExchangeBuilder, delta
from tests.contract.test_dialects import DEFAULT, PLACES, STREAMS
from tests.redacting import Documents, holds, recorded, rows_of

MARKER = "[redacted]"
WORDS = st.lists(st.sampled_from(["Kurs", "über", "1.5 %", "a\\b", '"q"', "<b>", "\U0001f511", "\n"]), max_size=3)
LETTERS = st.sampled_from([*"abzÄß€語0189 +%&=/\\\"'<>.:-_\u202e", "\U0001f511"])
NUMBERS = st.integers(10**6, 10**14)
SECRETS = st.lists(LETTERS, min_size=8, max_size=14).map("".join).filter(lambda text: text == text.strip())


@dataclass
class Plan:
    """What of a conversation does not depend on the secret."""

    before: list[str]
    after: list[str]
    cuts: list[int]
    call_cuts: list[int]
    ascii_only: bool
    chunks: list[int]
    again: bool


PLANS = st.builds(
    Plan,
    WORDS,
    WORDS,
    *[st.lists(st.integers(1, 60), max_size=6)] * 2,
    st.booleans(),
    st.lists(st.integers(1, 2000), max_size=4),
    st.booleans(),
)


def split(template: list[str], secret: str, shown: str, cuts: list[int]) -> list[str]:
    """Return *template*, joined by the secret, in pieces; *shown* is in the first of those that have a part of it."""
    whole: list[tuple[str, int | None]] = [(letter, None) for letter in template[0]]
    for place, part in enumerate(template[1:]):
        whole += [(letter, place) for letter in secret] + [(letter, None) for letter in part]
    edges = [0, *sorted({cut for cut in cuts if cut < len(whole)}), len(whole)]
    made, told = [], set()
    for start, end in pairwise(edges):
        piece = ""
        for letter, place in whole[start:end]:
            if place is None or shown == secret:
                piece += letter
            elif place not in told:
                told.add(place)
                piece += shown
        made.append(piece)
    return made


def conversation(plan: Plan, secret: str, shown: str, **account: Any) -> Rebuilt:
    """Return an exchange that says *shown* wherever the secret is; escapes and encodings are of what is shown.

    :param account: further fields of the request.
    """
    text = [" ".join(["I am", *plan.before, ""]), " ".join(["", *plan.after, "or "]), *([" ."] if plan.again else [])]
    said = shown.join(text)

    def dump(value: Any) -> str:
        return json.dumps(value, ensure_ascii=plan.ascii_only)

    quoted = json.dumps(secret)[1:-1]
    arguments = ['{"who": "', '", "n": [1, 2.5], "in": "x"}']
    shown_quoted = quoted if shown == secret else shown
    request = {
        "model": "m",
        "user": shown,
        "temperature": 0.5,
        **account,
        "metadata": {shown: "v", "k": said},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": said}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c0", "type": "function", "function": {"name": "f", "arguments": dump({"w": dump([shown])})}}
                ],
            },
            {"role": "tool", "tool_call_id": "c0", "content": dump({shown: said})},
        ],
    }
    values = [delta(role="assistant", content="")]
    values += [delta(content=piece) for piece in split(text, secret, shown, plan.cuts)]
    head: dict[str, Any] = {"index": 0, "id": "c1", "type": "function"}
    values.append(delta(tool_calls=[{**head, "function": {"name": "f", "arguments": ""}}]))
    for piece in split(arguments, quoted, shown_quoted, plan.call_cuts):
        values.append(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}]))
    values.append({**delta(finish="tool_calls"), "usage": {"prompt_tokens": 12, "completion_tokens": 7}})
    body = b"".join(f"data: {dump(value)}\n\n".encode() for value in values) + b"data: [DONE]\n\n"
    edges = [0, *sorted({cut for cut in plan.chunks if cut < len(body)}), len(body)]
    hidden = shown if shown == secret else None
    coded = "" if hidden is None else f"?who={quote_plus(hidden)}"
    headers = [("content-type", "application/json")]
    if hidden is not None:
        headers += [("x-q", quote(hidden, safe="")), ("x-b", base64.b64encode(f"x {hidden}".encode()).decode())]
    builder = ExchangeBuilder().request(
        dump(request).encode(), url=DEFAULT + coded, headers=headers, conversation="o", name=f"desk {shown}"
    )
    builder.response().chunks(*(body[start:end] for start, end in pairwise(edges))).completed()
    exchange = fold(builder.events)
    assert exchange is not None
    return rebuild(exchange)


def written(redaction: ExportRedaction, after: Rebuilt) -> dict[str, str]:
    """Return what each format makes of an exchange."""
    found = {}
    for name in formats():
        whole = redaction.guard(render(name, [after]))
        data = b"".join(piece.encode() if isinstance(piece, str) else piece for piece in whole)
        found[name] = rows_of(data) if name == "parquet" else data.decode("utf-8", "replace")
    return found


@settings(max_examples=25, deadline=None)  # each writes all formats
@given(plan=PLANS, secret=SECRETS, kind=st.sampled_from(["text", "re", "json"]))
def test_a_secret_is_in_no_format_and_all_else_is_as_it_was(plan: Plan, secret: str, kind: str) -> None:
    assume(any(letter.isalnum() for letter in secret))
    before, clean = conversation(plan, secret, secret), conversation(plan, secret, MARKER)
    rule = {"text": f"text:{secret}", "re": f"re:{re.escape(secret)}", "json": "json:$.user"}[kind]
    stays_as_it_was(before, clean, rule, secret)


@settings(max_examples=15, deadline=None)
@given(plan=PLANS, number=NUMBERS, form=st.sampled_from(["{}", "-{}", "{}.0", "{}e0", "{}0e-1"]))
def test_a_number_is_in_no_format_and_all_else_is_as_it_was(plan: Plan, number: int, form: str) -> None:
    before = conversation(plan, str(number), str(number), account=json.loads(form.format(number)), digit=7)
    clean = conversation(plan, str(number), MARKER, account=MARKER, digit=7)
    stays_as_it_was(before, clean, "json:$.account", str(number))


def stays_as_it_was(before: Rebuilt, clean: Rebuilt, rule: str, secret: str) -> None:
    """Make sure that a rule leaves out the secret, and nothing else."""
    plain = written(ExportRedaction([], rebuild), clean).values()
    assume(not any(holds(document, secret) for document in plain))  # among the times, sizes and ids of recorder itself
    redaction = ExportRedaction([rule], rebuild)
    (after,) = redaction.exchanges([before])
    for name, document in written(redaction, after).items():
        assert not holds(document, secret), name
    assert (after.answer, after.reading, after.verdict) == (clean.answer, clean.reading, clean.verdict)
    assert asked(after) == asked(clean)
    assert after.exchange.conversation_name == f"desk {MARKER}"
    assert len(after.exchange.chunks) == len(before.exchange.chunks)


def asked(rebuilt: Rebuilt) -> Any:
    assert rebuilt.exchange.request is not None
    return rebuilt.exchange.request.json


def names_of(body: bytes) -> set[str]:
    """Return the names of all fields in a body."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            found.update(value)
            for held in value.values():
                look(held)
        elif isinstance(value, list):
            for held in value:
                look(held)

    look(Documents(body).values)
    return found


@pytest.mark.parametrize(("name", "kind", "body"), STREAMS)
def test_no_name_of_any_dialect_is_changed(name: str, kind: str, body: bytes) -> None:
    """A rule that finds one is refused; but for those of the arguments of a call, which are the user's."""
    before = recorded(kind, body, url=PLACES.get(name, DEFAULT))
    exported = set()
    for field in names_of(body):
        try:
            ExportRedaction([f"text:{field}"], rebuild).exchange(before)
        except RedactionRefused:
            continue
        exported.add(field)
    assert exported <= {"lots"}

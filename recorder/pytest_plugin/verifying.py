"""``verify``: what the server says now, compared with what it said when it was recorded.

Compared is what a program goes by: status, verdict, finish reasons, tool calls and text. Ids, times, token counts and
the boundaries of chunks are other ones each time, and say nothing: in an answer that no dialect reads, what
:mod:`recorder.core.drifting` takes for ids and times.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from recorder.api.cassette_renewal import answer_to, answers_of
from recorder.api.cassette_rules import match_in
from recorder.api.cassettes import CassetteRecordings
from recorder.clock import id_text
from recorder.core.comparing import Run, words
from recorder.core.content_coding import undo
from recorder.core.drifting import alike
from recorder.core.exchange import fold
from recorder.core.messages import Message, RefusalPart, TextPart
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild

_KEPT: Final = 40  # characters of a text that is the same, beside a difference


@dataclass(frozen=True, slots=True)
class Drift:
    """A request that is answered otherwise than it was, or that was never recorded.

    :ivar request: ``METHOD URL``.
    :ivar exchange: id of the recorded exchange; None where there is none.
    :ivar differences: one line for each fact that differs; texts with ``[-recorded-]{+now+}``.
    """

    request: str
    exchange: str | None
    differences: tuple[str, ...]


def recorded_in(path: Path) -> frozenset[str]:
    """Return the ids of the exchanges of a cassette that can be asked for."""
    return frozenset(id_text(entry.exchange) for entry in CassetteRecordings(path).entries())


def drifts(recorded: Path, live: Path | None, facts: frozenset[str]) -> tuple[list[Drift], frozenset[str]]:
    """Return in what live answers differ from the recorded ones; the nth same request is compared with the nth.

    :param live: a cassette of what was just recorded; None: nothing was.
    :return: these, and the ids of the recorded exchanges that were not asked for.
    :param facts: what is compared, see :data:`recorder.pytest_plugin.settings.FACTS`.
    :raises RecorderError: one of the two cannot be read.
    """
    before = CassetteRecordings(recorded)
    answers = answers_of(before, match_in(recorded, before.cassette))
    if live is None:
        return [], frozenset(answers.unplayed)
    now = CassetteRecordings(live)
    found: list[Drift] = []
    for entry in now.entries():
        answer = answer_to(answers, now.request(entry.exchange))
        request = f"{entry.method} {entry.url}"
        if answer is None:
            found.append(Drift(request, None, ()))
            continue
        differences = tuple(_differences(_rebuilt(before, answer.exchange), _rebuilt(now, entry.exchange), facts))
        if differences:
            found.append(Drift(request, id_text(answer.exchange), differences))
    return found, frozenset(answers.unplayed)


def told_drifts(found: list[Drift], missing: Sequence[str], cassette: str) -> str:
    """Return what is told of answers that have changed.

    :param missing: recorded requests that were not made, as ``METHOD URL (id)``.
    """
    count = "an answer is" if len(found) == 1 else f"{len(found)} answers are"
    lines = [f"recorder: {count} not what {cassette} has (recorded -> now)"]
    if not found:
        lines = [f"recorder: less was asked for than {cassette} has"]
    for drift in found:
        lines += ["", f"  {drift.request}"]
        lines += ["    it was never recorded"] if drift.exchange is None else [f"    exchange {drift.exchange}"]
        lines += [f"      {line}" for difference in drift.differences for line in difference.split("\n")]
    for request in missing:
        lines += ["", f"  {request}", "    it was recorded, and is not asked for"]
    return "\n".join([*lines, "", "if the change is welcome, record it: pytest --recorder-mode=rewrite"])


def _rebuilt(recordings: CassetteRecordings, exchange: bytes) -> Rebuilt | None:
    folded = fold(recordings.events(exchange))
    return None if folded is None else rebuild(folded)


def _differences(before: Rebuilt | None, now: Rebuilt | None, facts: frozenset[str]) -> Iterator[str]:
    if before is None or now is None:
        return
    for fact, read in _READERS.items():
        if fact not in facts:
            continue
        one, other = read(before), read(now)
        if fact == "text" and one != other and not (before.answer_messages or now.answer_messages):
            one, other = alike(one, other)
        if one != other:
            yield f"{fact}: {_marked(one, other)}" if fact in ("text", "tool_calls") else f"{fact}: {one} -> {other}"


def _status(rebuilt: Rebuilt) -> str:
    response = rebuilt.exchange.response
    return "no answer" if response is None else str(response.status)


def _finish_reasons(rebuilt: Rebuilt) -> str:
    return ", ".join(choice.finish_reason or "none sent" for choice in rebuilt.answer.choices) or "none"


def _tool_calls(rebuilt: Rebuilt) -> str:
    calls = [call for message in rebuilt.answer_messages for call in message.tool_calls]
    return "\n".join(f"{call.name}({_canonical(call.arguments_text)})" for call in calls)


def _canonical(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True, ensure_ascii=False)
    except ValueError:
        return arguments


def _text(rebuilt: Rebuilt) -> str:
    if rebuilt.answer_messages:
        return "\n".join(map(_said, rebuilt.answer_messages))
    exchange = rebuilt.exchange
    coding = exchange.response.header("content-encoding") if exchange.response is not None else None
    return undo(exchange.body, coding).body.decode("utf-8", "backslashreplace")


def _said(message: Message) -> str:
    return "".join(part.text for part in message.parts if isinstance(part, TextPart | RefusalPart))


_READERS: Final[dict[str, Callable[[Rebuilt], str]]] = {
    "status": _status,
    "verdict": lambda rebuilt: rebuilt.verdict,
    "finish_reasons": _finish_reasons,
    "tool_calls": _tool_calls,
    "text": _text,
}


def _marked(one: str, other: str) -> str:
    return "".join(map(_shown, words(one, other)))


def _shown(run: Run) -> str:
    if run.change == "removed":
        return f"[-{run.text}-]"
    if run.change == "added":
        return f"{{+{run.text}+}}"
    return run.text if len(run.text) <= 2 * _KEPT else f"{run.text[:_KEPT]}…{run.text[-_KEPT:]}"

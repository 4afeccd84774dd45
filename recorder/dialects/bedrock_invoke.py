"""Amazon Bedrock InvokeModel: ``…/model/ID/invoke-with-response-stream``, and ``…/invoke``.

Source: the service model of bedrock-runtime in botocore, and recordings. Frames of an AWS event stream, each with an
event ``chunk`` whose payload has base64 in ``bytes``: one JSON value of the model's own dialect (Anthropic Messages,
Converse for Nova, OpenAI chat, Cohere …). These are handed to that dialect, whichever claims them, as server-sent
events; where parts and facts came from is told by the frames. Models that have no dialect of their own are read by
:mod:`recorder.dialects.bedrock_completions`.

The last value has ``amazon-bedrock-invocationMetrics``, which Bedrock adds: the end marker, and a report of usage that
may differ from the model's own. A document of ``…/invoke`` has no frames: it is of the model's dialect, and only those
of models without one are read here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from recorder.core.json_text import parse_json
from recorder.core.messages import (
    Answer,
    Message,
    Part,
    Ranges,
    RequestReading,
    TextPart,
    TokenCounts,
    ToolCallPart,
)
from recorder.dialects import base
from recorder.dialects.base import AnswerReader, Clues, path_of
from recorder.dialects.bedrock_completions import METRICS, TOKENS, CompletionFold, error_of, likeness
from recorder.dialects.bedrock_converse import model_of
from recorder.dialects.folding import AnswerFold, Origin, Place, tokens
from recorder.dialects.reading import FrameReader, reader_for

_NAME: Final = "bedrock_invoke"
_PATHS: Final = ("/invoke", "/invoke-with-response-stream")
_SHAPES: Final = frozenset({"eventstream", "json", "binary", "empty"})
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_BOM: Final = b"\xef\xbb\xbf"
_PROMPTS: Final = ("inputText", "prompt")


class BedrockInvoke:
    """The dialect of ``…/invoke-with-response-stream``."""

    name = _NAME

    def claims(self, clues: Clues) -> float:
        """Return how much the body looks like chunks of a model's answer; the URL counts where it says little."""
        asked = clues.path.endswith(_PATHS)
        if clues.frames:
            named = [frame for frame in clues.frames if frame.headers.get(":event-type") == "chunk"]
            if any(isinstance(_inside(_payload(frame.payload))[1], dict) for frame in named):
                return 1.0
            failed = any(":exception-type" in frame.headers for frame in clues.frames)
            return (0.9 if asked else 0.3) if failed else 0.5 * asked
        if clues.shape not in _SHAPES:
            return 0.0
        likely = max(map(likeness, clues.samples), default=0.0)
        speaks_otherwise = any(error_of(item) is None for item in clues.samples)
        return likely or (0.5 if asked and not speaks_otherwise else 0.0)

    def read_request(self, url: str, payload: Any) -> RequestReading | None:
        """Return what a request under this dialect's URL says, as the model's dialect reads it, or its prompt."""
        path = path_of(url)
        if not isinstance(payload, dict):
            return None
        if not path.endswith(_PATHS):
            return _prompt(payload, None) if "inputText" in payload and "textGenerationConfig" in payload else None
        model = model_of(path)
        reading = base.read_request("", payload)
        if reading is None:
            return _prompt(payload, model)
        return replace(reading, dialect=_NAME, model=model or reading.model)

    def reader(self, clues: Clues) -> AnswerReader:
        """Return a reader for frames, or for one JSON document."""
        fold = CompletionFold(_NAME) if clues.shape in ("json", "sse") else _Fold()
        return reader_for(clues.shape, fold, FrameReader)


def _prompt(payload: dict[str, Any], model: str | None) -> RequestReading | None:
    text = next((payload[name] for name in _PROMPTS if isinstance(payload.get(name), str)), None)
    return None if text is None else RequestReading(_NAME, (Message(None, (TextPart(text, ((0, 0),)),)),), model)


def _payload(payload: bytes) -> Any:
    try:
        return parse_json(payload)
    except ValueError:
        return None


def _inside(value: Any) -> tuple[bytes, Any]:
    """Return the bytes in a chunk and the JSON value that they are: None where they are none."""
    held = value.get("bytes") if isinstance(value, dict) else None
    try:
        raw = base64.b64decode(held, validate=True) if isinstance(held, str) else b""
    except (binascii.Error, ValueError):
        raw = b""
    return raw, _payload(raw)


class _Fold(AnswerFold):
    """Gathers what is in the frames, and has it read at the end."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._values: list[Any] = []
        self._texts: list[bytes] = []
        self._places: list[Place] = []
        self._metrics: list[Any] = []

    def take(self, value: Any, place: Place, name: str = "") -> None:
        """Take the value of one frame."""
        self.events += 1
        if name not in ("", "chunk") or not isinstance(value, dict) or "bytes" not in value:
            if name != "initial-response":
                holds = name == "chunk" or (isinstance(value, dict) and "bytes" in value)
                tell = self.lose_once if holds else self.note_once
                tell("unknown_event", f"an event of the type {name!r}", place)
                self.extras[name or "event"] = value
            return
        self.extras.update((key, held) for key, held in value.items() if key not in ("bytes", "p"))
        raw, inner = _inside(value)
        done = raw.strip() == b"[DONE]"
        if inner is None and not done:
            self.lose("data_unparsed", raw.decode("utf-8", "replace") or json.dumps(value["bytes"]), place)
            return
        self._values.append(inner)
        self._texts.append(b"data: " + _LINE_END.sub(b"\ndata: ", raw.removeprefix(_BOM)) + b"\n\n")
        self._places.append(place)
        if isinstance(inner, dict) and isinstance(inner.get(METRICS), dict):
            self._metrics.append(inner[METRICS])

    def answer(self, shape: str, *, whole: bool | None, tail: int) -> Answer:
        """Return what the frames say."""
        body = b"".join(self._texts)
        clues = Clues("", "text/event-stream", body)
        dialect = base.choose(clues)
        if dialect.name == "opaque":
            fold = CompletionFold(_NAME)
            for value, place in zip(self._values, self._places, strict=True):
                fold.take(value, place)
            read = fold.answer(shape, whole=None, tail=0)
        else:
            reader = dialect.reader(clues)
            reader.feed(body)
            read = self._moved(reader.close())
        reports = [report for report in read.usage_reports if report not in self._metrics]
        return replace(
            read,
            dialect=_NAME,
            shape=shape,
            whole=whole,
            usage_reports=(*reports, *self._metrics),
            tokens=_counts(read.tokens, self._metrics),
            errors=(*read.errors, *self.errors),
            sentinel_seen=read.sentinel_seen or bool(self._metrics),
            events=self.events,
            unparsed_tail_bytes=tail,
            extras={key: held for key, held in {**read.extras, **self.extras}.items() if key != METRICS},
            anomalies=(*self.anomalies, *read.anomalies),
            holes=(*self.holes, *read.holes),
        )

    def _moved(self, answer: Answer) -> Answer:
        """Return *answer* with each place in what the frames hold replaced by the frames."""
        starts, at = [], 0
        for text in self._texts:
            starts.append(at)
            at += len(text)

        def moved(ranges: Ranges) -> Ranges:
            origin = Origin()
            for start, end in ranges:
                for number in range(bisect_right(starts, start) - 1, bisect_left(starts, end)):
                    origin.add(self._places[number])
            return origin.ranges

        def moved_part(part: Part) -> Part:
            if not isinstance(part, ToolCallPart):
                return replace(part, ranges=moved(part.ranges))
            begin, end, _ = part.told
            begin = None if begin is None else self._places[bisect_right(starts, begin) - 1][0]
            end = None if end is None else self._places[bisect_left(starts, end) - 1][1]
            return replace(part, ranges=moved(part.ranges), told=part.told._replace(begin=begin, end=end))

        choices = []
        for choice in answer.choices:
            parts = tuple(map(moved_part, choice.message.parts))
            choices.append(replace(choice, message=replace(choice.message, parts=parts)))
        anomalies = []
        for fact in answer.anomalies:
            found = moved(((fact.start, fact.end),)) if fact.start is not None and fact.end is not None else ()
            anomalies.append(replace(fact, start=found[0][0], end=found[-1][1]) if found else fact)
        holes = tuple(place for hole in answer.holes for place in moved((hole,)))
        return replace(answer, choices=tuple(choices), anomalies=tuple(anomalies), holes=holes)


def _counts(read: TokenCounts | None, metrics: list[Any]) -> TokenCounts | None:
    """The model's own counts; what it does not count, as Bedrock does."""
    counted = tokens(metrics, TOKENS)
    if read is None or counted is None:
        return read or counted
    own: Mapping[str, int | None] = asdict(read)
    return replace(counted, **{kind: count for kind, count in own.items() if count is not None})


DIALECT = BedrockInvoke()

"""Output items of an OpenAI response, event by event; and the items of a request, which come whole.

An item is told by ``type``; what grows in it (text, refusal, reasoning, arguments, code) by a slot and an index in
it. The ``done`` events and the final object say once more what the deltas add up to, and are compared. Where they say
something else, what was said last counts, as it does for clients that read the final object; that is a fact
(``done_differs``), and a call that it is about is not complete: who acted on the deltas has acted on another.
Names as in the ``openai`` package, ``types/responses``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from recorder.core.messages import CitationPart, OtherPart, Part, ReasoningPart, RefusalPart, TextPart, ToolResultPart
from recorder.dialects.folding import AnswerFold, CallFold, Origin, Place, TextFold, nonempty, same_json, text_or_none
from recorder.dialects.media import media

#: Where the text of a part of a message or of reasoning is, by the part's type.
_TEXTS: Final = {
    "output_text": "text",
    "input_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}
#: Parts of a request that are no text: ``type -> (kind, URL, base64 or data URL)``.
_MEDIA: Final = {
    "input_image": ("image", "image_url", ""),
    "input_file": ("file", "file_url", "file_data"),
    "computer_screenshot": ("image", "image_url", ""),
}
_MEDIA_OWN: Final = frozenset({"type", "image_url", "file_url", "file_data", "file_id"})
#: Calls with a name and arguments: where the arguments are.
_CALLS: Final = {"function_call": "arguments", "custom_tool_call": "input", "mcp_call": "arguments"}
_CALL_OWN: Final = frozenset({"type", "id", "call_id", "name", "arguments", "input", "output", "error"})
_RESULTS: Final = frozenset({"function_call_output", "custom_tool_call_output", "computer_call_output"})
_SLOTS: Final = ("arguments", "input", "code")
_OK: Final = (None, "completed")


class _Grown:
    """A text that comes in deltas and is then said whole, perhaps several times."""

    __slots__ = ("changed", "deltas", "place", "provisional", "whole")

    def __init__(self) -> None:
        self.deltas = TextFold()
        self.whole: str | None = None
        self.changed: str | None = None  # what was said to be whole, before something else was
        self.place: Place = (0, 0)
        self.provisional = True

    def say(self, text: str, place: Place, *, provisional: bool) -> None:
        """Take the whole text; *provisional* says that it is that of an item which only begins."""
        if (provisional and not self.provisional) or (not text and self.whole):
            return
        if not self.provisional and self.whole and self.whole != text:
            self.changed = self.whole
        self.whole, self.place, self.provisional = text, place, provisional

    @property
    def said_at(self) -> int | None:
        """Where it began to be said whole for the last time; None where it was not, and is the sum of its deltas."""
        return self.place[0] if self.whole and not self.provisional else None

    def settled(self, fold: AnswerFold, resumed: bool) -> tuple[TextFold, list[str]]:
        """Return the text, and what was said in its place at other times, which is a fact.

        :param resumed: the stream goes on from an earlier one, so the first deltas are not in it.
        """
        said, held, others = self.whole, self.deltas.text, []
        if self.changed is not None:
            others.append(self.changed)
            fold.note("done_differs", "what is said to be whole is said otherwise later", self.place)
        if said is None or said == held or (held and self.provisional and held.startswith(said)):
            return self.deltas, others
        if held and not (resumed and said.endswith(held)):
            others.append(held if said else said)
            fold.note("done_differs", "what is said to be whole differs from the sum of its deltas", self.place)
        if not said:
            return self.deltas, others  # nothing is said in place of what came
        whole = TextFold()
        whole.add(said, self.place)
        return whole, others


class _Piece:
    """One part of a message or of reasoning, or another text of an item."""

    __slots__ = ("annotations", "kind", "listed", "listed_at", "logprobs", "origin", "text", "value", "whole_logprobs")

    def __init__(self) -> None:
        self.kind: str | None = None
        self.text = _Grown()
        self.value: Any = None
        self.annotations: list[tuple[Any, Place]] = []
        self.listed: list[Any] = []
        self.listed_at: Place = (0, 0)
        self.logprobs: list[Any] = []
        self.whole_logprobs: list[Any] = []
        self.origin = Origin()

    def take(self, part: Any, place: Place, *, provisional: bool) -> None:
        """Take the part as a whole."""
        self.origin.add(place)
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get(_TEXTS[kind]) if isinstance(kind, str) and kind in _TEXTS else None
        if isinstance(part, str):
            self.kind, text = self.kind or "text", part
        elif isinstance(kind, str):
            self.kind = kind
        if isinstance(text, str):
            self.text.say(text, place, provisional=provisional)
        elif not isinstance(part, str):
            self.value = part
        if isinstance(part, dict):
            annotations, logprobs = part.get("annotations"), part.get("logprobs")
            if isinstance(annotations, list) and annotations:
                self.listed, self.listed_at = annotations, place
            if isinstance(logprobs, list) and logprobs:
                self.whole_logprobs = logprobs

    def parts(self, fold: AnswerFold, resumed: bool) -> Iterator[Part]:
        """Return what it is."""
        text, _ = self.text.settled(fold, resumed)
        if self.value is not None and not text:
            yield _other(self.value, self.origin)
        elif self.kind == "refusal":
            if text:
                yield RefusalPart(text.text, text.origin.ranges)
        elif text:
            yield TextPart(text.text, text.origin.ranges)
        yield from self._citations(fold)

    def _citations(self, fold: AnswerFold) -> Iterator[CitationPart]:
        """The annotations: those of events, and those that only the whole part has."""
        came = [value for value, _ in self.annotations]
        if self.listed and self.listed[: len(came)] != came:
            fold.note("annotations_differ", "the whole part has other annotations than its events", self.listed_at)
        rest = [(value, self.listed_at) for value in self.listed[len(came) :]]
        for value, place in [*self.annotations, *rest]:
            known = value if isinstance(value, dict) else {}
            url, title = known.get("url"), known.get("title") or known.get("filename")
            yield CitationPart(
                value,
                url=text_or_none(url),
                title=text_or_none(title),
                ranges=(place,),
            )


class ItemFold:
    """The fold of one output item.

    :ivar index: its ``output_index``, where one was sent.
    :ivar fields: the item as it was sent last.
    :ivar done: it was sent as finished: by its own event, or in a final object.
    """

    def __init__(self, index: int | None, fold: AnswerFold) -> None:
        self.index = index
        self.fields: dict[str, Any] = {}
        self.done = False
        self.origin = Origin()
        self._fold = fold
        self._pieces: dict[tuple[str, int], _Piece] = {}
        self._image: tuple[dict[str, Any], Place] | None = None
        self._values: dict[str, str | None] = {}  # how what came there as a value was written
        self._renamed = False
        self._end: int | None = None

    @property
    def is_open_call(self) -> bool:
        """Whether it is a call of which more may come."""
        return self.kind in _CALLS and not self.done

    def ends(self, place: Place) -> None:
        """Take it that something says that nothing more of it comes, the first time that something does."""
        self._end = place[1] if self._end is None else self._end

    @property
    def kind(self) -> str | None:
        """The item's type; None while it was not sent."""
        kind = self.fields.get("type")
        if kind is None and "role" in self.fields:
            return "message"  # of a request, where the type may be left out
        return text_or_none(kind)

    def take(self, item: dict[str, Any], place: Place, *, done: bool) -> None:
        """Take the item as a whole: as it begins, or, with *done*, as it is."""
        if not done or not self._pieces:
            self.origin.add(place)
        before, name = nonempty(self.fields.get("name")), nonempty(item.get("name"))
        if self.kind in _CALLS and None not in (before, name) and before != name:
            self._renamed = True
            self._fold.note("done_differs", f"{before!r} is called {name!r} later", place)
        # A null does not take back what was said: only some of the events carry encrypted_content.
        told = self._fold.exact(item)
        self.fields |= {key: value for key, value in told.items() if value is not None or key not in self.fields}
        self.done = self.done or done
        if done:
            self.ends(place)
        for slot in ("content", "summary"):
            self._list(slot, told.get(slot), place, done=done)
        for slot in _SLOTS:
            said = item.get(slot)
            if isinstance(said, str) and said:
                self.piece(slot).text.say(said, place, provisional=not done)
            elif said is not None:
                self._values[slot] = self._fold.as_sent(item, slot)

    def _list(self, slot: str, value: Any, place: Place, *, done: bool) -> None:
        """Take the list of parts; some providers count the indexes of their events from 1, or with gaps."""
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list):
            return
        known = sorted(at for name, at in self._pieces if name == slot)
        if known and done and len(known) != len(listed):
            self._fold.note("done_differs", f"{len(listed)} parts in {slot}, events told of {len(known)}", place)
        places = known if len(known) == len(listed) else range(len(listed))
        for at, part in zip(places, listed, strict=True):
            self.piece(slot, at).take(part, place, provisional=not done)

    def piece(self, slot: str, at: int = 0, kind: str | None = None) -> _Piece:
        """Return a text of the item, a new one where there is none."""
        piece = self._pieces.setdefault((slot, at), _Piece())
        piece.kind = piece.kind or kind
        return piece

    def delta(self, piece: _Piece, text: str, place: Place) -> None:
        """Append *text* to one of its pieces."""
        piece.text.deltas.add(text, place)
        self.origin.add(place)

    def touch(self, place: Place) -> None:
        """Note that something of it came at *place*, for an item that nothing told of before."""
        if not self.origin.ranges:
            self.origin.add(place)

    def image(self, event: dict[str, Any], place: Place) -> None:
        """Take a partial image: the last one counts as long as the final one has not come."""
        self._image = (event, place)

    def logprobs(self) -> list[Any]:
        """The log probabilities of its tokens: those of deltas, or of the whole part where deltas had none."""
        return [entry for _, piece in sorted(self._pieces.items()) for entry in piece.logprobs or piece.whole_logprobs]

    def rest(self) -> dict[str, Any] | None:
        """Return the fields of a message or of reasoning that no part shows; of other items None."""
        if self.kind not in ("message", "reasoning"):
            return None
        shown = {"content", "summary", "encrypted_content", "role"}
        return {key: value for key, value in self.fields.items() if key not in shown and value is not None}

    def parts(self, *, finished: bool, resumed: bool = False) -> Iterator[Part]:
        """Return what the item is.

        :param finished: nothing more was to come of it; only then can a call be complete.
        """
        kind = self.kind
        if kind in _CALLS or (kind is None and ("arguments", 0) in self._pieces):
            yield from self._call(finished, resumed)
        elif kind == "reasoning":
            yield from self._reasoning(resumed)
        elif kind in _RESULTS:
            yield from self._result()
        elif kind == "image_generation_call" and (image := self._picture()) is not None:
            yield image
        elif kind in ("message", None):
            for (slot, _), piece in sorted(self._pieces.items()):
                if kind is None and (slot == "summary" or piece.kind == "reasoning_text"):
                    text, _ = piece.text.settled(self._fold, resumed)
                    if text:
                        yield ReasoningPart(text.text, (slot,), ranges=text.origin.ranges)
                else:
                    yield from piece.parts(self._fold, resumed)
        else:
            yield self._unknown(resumed)

    def _call(self, finished: bool, resumed: bool) -> Iterator[Part]:
        fields, kind = self.fields, self.kind or "function_call"
        slot = _CALLS[kind]
        call = CallFold(self.index)
        call.origin = self.origin
        call.id = text_or_none(fields.get("id" if kind == "mcp_call" else "call_id"))
        call.name = text_or_none(fields.get("name"))
        text, others = self.piece(slot).text.settled(self._fold, resumed)
        call.pieces = [text.text]
        call.disputed = self._renamed or any(not same_json(text.text, other) for other in others)
        if not text and fields.get(slot) not in (None, ""):
            call.take_value(fields[slot], self._values.get(slot))
            place = self.origin.ranges[-1]
            self._fold.note("tool_arguments_object", f"the arguments are a {type(call.value).__name__}", place)
        call.begin, call.end = self.piece(slot).text.said_at, self._end
        call.extras = {key: value for key, value in fields.items() if key not in _CALL_OWN and value is not None}
        if kind != "mcp_call" and fields.get("id") is not None:
            call.extras["item_id"] = fields["id"]
        if kind != "function_call":
            call.extras["type"] = kind
        if kind == "custom_tool_call":
            call.extras["custom"] = True
        # The input of a custom tool is text and no JSON: as in chat completions, it counts as no complete call.
        yield call.part(finished=finished and kind != "custom_tool_call" and fields.get("status") in _OK)
        output, error = fields.get("output"), fields.get("error")
        if kind == "mcp_call" and (output is not None or error is not None):
            text_of = text_or_none(output)
            value = error if error is not None else None if text_of is not None else output
            failed = True if error is not None else None
            yield ToolResultPart(call.id, call.name, text_of, failed, value, self.origin.ranges)

    def _reasoning(self, resumed: bool) -> Iterator[Part]:
        """Summaries, then the text itself, each part by itself; what is encrypted is with the last."""
        found: list[tuple[str, TextFold]] = []
        others: list[Part] = []
        for slot in ("summary", "content"):
            for (name, _), piece in sorted(self._pieces.items()):
                if name != slot:
                    continue
                text, _ = piece.text.settled(self._fold, resumed)
                if text:
                    found.append((slot, text))
                elif piece.value is not None:
                    others.append(_other(piece.value, piece.origin))
        encrypted = nonempty(self.fields.get("encrypted_content"))
        for slot, text in found[:-1]:
            yield ReasoningPart(text.text, (slot,), ranges=text.origin.ranges)
        if found:
            slot, text = found[-1]
            yield ReasoningPart(text.text, (slot,), encrypted=encrypted, ranges=text.origin.ranges)
        else:
            yield ReasoningPart("", encrypted=encrypted, ranges=self.origin.ranges)
        yield from others

    def _result(self) -> Iterator[Part]:
        """The result of a tool; images and files in it are parts of their own after it, by reference."""
        call, name, output = self.fields.get("call_id"), self.fields.get("name"), self.fields.get("output")
        pieces = output if isinstance(output, list) else [output] if isinstance(output, dict) else []
        texts = [item["text"] for item in pieces if isinstance(item, dict) and isinstance(item.get("text"), str)]
        others = [_other(item, self.origin) for item in pieces if isinstance(item, dict) and item.get("type") in _MEDIA]
        told = isinstance(output, str) or (bool(pieces) and len(texts) + len(others) == len(pieces))
        yield ToolResultPart(
            text_or_none(call),
            text_or_none(name),
            output if isinstance(output, str) else "".join(texts) if texts else None,
            None,
            None if told else output,
            self.origin.ranges,
        )
        yield from others if told else ()

    def _picture(self) -> Part | None:
        fields, place = self.fields, self.origin.ranges[-1]
        data: Any = fields.get("result")
        shown = {key: value for key, value in fields.items() if key not in ("type", "result") and value is not None}
        if not isinstance(data, str) and self._image is not None:
            event, place = self._image
            data = event.get("partial_image_b64")
            shown |= {key: event[key] for key in ("partial_image_index", "output_format") if key in event}
        if not isinstance(data, str):
            return None
        written = shown.get("output_format")
        return media("image", place, media_type=f"image/{written}" if written else None, data=data, extras=shown)

    def _unknown(self, resumed: bool) -> OtherPart:
        """Return the item as it was sent last; until it is done, with what its events told."""
        value = dict(self.fields)
        for (slot, _), piece in sorted(self._pieces.items()):
            text, _ = piece.text.settled(self._fold, resumed)
            if self.done or not text:
                continue
            if slot in _SLOTS:
                value[slot] = text.text
            else:
                told = value.get(slot)
                value[slot] = [*(told if isinstance(told, list) else []), text.text]
        return OtherPart(self.kind or "item", value, self.origin.ranges)


def _other(value: Any, origin: Origin) -> Part:
    """A part that is no text: media of a request by reference, or whatever it is."""
    kind = value.get("type") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind in _MEDIA:
        named, url, inline = _MEDIA[kind]
        data = value.get(inline)
        extras = {key: item for key, item in value.items() if key not in _MEDIA_OWN and item is not None}
        if isinstance(data, str) and data[:5].lower() == "data:":
            data, url = None, inline
        return media(
            named, origin.ranges[-1], url=value.get(url), file_id=value.get("file_id"), data=data, extras=extras
        )
    sound = value.get("input_audio") if isinstance(value, dict) else None
    if isinstance(sound, dict):
        written = sound.get("format")
        return media(
            "audio", origin.ranges[-1], media_type=f"audio/{written}" if written else None, data=sound.get("data")
        )
    return OtherPart(str(kind or "content"), value, origin.ranges)

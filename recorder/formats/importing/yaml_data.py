"""YAML as data: no tag ever makes an object or calls anything.

PyYAML's safe loader refuses the tags that old cassettes have (``!!python/object/apply:multidict…istr``), its
unsafe one runs what they name. So the document is built here from the parser's events: of a tag that names
something to run, the arguments are the value. Events cost a tenth of what node graphs and resolvers do.

YAML 1.1 (https://yaml.org/spec/1.1/), as PyYAML and Ruby's Psych write it.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from recorder.errors import ConfigurationError, ImportRefused
from recorder.formats.importing.values import Unreadable
from recorder.formats.importing.yaml_block import MAY_BE_OTHER, Unusual, block_items
from recorder.formats.importing.yaml_objects import value_of

_BINARY: Final = frozenset({"tag:yaml.org,2002:binary", "!binary", "tag:yaml.org,2002:python/bytes"})
_WORDS: Final = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)")
_BASED: Final = re.compile(r"(?P<sign>[-+]?)(?:0b(?P<b>[01_]+)|0x(?P<x>[0-9a-fA-F_]+)|0(?P<o>[0-7_]+))")
_FLOAT: Final = re.compile(r"[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+][0-9]+)?")
_STRANGE: Final = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER: Final = 4000  # digits; Python refuses to read longer ones
_LONGEST_BASED: Final = 3000  # digits; in hexadecimal, what can be written with fewer decimal ones than Python refuses
#: What aliases may stand for, all together, in characters; or as much as the file has, where that is more. Ten short
#: lines of them stand for more than any memory holds.
_MOST_ALIASED: Final = 16 * 1024 * 1024
#: A document nested deeper is none that anybody recorded, and could not be written as JSON.
_DEEPEST: Final = 200


def items(data: bytes) -> Iterator[tuple[str | None, Any]]:
    """Yield what a document holds, as it is read: nothing of it is kept here.

    :returns: ``(key, value)`` of a mapping, where a list yields each of its items under its key; of a list, its
        items under None. One of which something has no value is :class:`Unreadable`; those after it are read.
    :raises ImportRefused: it is no YAML, from somewhere on.
    :raises ConfigurationError: PyYAML is not installed.
    """
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise ConfigurationError(
            "reading YAML needs PyYAML: install it with `pip install 'conversation-recorder[import]'`"
        ) from None
    read = 0
    try:
        for item in block_items(data, plain_value):
            read += 1
            yield item
    except Unusual:  # the rest of it is read by a parser, which has to begin at the beginning
        yield from islice(parsed_items(yaml, data), read, None)


def parsed_items(yaml: Any, data: bytes) -> Iterator[tuple[str | None, Any]]:
    """Yield the same, whatever of YAML stands in it.

    :param yaml: the module.
    :raises ImportRefused: it is no YAML, from somewhere on.
    """
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        parser = loader(data)
        yield from _Builder(yaml, max(len(data), _MOST_ALIASED)).items(parser)
    except yaml.YAMLError as error:
        raise ImportRefused(f"it is no YAML ({_told(error)})") from None


def _told(error: Any) -> str:
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f" in line {mark.line + 1}"
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
    return f"{problem}{where}"


class _Builder:
    """Makes values of a parser's events, one top-level item at a time."""

    _next: Any  # the parser's next event

    def __init__(self, yaml: Any, most_aliased: int) -> None:
        self._scalar, self._alias = yaml.ScalarEvent, yaml.AliasEvent
        self._mapping, self._sequence = yaml.MappingStartEvent, yaml.SequenceStartEvent
        self._mapping_end, self._sequence_end = yaml.MappingEndEvent, yaml.SequenceEndEvent
        # The value, how many characters it stands for, and what of it could not be read.
        self._anchors: dict[str, tuple[Any, int, str | None]] = {}
        self._fault: str | None = None  # of the item that is being built: the first one
        self._aliased_so_far, self._most_aliased = 0, most_aliased

    def items(self, parser: Any) -> Iterator[tuple[str | None, Any]]:
        """Yield the top-level items."""
        self._next = parser.get_event
        event = self._first()
        if isinstance(event, self._sequence):
            yield from ((None, item) for item in self._listed())
        elif isinstance(event, self._mapping):
            while not isinstance(event := self._next(), self._mapping_end):
                key = self._key(self._value(event, 0))
                event = self._next()
                if isinstance(event, self._sequence) and event.anchor is None:
                    yield from ((key, item) for item in self._listed())
                else:
                    yield key, self._item(event)
        while self._next() is not None:
            pass  # what is wrong behind it is told too

    def _first(self) -> Any:
        while (event := self._next()) is not None:
            if isinstance(event, self._mapping | self._sequence | self._scalar):
                return event
        return None

    def _listed(self) -> Iterator[Any]:
        while not isinstance(event := self._next(), self._sequence_end):
            yield self._item(event)

    def _item(self, event: Any) -> Any:
        """Build a value that stands by itself: what is wrong in it is wrong with it alone."""
        value = self._value(event, 0)
        fault, self._fault = self._fault, None
        return value if fault is None else Unreadable(fault)

    def _wrong(self, fault: str) -> None:
        self._fault = self._fault or fault

    def _value(self, event: Any, depth: int) -> Any:
        """Build the value that begins with *event*.

        :param depth: how many containers are open around it.
        """
        kind = event.__class__
        if kind is self._scalar:
            return self._marked(event)
        if kind is self._alias:
            return self._aliased(event)
        if depth >= _DEEPEST:
            self._wrong(f"it is nested deeper than {_DEEPEST} levels")
            return self._skip()
        aliased_before = self._aliased_so_far
        value: Any
        if kind is self._mapping:
            value, ended = self._built_mapping(depth + 1)
        else:
            value, ended = self._built_sequence(depth + 1)
        if event.tag is not None:
            value = value_of(value, event.tag)
        if event.anchor is not None:
            # What it stands for: its own text, and what is aliased in it.
            size = ended.end_mark.index - event.start_mark.index + self._aliased_so_far - aliased_before
            self._anchors[event.anchor] = value, size, self._fault
        return value

    def _skip(self) -> None:
        """Pass over what stands in the container that has begun."""
        inside = 1
        while inside:
            event = self._next()
            inside += isinstance(event, self._mapping | self._sequence)
            inside -= isinstance(event, self._mapping_end | self._sequence_end)

    # Most scalars have neither tag nor anchor and are text; for these, the two below save a call.

    def _built_mapping(self, depth: int) -> tuple[dict[str, Any], Any]:
        """Return a mapping and the event that ends it."""
        scalar, end, next_event, may_be_other = self._scalar, self._mapping_end, self._next, MAY_BE_OTHER
        built: dict[str, Any] = {}
        while (event := next_event()).__class__ is not end:
            key: Any = event.value if event.__class__ is scalar and event.tag is None and event.anchor is None else None
            if not key or (key[0] in may_be_other and not event.style):
                key = self._key(self._value(event, depth))
            event = next_event()
            if event.__class__ is scalar and event.tag is None and event.anchor is None:
                value = event.value
                if event.style or (value and value[0] not in may_be_other):
                    built[key] = value
                    continue
            built[key] = self._value(event, depth)
        return built, event

    def _built_sequence(self, depth: int) -> tuple[list[Any], Any]:
        """Return a list and the event that ends it."""
        scalar, end, next_event, may_be_other = self._scalar, self._sequence_end, self._next, MAY_BE_OTHER
        built: list[Any] = []
        while (event := next_event()).__class__ is not end:
            if event.__class__ is scalar and event.tag is None and event.anchor is None:
                value = event.value
                if event.style or (value and value[0] not in may_be_other):
                    built.append(value)
                    continue
            built.append(self._value(event, depth))
        return built, event

    def _marked(self, event: Any) -> Any:
        """Return the value of any scalar."""
        value = event.value
        if event.tag is not None:
            value = self._tagged(event.tag, value)
        elif not event.style:
            value = plain_value(value)
        if event.anchor is not None:
            self._anchors[event.anchor] = value, len(event.value) + 1, self._fault
        return value

    def _aliased(self, event: Any) -> Any:
        if event.anchor not in self._anchors:
            self._wrong(f"*{event.anchor} stands in it before, or inside, what it names")
            return None
        value, size, fault = self._anchors[event.anchor]
        if fault is not None:
            self._wrong(fault)
        self._aliased_so_far += size
        if self._aliased_so_far > self._most_aliased:
            raise ImportRefused(f"the aliases in it stand for more than {self._most_aliased:,} characters")
        return value

    def _key(self, value: Any) -> str:
        while isinstance(value, list) and len(value) == 1:
            (value,) = value
        if isinstance(value, bytes):
            return value.decode("utf-8", "replace")
        if isinstance(value, list | dict):
            self._wrong(f"a key in it is a {'list' if isinstance(value, list) else 'mapping'}")
        return value if isinstance(value, str) else str(value)

    def _tagged(self, tag: str, text: str) -> Any:
        """Return the value of a scalar that has a tag."""
        if tag in _BINARY:
            try:
                return base64.b64decode("".join(text.split()), validate=True)
            except (binascii.Error, ValueError) as error:
                self._wrong(f"a binary value in it is no base64 ({error})")
                return None
        if tag.startswith("tag:yaml.org,2002:") and tag.rpartition(":")[2] in ("int", "float", "bool", "null"):
            return plain_value(text)
        return text


def plain_value(text: str) -> Any:
    """Return the value of a scalar that is not quoted (YAML 1.1, "core" types); a time stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and len(text) < _LONGEST_NUMBER:
        return int(text.replace("_", ""))
    if len(text) < _LONGEST_BASED and (based := _BASED.fullmatch(text)):
        digits, base = next((based[name], size) for name, size in (("b", 2), ("x", 16), ("o", 8)) if based[name])
        digits = digits.replace("_", "")
        return int(based["sign"] + digits, base) if digits else text
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if strange := _STRANGE.fullmatch(text):
        return float(f"{strange[1]}inf") if strange[2] else float("nan")
    return text

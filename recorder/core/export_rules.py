"""The rules of a redaction for an export: what is to be left out.

=====================  ==================================================================================
``text:Smith``         this text, as it is written
``re:\\b\\d{4}-\\d{4}\\b``  what a regular expression finds (Python's ``re``)
``json:$.user.email``  what stands at a place in the request's or an answer's JSON
``detect:email``       what looks like one: ``email``, ``iban``, ``card``, ``phone``, ``key``
=====================  ==================================================================================

A path is a subset of JSONPath (RFC 9535): ``$``, then any number of ``.name``, ``['name']``, ``[0]``, ``[*]``, ``.*``
and ``..name`` (at any depth). It selects a value with all that is in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from recorder.core.detectors import DETECTORS, Span
from recorder.errors import ConfigurationError

#: What stands in the place of what was left out.
MARKER: Final = "[redacted]"
#: The same in a URL, where brackets may not stand (RFC 3986 §2.2).
URL_MARKER: Final = "~redacted~"

#: Shorter texts, and numbers of fewer digits, are taken out where a rule finds them, and not looked for anywhere else:
#: they are in everything.
LEAST: Final = 6

_FORMS: Final = "text:TEXT, re:EXPRESSION, json:PATH or detect:NAME"
_STEP: Final = re.compile(
    r"\.\.(?P<deep>[\w-]+)|\.(?P<name>[\w-]+|\*)|\[(?:(?P<index>\d+|\*)|'(?P<single>[^']*)'|\"(?P<double>[^\"]*)\")\]"
)
_ANY: Final = "*"
_DEEP: Final = ".."
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """What is to be left out.

    :ivar number: its place among the rules, from 1.
    :ivar kind: ``text``, ``re``, ``json`` or ``detect:NAME``; with the number all that is ever told of it.
    :ivar find: yields what it finds in a text; nothing for a path.
    :ivar path: of a ``json`` rule: names, indices, ``*`` and ``..``.
    :ivar text: of a ``text`` rule: the text.
    :ivar whole: what it finds are whole numbers.
    """

    number: int
    kind: str
    find: Callable[[str], Iterator[Span]]
    path: Path = ()
    text: str | None = None
    whole: bool = False

    @property
    def label(self) -> str:
        """What it is called in reports: never what it says."""
        return f"rule {self.number} ({self.kind})"

    def selects(self, place: Path) -> bool:
        """Whether its path selects the value at *place*, or one around it."""
        return bool(self.path) and _begins(self.path, place)

    def names(self, place: Path) -> bool:
        """Whether its path selects the very value at *place*, and none around it."""
        return self.selects(place) and not self.selects(place[:-1])


def _begins(path: Path, place: Path) -> bool:
    if not path:
        return True
    step, rest = path[0], path[1:]
    if step == _DEEP:
        return any(place[at] == rest[0] and _begins(rest[1:], place[at + 1 :]) for at in range(len(place)))
    return bool(place) and (step in (_ANY, place[0])) and _begins(rest, place[1:])


def literal(number: int, kind: str, *texts: str) -> Rule:
    """Return a rule for texts as they are written; where several stand in one place, for the longest.

    A space may be ``+``, as in forms and in the links that people are shown.
    """
    written = (re.escape(text).replace("\\ ", "[ +]") for text in sorted(texts, key=len, reverse=True))
    return _anything(number, kind, re.compile("|".join(written)))


def whole_numbers(number: int, kind: str, *texts: str) -> Rule:
    """Return a rule for numbers where they stand as a whole: ``4711`` is in ``no. 4711``, not in ``147110``.

    :param texts: as :func:`~recorder.core.export_numbers.number_texts` writes them.
    """
    written = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
    rule = _anything(number, kind, re.compile(rf"(?<!\d)(?<!\d\.)(?:{written})(?:\.0+)?(?!\d|\.\d)"))
    return replace(rule, whole=True)


def _anything(number: int, kind: str, found: re.Pattern[str]) -> Rule:
    return Rule(number, kind, lambda where: (one.span() for one in found.finditer(where)))


def known_texts(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Return what is known to be looked for before anything is found: ``text -> its rule``."""
    return {rule.text: rule for rule in rules if rule.text is not None}


def parse_rules(given: Iterable[str]) -> tuple[Rule, ...]:
    """Return the rules that are written so.

    :raises ConfigurationError: one is not of those forms, finds nothing that is longer than nothing, or finds what
        stands in the place of what was left out. The rule itself is not told: it may be the secret.
    """
    return tuple(_parse(number, text) for number, text in enumerate(given, 1))


def _parse(number: int, text: str) -> Rule:
    kind, colon, what = text.partition(":")
    if not colon or kind not in ("text", "re", "json", "detect") or not what:
        raise ConfigurationError(f"redaction rule {number} is none: write {_FORMS}")
    if kind == "json":
        return Rule(number, kind, lambda _: iter(()), _path(number, what))
    if kind == "detect":
        if what not in DETECTORS:
            names = ", ".join(sorted(DETECTORS))
            raise ConfigurationError(f"redaction rule {number} names no detector: use one of {names}")
        return Rule(number, f"detect:{what}", DETECTORS[what])
    if kind == "text":
        rule = replace(literal(number, kind, what), text=what)
    else:
        rule = Rule(number, kind, _expression(number, what))
    if any(True for marker in (MARKER, URL_MARKER) for _ in rule.find(marker)):
        raise ConfigurationError(
            f"redaction rule {number} finds the word {MARKER} itself, which stands in the place of what was left out: "
            "make it more specific"
        )
    return rule


def _expression(number: int, text: str) -> Callable[[str], Iterator[Span]]:
    try:
        found = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        reason = error.msg if isinstance(error, re.error) else "it is too complex"
        raise ConfigurationError(f"redaction rule {number} is no regular expression ({reason}): correct it") from error
    return lambda where: (one.span() for one in found.finditer(where) if one.end() > one.start())


def _path(number: int, text: str) -> Path:
    steps: list[str | int] = []
    at = 1
    while text.startswith("$") and at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            break
        if step["deep"]:
            steps += [_DEEP, step["deep"]]
        elif step["index"]:
            steps.append(step["index"] if step["index"] == _ANY else int(step["index"]))
        else:
            steps.append(next(name for name in (step["name"], step["single"], step["double"]) if name is not None))
        at = step.end()
    if not steps or at < len(text):
        raise ConfigurationError(
            f"redaction rule {number} is no path: write $, then .name, ['name'], [0], [*], .* or ..name"
        )
    return tuple(steps)

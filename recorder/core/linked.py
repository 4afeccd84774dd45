"""What people are told of a link: of an order, say, and of the exchange that it rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from recorder.core.json_text import milliseconds, plain, present, rfc3339
from recorder.core.link_words import facts_told, seal_told, showable, tag_told

_NAMED: Final = 10  # exchanges that led to something


@dataclass(frozen=True, slots=True)
class SealBefore:
    """The leaf that sealed what a link rests on.

    :ivar lead_ns: how long before the link that was; negative: after it.
    """

    leaf: int
    sealed_ns: int
    lead_ns: int


@dataclass(frozen=True, slots=True)
class Linked:
    """One link.

    :ivar link: its event stream; ``at_ns``: when it was recorded, UTC nanoseconds.
    :ivar kind: of the thing outside, ``order``; ``id``: what it is called there. Empty where that is not known.
    :ivar exchange: the exchange that it rests on; empty where that is not known.
    :ivar tag: of the receipt that went with it, if any.
    :ivar tag_leaf: number of the leaf whose hash begins so; ``tag_stream``: what that seals.
    :ivar facts: what else was recorded of it.
    :ivar seal: of the exchange; None: it is not sealed.
    :ivar led_to: the exchanges that led to it, as they were sent, that one the last; ``here``: those in the bundle.
    :ivar missing: why facts of it are not there: ``withheld`` or ``erased``; empty where they are.
    """

    link: str
    at_ns: int
    kind: str = ""
    id: str = ""
    exchange: str = ""
    tag: str | None = None
    tag_leaf: int | None = None
    tag_stream: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    seal: SealBefore | None = None
    led_to: tuple[str, ...] = ()
    here: frozenset[str] = frozenset()
    missing: str = ""

    @property
    def title(self) -> str:
        """What it is and what it is called: ``order 12345``."""
        unknown = f"(its id is {self.missing or 'not known'})"
        return f"{self.kind or 'something'} {self.id or unknown}"

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield what is told of it but for its facts, as names and texts; no text is safe to show as it is."""
        yield "link", self.link
        yield "linked at", rfc3339(self.at_ns)
        if self.missing:
            yield self.missing, "what it says; that it was recorded is here"
        if self.exchange:
            sealed = seal_told(None if self.seal is None else self.seal.lead_ns)
            leaf = "" if self.seal is None else f", at {rfc3339(self.seal.sealed_ns)}, leaf {self.seal.leaf}"
            yield "rests on exchange", f"{self.exchange}, {sealed}{leaf}"
        if self.led_to:
            yield "led to it", self._led()
        if self.tag is not None:
            other = "" if self.tag_stream == self.exchange else self.tag_stream
            yield "tag", tag_told(self.tag, self.tag_leaf, other)

    def fact_rows(self) -> Iterator[tuple[str, str]]:
        """Yield its facts as names and texts; neither is safe to show as it is."""
        yield from facts_told(plain(dict(self.facts)))

    def _led(self) -> str:
        count, here = len(self.led_to), len(self.here)
        exchanges = "1 exchange" if count == 1 else f"{count} exchanges"
        told = (
            exchanges
            if here == count
            else f"{exchanges}, of which {here} {'is' if here == 1 else 'are'} in this bundle"
        )
        named = ", ".join(one if one in self.here else f"{one} (not here)" for one in self.led_to[-_NAMED:])
        return f"{told}: {named}" if count <= _NAMED else f"{told}, the last ones: {named}"

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        seal = self.seal
        return present(
            link=self.link,
            kind=self.kind or None,
            id=self.id or None,
            at=rfc3339(self.at_ns),
            exchange=self.exchange or None,
            tag=self.tag,
            tag_of=None if self.tag_leaf is None else {"leaf": self.tag_leaf, "stream": self.tag_stream},
            facts=plain(showable(dict(self.facts))) or None,
            seal=None
            if seal is None
            else {
                "leaf": seal.leaf,
                "sealed_at": rfc3339(seal.sealed_ns),
                "before_link_ms": milliseconds(seal.lead_ns),
            },
            led_to=list(self.led_to) or None,
            not_here=[one for one in self.led_to if one not in self.here] or None,
            withheld=True if self.missing == "withheld" else None,
            erased=True if self.missing == "erased" else None,
        )

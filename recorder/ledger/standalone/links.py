"""What a bundle tells of its links: which order rests on which exchange, and whether that was sealed before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from recorder.core.link_words import showable
from recorder.ledger.standalone.findings import id_of
from recorder.ledger.standalone.log import Sealed
from recorder.ledger.standalone.streams import StreamSummary
from recorder.ledger.standalone.verification import Verification


def links_told(verification: Verification) -> Iterator[tuple[StreamSummary, dict[str, Any]]]:
    """Yield each link, the oldest first, with what ``--json`` prints of it but for times.

    What is withheld or erased of it is absent; of an erased one, its record may tell the kind and the exchange.
    """
    links = (one for one in verification.summaries.values() if one.kind == "link")
    for summary in sorted(links, key=lambda one: (one.began_ns, one.stream)):
        yield summary, _link(verification, summary)


def _link(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    told: dict[str, Any] = {"link": id_of(summary.stream)}
    told.update({why: True for why, count in summary.emptied.items() if count})
    told.update(_named(verification, summary))
    tag = summary.link.get("tag")
    if isinstance(tag, str):
        told["tag"] = tag
        leaf = verification.tagged.get(tag)
        if leaf is not None:
            told["tag_of"] = {"leaf": leaf.number, "stream": id_of(leaf.stream)}
    return told


def _named(verification: Verification, summary: StreamSummary) -> dict[str, Any]:
    """Return what a link names, and its facts: what the event says, else the record of its erasure."""
    facts: Mapping[str, Any] = summary.link
    if summary.emptied["erased"] and verification.journals is not None:
        facts = verification.journals.linked.get(summary.stream, {})
    named = {name: facts[name] for name in ("kind", "id", "exchange") if isinstance(facts.get(name), str)}
    more = facts.get("facts")
    return {**named, **({"facts": showable(more)} if isinstance(more, dict) and more else {})}


def seal_of(verification: Verification, exchange: object) -> Sealed | None:
    """Return the leaf that sealed an exchange: the first that has its end, else the last; None: none that is here."""
    try:
        stream = uuid.UUID(str(exchange)).bytes
    except ValueError:
        return None
    leaves = [] if verification.log is None else verification.log.own.get(stream, [])
    return next((leaf for leaf in leaves if leaf.state), leaves[-1] if leaves else None)

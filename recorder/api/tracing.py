"""From something outside, an order, back to all that led to it: the exchanges, what was said and called, the seals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from recorder.api.led_to import led_to, links_to
from recorder.api.linking import first_to_seal, leaves_tagged
from recorder.api.redacting import Standing
from recorder.api.store import ConversationView, Store
from recorder.clock import id_bytes, id_text
from recorder.core.heads import ENDED, Leaf
from recorder.core.json_text import milliseconds, plain, present, rfc3339
from recorder.core.message_json import AnswerJson, message_json
from recorder.core.messages import Message
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ChainBroken, NotFound
from recorder.formats.repeats import repeated_of
from recorder.store.base import Ledger
from recorder.store.linked import LinkRow


def trace(store: Store, kind: str, identity: str, standing: Standing | None = None) -> Iterator[dict[str, Any]]:
    """Yield one object per link of a thing, the oldest first (docs/schema/trace.schema.json).

    Its ``steps`` are the exchanges of the conversation up to the one that the link names, as they were sent; what was
    sent after the link is no step. A step that is on another branch of the conversation did not lead to the thing, and
    says so.

    :param kind: as it was linked: ``order``.
    :param identity: its id out there.
    :param standing: the redactions to apply; of an exchange in which they hide something, nobody is told the places of
        what it says among the bytes: the text is another one.
    :raises NotFound: nothing is linked to it.
    :raises RedactionRefused: a redaction cannot be applied.
    """
    links = links_to(store, kind, identity)
    if not links:
        raise NotFound(f"nothing is linked to {kind}:{identity}: Recorder.link(kind={kind!r}, id=…) records it")
    for row in links:
        yield _traced(store, row, standing or Standing(store, ()))


def _traced(store: Store, row: LinkRow, standing: Standing) -> dict[str, Any]:
    (event,) = store.reader.events(row.stream)
    facts, exchange = event.facts, id_text(row.exchange)
    led = led_to(store, row)
    chosen, ledger = led.exchanges, store.reader.store.ledger
    live = [one for one in chosen if store.erasures.of(id_bytes(one)) is None]
    there = live[-1] if live else exchange
    view = store.conversation(store.resolve(there))
    known = {one.id: one for one in view.exchanges}
    steps = [known.get(one) or store.rebuilt(one) for one in chosen]
    erased, tag = store.erasures.of(row.stream), facts.get("tag")
    return present(
        link=id_text(row.stream),
        kind=row.kind,
        id=row.id,
        at=rfc3339(row.at_ns),
        exchange=exchange,
        tag=tag,
        tag_of=tag_of_leaf(ledger, tag, row.exchange) if isinstance(tag, str) else None,
        facts=plain(facts.get("facts")) or None,
        erased=None if erased is None else erased.authority,
        not_as_written=_broken(store, row.stream),
        seal=_seal(ledger, row.stream, row.at_ns),
        conversation=view.id if there in live else _former_home(store, row.exchange),
        conversation_name=standing.name(view),
        steps=[
            _step(step, standing.redacted(step), row, view, ledger)
            | {"led_to": step.id not in led.aside}
            | ({} if (record := store.erasures.of(id_bytes(step.id))) is None else {"erased": record.authority})
            for step in steps
        ],
    )


def tag_of_leaf(ledger: Ledger, tag: str, exchange: bytes) -> dict[str, Any] | None:
    """Return of which leaf a tag is the beginning, and which event stream that seals; None where it is of none.

    All leaves are read where it is of none of the exchange's.

    :param exchange: what the tag should belong to.
    """
    if ledger.origin() is None:
        return None
    leaf = leaves_tagged(ledger, (tag,), (exchange,)).get(tag)
    return None if leaf is None else {"leaf": leaf.number, "stream": id_text(leaf.head.stream)}


def _former_home(store: Store, exchange: bytes) -> str | None:
    """Return the conversation that an erased exchange was in, as the record of that tells; None where it does not.

    What is left of an exchange stands for itself, so it is no conversation, though it would be taken for one.
    """
    record = store.erasures.of(exchange)
    homes = None if record is None else record.facts.get("conversations")
    return homes[0] if isinstance(homes, list) and homes and isinstance(homes[0], str) else None


def _broken(store: Store, stream: bytes) -> str | None:
    """What its hash chain says against a link; None where nothing is known against it."""
    try:
        store.reader.checked(stream)
    except ChainBroken as error:
        return str(error)
    return None


def _step(rebuilt: Rebuilt, said: Rebuilt, row: LinkRow, view: ConversationView, ledger: Ledger) -> dict[str, Any]:
    exchange = rebuilt.exchange
    shown = AnswerJson(said.arrivals).message if said is rebuilt else _answer_json
    parent = view.parents.get(rebuilt.id)
    earlier = next((one for one in view.exchanges if one.id == parent), None)
    known = 0 if earlier is None else repeated_of(rebuilt, earlier)
    ended_ns = None if exchange.duration_ns is None else exchange.started_ns + exchange.duration_ns
    return present(
        exchange=rebuilt.id,
        started_at=rfc3339(exchange.started_ns),
        status=exchange.response.status if exchange.response else None,
        model=said.model,
        verdict=rebuilt.verdict,
        chunks=len(exchange.chunks),
        bytes=len(exchange.body),
        duration_ms=None if exchange.duration_ns is None else milliseconds(exchange.duration_ns),
        before_link_ms=None if ended_ns is None else milliseconds(row.at_ns - ended_ns),
        parent=parent,
        asked=[message_json(message) for message in said.request_messages[known:]],
        answered=[shown(choice.message, choice.index) for choice in said.answer.choices],
        not_as_written=rebuilt.not_as_written,
        seal=_seal(ledger, id_bytes(rebuilt.id), row.at_ns),
    )


def _answer_json(message: Message, choice: int) -> dict[str, Any]:
    return message_json(message, source="answer", choice=choice)


def _seal(ledger: Ledger, stream: bytes, at_ns: int) -> dict[str, Any] | None:
    """What the ledger has of a stream: its newest leaf, and the first that has its end."""
    found = list(ledger.leaves_of(stream))
    leaf = first_to_seal(found)
    if leaf is None:
        return None
    return present(**_leaf(leaf, at_ns), leaves=len(found))


def _leaf(leaf: Leaf, at_ns: int) -> dict[str, Any]:
    return {
        "leaf": leaf.number,
        "events": leaf.head.length,
        "head": leaf.head.hash.hex(),
        "ended": leaf.head.state == ENDED,
        "sealed_at": rfc3339(leaf.sealed_ns),
        "before_link_ms": milliseconds(at_ns - leaf.sealed_ns),
    }

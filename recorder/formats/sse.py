"""The body of an answer as it came, below its content coding: server-sent events, for tools that read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt
from recorder.errors import ConfigurationError
from recorder.formats.bodies import decoded_body


class Sse:
    """The body of one exchange, byte for byte; also one that is no stream of events, as an error in JSON.

    The bytes have no place for anything else, so what cannot be had whole is refused: several exchanges, an
    exchange without an answer, one of whose recording bytes are missing, one whose content coding cannot be undone
    here. An answer that was cut is as long as what came of it; how it ended is in the other formats and in ``show``.
    """

    name = "sse"
    help = "the body of one exchange, byte for byte"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[bytes]:
        """Yield the body.

        :raises ConfigurationError: it is not the body of one exchange, or cannot be had.
        """
        found = list(islice(exchanges, 2))
        if len(found) != 1:
            given = "several exchanges are" if found else "no exchange is"
            raise ConfigurationError(
                f"sse holds the body of one exchange and {given} given: name one exchange by its ID (`recorder list`)"
            )
        (one,) = found
        exchange = one.exchange
        if exchange.response is None and not exchange.body:
            raise ConfigurationError(f"exchange {one.id} has no answer: `recorder show {one.id}` says why")
        if one.evidence.missing:
            raise ConfigurationError(
                f"bytes are missing from the recording of exchange {one.id}: "
                f"see `recorder events {one.id} --json` for those that are there"
            )
        decoded = decoded_body(exchange)
        if not decoded.understood:
            detail = next((fact.detail for fact in decoded.anomalies if fact.kind == "coding_unknown"), "its coding")
            raise ConfigurationError(
                f"the body of exchange {one.id} cannot be had ({detail}): install the module for it, "
                "or export as har, which keeps it as it came"
            )
        yield decoded.body


FORMAT = Sse()

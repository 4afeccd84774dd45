"""JSON: one document with the conversation, where there is one, and its exchanges as ``show --json`` has them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt
from recorder.formats.jsonl import Documents


class JsonDocument:
    """One document."""

    name = "json"
    help = "one document with everything"
    is_binary = False

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield the document: head, one piece for each exchange, end."""
        yield "{\n"
        if conversation is not None:
            head = {"id": conversation.id} | ({} if conversation.name is None else {"name": conversation.name})
            yield f'"conversation": {json.dumps(head, ensure_ascii=False)},\n'
        yield '"exchanges": ['
        separator, document = "\n", Documents(conversation, indent=2)
        for rebuilt in exchanges:
            yield separator + document(rebuilt)
            separator = ",\n"
        yield "\n]\n}\n"


FORMAT = JsonDocument()

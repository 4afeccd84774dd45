"""JSON Lines: one exchange a line, each what ``show --json`` prints; and JSON: one document of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from recorder.core.conversation import Conversation
from recorder.core.rebuilt import Rebuilt, as_json


class JsonLines:
    """One exchange a line."""

    name = "jsonl"
    help = "one line for each exchange, as show --json has it"

    def render(self, exchanges: Iterable[Rebuilt], conversation: Conversation | None = None) -> Iterator[str]:
        """Yield a line for each exchange."""
        for rebuilt in exchanges:
            yield document(rebuilt, conversation) + "\n"


def document(rebuilt: Rebuilt, conversation: Conversation | None, indent: int | None = None) -> str:
    """Return one exchange as a JSON document."""
    relation = conversation.relations.get(rebuilt.id) if conversation else None
    value = as_json(
        rebuilt,
        conversation=conversation.id if conversation else None,
        parent=conversation.parents.get(rebuilt.id) if conversation else None,
        relation=relation,
    )
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


FORMAT = JsonLines()

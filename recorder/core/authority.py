"""On whose word something was erased, as its record tells it and as all that shows it says it.

Keeps to the standard library and to the syntax of Python 3.9: it is a part of the stand-alone verifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OTHERS = {"approved_by": "approved by", "vouched_by": "vouched for by"}


def on_whose_word(record: Mapping[str, Any]) -> str:
    """Return who erased something, who approved of it and vouches for it, what it overrode, and the ground.

    :param record: facts of a ``payload_erased``; the text is as safe to show as they are.
    """
    told = [f"by {record.get('by', 'nobody who is named')}"]
    told += (f"{word} {record[name]}" for name, word in _OTHERS.items() if name in record)
    over = record.get("overrides")
    if isinstance(over, list) and over:
        told.append(f"in spite of {', '.join(map(str, over))}")
    return f"{', '.join(told)}: {record.get('ground', 'no ground is told')}"

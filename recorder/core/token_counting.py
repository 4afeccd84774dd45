"""What the counts of tokens of each dialect hold: providers count the same words in different ways.

OpenAI's input holds the tokens that were read from a cache, its output those of reasoning. Anthropic's and Bedrock's
input leaves out what was read from a cache or written to one
(https://docs.claude.com/en/docs/build-with-claude/prompt-caching,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html); Gemini's output, which counts
candidates, leaves out thoughts (https://ai.google.dev/api/generate-content#UsageMetadata).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Dialects, by the first word of their names, whose input leaves out what was read from a cache or written to one.
_CACHE_APART: Final = frozenset({"anthropic", "bedrock"})
#: Dialects whose output leaves out reasoning.
_REASONING_APART: Final = frozenset({"gemini"})


def whole_input(counted: Mapping[str, int | None], dialect: str) -> int | None:
    """Return all tokens of the request, cached ones too; None where no input was counted.

    :param counted: counts by the names of :class:`~recorder.core.messages.TokenCounts`, as the provider sent them.
    """
    total = counted.get("input")
    if total is not None and _flavour(dialect) in _CACHE_APART:
        total += (counted.get("cached") or 0) + (counted.get("cache_written") or 0)
    return total


def whole_output(counted: Mapping[str, int | None], dialect: str) -> int | None:
    """Return all tokens of the answer, reasoning too; None where none were counted.

    :param counted: as for :func:`whole_input`.
    """
    total = counted.get("output")
    if _flavour(dialect) in _REASONING_APART and counted.get("reasoning") is not None:
        total = (total or 0) + (counted.get("reasoning") or 0)
    return total


def _flavour(dialect: str) -> str:
    return dialect.partition("_")[0]

"""What the counts of tokens of each dialect hold: providers count the same words in different ways.

OpenAI's input holds the tokens that were read from a cache, its output those of reasoning. Anthropic's and Bedrock's
input leaves out what was read from a cache or written to one
(https://docs.claude.com/en/docs/build-with-claude/prompt-caching,
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html); Gemini's output, which counts
candidates, leaves out thoughts, and its input what a tool put into the prompt
(https://ai.google.dev/api/generate-content#UsageMetadata).

Of reasoning a report says more than its dialect does: servers that speak OpenAI's dialect count it in the output or
beside it (xAI), and the total tells which. Only the total: gateways that count reasoning with another tokenizer report
more of it than of an output that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Dialects, by the first word of their names, whose input leaves out what was read from a cache or written to one.
_CACHE_APART: Final = frozenset({"anthropic", "bedrock"})
#: Dialects whose output leaves out reasoning, where the numbers of a report do not say.
_REASONING_APART: Final = frozenset({"gemini"})
#: Dialects whose total holds all there is, and so what is in no count of its own: tokens of the prompts of tools.
_REST_IS_INPUT: Final = frozenset({"gemini"})


def whole_input(counted: Mapping[str, int | None], dialect: str) -> int | None:
    """Return all tokens of the request, cached ones too, and what tools put into it; None where no input was counted.

    :param counted: counts by the names of :class:`~recorder.core.messages.TokenCounts`, as the provider sent them.
    """
    counts, output = _input(counted, dialect), whole_output(counted, dialect)
    total = counted.get("total")
    if _flavour(dialect) not in _REST_IS_INPUT or None in (counts, total, counted.get("output")):
        return counts  # without an output, it is a report from the middle of an answer: not all is counted yet
    return max(counts or 0, (total or 0) - (output or 0))


def whole_output(counted: Mapping[str, int | None], dialect: str) -> int | None:
    """Return all tokens of the answer, reasoning too; None where none were counted.

    Reasoning is in the output where input and output are the total, and beside it where the total is larger by just
    the reasoning. Where the numbers say neither, that goes by the dialect.

    :param counted: as for :func:`whole_input`.
    """
    output, reasoning = counted.get("output"), counted.get("reasoning")
    if reasoning is not None and _reasoning_apart(counted, dialect):
        return (output or 0) + reasoning
    return output


def _reasoning_apart(counted: Mapping[str, int | None], dialect: str) -> bool:
    total, output, reasoning = (counted.get(kind) for kind in ("total", "output", "reasoning"))
    if total is not None and output is not None and reasoning:
        inputs = {counted.get("input"), _input(counted, dialect)}
        if total - output in inputs:
            return False
        if total - output - reasoning in inputs:
            return True
    return _flavour(dialect) in _REASONING_APART


def _input(counted: Mapping[str, int | None], dialect: str) -> int | None:
    total = counted.get("input")
    if total is not None and _flavour(dialect) in _CACHE_APART:
        total += (counted.get("cached") or 0) + (counted.get("cache_written") or 0)
    return total


def _flavour(dialect: str) -> str:
    return dialect.partition("_")[0]

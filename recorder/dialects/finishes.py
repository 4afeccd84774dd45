"""What finish reasons come down to, whoever sends them.

Each dialect knows its own words (:func:`finish_of` takes them). Gateways pass those of other providers through in the
format of one: OpenAI's has ``malformed_function_call`` of Gemini and ``guardrail_intervened`` of Bedrock. So the words
of all providers are known everywhere, in any case, with ``-``, ``_`` or a capital between (``maxTokens``). Google's
OpenAI-compatible endpoint tells a reason and its own reason for it in one: ``content_filter: RECITATION``.

Nobody knows what an unknown reason says of a call: that it was cut, or is not to be made. It is ``other``, and makes no
call complete.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

#: Finishes after which a call may have been cut, or is not to be made, whether or not it happens to parse.
CUTTING: Final = frozenset({"length", "content_filter", "refusal", "error", "paused", "cancelled", "other"})

#: What a reason comes down to that is not known.
UNKNOWN: Final = "other"

_WORDS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("stop", "stop_sequence", "stop_criteria_met", "end_turn", "eos", "eos_token"), "stop"),
    **dict.fromkeys(("eos_found", "end_of_turn", "end_of_text"), "stop"),
    **dict.fromkeys(("endoftext", "complete", "completed", "finish", "finished"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length", "error_limit"), "length"),
    **dict.fromkeys(("max_output", "max_new_tokens", "max_length", "token_limit", "time_limit"), "length"),
    "model_context_window_exceeded": "length",
    **dict.fromkeys(("tool_calls", "tool_call", "tool_use", "function_call", "function_calls"), "tool_calls"),
    **dict.fromkeys(("content_filter", "content_filtered", "sensitive", "guardrail_intervened"), "content_filter"),
    "error_toxic": "content_filter",
    **dict.fromkeys(("safety", "recitation", "language", "blocklist", "prohibited_content", "spii"), "content_filter"),
    **dict.fromkeys(("model_armor", "image_safety", "image_prohibited_content", "image_recitation"), "content_filter"),
    "refusal": "refusal",
    **dict.fromkeys(("error", "failed", "timeout", "network_error", "insufficient_system_resource"), "error"),
    **dict.fromkeys(("malformed_function_call", "unexpected_tool_call", "too_many_tool_calls"), "error"),
    **dict.fromkeys(("malformed_response", "missing_thought_signature", "function_call_filter"), "error"),
    **dict.fromkeys(("malformed_model_output", "malformed_tool_use"), "error"),
    **dict.fromkeys(("pause_turn", "compaction", "continuation"), "paused"),
    **dict.fromkeys(("abort", "aborted", "cancelled", "canceled", "user_cancel"), "cancelled"),
}
_BETWEEN: Final = re.compile(r"[\s-]+")
#: Before a word that begins with a capital, after one that does not end with one.
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: Between a reason and the reason for it.
_COMPOUND: Final = re.compile(r"\s*:\s*")


def finish_of(reason: str, own: Mapping[str, str] | None = None) -> str:
    """Return what a finish reason comes down to, in the words of :data:`recorder.core.messages.FINISHES`.

    :param own: what words of the dialect come down to that are not those of others, as they are sent.
    """
    return (own or {}).get(reason) or _known(reason) or _of_several(reason)


def finishes_of(reasons: Iterable[str], own: Mapping[str, str] | None = None) -> list[str]:
    """Return what each of several finish reasons comes down to.

    :param own: as for :func:`finish_of`.
    """
    return [finish_of(reason, own) for reason in reasons]


def _known(reason: str) -> str | None:
    told = _BETWEEN.sub("_", reason.strip())
    return _WORDS.get(told.lower()) or _WORDS.get(_CAPITAL.sub("_", told).lower())


def _of_several(reason: str) -> str:
    """Of a reason and the reason for it: the last that says why no call is complete, though another be not known."""
    told = [_known(one) for one in _COMPOUND.split(reason)]
    cutting = [one for one in told if one in CUTTING]
    if cutting:
        return cutting[-1] or UNKNOWN
    return UNKNOWN if None in told else told[-1] or UNKNOWN

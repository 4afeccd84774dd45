"""What requests name that a provider keeps, and what it calls its answers: read from an exchange.

OpenAI's Responses name an answer or a conversation, or refer to items of answers by their ids, as the AI SDK does
by default: the text, the reasoning and the calls of each answer, in the place where others send them whole.
A request that goes on with an answer that paused names the token that came with it. An answer that is made in the
background is asked for by its id until it is there, and may be stopped so: these requests have it in their path.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from recorder.core.history_resumed import token_sent, tokens_given
from recorder.core.kept_histories import (
    NOTHING_KEPT,
    KeptHistory,
    answer_id_key,
    conversation_id_key,
    item_id_key,
    token_key,
)
from recorder.core.rebuilt import Rebuilt

#: The dialect of requests whose answers the provider keeps.
_KEEPING: Final = "openai_responses"
_FAILED: Final = 400
#: Where one answer is asked for; where it is stopped.
_ONE: Final = re.compile(r"/responses/([^/]+)$")
_STOPPED: Final = re.compile(r"/responses/([^/]+)/cancel$")
#: Whatever else an item has, it says itself what it is.
_NAMING: Final = frozenset({"type", "id", "status"})
#: How the types of those items end that are the program's own.
_SENT: Final = ("_output", "_response", "message")


def kept_by_provider(rebuilt: Rebuilt) -> tuple[str | None, str | None]:
    """Return the id of the answer that a request goes on from, and that of the provider's conversation."""
    sent = _sent(rebuilt)
    conversation = sent.get("conversation")
    given = conversation.get("id") if isinstance(conversation, dict) else conversation
    return _id(sent.get("previous_response_id")), _id(given)


def fetched_answer(rebuilt: Rebuilt) -> str | None:
    """Return the id of the answer that a request asks for, or has stopped; None where it is another kind of request."""
    request, response = rebuilt.exchange.request, rebuilt.exchange.response
    place = {"GET": _ONE, "POST": _STOPPED}.get(request.method.upper()) if request is not None else None
    if request is None or place is None or rebuilt.reading is not None:
        return None
    found = place.search(request.url.partition("?")[0].partition("#")[0].rstrip("/"))
    answer = rebuilt.answer
    failed = not answer.choices and (response is None or response.status >= _FAILED)
    # Others have responses, too: what was answered in a survey is no answer of a model.
    return found[1] if found and (failed or (answer.dialect == _KEEPING and answer.ids)) else None


def waits(rebuilt: Rebuilt) -> bool:
    """Tell whether what a request fetches is not there yet."""
    return rebuilt.evidence.pending or not rebuilt.answer.choices


def kept_history(rebuilt: Rebuilt) -> KeptHistory:
    """Return the keys of what a request names, and of its answer as later requests name it.

    Who fetches the answer to another request goes on from that, and has the answer of that id, once it is there.
    """
    request, reading = rebuilt.exchange.request, rebuilt.reading
    if request is None:
        return NOTHING_KEPT
    url = request.url
    item = [*rebuilt.answer.items][-1] if rebuilt.answer.items else None
    fetched = fetched_answer(rebuilt)
    if fetched is not None:
        key = answer_id_key(url, fetched)
        if waits(rebuilt):
            return KeptHistory(key)
        return KeptHistory(key, answer=key, item=item_id_key(url, item) if item else None)
    if reading is None:
        return NOTHING_KEPT
    if reading.dialect != _KEEPING:
        resumed, paused = token_sent(rebuilt), next(iter(tokens_given(rebuilt)), None)
        return KeptHistory(
            answer=None if paused is None else token_key(url, paused),
            refers=None if resumed is None else token_key(url, resumed),
        )
    answer = rebuilt.answer.ids[-1] if rebuilt.answer.ids else None
    own = KeptHistory(
        answer=None if answer is None else answer_id_key(url, answer),
        item=item_id_key(url, item) if item else None,
    )
    previous, conversation = kept_by_provider(rebuilt)
    if previous is not None:
        return own._replace(goes_on=answer_id_key(url, previous))
    if conversation is not None:
        return own._replace(joins=conversation_id_key(url, conversation))
    last, is_referred = _last_item(_sent(rebuilt).get("input"))
    if last is None:
        return own
    return own._replace(**{"refers" if is_referred else "resends": item_id_key(url, last)})


def _last_item(given: Any) -> tuple[str | None, bool]:
    """The id of the last item of the last answer that is sent or referred to, and whether something of it is referred
    to. What the program says after it is new, what comes before that answer was before it.
    """
    last, is_referred, begun = None, False, False
    for item in reversed(given) if isinstance(given, list) else ():
        is_ours, refers = _by_the_model(item)
        if not is_ours and begun:
            break
        if is_ours:
            begun, is_referred = True, is_referred or refers
            last = last or _id(item.get("id"))
    return last, is_referred


def _by_the_model(item: Any) -> tuple[bool, bool]:
    """Whether an item is the model's; whether it is one that is only referred to."""
    if not isinstance(item, dict):
        return False, False
    if item.keys() <= _NAMING and _id(item.get("id")) is not None:
        return True, True
    role, kind = item.get("role"), item.get("type")
    return role == "assistant" or (role is None and isinstance(kind, str) and not kind.endswith(_SENT)), False


def _sent(rebuilt: Rebuilt) -> Mapping[str, Any]:
    request = rebuilt.exchange.request
    sent = request.json if request is not None and rebuilt.reading is not None else None
    return sent if isinstance(sent, dict) else {}


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

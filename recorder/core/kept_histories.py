"""What an exchange has to do with a history that the provider keeps, in keys that can be stored.

OpenAI's Responses name the answer that they go on from (``previous_response_id``), or the provider's conversation that
they are added to (``conversation``). Others send what was asked, and refer to what was answered by the ids of its items
(``item_reference``). Gemini's name the token of an answer that paused. Which exchange that is, the ids tell.

An answer has many items. It is known by the last one alone, so that an exchange has a few keys, however long its answer
is: a request names all items of an answer that are to count, or sends them with their ids, the last one last.

Ids are those of one host: what a provider calls an answer says nothing elsewhere. Those of OpenAI are long and random;
but servers that count (``resp_1``), and there are many in tests, give the same ones, and two conversations that have
nothing to do with each other would become one, which shows what somebody said to somebody else. What is lost is little:
a program goes on where its history is kept. So the host and its port count, in the way in which URLs are compared; the
scheme does not, nor does the path, in which gateways write a deployment, a version, or which provider they go on to.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final, NamedTuple
from urllib.parse import urlsplit

_ORIGIN: Final = b"recorder/kept/v1\0"
_PORTS: Final = {"http": 80, "https": 443}


class KeptHistory(NamedTuple):
    """Keys of 16 bytes; None is what is not named.

    :ivar goes_on: of the answer that a request says it goes on from.
    :ivar joins: of the provider's conversation that it says it is added to.
    :ivar answer: of its own answer, as a request names it that goes on from that.
    :ivar refers: of the last item of an answer, or of the answer that paused, to which a request that sends its history
        itself refers by its id.
    :ivar resends: of the last item of an answer that such a request sends back whole, with its id.
    :ivar item: of the last item of its own answer.
    :ivar apart: of the answer that made together the calls that a request sends back last, one by one, if one did.
    """

    goes_on: bytes | None = None
    joins: bytes | None = None
    answer: bytes | None = None
    refers: bytes | None = None
    resends: bytes | None = None
    item: bytes | None = None
    apart: bytes | None = None

    @property
    def named(self) -> bytes | None:
        """What the request names instead of sending it."""
        return self.goes_on or self.joins

    @property
    def sought(self) -> bytes | None:
        """What the request names that an exchange gave: an answer, or an item of one."""
        return self.goes_on or self.refers or self.resends

    @property
    def tells(self) -> bytes | None:
        """What the request names by which it is found."""
        return self.named or self.sought

    @property
    def gives(self) -> tuple[bytes, ...]:
        """The keys of its own answer."""
        return tuple(key for key in (self.answer, self.item) if key is not None)


#: Of a request that sends all of its history itself, and to whose answer nobody can refer.
NOTHING_KEPT: Final = KeptHistory()


def answer_id_key(url: str, identity: str) -> bytes:
    """Return the key of an answer to which a provider gave an id.

    :param url: of the request.
    """
    return _key("answer", url, identity)


def item_id_key(url: str, identity: str) -> bytes:
    """Return the key of an item of an answer to which a provider gave an id.

    :param url: of the request.
    """
    return _key("item", url, identity)


def token_key(url: str, token: str) -> bytes:
    """Return the key of an answer that paused with a token.

    :param url: of the request.
    """
    return _key("token", url, token)


def conversation_id_key(url: str, identity: str) -> bytes:
    """Return the key of a conversation to which a provider gave an id.

    :param url: of a request.
    """
    return _key("conversation", url, identity)


def _key(kind: str, url: str, identity: str) -> bytes:
    named = json.dumps([kind, host_of(url), identity])
    return hashlib.blake2b(_ORIGIN + named.encode("ascii"), digest_size=16).digest()


def host_of(url: str) -> str:
    """Return the host of a URL, and its port where it is not the one of its scheme; of what is no URL, all of it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    host = parts.hostname or ""
    return host if port in (None, _PORTS.get(parts.scheme)) else f"{host}:{port}"

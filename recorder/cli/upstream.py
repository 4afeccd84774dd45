"""The upstream of ``recorder chat``: what the environment says of it, asking it, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, RemoteDisconnected
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import requests
from requests import exceptions
from requests.auth import AuthBase
from urllib3.exceptions import LocationParseError, NameResolutionError, NewConnectionError

from recorder.cli.failures import UNREACHABLE, Failed
from recorder.cli.output import clean
from recorder.cli.reading import FAILURES, pieces
from recorder.core.json_text import parse_json
from recorder.errors import ConfigurationError

DEFAULT_MODEL: Final = "Meta-Llama-3.3-70B-Instruct"
STOP: Final = ("<|eot_id|>",)
_ENDING: Final = "/chat/completions"
_LIKE: Final = f"give one like https://HOST/v1{_ENDING}"
_CONNECT_SECONDS: Final = 10.0
_DETAIL_BYTES: Final = 1 << 16
_DETAIL_SHOWN: Final = 200

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where to ask.

    :ivar token: the bearer token; empty where there is none. Never shown.
    """

    url: str
    model: str
    token: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        """Host and port, for people."""
        parts = urlsplit(self.url)
        return parts.netloc.rpartition("@")[2]


def from_environment(environ: Mapping[str, str]) -> Upstream:
    """Return the upstream that ``AI_API_URL``, ``AI_ACCESS_TOKEN`` and ``AI_MODEL_NAME`` name.

    :raises ConfigurationError: one of them is missing or cannot be right.
    """
    url = environ.get("AI_API_URL", "").strip()
    if not url:
        raise ConfigurationError(f"AI_API_URL is not set: set it to the upstream's URL, which ends in {_ENDING}")
    _check(url)
    token = environ.get("AI_ACCESS_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ConfigurationError("AI_ACCESS_TOKEN holds characters that no token has: set it again")
    model = environ.get("AI_MODEL_NAME", "").strip()
    require_utf8("AI_MODEL_NAME", model)
    return Upstream(url, model or DEFAULT_MODEL, token)


def require_utf8(name: str, text: str | None) -> None:
    """Refuse a text of the command line or the environment that the shell has handed over in another encoding.

    Python keeps such bytes as halves of surrogate pairs, which no server takes for what was meant.

    :param name: what the text is, for people.
    :raises ConfigurationError: it is not UTF-8.
    """
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise ConfigurationError(f"{name} is not UTF-8 text: convert it first") from error


def _check(url: str) -> None:
    """Refuse a URL that cannot be asked, before anything is recorded of it.

    :raises ConfigurationError: what is wrong with it.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # half of an IPv6 address
        raise ConfigurationError(f"AI_API_URL is no URL: {_LIKE}") from None
    shown = clean(_shown(parts))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"AI_API_URL is {shown}: {_LIKE}")
    if not parts.path.endswith(_ENDING):
        raise ConfigurationError(f"AI_API_URL must end in {_ENDING}, but is {shown}: correct it")
    if not _is_port(parts):
        raise ConfigurationError(f"AI_API_URL has a port that is none, it is {shown}: give one from 1 to 65535")
    try:
        if not url.isprintable() or " " in url:
            raise ValueError
        parts.hostname.encode("idna")
        requests.Request("POST", url).prepare()
    except ValueError:
        raise ConfigurationError(f"AI_API_URL has a host that is none, it is {shown}: {_LIKE}") from None


def _is_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _shown(parts: SplitResult) -> str:
    """Return a URL for people: without its userinfo, and not at all where a password may be elsewhere in it."""
    if not parts.netloc:
        return "no URL"
    if "@" in parts.path + parts.query + parts.fragment:  # a password with a / or a # in it ends the host early
        return "not shown here, since a password may be in it"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Bearer(AuthBase):
    """Sets the token as requests' ``auth``: as a plain header a netrc file would replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._token:
            request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def ask(session: requests.Session, upstream: Upstream, messages: Messages, timeout: float) -> requests.Response:
    """Send a conversation and return the answer, of which only the head has been read.

    :param timeout: seconds without a byte after which to give up.
    :raises Failed: nothing came back, or what came back is a refusal.
    """
    body = {
        "messages": list(messages),
        "model": upstream.model,
        "stop": list(STOP),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    try:
        response = session.post(
            upstream.url,
            json=body,
            headers={"Accept": "text/event-stream"},
            auth=_Bearer(upstream.token),
            stream=True,
            allow_redirects=False,
            timeout=(_CONNECT_SECONDS, timeout),
        )
    except (exceptions.RequestException, LocationParseError) as error:  # the latter, requests lets through
        raise Failed(
            f"{upstream.host} {_unanswered(error)}", UNREACHABLE, asked=getattr(error, "request", None)
        ) from error
    except OSError as error:  # of requests itself: the file is not there
        raise ConfigurationError(
            f"the TLS certificates cannot be read ({error}): correct REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE, or unset it"
        ) from error
    if response.status_code not in (200, 201):
        raise Failed(f"{upstream.host} {_refusal(response, upstream)}", UNREACHABLE, asked=response)
    return response


def _unanswered(error: Exception) -> str:
    """Return what it means that no answer came, and what to do."""
    causes = _causes(error)
    if isinstance(error, exceptions.ConnectTimeout):
        return f"did not accept a connection within {_CONNECT_SECONDS:g} s: check AI_API_URL and the network"
    if isinstance(error, exceptions.ReadTimeout) or any(isinstance(cause, TimeoutError) for cause in causes):
        return "did not answer in time: ask again, or give a longer --timeout"
    if isinstance(error, exceptions.ProxyError | exceptions.InvalidURL | exceptions.InvalidSchema | LocationParseError):
        # of AI_API_URL all that can be invalid is refused before: it is a proxy's URL
        return "cannot be reached through the proxy: check HTTP_PROXY, HTTPS_PROXY and NO_PROXY"
    if isinstance(error, exceptions.SSLError):
        return "does not speak TLS as expected: check the scheme and the host of AI_API_URL, and its certificate"
    if any(isinstance(cause, NameResolutionError) for cause in causes):
        return "is not a host that can be found: check AI_API_URL and the network"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "refused the connection: check AI_API_URL, and that the server runs"
    if any(isinstance(cause, NewConnectionError) for cause in causes):
        said = next((f" ({one.strerror})" for one in causes if isinstance(one, OSError) and one.strerror), "")
        return f"cannot be reached{said}: check AI_API_URL and the network"
    if any(isinstance(cause, HTTPException) and not isinstance(cause, RemoteDisconnected) for cause in causes):
        return "answered with something that is not HTTP: check AI_API_URL"
    if isinstance(error, exceptions.ConnectionError):
        return "closed the connection without an answer: ask again"
    return f"could not be asked ({type(error).__name__}): check AI_API_URL"


def _causes(error: BaseException | None) -> list[BaseException]:
    """Return an exception and everything it was made from."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in found:
            continue
        found.append(one)
        inner = [arg for arg in (*one.args, getattr(one, "reason", None)) if isinstance(arg, BaseException)]
        waiting += [one.__cause__, one.__context__, *inner]
    return found


def _refusal(response: requests.Response, upstream: Upstream) -> str:
    """Return what a status other than 200 and 201 means, with what the upstream says, and what to do."""
    status = response.status_code
    said = explained(read_some(response), upstream.token)
    told = f" ({said})" if said else ""
    if status in (401, 403):
        missing = "" if upstream.token else ", which is not set"
        return f"refused the token with {status}{told}: check AI_ACCESS_TOKEN{missing}"
    if status == 404:
        return f"knows no such address or model, {status}{told}: check AI_API_URL and AI_MODEL_NAME ({upstream.model})"
    if status == 429:
        return f"has had too many requests, {status}{told}: {_when(response)}"
    if 300 <= status < 400:
        return f"has moved, {status}: set AI_API_URL to its new address"
    if status >= 500:
        return f"failed with {status}{told}: {_when(response)}"
    if status < 300:
        return f"answered with {status}, which is no chat completion: check AI_API_URL"
    return f"refused the request with {status}{told}: change what is asked, or AI_MODEL_NAME ({upstream.model})"


def _when(response: requests.Response) -> str:
    after = clean(response.headers.get("Retry-After", "")).strip()
    if after.isdigit():
        return f"ask again in {after} s"
    return f"ask again after {after}" if after else "ask again later"


def read_some(response: requests.Response) -> bytes:
    """Return the body, or its beginning where it is long or breaks off, and close the response."""
    body = bytearray()
    with response, suppress(*FAILURES):  # what is told is the status; the failure of its body is recorded
        for piece in pieces(response, decode=True):
            body += piece
            if len(body) >= _DETAIL_BYTES:
                break
    return bytes(body)


def explained(body: bytes, token: str = "") -> str:
    """Return the message in an error's body in one line, without the token; empty where there is none."""
    try:
        value = parse_json(body)
    except ValueError:
        return ""
    return message_of(value, token)


def message_of(value: Any, token: str = "") -> str:
    """Return the message of an error object as providers send them; empty where there is none."""
    while isinstance(value, dict):
        value = next((value[key] for key in ("error", "message", "detail") if value.get(key)), None)
    if not isinstance(value, str):
        return ""
    line = clean(" ".join(value.split()))
    line = line.replace(token, "(the token)") if token else line
    return line if len(line) <= _DETAIL_SHOWN else line[: _DETAIL_SHOWN - 1] + "…"

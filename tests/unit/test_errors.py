"""The hierarchy, its messages, and that no error of another library crosses our border unmapped."""

from __future__ import annotations

import builtins
import http.client
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import requests.exceptions
import urllib3.exceptions

import recorder
from recorder import errors
from recorder.core.events import meta_text
from recorder.transports.failures import cause_of, describe, kind_of, revive

CLASSES = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, BaseException)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_has_one_sentence_which_is_its_message(kind: type[Exception]) -> None:
    sentence = (kind.__doc__ or "").strip().splitlines()[0]
    assert sentence.endswith(".")
    assert str(kind()) == sentence
    assert str(kind("told: do this")) == "told: do this"
    assert issubclass(kind, errors.RecorderError)
    assert kind.__name__ in (errors.__doc__ or "")
    assert kind.__name__ in recorder.__all__


def test_what_a_miss_and_a_corruption_carry() -> None:
    miss = errors.NoMatchingExchange("m", request="GET /", nearest=["a"], differences=["b"])
    assert (miss.request, miss.nearest, miss.differences) == ("GET /", ("a",), ("b",))
    assert errors.CassetteExhausted().nearest == ()
    assert errors.CorruptRecording(position=7).position == 7


def _network_errors() -> list[type[BaseException]]:
    """Every exception class that a socket, a resolver, TLS or http.client can raise."""
    found = [value for module in (builtins, socket, ssl, http.client) for value in vars(module).values()]
    kinds = {
        value for value in found if isinstance(value, type) and issubclass(value, OSError | http.client.HTTPException)
    }
    return sorted(kinds, key=lambda kind: kind.__qualname__)


def _instance(kind: type[BaseException]) -> BaseException:
    if issubclass(kind, http.client.IncompleteRead):
        return kind(b"part", 3)  # type: ignore[call-arg]
    attempts: list[tuple[Any, ...]] = [(5, "five"), ("text",), ()]
    for arguments in attempts:
        try:
            return kind(*arguments)
        except TypeError:
            continue
    raise AssertionError(kind)


KINDS = {"dns", "refused", "tls", "timeout", "reset", "disconnected", "malformed", "interrupted", "other"}


@pytest.mark.parametrize("kind", _network_errors())
def test_every_network_error_is_described_stored_and_raised_again(kind: type[BaseException]) -> None:
    error = _instance(kind)
    facts = describe(error)
    meta_text(facts)  # it can be stored
    assert kind_of(error) in KINDS
    if "args" not in facts:
        return
    again = revive(facts)
    assert type(again) is type(error)
    assert str(again) == str(error)


def _raised(act: Callable[[], None]) -> BaseException:
    with pytest.raises(Exception, match=r".") as raised:
        act()
    return raised.value


def test_the_cause_is_what_the_system_said() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")

    def wrapped() -> None:
        try:
            raise refused
        except OSError as error:
            raise requests.exceptions.ConnectionError("failed") from error

    def beside() -> None:
        try:
            raise KeyError("mine")
        except KeyError:
            raise OSError("while handling")  # noqa: B904 - the program's own comes before it

    def alone() -> None:
        try:
            raise refused
        except OSError:
            raise ValueError("x") from None

    assert cause_of(_raised(wrapped)) is refused
    assert str(cause_of(_raised(beside))) == "while handling"
    assert str(cause_of(_raised(alone))) == "x"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (socket.gaierror(-2, "unknown"), "dns"),
        (ssl.SSLError("x"), "tls"),
        (ssl.SSLCertVerificationError("x"), "tls"),
        (TimeoutError("x"), "timeout"),
        (urllib3.exceptions.ReadTimeoutError(None, "/", "x"), "timeout"),  # type: ignore[arg-type]
        (ConnectionRefusedError(), "refused"),
        (http.client.RemoteDisconnected("x"), "disconnected"),
        (ConnectionResetError(), "reset"),
        (BrokenPipeError(), "reset"),
        (http.client.BadStatusLine("x"), "malformed"),
        (LookupError(), "interrupted"),
        (OSError(28, "full"), "other"),
    ],
)
def test_kinds(error: BaseException, kind: str) -> None:
    assert kind_of(error) == kind


def test_a_class_that_is_no_network_error_is_never_made() -> None:
    for name in ("builtins.eval", "os.system", "builtins.KeyError", "nowhere.Error", "http.client.HTTPConnection"):
        with pytest.raises(errors.RecordingEnded, match="broke off with"):
            revive({"type": name, "message": "x"})
    unknown = revive({"type": "winerror.Own", "message": "x", "errno": 5})
    assert (type(unknown), unknown.args) == (OSError, (5, "x"))
    assert str(revive({"type": "builtins.TimeoutError", "message": "timed out"})) == "timed out"


def test_every_exception_of_the_http_libraries_is_left_to_them() -> None:
    """They are made by the stock libraries above our border, when recording and when replaying."""
    for module in (requests.exceptions, urllib3.exceptions):
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Exception):
                assert not issubclass(value, errors.RecorderError)

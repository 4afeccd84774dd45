"""Which of the two modules is meant, and what the operating system said below its exceptions."""

from __future__ import annotations

import socket

import httpx2
import pytest

from recorder.core.events import ErrorFacts
from recorder.errors import ConfigurationError
from recorder.transports.httpx_modules import (
    core_of,
    describe_failure,
    is_of_httpx,
    kind_of_failure,
    like_core,
    module_of,
    phase_of_failure,
    raised_again,
)


def failure(url: str, timeout: httpx2.Timeout | None = None) -> Exception:
    with httpx2.Client(trust_env=False, timeout=timeout) as client, pytest.raises(httpx2.TransportError) as caught:
        client.get(url)
    return caught.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_what_is_meant_is_told_by_identity_and_not_by_a_name() -> None:
    import openai  # which gives classes of httpx2 its own name

    assert openai.__name__ == "openai"
    mock = httpx2.MockTransport(lambda request: httpx2.Response(200))
    for given in (httpx2, httpx2.Client, httpx2.AsyncHTTPTransport, mock):
        assert module_of(given) is httpx2
    for given in ("httpx2", None, socket):
        with pytest.raises(ConfigurationError):
            module_of(given)
    assert is_of_httpx(httpx2.Response(200))
    assert not is_of_httpx(200)


def test_what_the_operating_system_said() -> None:
    error = failure(f"http://127.0.0.1:{free_port()}/")
    facts = describe_failure(httpx2, error)
    assert facts["type"] == "builtins.ConnectionRefusedError"
    assert (kind_of_failure(error), phase_of_failure(error)) == ("refused", "connect")
    assert facts["raised"]["type"] == "httpx2.ConnectError"
    again = raised_again(httpx2, facts)
    assert (type(again), str(again)) == (type(error), str(error))


def test_what_the_program_was_handling_is_no_cause() -> None:
    try:
        raise FileNotFoundError("of the program")
    except FileNotFoundError:
        error = failure("nothing://127.0.0.1/")
    assert kind_of_failure(error) == "other"
    assert describe_failure(httpx2, error)["type"] == "httpx2.UnsupportedProtocol"


def test_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        error = failure(f"http://127.0.0.1:{server.getsockname()[1]}/", timeout=httpx2.Timeout(5, read=0.05))
    assert (kind_of_failure(error), phase_of_failure(error)) == ("timeout", "head")
    assert describe_failure(httpx2, error)["type"] == "builtins.TimeoutError"


def test_what_cannot_be_raised_again() -> None:
    assert raised_again(httpx2, ErrorFacts(type="x.Y", message="")) is None
    unknown = {"type": "x.Y", "message": "", "raised": {"type": "httpx2.NoSuchError", "message": ""}}
    assert raised_again(httpx2, unknown) is None
    assert like_core(httpx2, ValueError()) is None
    assert like_core(httpx2, core_of(httpx2).ReadError()) is httpx2.ReadError

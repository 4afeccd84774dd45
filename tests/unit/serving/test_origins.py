"""Which recorded URLs a request may stand for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import ConfigurationError
from recorder.serving.origins import Origins, host_name

A, B = "https://a.example", "https://user:pw@b.example:8443"
REQUESTS = [f"POST {A}/v1/chat?x=1", f"GET {A}/v1/models", f"POST {B}/v1/chat", f"GET {B}/v1/chat;m=2", f"GET {A}"]


@pytest.mark.parametrize(
    ("target", "urls"),
    [
        ("/v1/models", [f"{A}/v1/models"]),
        ("/v1/chat", [f"{A}/v1/chat", "https://b.example:8443/v1/chat"]),
        ("/v1/chat?x=2", [f"{A}/v1/chat?x=2", "https://b.example:8443/v1/chat?x=2"]),
        ("/", [f"{A}/"]),
        ("/never", [f"{A}/never", "https://b.example:8443/never"]),
        ("*", [f"{A}*", "https://b.example:8443*"]),
        ("/https/b.example:8443/v1/chat", ["https://b.example:8443/v1/chat"]),
        ("/HTTPS/a.example", [f"{A}/"]),
        (
            "/https/c.example/v1/chat",
            [f"{A}/https/c.example/v1/chat", "https://b.example:8443/https/c.example/v1/chat"],
        ),
        ("http://c.example/v1/chat?u=http://d", ["http://c.example/v1/chat?u=http://d"]),
        ("/r?u=http://d", [f"{A}/r?u=http://d", "https://b.example:8443/r?u=http://d"]),
    ],
)
def test_the_urls_of_a_target(target: str, urls: list[str]) -> None:
    assert Origins(REQUESTS).urls_for(target) == urls


def test_one_origin_may_be_chosen() -> None:
    assert Origins(REQUESTS, "https://B.example:8443/").urls_for("/v1/models") == ["https://b.example:8443/v1/models"]
    with pytest.raises(
        ConfigurationError, match=r"nothing was recorded of the origin b: use https://a.example, https://b"
    ):
        Origins(REQUESTS, "b")
    with pytest.raises(ConfigurationError, match="use a store that has it"):
        Origins([], "https://a.example")


def test_an_empty_recording_has_a_url_for_everything() -> None:
    assert Origins([]).urls_for("/v1") == ["http://localhost/v1"]
    assert Origins(["GET not-a-url"]).hosts == frozenset()


def test_the_hosts() -> None:
    assert Origins(REQUESTS).hosts == {"a.example", "b.example"}
    assert [host_name(each) for each in ("A:1", "[::1]:80", "u:p@h", "", " x ")] == ["a", "::1", "h", "", "x"]


@given(st.text(), st.lists(st.text()))
def test_there_is_always_a_url(target: str, requests: list[str]) -> None:
    assert Origins(requests).urls_for(target)

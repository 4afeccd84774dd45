"""Keys of what a provider keeps: of one host; those of answers and of conversations differ."""

from __future__ import annotations

import pytest

from recorder.core.history_states import kept_history
from recorder.core.kept_histories import NOTHING_KEPT, answer_id_key, conversation_id_key, host_of
from tests.unit.core.test_history_states import URL, sent

SAME = [
    "https://API.example/openai/responses?api-version=2025-04-01",
    "https://api.example:443/v1/responses",
    "http://api.example/openai/v1/responses#x",
    "https://key:secret@api.example/v1/responses",
]


@pytest.mark.parametrize("url", SAME)
def test_an_id_is_the_same_wherever_on_a_host_it_is_named(url: str) -> None:
    assert answer_id_key(url, "resp_1") == answer_id_key(URL, "resp_1")


@pytest.mark.parametrize("url", ["https://other.example/v1/responses", "https://api.example:8443/v1/responses", "/v1"])
def test_another_host_gives_ids_of_its_own(url: str) -> None:
    assert answer_id_key(url, "resp_1") != answer_id_key(URL, "resp_1")


def test_what_is_no_url_is_its_own_host() -> None:
    assert host_of("http://[nothing") == "http://[nothing"
    assert host_of("http://host:port/") == "http://host:port/"
    assert host_of("") == ""
    assert host_of("http://[::1]:8000/v1") == "::1:8000"


def test_an_answer_is_no_conversation_and_ids_may_hold_anything() -> None:
    keys = {
        answer_id_key(URL, "x"),
        conversation_id_key(URL, "x"),
        answer_id_key(URL, "\ud800"),
        answer_id_key(URL, ""),
    }
    assert len(keys) == 4
    assert {len(key) for key in keys} == {16}


def test_what_an_exchange_has_to_do_with_it() -> None:
    named = kept_history(sent(2, "q", previous_response_id="resp_1"))
    assert named == (answer_id_key(URL, "resp_1"), None, answer_id_key(URL, "resp_2"))
    assert kept_history(sent(2, "q", conversation={"id": "c"})).joins == conversation_id_key(URL, "c")
    assert kept_history(sent(2, "q", conversation="c", previous_response_id="r")).joins is None
    assert kept_history(sent(2, "q", None)) == NOTHING_KEPT
    assert kept_history(sent(2, "q", previous_response_id=7, conversation=[])) == (None, None, named.answer)

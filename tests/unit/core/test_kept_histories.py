"""Keys of what a provider keeps: of one host; those of answers and of conversations differ."""

from __future__ import annotations

import pytest

from recorder.core.exchange import fold
from recorder.core.history_names import kept_history
from recorder.core.kept_histories import (
    NOTHING_KEPT,
    KeptHistory,
    answer_id_key,
    conversation_id_key,
    host_of,
    item_id_key,
)
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.keeping import fetching
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
        item_id_key(URL, "x"),
        answer_id_key(URL, "\ud800"),
        answer_id_key(URL, ""),
    }
    assert len(keys) == 5
    assert {len(key) for key in keys} == {16}


def test_what_an_exchange_has_to_do_with_it() -> None:
    named = kept_history(sent(2, "q", previous_response_id="resp_1"))
    item = item_id_key(URL, "msg")
    assert named == KeptHistory(answer_id_key(URL, "resp_1"), answer=answer_id_key(URL, "resp_2"), item=item)
    assert kept_history(sent(2, "q", conversation={"id": "c"})).joins == conversation_id_key(URL, "c")
    assert kept_history(sent(2, "q", conversation="c", previous_response_id="r")).joins is None
    assert kept_history(sent(2, "q", None)) == NOTHING_KEPT
    assert kept_history(sent(2, "q", previous_response_id=7, conversation=[])) == named._replace(goes_on=None)


REF = {"type": "item_reference", "id": "rs_1"}
SHORT = {"id": "msg_0"}  # the type may be left out
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "buy", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "done"}
ASKED = {"role": "user", "content": "q"}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]}


@pytest.mark.parametrize(
    ("given", "refers", "resends"),
    [
        ([ASKED, REF, ASKED], "rs_1", None),
        ([SHORT, ASKED, REF, CALL, RESULT], "fc_1", None),  # as clients do that refer to reasoning alone
        ([ASKED, REF, {**CALL, "id": None}, RESULT], "rs_1", None),
        ([ASKED, SHORT, RESULT], "msg_0", None),
        ([ASKED, REF, ASKED, SAID, ASKED], None, None),  # what it sends last says what it goes on from
        ([ASKED, SAID | {"id": "msg_1"}, CALL, RESULT, ASKED], None, "fc_1"),
        ([ASKED, SAID, ASKED], None, None),
        ([ASKED, 7, None], None, None),
        ("q", None, None),
    ],
)
def test_of_the_items_that_a_request_names_the_last_of_the_last_answer_counts(
    given: object, refers: str | None, resends: str | None
) -> None:
    def item(identity: str | None) -> bytes | None:
        return None if identity is None else item_id_key(URL, identity)

    found = kept_history(sent(2, given))
    assert (found.named, found.refers, found.resends) == (None, item(refers), item(resends))
    named = kept_history(sent(2, given, previous_response_id="resp_1"))
    assert (named.tells, named.refers, named.resends) == (answer_id_key(URL, "resp_1"), None, None)


def gone(built: ExchangeBuilder) -> Rebuilt:
    exchange = fold(built.events)
    assert exchange is not None
    return rebuild(exchange)


def test_who_fetches_an_answer_goes_on_from_it_and_gives_it_once_it_is_there() -> None:
    key, item = answer_id_key(URL, "r"), item_id_key(URL, "msg_of_r")
    host = "https://api.example/openai/responses"
    assert kept_history(gone(fetching(1, "r", "hold", url=host))) == KeptHistory(key, answer=key, item=item)
    for built in (
        fetching(1, "r", status="queued", url=host),
        fetching(1, "r", "ho", status="in_progress", url=host),
        ExchangeBuilder(1).request(method="GET", url=f"{host}/r/").response(404).completed(),
        ExchangeBuilder(1).request(method="GET", url=f"{host}/r#x"),
    ):
        assert kept_history(gone(built)) == KeptHistory(key)
    stopped = kept_history(gone(fetching(1, "r", status="cancelled", stops=True, url=host)))
    assert (stopped.goes_on, stopped.answer) == (key, key)


@pytest.mark.parametrize(
    ("method", "place"),
    [("DELETE", "/r"), ("GET", ""), ("GET", "/r/input_items"), ("POST", "/r"), ("GET", "/r/cancel")],
)
def test_other_requests_fetch_nothing(method: str, place: str) -> None:
    built = ExchangeBuilder(1).request(method=method, url=f"https://api.example/v1/responses{place}")
    assert kept_history(gone(built)) == NOTHING_KEPT

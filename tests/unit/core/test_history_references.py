"""An item that is sent back by its id is what the answer had under it; an id that nobody gave is put in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from recorder.core.conversation import Relation, message_key
from recorder.core.exchange import fold
from recorder.core.rebuilt import Rebuilt
from recorder.dialects.rebuild import rebuild
from tests.building import ExchangeBuilder
from tests.unit.core.test_history import relations, told

URL = "https://api.example/v1/responses"
Value = dict[str, Any]

THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "x"}}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "buy", "arguments": "{}", "status": "completed"}
PICTURE = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "QUJD"}
RESULT = {"type": "function_call_output", "call_id": "c", "output": "done"}


def user(text: str) -> Value:
    return {"role": "user", "content": text}


def text(said: str, identity: str = "msg_1") -> Value:
    part = {"type": "output_text", "text": said, "annotations": []}
    return {"type": "message", "id": identity, "status": "completed", "role": "assistant", "content": [part]}


def ref(identity: str) -> Value:
    return {"type": "item_reference", "id": identity}


def sent(number: int, given: list[Value], *output: Value, streamed: bool = False) -> Rebuilt:
    done = {"id": f"resp_{number}", "object": "response", "status": "completed", "model": "m", "output": output}
    built = ExchangeBuilder(number).request({"model": "m", "input": given}, url=URL, call=f"call-{number}")
    if streamed:
        items = [
            {"type": "response.output_item.done", "output_index": at, "item": item} for at, item in enumerate(output)
        ]
        built.response().sse(*items, {"type": "response.completed", "response": done}, done=False)
    else:
        built.response(headers=[("content-type", "application/json")]).chunks(json.dumps(done).encode())
    exchange = fold(built.completed().events)
    assert exchange is not None
    return rebuild(exchange)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "back",
    [
        [ref("rs_1"), ref("ws_1"), ref("msg_1"), ref("fc_1")],
        [ref("ws_1"), ref("msg_1"), ref("fc_1")],
        [ref("rs_1"), SEARCH, ref("msg_1"), CALL],
        [THOUGHT, ref("ws_1"), text("I buy"), ref("fc_1")],
    ],
)
def test_what_is_named_by_its_id_is_what_was_answered(back: list[Value], *, streamed: bool) -> None:
    one = sent(1, [user("a")], THOUGHT, SEARCH, text("I buy"), CALL, streamed=streamed)
    two = sent(2, [user("a"), *back, RESULT], text("ok", "msg_2"))
    three = sent(3, [user("a"), *back, RESULT, ref("msg_2"), user("b")], text("fine", "msg_3"))
    assert relations(one, two, three)[1:] == [Relation("continues", one.id), Relation("continues", two.id)]


def test_a_picture_is_named_by_its_id_alone() -> None:
    one = sent(1, [user("a")], PICTURE)
    two = sent(2, [user("a"), {"type": "image_generation_call", "id": "ig_1"}, user("b")], text("ok"))
    assert relations(one, two)[1] == Relation("continues", one.id)


def test_a_history_is_the_same_by_ids_and_in_full() -> None:
    one = sent(1, [user("a")], text("hold"))
    two = sent(2, [user("a"), ref("msg_1"), user("b")], text("sell", "msg_2"))
    three = sent(3, [user("a"), text("hold"), user("b"), ref("msg_2"), user("c")], text("ok", "msg_3"))
    assert relations(one, two, three)[1:] == [Relation("continues", one.id), Relation("continues", two.id)]


def test_a_change_beside_what_is_named_is_found() -> None:
    one = sent(1, [user("a")], text("I buy"), CALL)
    changed = sent(2, [user("a"), ref("msg_1"), CALL | {"arguments": '{"q": 1}'}, RESULT], text("ok"))
    assert told(relations(one, changed)[1]) == ["answer_edited"]
    dropped = sent(2, [user("a"), ref("msg_1"), user("b")], text("ok"))
    assert told(relations(one, dropped)[1]) == ["answer_edited"]
    asked = sent(2, [user("z"), ref("msg_1"), ref("fc_1"), RESULT], text("ok"))
    assert told(relations(one, asked)[1]) == ["message_edited"]


def test_another_answer_in_its_place_is_found() -> None:
    one = sent(1, [user("a")], text("hold"))
    two = sent(2, [user("a"), ref("msg_1"), user("b")], text("sell", "msg_2"))
    three = sent(3, [user("a"), ref("msg_2"), user("b"), ref("msg_2"), user("c")], text("ok", "msg_3"))
    assert told(relations(one, two, three)[2]) == ["answer_edited"]


@pytest.mark.parametrize("history", [[ref("msg_9")], [ref("rs_9"), ref("msg_9")]])
def test_an_id_that_nobody_gave_is_no_edit(history: list[Value]) -> None:
    one = sent(1, [user("a")], text("hold"))
    two = sent(2, [user("a"), *history, user("b")], text("ok", "msg_2"))
    found = relations(one, two)[1].findings
    assert [fact.kind for fact in found] == ["answer_dropped"] + ["answer_inserted"] * len(history)
    assert all("msg_9" in fact.detail or "rs_9" in fact.detail for fact in found if fact.kind == "answer_inserted")


def test_what_was_answered_before_the_recording_is_no_finding() -> None:
    begun = [user("y"), ref("msg_8"), user("z"), ref("rs_9"), ref("msg_9")]
    one = sent(1, [*begun, user("a")], text("hold"))
    two = sent(2, [*begun, user("a"), ref("msg_1"), user("b")], text("ok", "msg_2"))
    assert relations(one, two) == [Relation("begins"), Relation("continues", one.id)]


BARE = {name: held for name, held in PICTURE.items() if name != "result"}


@pytest.mark.parametrize(
    "back",
    [
        {"type": "image_generation_call", "id": "ig_1"},
        BARE,
        BARE | {"result": None},
        BARE | {"result": None, "output_format": "png", "size": "1x1"},
        PICTURE,
    ],
)
def test_an_image_that_is_sent_back_without_its_bytes_is_the_one_of_its_id(back: Value) -> None:
    one = sent(1, [user("draw")], PICTURE | {"output_format": "png", "size": "1x1"})
    two = sent(2, [user("draw"), back, user("blue")], text("done"))
    assert relations(one, two)[1] == Relation("continues", one.id)


def test_an_image_with_other_bytes_or_another_id_is_another_one() -> None:
    one = sent(1, [user("draw")], PICTURE)
    for back in (PICTURE | {"result": "QUJE"}, BARE | {"id": "ig_2"}, BARE | {"id": "ig_2", "result": None}):
        assert told(relations(one, sent(2, [user("draw"), back, user("blue")], text("done")))[1]) != []


def test_images_of_two_ids_that_nobody_gave_are_not_the_same() -> None:
    def key(back: Value) -> bytes:
        return message_key(sent(1, [BARE | back], text("done")).request_messages[0])

    assert key({"id": "ig_1"}) != key({"id": "ig_2"})
    assert key({"id": "ig_1"}) == key({"id": "ig_1", "status": "generating", "result": None})


def test_a_picture_that_failed_is_edited_where_something_else_stands_for_it() -> None:
    failed = BARE | {"status": "failed", "result": None}
    one, two = sent(1, [user("draw")], failed), sent(2, [user("draw"), text("done"), user("blue")], text("z"))
    assert told(relations(one, two)[1]) == ["answer_edited"]
    three = sent(3, [user("draw"), failed, user("blue")], text("z"))
    assert relations(one, three)[1] == Relation("continues", one.id)

"""What a program changed in the history that it sent back, as ``show`` tells it of a conversation."""

from __future__ import annotations

from recorder.store.schema import upgrade
from tests.commands import answered, fill, identity_of, json_lines, run

DESK = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}


def test_an_edited_answer_is_a_finding_of_the_conversation(store_url: str) -> None:
    upgrade(store_url)
    first = answered(1, ("user", "buy?"), text="hold", call="call-1", **DESK)
    again = answered(2, ("user", "buy?"), text="hold", call="call-2", **DESK)
    edited = answered(3, ("user", "buy?"), ("assistant", "BUY NOW"), ("user", "how much?"), call="call-3", **DESK)
    fill(store_url, first, again, edited)
    shown = run("show", "desk", "--store", store_url).stdout
    assert f"asks again   {identity_of(first)}" in shown
    assert f"goes on from {identity_of(again)}" in shown
    assert "history      answer_edited: message 2:" in shown
    assert "'hold', sent back as assistant 'BUY NOW'" in shown
    lines = json_lines(run("show", "desk", "--json", "--store", store_url), "show")
    assert [line.get("relation") for line in lines] == [
        None,
        {"kind": "regenerates", "of": identity_of(first)},
        {"kind": "continues", "of": identity_of(again)},
    ]
    assert [finding["kind"] for finding in lines[2]["findings"]] == ["answer_edited"]

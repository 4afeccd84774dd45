"""``recorder diff``."""

from __future__ import annotations

import json

from recorder.store.schema import upgrade
from tests.commands import answered, fill, identity_of, run

DESK = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}


def test_exchanges_and_conversations_are_compared_word_by_word(store_url: str) -> None:
    upgrade(store_url)
    first = answered(1, ("user", "buy ten lots?"), text="Hold for now", call="call-1", **DESK)
    second = answered(2, ("user", "buy ten lots?"), text="Sell for now", call="call-2")
    fill(store_url, first, second)
    done = run("diff", identity_of(first), identity_of(second), "--store", store_url)
    assert (done.exit_code, done.stderr) == (1, "")
    assert "user: the same" in done.stdout
    assert "[-Hold-]{+Sell+} for now" in done.stdout
    named = run("diff", "desk", identity_of(second), "--json", "--store", store_url)
    lines = [json.loads(line) for line in named.stdout.splitlines()]
    assert [line["change"] for line in lines] == ["same", "changed"]
    same = run("diff", "desk", identity_of(first), "--store", store_url)
    assert (same.exit_code, same.stderr) == (0, "they say the same\n")


def test_an_edit_is_shown_word_by_word_where_the_instructions_were_dropped_too(store_url: str) -> None:
    upgrade(store_url)
    first = answered(1, ("system", "Be brief."), ("user", "Buy 10 lots of EURUSD?"), text="Hold for now")
    second = answered(2, ("user", "Buy 100 lots of EURUSD?"), text="Hold for now")
    fill(store_url, first, second)
    done = run("diff", identity_of(first), identity_of(second), "--store", store_url)
    assert done.stdout.splitlines() == [
        *("- system", "  [-Be brief.-]"),
        *("~ user", "  Buy [-10-]{+100+} lots of EURUSD?"),
        "  assistant: the same",
    ]


def test_what_is_not_there_is_one_line(store_url: str) -> None:
    upgrade(store_url)
    done = run("diff", "nothing", "else", "--store", store_url)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1

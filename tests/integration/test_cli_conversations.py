"""Conversations that no program opened: they have the ID of their first exchange, and commands tell the two apart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorder.store.schema import upgrade
from tests.commands import answered, fill, identity_of, json_lines, run, told
from tests.journals import journals
from tests.keeping import kept_exchange

#: Two conversations that begin with the same words.
HOLD = [
    kept_exchange(1, "now?", "hold"),
    kept_exchange(2, "and now?", "buy", previous_response_id="resp_1"),
    kept_exchange(3, "and then?", "sell", previous_response_id="resp_2"),
]
SELL = [kept_exchange(4, "now?", "hold"), kept_exchange(5, "and now?", "sell", previous_response_id="resp_4")]
FIRST, SECOND, THIRD = map(identity_of, HOLD)
OTHER, LAST = map(identity_of, SELL)
HINT = "exchanges of the conversation with this ID: --conversation"
GROUND = ("--ground", "request of the person")


def filled(url: str) -> str:
    upgrade(url)
    fill(url, *HOLD, *SELL)
    return url


def erased(url: str) -> list[str]:
    """Return the ids of the exchanges that are erased, the oldest first."""
    lines = json_lines(run("list", "--json", "--store", url), "list")
    return [line["id"] for line in reversed(lines) if line.get("erased")]


def erase(url: str, *arguments: str) -> str:
    """Erase; return what is warned of."""
    result = run("erase", *arguments, *GROUND, "--yes", "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stderr


def refused(url: str, *arguments: str) -> str:
    return told(run("erase", *arguments, *GROUND, "--yes", "--store", url), 1)


@pytest.mark.parametrize("named", [FIRST, SECOND])
def test_a_hold_of_a_conversation_keeps_all_that_is_in_it(store_url: str, named: str) -> None:
    url = filled(store_url)
    placed = run("hold", "place", named, "--conversation", "--ground", "a case", "--store", url)
    assert (placed.exit_code, placed.stderr) == (0, "")
    assert f"keeps the conversation {FIRST}\n" in placed.stdout
    (hold,) = json_lines(run("hold", "list", "--json", "--store", url), "hold")
    assert (hold["conversation"], "exchange" in hold) == (FIRST, False)
    later = kept_exchange(6, "and later?", "no", previous_response_id="resp_3")
    fill(url, later)
    for one in (FIRST, SECOND, THIRD, identity_of(later)):
        assert hold["hold"] in refused(url, one)
        assert hold["hold"] in refused(url, one, "--conversation")
    assert erased(url) == []
    erase(url, LAST)
    assert run("hold", "release", hold["hold"], "--ground", "over", "--store", url).exit_code == 0
    erase(url, THIRD)
    assert erased(url) == [THIRD, LAST]


def test_a_hold_of_an_exchange_says_that_others_are_not_kept(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    placed = run("hold", "place", FIRST, "--ground", "a case", "--store", url)
    assert f"keeps the exchange {FIRST}\n" in placed.stdout
    assert placed.stderr == f"the first of 3 {HINT} has all of them\n"
    assert run("hold", "place", SECOND, "--ground", "a case", "--store", url).stderr == ""
    for wrong in (["--all", "--conversation"], ["--conversation"]):
        told(run("hold", "place", *wrong, "--ground", "a case", "--store", url), 2)


def test_a_hold_keeps_a_conversation_whatever_its_id_is_now(sqlite_url: str) -> None:
    """It has another one where its first exchange was erased in spite of it, or where an earlier one is imported."""
    url = filled(sqlite_url)
    for one in (FIRST, LAST):
        assert run("hold", "place", one, "--conversation", "--ground", "a case", "--store", url).exit_code == 0
    erase(url, FIRST, "--override-hold", "--approved-by", "the judge")
    for one in (SECOND, THIRD):
        assert f"keeps the conversation {FIRST}" in refused(url, one)
    child, parent = kept_exchange(7, previous_response_id="resp_8"), kept_exchange(8)
    fill(url, child)
    alone = identity_of(child)
    assert run("hold", "place", alone, "--conversation", "--ground", "a case", "--store", url).exit_code == 0
    fill(url, parent)
    for one in (alone, identity_of(parent)):
        assert f"keeps the conversation {alone}" in refused(url, one)
    assert erased(url) == [FIRST]


@pytest.mark.parametrize("named", [[FIRST, "--conversation"], ["--conversation", SECOND]])
def test_a_conversation_is_erased_by_the_id_of_any_exchange_in_it(store_url: str, named: list[str]) -> None:
    url = filled(store_url)
    result = run("erase", *named, *GROUND, "--yes", "--store", url)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("erased: 3 exchanges; ")
    assert erased(url) == [FIRST, SECOND, THIRD]
    told(run("erase", "--finish", "--conversation", "--yes", "--store", url), 2)


def test_what_an_erasure_advises_can_be_followed(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    begun = [("user", "what now?"), ("assistant", "wait")]
    first = answered(6, begun[0], text="wait", call="call-6")
    forks = [answered(at, *begun, ("user", f"{at}?"), call=f"call-{at}") for at in (7, 8)]
    fill(url, first, *forks)
    warned = erase(url, identity_of(first))
    ids = sorted(map(identity_of, forks))
    assert warned.startswith("warning: 2 other exchanges of the conversation may repeat what was said: ")
    assert f": `recorder erase ID --conversation` erases what is left of it, with each of {', '.join(ids)}; " in warned
    for one in ids:
        assert erase(url, one, "--conversation") == ""
    assert f"`recorder erase {SECOND} --conversation` erases what is left of it" in erase(url, FIRST)
    assert erase(url, SECOND, "--conversation") == ""
    assert f"`recorder erase {LAST} --conversation` erases what is left of it" in erase(url, OTHER)
    assert erase(url, LAST, "--conversation") == ""
    assert erased(url) == [FIRST, SECOND, THIRD, OTHER, LAST, identity_of(first), *ids]


def test_another_conversation_with_the_same_words_is_not_advised_to_be_erased(sqlite_url: str) -> None:
    """What goes on from the first exchange goes on from the same words elsewhere when that is erased."""
    asks, says = ("user", "now?"), ("assistant", "hold")
    first, other = (answered(at, asks, text="hold", call=f"call-{at}") for at in (1, 3))
    second, last = (answered(at, asks, says, ("user", f"{at}?"), call=f"call-{at}") for at in (2, 4))
    fill(sqlite_url, first, second, other, last)
    warned = erase(sqlite_url, identity_of(first))
    assert "as they are in a conversation with others now" in warned
    assert f"erase them one by one, as they are in a conversation with others now ({identity_of(second)})" in warned
    line = told(run("show", identity_of(first), "--conversation", "--store", sqlite_url), 1)
    assert f"goes by the ID {identity_of(other)} (with others) now: give that ID" in line


def test_a_conversation_is_replayed_printed_and_checked_as_a_whole(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    alone = run("replay", FIRST, "--store", url)
    assert (alone.exit_code, alone.stderr.count("same bytes")) == (0, 1)
    assert f"the first of 3 {HINT} has all of them" in alone.stderr
    for one in (FIRST, THIRD):
        every = run("replay", one, "--conversation", "--store", url)
        assert (every.exit_code, every.stderr.count("same bytes"), HINT in every.stderr) == (0, 3, False)
    for arguments, size in (((FIRST,), 1), ((SECOND, "--conversation"), 3)):
        printed = run("events", *arguments, "--json", "--store", url)
        assert len({json.loads(line)["exchange"] for line in printed.stdout.splitlines()}) == size
        assert (HINT in printed.stderr) == (size == 1)
        checked = run("verify", *arguments, "--json", "--store", url)
        assert json.loads(checked.stdout)["exchanges"] == size
        assert (HINT in checked.stderr) == (size == 1)
    assert "without an ID" in told(run("verify", "--conversation", "--store", url), 2)


def test_a_cassette_of_a_first_exchange_says_how_to_have_the_others(sqlite_url: str, tmp_path: Path) -> None:
    url = filled(sqlite_url)
    alone, every = (str(tmp_path / name) for name in ("alone.jsonl", "every.jsonl"))
    written = run("cassette", "from-store", alone, FIRST, LAST, "--store", url)
    assert "2 exchanges, " in written.stdout
    assert written.stderr == f"the first of 3 {HINT} ID, in the place of ID, has all of them\n"
    written = run("cassette", "from-store", every, "--conversation", FIRST, "--store", url)
    assert ("3 exchanges, " in written.stdout, written.stderr) == (True, "")
    assert len(json_lines(run("show", FIRST, "--conversation", "--json", "--store", every), "show")) == 3


def test_a_transcript_of_one_exchange_says_that_it_is_one(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    desk = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}
    named = [answered(at, ("user", f"{at}?"), call=f"call-{at}", **desk) for at in (6, 7)]
    fill(url, *named, kept_exchange(8))

    def exported(*arguments: str) -> str:
        return run("export", *arguments, "--store", url).stdout

    assert exported(FIRST).startswith(f"# One of 3 exchanges of the conversation `{FIRST}`\n\n## ")
    assert exported(SECOND).startswith(f"# One of 3 exchanges of the conversation `{FIRST}`\n\n## ")
    assert exported(identity_of(named[1])).startswith("# One of 2 exchanges of the conversation `desk`\n\nid ")
    page = exported(SECOND, "--format", "html")
    told_so = f"One of 3 exchanges of the conversation {FIRST}</"
    assert f"<title>{told_so}title>" in page
    assert f"<h1>{told_so}h1>" in page
    whole = identity_of(kept_exchange(8))
    assert exported(whole).startswith(f"# Conversation `{whole}`\n")
    assert exported("desk").startswith("# Conversation `desk`\n")


def test_two_first_exchanges_are_compared_alone_where_that_is_asked_for(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    whole = run("diff", FIRST, OTHER, "--store", url)
    assert whole.exit_code == 1
    assert whole.stderr == "compared are the conversations with these IDs: --exchange compares the exchanges\n"
    alone = run("diff", FIRST, OTHER, "--exchange", "--store", url)
    assert (alone.exit_code, alone.stderr) == (0, "they say the same\n")
    inner = run("diff", SECOND, LAST, "--conversation", "--store", url)
    assert (inner.exit_code, inner.stdout, inner.stderr) == (1, whole.stdout, "")
    for wrong in ((FIRST, OTHER, "--exchange", "--conversation"), (FIRST, "--nearest", "--exchange")):
        told(run("diff", *wrong, "--store", url), 2)


def test_the_id_of_a_conversation_whose_first_exchange_is_erased_says_what_it_is_now(store_url: str) -> None:
    url = filled(store_url)
    erase(url, FIRST)
    gone = f"{FIRST} was erased, and what is left of its conversation goes by the ID {SECOND} now"
    for command in (
        ["show", FIRST, "--conversation"],
        ["export", "--conversation", FIRST],
        ["diff", FIRST, OTHER],
        ["diff", FIRST, OTHER, "--conversation"],
        ["list", "--conversation", FIRST],
        ["search", "now", "--conversation", FIRST],
        ["replay", FIRST, "--conversation"],
        ["hold", "place", FIRST, "--conversation", *GROUND],
        ["erase", FIRST, "--conversation", *GROUND, "--yes"],
        ["retention", "set", "--days", "3", "--of", FIRST],
        ["redact", "set", "--conversation", FIRST, "--rule", "re:b[u]y", *GROUND],
    ):
        assert told(run(*command, "--store", url), 1) == f"error: {gone}: give that ID"
    for command in (["show", FIRST], ["export", FIRST]):
        result = run(*command, "--store", url)
        assert result.exit_code == 0
        assert result.stderr.endswith(f"{gone}\n")
        assert "buy" not in result.stdout
    left = json_lines(run("show", SECOND, "--conversation", "--json", "--store", url), "show")
    assert [one["id"] for one in left] == [SECOND, THIRD]
    erase(url, SECOND, "--conversation")
    shown = run("show", FIRST, "--conversation", "--store", url)
    assert (shown.exit_code, shown.stderr, shown.stdout.count("  erased ")) == (0, "", 1)


def test_what_did_not_go_on_from_the_first_exchange_is_found_by_its_id_as_well(sqlite_url: str) -> None:
    """As where the first request came to nothing, and was sent again."""
    talk = [kept_exchange(at, "now?", None if at == 1 else "hold", conversation="conv_1") for at in (1, 2, 3)]
    fill(sqlite_url, *talk)
    assert run("hold", "place", FIRST, "--conversation", *GROUND, "--store", sqlite_url).exit_code == 0
    erase(sqlite_url, FIRST, "--override-hold", "--approved-by", "the judge")
    for one in (SECOND, THIRD):
        assert f"keeps the conversation {FIRST}" in refused(sqlite_url, one)
    line = told(run("show", FIRST, "--conversation", "--store", sqlite_url), 1)
    assert line.endswith(f"goes by the ID {SECOND} now: give that ID")


def test_a_conversation_that_an_erasure_parts_goes_by_several_ids(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    erase(url, SECOND)
    line = told(run("show", SECOND, "--conversation", "--store", url), 1)
    assert f"goes by the IDs {FIRST}, {THIRD} now: give one of these IDs" in line
    assert run("show", SECOND, "--store", url).stderr == ""  # its ID was never that of the conversation


def test_an_erased_exchange_of_a_conversation_with_a_name_leads_to_it(store_url: str) -> None:
    upgrade(store_url)
    desk = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}
    named = [answered(at, ("user", f"{at}?"), call=f"call-{at}", **desk) for at in (1, 2)]
    fill(store_url, *named)
    assert f"`recorder erase {desk['conversation']} --conversation` erases what is left of it" in erase(
        store_url, identity_of(named[0])
    )
    shown = json_lines(run("show", identity_of(named[0]), "--conversation", "--json", "--store", store_url), "show")
    assert [one["id"] for one in shown] == [identity_of(named[1])]


def test_what_is_hidden_in_a_conversation_stays_so_when_its_first_exchange_is_erased(sqlite_url: str) -> None:
    url = filled(sqlite_url)
    rule = ("redact", "set", "--conversation", FIRST, "--rule", "re:b[u]y", *GROUND)
    assert run(*rule, "--store", url).exit_code == 0
    erase(url, FIRST)
    shown = run("show", SECOND, "--store", url)
    assert ("buy" in shown.stdout, "[redacted]" in shown.stdout) == (False, True)


def test_the_access_trail_names_the_conversation_that_was_taken_out(sqlite_url: str, tmp_path: Path) -> None:
    url = filled(sqlite_url)
    assert run("keys", "init", "--origin", "example.com/desk", "--store", url).exit_code == 0
    assert run("show", FIRST, "--conversation", "--unredacted", "--store", url).exit_code == 0
    assert run("seal", "--store", url).exit_code == 0
    bundled = run("bundle", "--conversation", SECOND, "-o", str(tmp_path / "e.zip"), "--store", url)
    assert bundled.exit_code == 0, bundled.stderr
    accessed = [e.facts for events in journals(url).values() for e in events if e.type == "accessed"]
    assert [(one["action"], one["of"]) for one in accessed] == [
        ("show", f"conversation {FIRST}"),
        ("bundle", f"conversation {FIRST}"),
    ]

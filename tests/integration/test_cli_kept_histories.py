"""Conversations whose history the provider keeps, without a name that the user gave: on the command line."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import pytest

from recorder.store.schema import upgrade
from tests.building import ExchangeBuilder
from tests.commands import fill, identity_of, json_lines, run
from tests.keeping import URL, fetching, kept_exchange

DESK = {"conversation": "01900000-0000-7000-8000-0000000000aa", "name": "desk"}


def listed(store_url: str) -> dict[str, list[str]]:
    """Return the exchanges of each conversation, the oldest first."""
    found: dict[str, list[str]] = {}
    for line in reversed(json_lines(run("list", "--json", "--store", store_url), "list")):
        found.setdefault(line["conversation"], []).append(line["id"])
    return found


def told(store_url: str, conversation: str, name: str) -> list[Any]:
    """Return what an export of a conversation tells of each of its exchanges."""
    exported = run("export", "--conversation", conversation, "--format", "jsonl", "--store", store_url)
    return [json.loads(line).get(name) for line in exported.stdout.splitlines()]


@pytest.mark.parametrize("stream", [False, True])
def test_what_goes_on_from_an_answer_is_in_its_conversation(store_url: str, stream: bool) -> None:
    upgrade(store_url)
    first = kept_exchange(1, "buy?", "hold", stream=stream)
    second = kept_exchange(2, "why?", "carry", previous_response_id="resp_1", stream=stream)
    fork = kept_exchange(3, "sell?", "no", previous_response_id="resp_1", stream=stream)
    failed = kept_exchange(4, "and now?", None, previous_response_id="resp_2")
    again = kept_exchange(5, "and now?", "buy", previous_response_id="resp_2", stream=stream)
    other = kept_exchange(6, "buy?", "hold", url="https://elsewhere.example/v1/responses", identity="resp_1")
    everything = [first, second, fork, failed, again]
    fill(store_url, *everything, other)
    ids = list(map(identity_of, everything))
    assert listed(store_url) == {ids[0]: ids, identity_of(other): [identity_of(other)]}
    assert told(store_url, ids[0], "id") == ids
    assert told(store_url, ids[0], "parent") == [None, ids[0], ids[0], ids[1], ids[1]]
    assert told(store_url, ids[0], "relation") == [
        None,
        {"kind": "continues", "of": ids[0]},
        {"kind": "forks", "of": ids[0]},
        {"kind": "continues", "of": ids[1]},
        {"kind": "retries", "of": ids[3]},
    ]
    found = run("search", "hold", "--conversation", ids[2], "--json", "--store", store_url)
    assert [json.loads(line)["exchange"] for line in found.stdout.splitlines()] == [ids[0]]
    found = run("list", "--conversation", ids[0], "--json", "--store", store_url)
    assert len(found.stdout.splitlines()) == 5


def test_words_that_are_said_in_two_conversations_are_found_in_each(store_url: str) -> None:
    """A question is the same only where what came before it is."""
    upgrade(store_url)
    talks = [kept_exchange(1, "buy?", "hold"), kept_exchange(2, "sell?", "no")]
    talks += [kept_exchange(at, "really truly", "yes", previous_response_id=f"resp_{at - 2}") for at in (3, 4)]
    fill(store_url, *talks)
    for first, on in ((talks[0], talks[2]), (talks[1], talks[3])):
        found = run("search", "truly", "--conversation", identity_of(first), "--json", "--store", store_url)
        assert [json.loads(line)["exchange"] for line in found.stdout.splitlines()] == [identity_of(on)]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_it_does_not_matter_in_which_order_they_come(sqlite_url: str, order: tuple[int, ...]) -> None:
    talk = [kept_exchange(1), kept_exchange(2, previous_response_id="resp_1")]
    talk.append(kept_exchange(3, previous_response_id="resp_2"))
    ids = list(map(identity_of, talk))
    for number in order:
        fill(sqlite_url, talk[number])
        listed(sqlite_url)
    assert listed(sqlite_url) == {ids[0]: ids}


def test_a_parent_with_a_later_time_than_its_child_is_where_it_begins(store_url: str) -> None:
    """As imports without times have it."""
    upgrade(store_url)
    child, parent = kept_exchange(1, previous_response_id="resp_2"), kept_exchange(2)
    fill(store_url, child)
    assert listed(store_url) == {identity_of(child): [identity_of(child)]}
    fill(store_url, parent)
    assert listed(store_url) == {identity_of(parent): [identity_of(child), identity_of(parent)]}


@pytest.mark.parametrize("named", ["conv_1", {"id": "conv_1"}])
def test_exchanges_of_one_conversation_of_the_providers_are_one(store_url: str, named: object) -> None:
    upgrade(store_url)
    failed = kept_exchange(1, "buy?", None, conversation=named)
    first = kept_exchange(2, "buy?", "hold", conversation=named)
    second = kept_exchange(3, "why?", "carry", conversation="conv_1")
    other = kept_exchange(4, "why?", "carry", conversation="conv_2")
    fill(store_url, failed, first, second, other)
    ids = list(map(identity_of, (failed, first, second)))
    assert listed(store_url) == {ids[0]: ids, identity_of(other): [identity_of(other)]}
    assert told(store_url, ids[0], "relation")[2] == {"kind": "continues", "of": ids[1]}


def test_a_program_that_first_sends_everything_and_then_names_it(store_url: str) -> None:
    upgrade(store_url)
    first = kept_exchange(1, "buy?", "hold")
    history = [{"role": "user", "content": "buy?"}, {"role": "assistant", "content": "hold"}]
    whole = kept_exchange(2, [*history, {"role": "user", "content": "why?"}], "carry")
    named = kept_exchange(3, "so?", previous_response_id="resp_2")
    fill(store_url, first, whole, named)
    ids = list(map(identity_of, (first, whole, named)))
    assert listed(store_url) == {ids[0]: ids}


def test_gateways_with_addresses_of_their_own(store_url: str) -> None:
    """Azure names a version in the query; gateways tell in the path which provider is meant."""
    upgrade(store_url)
    azure = "https://desk.openai.azure.com/openai/responses?api-version=2025-04-01-preview"
    gateway = "https://gateway.ai.cloudflare.com/v1/account/name/openai/responses"
    talks = [
        [kept_exchange(at, url=url), kept_exchange(at + 1, url=url, previous_response_id=f"resp_{at}")]
        for at, url in ((1, azure), (3, gateway), (5, azure.replace("/openai/", "/openai/v1/")))
    ]
    fill(store_url, *itertools.chain(*talks))
    assert listed(store_url) == {identity_of(one): [identity_of(one), identity_of(two)] for one, two in talks}


def test_what_was_sent_in_a_named_conversation_stays_there(store_url: str) -> None:
    upgrade(store_url)
    loose, named = kept_exchange(1), kept_exchange(2, previous_response_id="resp_1", facts=DESK)
    on = kept_exchange(3, previous_response_id="resp_2")
    fill(store_url, loose, named, on)
    assert listed(store_url) == {
        identity_of(loose): [identity_of(loose)],
        DESK["conversation"]: [identity_of(named), identity_of(on)],
    }


def test_an_answer_that_is_made_in_the_background_is_what_was_fetched(store_url: str) -> None:
    upgrade(store_url)
    talk = [
        waiting(1, "resp_1"),
        fetching(2, "resp_1", status="queued"),
        fetching(3, "resp_1", status="in_progress"),
        fetching(4, "resp_1", "ho", status="in_progress"),
        fetching(5, "resp_1", "hold"),
        kept_exchange(6, "why?", "carry", previous_response_id="resp_1"),
        kept_exchange(7, [user("buy?"), ref("msg_of_resp_1"), user("so?")], "no"),
    ]
    other = [waiting(8, "resp_8"), fetching(9, "resp_8", status="cancelled", stops=True)]
    fill(store_url, *talk[1:], *other)
    fill(store_url, talk[0])
    ids = list(map(identity_of, talk))
    assert listed(store_url) == {ids[0]: ids, identity_of(other[0]): list(map(identity_of, other))}
    assert told(store_url, ids[0], "parent") == [None, *[ids[0]] * 4, ids[4], ids[4]]
    relations = [one and (one["kind"], one["of"]) for one in told(store_url, ids[0], "relation")]
    fetched = [("fetches", ids[0])] * 4
    assert relations == [None, *fetched, ("continues", ids[4]), ("forks", ids[4])]
    assert not any(told(store_url, ids[0], "findings"))
    stopped = told(store_url, identity_of(other[0]), "relation")
    assert stopped == [None, {"kind": "fetches", "of": identity_of(other[0])}]


def waiting(number: int, identity: str, facts: dict[str, Any] | None = None) -> ExchangeBuilder:
    """Return an exchange whose answer is made in the background."""
    built = ExchangeBuilder(number)
    built.request(
        {"model": "m-1", "input": "buy?", "background": True}, url=URL, **{"call": f"call-{number}"} | (facts or {})
    )
    body = {"id": identity, "object": "response", "status": "queued", "model": "m-1", "output": []}
    built.response(headers=[("content-type", "application/json")], framing="length")
    return built.chunks(json.dumps(body).encode()).completed()


def test_what_was_fetched_in_a_named_conversation_is_sent_back(sqlite_url: str) -> None:
    """Word by word, without any id: nothing of it was put in."""
    talk = [waiting(1, "resp_1", DESK), fetching(2, "resp_1", "hold", facts=DESK)]
    talk.append(kept_exchange(3, [user("buy?"), {"role": "assistant", "content": "hold"}, user("why?")], facts=DESK))
    talk.append(waiting(4, "resp_4", DESK))
    fill(sqlite_url, *talk)
    ids = list(map(identity_of, talk))
    relations = [one and (one["kind"], one["of"]) for one in told(sqlite_url, "desk", "relation")]
    assert relations == [None, ("fetches", ids[0]), ("continues", ids[1]), ("regenerates", ids[0])]
    assert not any(told(sqlite_url, "desk", "findings"))
    shown = run("show", "desk", "--store", sqlite_url).stdout
    assert re.search(rf"answer of +{ids[0]}", shown)
    told_so = json_lines(run("show", "desk", "--json", "--store", sqlite_url), "show")
    assert [one["relation"]["kind"] for one in told_so if "relation" in one] == ["fetches", "continues", "regenerates"]


def test_fetching_fails_and_who_asked_was_not_recorded(store_url: str) -> None:
    upgrade(store_url)
    lost = ExchangeBuilder(1).request(method="GET", url=f"{URL}/resp_1", call="call-1").response(404).completed()
    talk = [lost, fetching(2, "resp_1", "hold"), kept_exchange(3, previous_response_id="resp_1")]
    survey = [
        ExchangeBuilder(at).request(method="GET", url="https://s.example/survey/responses/4", call=f"call-{at}")
        for at in (4, 5)
    ]
    survey[0].response().completed()
    survey[1].response(headers=[("content-type", "application/json")]).chunks(b'{"answers": [1]}').completed()
    fill(store_url, *talk, *survey)
    ids = list(map(identity_of, talk))
    assert [one for one in listed(store_url).values() if len(one) > 1] == [ids]
    kinds = [one and one["kind"] for one in told(store_url, ids[0], "relation")]
    assert kinds == [None, None, "continues"]


@pytest.mark.parametrize("format_name", ["markdown", "html"])
def test_a_transcript_leaves_nothing_out_that_the_provider_kept(sqlite_url: str, format_name: str) -> None:
    talk = [kept_exchange(1, "buy?", "hold"), kept_exchange(2, "why so?", "carry", previous_response_id="resp_1")]
    sibling = [{"role": "user", "content": "why so?"}, {"role": "assistant", "content": "carry"}]
    sibling.append({"role": "user", "content": "and the carry of crowns?"})
    talk.append(kept_exchange(3, sibling, "low", previous_response_id="resp_1"))
    fill(sqlite_url, *talk)
    exported = run("export", "--conversation", identity_of(talk[0]), "--format", format_name, "--store", sqlite_url)
    body = exported.stdout.partition("<main")[2].partition('<nav id="contents"')[0] or exported.stdout
    for text in ("buy?", "why so?", "and the carry of crowns?"):
        assert body.count(text) == 1, text
    assert "0 messages" not in body
    assert ("2 messages as there" in body) == (format_name == "html")


def test_a_named_conversation_is_shown_compared_and_traced_with_what_the_provider_kept(sqlite_url: str) -> None:
    other = {"conversation": "01900000-0000-7000-8000-0000000000bb", "name": "floor"}
    fill(
        sqlite_url,
        kept_exchange(1, "buy?", "hold", facts=DESK, instructions="be brief"),
        kept_exchange(2, "why so?", "carry", facts=DESK, previous_response_id="resp_1", instructions="be long"),
        kept_exchange(3, "sell?", "hold", facts=other),
        kept_exchange(4, "why so?", "carry", facts=other, previous_response_id="resp_3", instructions="be long"),
    )
    shown = run("show", "desk", "--store", sqlite_url).stdout
    assert [shown.count(text) for text in ("buy?", "why so?", "goes on from")] == [1, 1, 1]
    compared = run("diff", "desk", "floor", "--json", "--store", sqlite_url)
    changes = [json.loads(line) for line in compared.stdout.splitlines()]
    assert [(one["role"], one["change"]) for one in changes] == [
        ("user", "changed"),
        ("assistant", "same"),
        ("system", "same"),
        ("user", "same"),
        ("assistant", "same"),
    ]


def ref(identity: str) -> dict[str, str]:
    return {"type": "item_reference", "id": identity}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("stream", [False, True])
def test_a_program_that_sends_its_questions_and_the_ids_of_the_answers(store_url: str, stream: bool) -> None:
    """As the AI SDK does it by default."""
    upgrade(store_url)
    talk = [
        kept_exchange(1, [user("buy?")], "hold", stream=stream),
        kept_exchange(2, [user("buy?"), ref("msg_1"), user("why?")], "carry", stream=stream),
        kept_exchange(3, [user("buy?"), ref("msg_1"), user("why?"), ref("msg_2"), user("so?")], "no", stream=stream),
        kept_exchange(4, [user("buy?"), ref("msg_1"), user("sell?")], "yes", stream=stream),
    ]
    other = [kept_exchange(5, [user("buy?")], "hold"), kept_exchange(6, [user("buy?"), ref("msg_5"), user("why?")])]
    elsewhere = kept_exchange(7, [user("buy?"), ref("msg_1"), user("why?")], url="https://elsewhere.example/responses")
    fill(store_url, *talk, *other, elsewhere)
    ids = list(map(identity_of, talk))
    assert listed(store_url) == {
        ids[0]: ids,
        identity_of(other[0]): list(map(identity_of, other)),
        identity_of(elsewhere): [identity_of(elsewhere)],
    }
    assert told(store_url, ids[0], "parent") == [None, ids[0], ids[1], ids[0]]
    kinds = [None, "continues", "continues", "forks"]
    assert [one and one["kind"] for one in told(store_url, ids[0], "relation")] == kinds
    assert not any(told(store_url, ids[0], "findings"))


def test_what_refers_to_an_answer_is_shown_once_with_all_that_it_adds(sqlite_url: str) -> None:
    talk = [
        kept_exchange(1, [user("buy?")], "hold"),
        kept_exchange(2, [user("buy?"), ref("msg_1"), user("why so?")], "carry"),
    ]
    fill(sqlite_url, *talk)
    window = kept_exchange(3, [ref("msg_2"), user("and the carry of crowns?")], "low")
    for name in ("markdown", "html"):
        exported = run("export", "--conversation", identity_of(talk[0]), "--format", name, "--store", sqlite_url)
        body = exported.stdout.partition("<main")[2].partition('<nav id="contents"')[0] or exported.stdout
        assert [body.count(text) for text in ("buy?", "why so?", "item_reference")] == [1, 1, 0]
    fill(sqlite_url, window)
    ids = list(map(identity_of, (*talk, window)))
    assert listed(sqlite_url) == {ids[0]: ids}
    exported = run("export", "--conversation", ids[0], "--format", "markdown", "--store", sqlite_url).stdout
    assert exported.count("and the carry of crowns?") == 1


def test_what_is_sent_back_with_its_id_goes_on_from_it_although_it_was_edited(store_url: str) -> None:
    upgrade(store_url)
    text = [{"type": "output_text", "text": "sell", "annotations": []}]
    edited = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": text}
    talk = [kept_exchange(1, [user("buy?")], "hold"), kept_exchange(2, [user("buy?"), edited, user("why?")])]
    fill(store_url, *talk)
    ids = list(map(identity_of, talk))
    assert listed(store_url) == {ids[0]: ids}
    assert [one["kind"] for one in told(store_url, ids[0], "findings")[1]] == ["answer_edited"]


def paused(number: int, says: str, *, resumes: str | None = None, pauses: str | None = None) -> ExchangeBuilder:
    """Return an exchange with Gemini that goes on with the answer of one token, and pauses with another one."""
    contents = [{"role": "user", "parts": [{"text": "tell me"}]}]
    body = {"contents": contents, **({} if resumes is None else {"continuationToken": resumes})}
    ended = (
        {"finishReason": "STOP"} if pauses is None else {"finishReason": "CONTINUATION", "continuationToken": pauses}
    )
    candidate = {"content": {"role": "model", "parts": [{"text": says}]}, "index": 0, **ended}
    url = "https://ai.example/v1beta/models/g:streamGenerateContent?alt=sse"
    built = ExchangeBuilder(number).request(body, url=url, call=f"call-{number}")
    return built.response().sse({"candidates": [candidate], "modelVersion": "g"}, done=False).completed()


def test_what_goes_on_with_an_answer_that_paused_is_in_its_conversation(store_url: str) -> None:
    upgrade(store_url)
    talk = [paused(1, "Once", pauses="dG-r"), paused(2, " upon", resumes="dG+r=", pauses="b24")]
    talk.append(paused(3, " a time", resumes="b24"))
    other = paused(4, "Twice", pauses="eA")
    fill(store_url, talk[2], talk[0], other, talk[1])
    ids = list(map(identity_of, talk))
    assert listed(store_url) == {ids[0]: ids, identity_of(other): [identity_of(other)]}
    assert told(store_url, ids[0], "parent") == [None, ids[0], ids[1]]
    kinds = [one and one["kind"] for one in told(store_url, ids[0], "relation")]
    assert (kinds, any(told(store_url, ids[0], "findings"))) == ([None, "continues", "continues"], False)
    exported = run("export", "--conversation", ids[0], "--format", "markdown", "--store", store_url).stdout
    assert [exported.count(text) for text in ("tell me", "Once", " upon", " a time")] == [1, 1, 1, 1]


def test_the_id_of_a_conversation_that_nobody_opened_reaches_all_of_it(sqlite_url: str) -> None:
    """It is that of its first exchange, which goes before it: whoever gets this one alone is told of the others."""
    hold = [kept_exchange(1, "now?", "hold"), kept_exchange(2, "and now?", "buy", previous_response_id="resp_1")]
    sell = [kept_exchange(3, "now?", "hold"), kept_exchange(4, "and now?", "sell", previous_response_id="resp_3")]
    alone = kept_exchange(5, "now?", "hold")
    fill(sqlite_url, *hold, *sell, alone)
    first, second, other = map(identity_of, (*hold, sell[0]))
    at = ("--store", sqlite_url)

    def shown(*arguments: str) -> tuple[list[str], str]:
        result = run("show", *arguments, "--json", *at)
        return [json.loads(line)["id"] for line in result.stdout.splitlines()], result.stderr

    hint = "the first of 2 exchanges of the conversation with this ID: --conversation"
    assert shown(first)[0] == [first]
    assert hint in shown(first)[1]
    assert shown(first, "--conversation") == shown(second, "--conversation") == ([first, second], "")
    assert shown(second) == ([second], "")
    exported = run("export", first, "--format", "jsonl", *at)
    assert len(exported.stdout.splitlines()) == 1
    assert f"{hint} ID, in the place of ID, has all of them" in exported.stderr
    differing = run("diff", first, other, *at)
    assert differing.exit_code == 1
    assert "[-buy-]{+sell+}" in differing.stdout
    shorter = run("diff", first, identity_of(alone), *at)
    assert shorter.exit_code == 1
    assert "[-buy-]" in shorter.stdout

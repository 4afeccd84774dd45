"""The filters that several commands share, given several times."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from recorder import Store
from recorder.api.following import Following, followed
from recorder.cli.application import application
from tests.building import ExchangeBuilder
from tests.commands import answered, asking, fill, identity_of, json_lines, run, told

CALM = answered(1, ("user", "common one"))
CUT = asking(2, ("user", "common two"), model="m-2").response().chunks(b"data: ").event("response_truncated", {})
REFUSED = asking(3, ("user", "common three"), model="m-3").response(status=429).chunks(b"{}").completed()
NAMES = {identity_of(CALM): "calm", identity_of(CUT): "cut", identity_of(REFUSED): "refused"}
#: Filters, each given several times, and what they leave.
SEVERAL = [
    (["--verdict", "truncated", "--verdict", "complete"], {"calm", "cut"}),
    (["--verdict", "truncated", "--verdict", "errored", "--model", "m-1", "--model", "m-3"], {"refused"}),
    (["--status", "429", "--status", "404"], {"refused"}),
    (["--model", "m-2", "--model", "m-1"], {"calm", "cut"}),
    (["--finish", "length", "--finish", "stop"], {"calm"}),
    (["--tool", "buy", "--tool", "sell"], set()),
    (["--conversation", identity_of(CALM), "--conversation", identity_of(CUT)], {"calm", "cut"}),
    (["--verdict", "complete", "--verdict", "complete"], {"calm"}),
]
COMMANDS: list[list[str]] = [
    ["list"],
    ["search", "common"],
    ["stats"],
    ["tail"],
    ["export"],
    ["db", "copy", "--to", "sqlite:///never.db"],
    ["cassette", "from-store", "never.jsonl"],
]


@pytest.fixture
def url(store_url: str) -> str:
    fill(store_url, CALM, CUT, REFUSED)
    return store_url


def found(rows: list[dict[str, Any]], name: str) -> set[str]:
    return {NAMES[row[name]] for row in rows}


@pytest.mark.parametrize(("filters", "expected"), SEVERAL)
def test_several_values_are_any_of_these(url: str, tmp_path: Path, filters: list[str], expected: set[str]) -> None:
    given = [*filters, "--store", url]
    assert found(json_lines(run("list", "--json", *given), "list"), "id") == expected
    assert found(json_lines(run("search", "common", "--json", *given), "search"), "exchange") == expected
    assert json.loads(run("stats", "--json", *given).stdout.splitlines()[0])["exchanges"] == len(expected)
    exported = run("export", "--format", "jsonl", *given)
    copied = run("db", "copy", "--to", f"sqlite:///{tmp_path}/copy.db", *given[:-2], "--from", url)
    assert (exported.exit_code, copied.exit_code) == ((0, 0) if expected else (1, 1))
    if expected:
        assert found([json.loads(line) for line in exported.stdout.splitlines()], "id") == expected
        listed = run("list", "--json", "--store", f"sqlite:///{tmp_path}/copy.db")
        assert found(json_lines(listed, "list"), "id") == expected


def test_several_values_in_python(url: str) -> None:
    with Store(url) as store:

        def names(**filters: Any) -> set[str]:
            return found(list(store.exchanges(**filters)), "id")

        assert names(verdict=["truncated", "complete"]) == names(model=("m-1", "m-2")) == {"calm", "cut"}
        assert names(status={429, 500}) == {"refused"}
        assert names(verdict=[]) == names(conversation=[]) == set()


def test_several_values_are_followed(url: str) -> None:
    with Store(url) as store:

        def names(**filters: Any) -> set[str]:
            return found(Following(store.reader, followed(**filters)).last(9), "id")

        assert names(verdict=("truncated", "complete")) == names(model=("m-1", "m-2")) == {"calm", "cut"}
        assert names(conversation=("one", "two")) == set()


def test_several_conversations_are_followed(store_url: str) -> None:
    built = []
    for number, name in enumerate(("desk", "night", "day"), 1):
        opening = ExchangeBuilder(10 + number).event("conversation_named", {"name": name})
        one = answered(number, ("user", name), conversation=identity_of(opening), name=name)
        built += [opening, one]
    fill(store_url, *built)
    with Store(store_url) as store:
        following = Following(store.reader, followed(conversation=("desk", "day")))
        assert [row["conversation_name"] for row in following.last(9)] == ["desk", "day"]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("name", ["--since", "--until"])
def test_a_time_is_given_once(sqlite_url: str, command: list[str], name: str) -> None:
    store = ["--from" if command[0] == "db" else "--store", sqlite_url]
    line = told(run(*command, name, "2h", name, "3h", *store), 2)
    assert f"'{name}': it is given twice" in line


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_tag_has_one_value(sqlite_url: str, command: list[str]) -> None:
    store = ["--from" if command[0] == "db" else "--store", sqlite_url]
    line = told(run(*command, "--tag", "bot=a", "--tag", "bot=b", *store), 2)
    assert "bot is given with two values" in line


@pytest.mark.parametrize("name", ["--order", "--link", "--exchange", "--conversation", "--since", "--until"])
def test_a_bundle_is_of_one(sqlite_url: str, name: str) -> None:
    value = "2h" if name in ("--since", "--until") else "order:1"
    line = told(run("bundle", name, value, name, value, "-o", "never.zip", "--store", sqlite_url), 2)
    assert f"'{name}': it is given twice" in line


SPANNED: list[list[str]] = [*COMMANDS, ["export", "--all"], ["bundle", "-o", "never.zip"]]


@pytest.mark.parametrize("command", SPANNED, ids=" ".join)
def test_a_time_that_ends_before_it_begins_is_refused(sqlite_url: str, command: list[str]) -> None:
    store = ["--from" if command[0] == "db" else "--store", sqlite_url]
    line = told(run(*command, "--since", "2026-12", "--until", "2026-11-30", *store), 2)
    assert "--since (2026-12-01T00:00:00.000000000Z) is later than --until (2026-11-30T00:00:00.000000000Z)" in line


def test_every_command_with_both_ends_of_a_time_is_among_these() -> None:
    def found(command: click.Command, name: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if {"--since", "--until"} <= {option for one in command.params for option in one.opts}:
            yield name
        if isinstance(command, click.Group):
            context = click.Context(command)
            for inner in command.list_commands(context):
                one = command.get_command(context, inner)
                assert one is not None
                yield from found(one, (*name, inner))

    tried = {" ".join(command) for command in SPANNED}
    missing = [name for name in found(application, ()) if not any(one.startswith(" ".join(name)) for one in tried)]
    assert len(list(found(application, ()))) > 7
    assert not missing


def test_the_same_moment_twice_and_a_day_to_the_next_are_spans(url: str) -> None:
    same = run("list", "--since", "2026-11-30", "--until", "2026-11-30", "--store", url)
    assert (same.exit_code, same.stderr) == (0, "nothing is recorded that fits\n")
    assert run("list", "--since", "yesterday", "--until", "today", "--store", url).exit_code == 0


def test_the_first_moment_of_all_is_a_filter(url: str) -> None:
    result = run("export", "--since", "1970-01-01", "--format", "jsonl", "--store", url)
    assert (result.exit_code, len(result.stdout.splitlines())) == (0, 3)


@pytest.mark.parametrize("command", [*COMMANDS, ["export", "--all"], ["export", "desk"]], ids=" ".join)
@pytest.mark.parametrize("name", ["--model", "--tool", "--conversation"])
def test_a_name_that_is_empty_is_told_as_such(sqlite_url: str, command: list[str], name: str) -> None:
    store = ["--from" if command[0] == "db" else "--store", sqlite_url]
    line = told(run(*command, name, "", *store), 2)
    assert f"'{name}': its value is empty: give a name, or leave the option out" in line

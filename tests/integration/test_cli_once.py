"""Options of which there can be one: a second one is an error, whatever the command, never the last one silently."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from recorder.cli.application import COMMANDS, application
from tests.commands import run, told


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(application)
    waiting = [((name,), application.get_command(context, name)) for name in COMMANDS]
    while waiting:
        path, command = waiting.pop()
        assert command is not None
        yield path, command
        if isinstance(command, click.Group):
            waiting += [((*path, name), inner) for name, inner in command.commands.items()]


SINGLE = [
    (path, name)
    for path, command in commands()
    for option in command.params
    if isinstance(option, click.Option) and not option.multiple and not option.is_flag
    for name in option.opts
]


def test_there_are_such_options() -> None:
    assert {(("list",), "-n"), (("export",), "--format"), (("db", "copy"), "--to"), (("list",), "--since")} <= {*SINGLE}
    assert len(SINGLE) > 100


@pytest.mark.parametrize(("path", "name"), SINGLE, ids=lambda one: one if isinstance(one, str) else " ".join(one))
def test_a_second_one_is_refused(path: tuple[str, ...], name: str) -> None:
    line = told(run(*path, name, "5", name, "10"), 2)
    assert "it is given twice, and one is all it can be: leave one out" in line
    assert f"{name}'" in line


def test_two_names_of_one_option_are_one(sqlite_url: str) -> None:
    line = told(run("export", "--all", "-o", "a", "--output", "b", "--store", sqlite_url), 2)
    assert "'-o' / '--output': it is given twice" in line
    assert "'-n': it is given twice" in told(run("search", "word", "-n5", "-not", "-n", "5", "--store", sqlite_url), 2)


def test_the_store_before_the_command(sqlite_url: str) -> None:
    assert "'--store': it is given twice" in told(run("--store", sqlite_url, "--store", sqlite_url, "list"), 2)
    assert run("--store", sqlite_url, "list", "--store", sqlite_url).exit_code == 0


def test_what_says_the_same_again_or_may_be_several_is_fine(sqlite_url: str) -> None:
    run("demo", "--store", sqlite_url)
    assert run("list", "--json", "--json", "--model", "a", "--model", "b", "--store", sqlite_url).exit_code == 0

"""``recorder migrate`` of folders with old cassettes and no tests, and of files that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recorder.api.cassette_reports import look
from tests.commands import run, told
from tests.integration.migrating.old_suites import answers, lines, old, write


def tape(suite: Path, name: str, number: int = 1) -> None:
    write(suite / name, old(({"q": number}, f"answer {number}")))


def test_a_folder_is_brought_over_whole(suite: Path) -> None:
    names = [f"tapes/desk-{number}.yaml" for number in range(12)] + ["tapes/deep/no_ending", "tapes/deep/other.json"]
    for number, name in enumerate(names):
        tape(suite, name, number)
    write(suite / "tapes/deep/other.json", json.dumps({"version": 1, "interactions": []}))
    tape(suite, "tapes/deep/other.yml", 12)
    write(suite / "tapes/prices.json", "{}")  # is none
    result = run("migrate", "tapes", "--json")
    found = {one["target"]: (one["sources"], one["tests"]) for one in lines(result, "cassette")}
    assert len(found) == 14
    assert found["tapes/desk-3.jsonl"] == (["tapes/desk-3.yaml"], [])
    assert found["tapes/deep/no_ending.jsonl"] == (["tapes/deep/no_ending"], [])
    assert found["tapes/deep/other.jsonl"] == (["tapes/deep/other.yml"], [])
    assert result.exit_code == 0
    assert answers("tapes/desk-3.jsonl", {"q": 3}) == ["answer 3"]
    shown = run("migrate", "tapes").stdout
    assert '@pytest.mark.recorded("deep/other"), with the setting recorder_cassette_dir = tapes' in shown


def test_names_that_differ_in_their_ending_alone_stay_two(suite: Path) -> None:
    tape(suite, "cassettes/desk.yaml", 1)
    tape(suite, "cassettes/desk.yml", 2)
    result = run("migrate", "cassettes", "--json")
    found = {one["target"]: (one["sources"], one["note"]) for one in lines(result, "cassette")}
    assert found == {
        "cassettes/desk.jsonl": (["cassettes/desk.yaml"], 'name it: @pytest.mark.recorded("desk")'),
        "cassettes/desk.yml.jsonl": (["cassettes/desk.yml"], 'name it: @pytest.mark.recorded("desk.yml")'),
    }


def test_a_file_that_is_named_is_brought_over_alone(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...")
    for name in ("tapes/one.yaml", "tapes/two.yaml"):
        tape(suite, name)
    assert run("migrate", "tapes/one.yaml").exit_code == 0
    assert [path.name for path in suite.rglob("*.jsonl")] == ["one.jsonl"]


def test_one_directory_for_all_of_a_folder(suite: Path) -> None:
    tape(suite, "tapes/deep/one.yaml")
    result = run("migrate", "tapes", "--cassette-dir", "ours", "--json")
    (one,) = lines(result, "cassette")
    assert (one["target"], one["note"]) == ("ours/deep/one.jsonl", 'name it: @pytest.mark.recorded("deep/one")')


def test_what_is_left_is_named_by_the_folders_in_which_nothing_else_lies(suite: Path) -> None:
    write(suite / "tests/test_bot.py", "def test_it(): ...")
    tape(suite, "tests/cassettes/test_bot/test_it.yaml")
    tape(suite, "tests/cassettes/test_bot/test_gone.yaml")
    tape(suite, "tests/tapes/a/one.yaml")
    tape(suite, "tests/tapes/b/two.yaml")
    result = run("migrate")
    assert result.exit_code == 1
    command = "recorder migrate tests/cassettes/test_bot/test_gone.yaml tests/tapes"
    assert f"error: 3 old cassettes left where they are: bring them over by `{command}`, " in result.stderr
    assert run(*command.split()[1:]).exit_code == 0
    result = run("migrate")
    assert (result.exit_code, result.stderr) == (0, "")
    made = sorted(path for path in suite.rglob("*.jsonl"))
    assert len(made) == 4
    assert all(not look(path).problems for path in made)


@pytest.mark.parametrize("where", ["beside tests", "in a folder of its own"])
def test_a_file_that_cannot_be_read_is_told_by_name(suite: Path, where: str) -> None:
    folder = "tapes" if where == "in a folder of its own" else "cassettes/test_bot"
    if where == "beside tests":
        write(suite / "test_bot.py", "def test_it(): ...")
    tape(suite, f"{folder}/test_it.yaml")
    (suite / folder / "bytes.yaml").write_bytes(b"\x00\x01\x02 no text")
    write(suite / folder / "broken.yml", "- {request: [\n")
    write(suite / folder / "empty.yaml", "")
    (suite / folder / "gone.yaml").symlink_to("nowhere.yaml")
    (suite / folder / "loop.yaml").symlink_to("loop.yaml")
    write(suite / folder / "settings.yaml", "a: 1\n")  # is none, and can be read
    arguments = ["migrate", folder] if where == "in a folder of its own" else ["migrate"]
    result = run(*arguments)
    assert result.exit_code == 1
    said = result.stderr.splitlines()
    assert [line.partition(" was not looked at, ")[0].removeprefix(f"error: {folder}/") for line in said] == [
        "broken.yml",
        "bytes.yaml",
        "empty.yaml",
        "gone.yaml",
        "loop.yaml",
    ]
    assert "it is no YAML" in said[0]
    assert "it is empty" in said[2]
    assert "it leads to a file that is gone" in said[3]
    assert "it cannot be read (Too many levels of symbolic links)" in said[4]
    assert [one["file"] for one in lines(run(*arguments, "--json"), "unread")] == [
        f"{folder}/{name}" for name in ("broken.yml", "bytes.yaml", "empty.yaml", "gone.yaml", "loop.yaml")
    ]
    assert (suite / folder / "test_it.jsonl").exists()  # the others are brought over


def test_a_long_payload_before_the_url_hides_no_cassette(suite: Path) -> None:
    write(suite / "test_bot.py", "def test_it(): ...")
    write(suite / "data/long.yaml", old(({"q": "x" * 100_000}, "one")))
    result = run("migrate", "--json")
    assert [one["file"] for one in lines(result, "orphan")] == ["data/long.yaml"]


def test_a_folder_without_any(suite: Path) -> None:
    write(suite / "tapes/prices.json", "{}")
    assert told(run("migrate", "tapes"), 1).startswith("error: there is nothing of vcrpy's: ")

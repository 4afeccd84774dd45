"""``recorder cassette list``, ``check`` and ``upgrade``: damage is told, what is there can be accepted or finished."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from recorder.store import open_events
from recorder.store.base import SpoolMark
from tests.commands import SCHEMAS, json_lines, run, told
from tests.integration.cli_cassette.holding import CUT, HOME, ONE, TWO, fill_cassette, held, names


def test_listed_and_checked(file: Path) -> None:
    (row,) = json_lines(run("cassette", "list", "--json", str(file.parent)), "cassette-list")
    assert (row["file"], row["exchanges"], row["unfinished"], row["problems"]) == (str(file), 3, 1, [])
    assert row["requests"] == ["POST https://api.example.test/v1/chat/completions"] * 3
    assert row["size"] == file.stat().st_size
    assert json_lines(run("cassette", "check", "--json", str(file)), "cassette-list") == [row]
    assert run("cassette", "check", str(file)).stdout == f"ok  {file}: 3 exchanges\n"
    head, line = run("cassette", "list", str(file), env={"COLUMNS": "300"}).stdout.splitlines()
    assert head.split() == ["CASSETTE", "EXCHANGES", "RECORDED", "(UTC)", "BYTES", "MATCH"]
    assert line.split()[1:3] == ["3", "2026-09-21"]
    assert line.endswith("strict")


def test_the_place_where_tests_keep_them(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert told(run("cassette", "check"), 1) == "error: there is no cassette: name files or folders with some"
    assert run("cassette", "list").stderr == "no cassette there\n"
    (tmp_path / "tests").mkdir()
    file.parent.rename(tmp_path / "tests" / "cassettes")
    assert run("cassette", "check").stdout == "ok  tests/cassettes/order.jsonl: 3 exchanges\n"


def test_what_could_be_a_cassette_is_never_passed_over(file: Path) -> None:
    sound = file.read_bytes()
    for name, data in {
        "bom.jsonl": b"\xef\xbb\xbf" + sound,
        "conflict.jsonl": b"<<<<<<< HEAD\n" + sound,
        "headless.jsonl": sound.partition(b"\n")[2],
        "misspelt.jsonl": sound.replace(b"{", b"{ ", 1).replace(b",", b";", 1),
        "empty.jsonl": b"",
        "log.jsonl": b"2026-11-30 cassette loaded\n",
        "events.jsonl": b'{"event":"request","cassettes":1}\n',
        "report.jsonl": b'{"kind":"cassette","status":"written"}\n',
        "conflicts.jsonl": b'<<<<<<< HEAD\n{"messages":[]}\n=======\n',
        "binary.jsonl": b"\x00\x01\xff\n",
        "later.jsonl": b'{"cassette":7}\n',
        "other.jsonl": b'{"messages":[]}\n',
        "others.jsonl": b'{"messages":"' + b"x" * 70_000 + b'"}\n',
        "torn.jsonl": sound[:20],
    }.items():
        (file.parent / name).write_bytes(data)
    (file.parent / "a folder.jsonl").mkdir()
    result = run("cassette", "check", "--json", str(file.parent))
    assert result.exit_code == 1
    validator = Draft202012Validator(json.loads((SCHEMAS / "cassette-list.schema.json").read_text(encoding="utf-8")))
    found = {}
    for line in result.stdout.splitlines():
        value = json.loads(line)
        validator.validate(value)
        found[Path(value["file"]).name] = value["problems"]
    assert {name for name, problems in found.items() if not problems} == {"bom.jsonl", "order.jsonl"}
    assert {name for name, problems in found.items() if problems} == {
        "conflict.jsonl",
        "headless.jsonl",
        "later.jsonl",
        "misspelt.jsonl",
        "torn.jsonl",
    }
    others = "passed over: 8 files that do not begin like a cassette: "
    assert result.stderr.startswith(others)
    listed = run("cassette", "list", str(file.parent))
    assert listed.exit_code == 0
    assert listed.stderr.startswith(others)


@pytest.mark.parametrize("data", [b"", b"2026-11-30 a log\n", b'{"event":"started"}\n'])
def test_what_is_no_cassette_is_passed_over_in_a_folder_and_an_error_where_it_is_named(file: Path, data: bytes) -> None:
    other = file.parent / "other.jsonl"
    other.write_bytes(data)
    result = run("cassette", "check", str(file.parent))
    assert result.exit_code == 0
    assert result.stdout == f"ok  {file}: 3 exchanges\n"
    assert result.stderr == f"passed over: 1 file that does not begin like a cassette: {other}\n"
    named = run("cassette", "check", str(file), str(other))
    assert named.exit_code == 1
    assert named.stdout.splitlines()[1].startswith(f"!!  {other}, line 1 ")
    file.unlink()
    alone = run("cassette", "check", str(other.parent))
    assert alone.exit_code == 1
    assert alone.stderr.splitlines()[-1] == "error: there is no cassette: name files or folders with some"


def _edited(data: bytes) -> bytes:
    return data.replace(b"two", b"TWO")


def _cut(data: bytes) -> bytes:
    return data[:-100]


def _doubled(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, *lines[-4:]])


def _one_gone(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(lines[:4] + lines[4 + len(ONE.events) + 2 :])


def _merged(data: bytes) -> bytes:
    return data.replace(b'{"cassette":1,"exchanges":3', b'{"cassette":1,"exchanges":2')


def _bad_rules(data: bytes) -> bytes:
    return data.replace(b',"conversations"', b',"match":{"ignore":"/a"},"conversations"')


def _conflict(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([*lines[:8], b"<<<<<<< HEAD\n", *lines[8:]])


def _ambiguous(data: bytes) -> bytes:
    return data.replace(b'"body":"data:', b'"body":"nothing to see","body":"data:', 1)


def _newer(data: bytes) -> bytes:
    return data.replace(b'"chunk_received"', b'"chunk_imagined"', 1)


Damage = Callable[[bytes], bytes]

REPAIRED: list[Damage] = [_edited, _cut, _doubled, _one_gone, _merged]


@pytest.mark.parametrize(
    ("damage", "line"),
    [
        (_edited, 17),
        (_cut, 31),
        (_doubled, 32),
        (_one_gone, 19),
        (_merged, 1),
        (_bad_rules, 1),
        (_conflict, 9),
        (_newer, 8),
    ],
)
def test_damage_is_told_with_file_line_and_remedy(file: Path, damage: Damage, line: int) -> None:
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    result = run("cassette", "check", str(file))
    assert result.exit_code == 1
    assert result.stderr == ""
    first = result.stdout.splitlines()[0]
    assert first.startswith(f"!!  {file}, line {line}"), first
    assert ": " in first.removeprefix(f"!!  {file}")
    assert run("cassette", "list", str(file)).stdout.splitlines()[1].split()[1].endswith("!")
    for command in (["cassette", "prune", str(file), "--unfinished"], ["cassette", "upgrade", str(file)]):
        if damage is not _bad_rules:
            assert f"{file}, line " in told(run(*command), 1)
    assert file.read_bytes() == before


@pytest.mark.parametrize("damage", REPAIRED)
def test_what_is_there_now_can_be_accepted(file: Path, damage: Damage) -> None:
    file.write_bytes(damage(file.read_bytes()))
    result = run("cassette", "upgrade", "--accept", str(file))
    assert result.exit_code == 0, result.stderr
    *accepted, last = result.stdout.splitlines()
    assert accepted
    assert all(line.startswith(f"accepted: {file}, line") for line in accepted)
    assert last == f"{file}: written again"
    assert run("cassette", "check", str(file)).exit_code == 0
    assert run("cassette", "upgrade", str(file)).stdout == f"{file}: is up to date\n"


@pytest.mark.parametrize("damage", [_conflict, _newer])
def test_what_nobody_may_guess_is_not_accepted(file: Path, damage: Damage) -> None:
    file.write_bytes(damage(file.read_bytes()))
    before = file.read_bytes()
    line = told(run("cassette", "upgrade", "--accept", str(file)), 1)
    assert "git checkout --ours" in line or "update recorder" in line
    assert file.read_bytes() == before


def test_both_sides_of_a_merge_can_be_kept(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    fill_cassette(ours, HOME, ONE)
    fill_cassette(theirs, HOME, TWO)
    head, home, one = ours.read_bytes().splitlines(keepends=True)[:1], *_halves(ours)
    two = _halves(theirs)[1]
    merged = b"".join([*head, *home, b"<<<<<<< HEAD\n", *one, b"=======\n", *two, b">>>>>>> branch\n"])
    ours.write_bytes(merged)
    assert "line 5 is what git leaves of a conflict" in run("cassette", "check", str(ours)).stdout
    ours.write_bytes(b"".join([*head, *home, *one, *two]))
    assert "line 1 tells of 1 exchanges, 2 are there" in run("cassette", "check", str(ours)).stdout
    assert run("cassette", "upgrade", "--accept", str(ours)).exit_code == 0
    assert held(ours) == names(HOME, ONE, TWO)


def _halves(path: Path) -> tuple[list[bytes], list[bytes]]:
    lines = path.read_bytes().splitlines(keepends=True)[1:]
    return lines[:3], lines[3:]


def test_a_line_that_shows_one_thing_and_plays_another_is_found(file: Path) -> None:
    file.write_bytes(_ambiguous(file.read_bytes()))
    result = run("cassette", "check", str(file))
    assert result.exit_code == 1
    assert result.stdout.startswith(f"!!  {file}, line 8 has the member 'body' twice: ")
    assert run("cassette", "upgrade", str(file)).stdout == f"{file}: written again\n"
    assert run("cassette", "check", str(file)).exit_code == 0
    assert "nothing to see" not in file.read_text()


@pytest.mark.parametrize(
    "command", [["prune", "--unfinished"], ["rules", "--set", "{}"], ["upgrade"], ["upgrade", "--accept"]]
)
def test_one_that_is_being_recorded_is_left_alone(file: Path, command: list[str]) -> None:
    file.write_bytes(file.read_bytes().replace(b'"exchanges":3,"conversations":1', b'"recording":true', 1))
    before = file.read_bytes()
    line = told(run("cassette", command[0], str(file), *command[1:]), 2)
    assert f"`recorder recover --store {file}` finishes it" in line
    assert "is being recorded" in run("cassette", "check", str(file)).stdout
    assert file.read_bytes() == before
    assert run("recover", "--store", str(file)).exit_code == 0
    assert run("cassette", "check", str(file)).stdout == f"ok  {file}: 3 exchanges\n"


def test_one_whose_spool_is_gone_is_finished_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    log = open_events(str(file))
    log.append([TWO.opened, CUT.opened], [*TWO.events, *CUT.events], SpoolMark(b"s" * 16, 0, 1))
    log.close()  # as a killed program leaves it, and then git clean
    assert run("cassette", "check", str(file)).exit_code == 1
    result = run("recover", "--store", str(file))
    assert result.stdout.splitlines()[0] == f"{file} is finished: nobody records to it any more"
    (row,) = json_lines(run("cassette", "check", "--json", str(file)), "cassette-list")
    assert (row["exchanges"], row["unfinished"], row["problems"]) == (2, 1, [])
    assert "is finished" not in run("recover", "--store", str(file)).stdout

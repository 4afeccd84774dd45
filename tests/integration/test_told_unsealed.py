"""What is written where the ledger's key is not says so in one line; what is imported where it is, is sealed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import run
from tests.erasing import recorded, verified
from tests.sealing import check_sealed, founded

SAYS = "warning: it is recorded, and not sealed yet: the signing key of "
CHAT = [
    {
        "title": "old chat",
        "create_time": 1_500_000_000.0,
        "conversation_id": "c1",
        "mapping": {
            "r": {"id": "r", "message": None, "parent": None, "children": ["u"]},
            "u": {
                "id": "u",
                "message": {
                    "id": "u",
                    "author": {"role": "user"},
                    "create_time": 1_500_000_001.0,
                    "content": {"content_type": "text", "parts": ["hello"]},
                },
                "parent": "r",
                "children": ["a"],
            },
            "a": {
                "id": "a",
                "message": {
                    "id": "a",
                    "author": {"role": "assistant"},
                    "create_time": 1_500_000_002.0,
                    "content": {"content_type": "text", "parts": ["hi there"]},
                    "end_turn": True,
                    "status": "finished_successfully",
                },
                "parent": "u",
                "children": [],
            },
        },
    }
]


def told(*arguments: str, url: str) -> str:
    """Run a command that does what it says; return what it says on standard error."""
    result = run(*arguments, "--store", url)
    assert result.exit_code == 0, result.stderr
    return result.stderr


@pytest.mark.parametrize("here", [True, False])
def test_holds_and_retention_periods(store_url: str, monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    made = recorded(store_url)
    with monkeypatch.context() as patched:
        if not here:
            patched.setenv("XDG_DATA_HOME", "/nonexistent")
        placed = run("hold", "place", made.hers[0], "--ground", "g", "--store", store_url)
        said = [
            placed.stderr,
            told("hold", "release", placed.stdout.split()[1], "--ground", "g", url=store_url),
            told("retention", "set", "--days", "30", url=store_url),
        ]
    for text in said:
        assert text == "" if here else (text.startswith(SAYS) and text.count("\n") == 1), text
    assert (verified(store_url)["verdicts"]["fresh"] == "yes") is here
    assert run("seal", "--store", store_url).exit_code == 0
    assert verified(store_url)["verdicts"]["fresh"] == "yes"


def test_a_store_without_a_ledger_has_nothing_to_say(store_url: str) -> None:
    assert run("db", "upgrade", "--store", store_url).exit_code == 0
    assert told("retention", "set", "--days", "30", url=store_url) == ""


@pytest.mark.parametrize("here", [True, False])
def test_what_is_imported_is_sealed_where_the_key_is(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    founded(store_url)
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps(CHAT))
    with monkeypatch.context() as patched:
        if not here:
            patched.setenv("XDG_DATA_HOME", "/nonexistent")
        said = told("import", str(file), url=store_url)
    assert said == "" if here else said.startswith(SAYS), said
    report = verified(store_url)
    assert report["findings"] == []
    assert report["verdicts"]["fresh"] == ("yes" if here else "no")
    assert report["freshness"].get("lag_s", 0) < 60, "it waits since it was imported, whatever its own time is"
    assert run("seal", "--store", store_url).exit_code == 0
    check_sealed(store_url)
    # That it was imported explains its age where somebody with the key says so, and is nobody's word otherwise.
    assert {finding["kind"] for finding in verified(store_url)["findings"]} == (set() if here else {"back_dated"})
    assert run("seal", "--late", "imported where the key is not", "--store", store_url).exit_code == 0
    assert verified(store_url)["findings"] == []

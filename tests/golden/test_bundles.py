"""Golden bundles verify for ever: by the verifier that is in them, and by this one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recorder.ledger.standalone.verify import verify_bundle
from tests.golden.make_bundles import HERE, NAMES, main, own_result
from tests.recorded import ROOT
from tests.sealed import Key

DIGESTS = {
    "v1-order": "5aefe372f0d179f64b03b978ef1b2c97b3f4fe22bad05acecec8f310f6a78aac",
    "v1-period": "5ccd7407011d1f22273dae23aaab26f975464924bb52b09937b26e34278895ed",
    "v1-unsealed": "75df0385decd735e4eff31224e8b56a57cbdd6c1b90f2a490e2798a7dc5b6e65",
    "v1-gap": "7f12af5cbe2d6854857afd40fb36eda04f6d3f2e1d63e9bbd643129d0bf7cdd9",
}


def keys_of(name: str) -> list[str]:
    return [] if name == "v1-unsealed" else [Key().fingerprint]


def expected(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_file_that_was_made(name: str) -> None:
    assert hashlib.sha256((HERE / f"{name}.zip").read_bytes()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", NAMES)
def test_its_own_verifier_says_what_it_said(name: str, tmp_path: Path) -> None:
    options = [part for key in keys_of(name) for part in ("--key", key)]
    assert own_result(HERE / f"{name}.zip", tmp_path, *options) == expected(name)


@pytest.mark.parametrize("name", NAMES)
def test_this_verifier_says_the_same(name: str) -> None:
    """It may say more than it said then; never something else."""
    said, then = verify_bundle(HERE / f"{name}.zip", keys_of(name)), expected(name)
    for question in ("verdicts", "findings", "events", "exchanges", "counts", "selection"):
        assert said[question] == then[question], question
    assert then["findings"] == []
    Draft202012Validator(json.loads((ROOT / "docs" / "schema" / "bundle.schema.json").read_text())).validate(said)
    assert then["verdicts"]["authentic"] == ("not proved" if name == "v1-unsealed" else "yes")


def test_the_one_with_a_gap_says_what_is_lost() -> None:
    then = expected("v1-gap")
    assert (then["gaps"], then["dropped"], then["verdicts"]["complete_in_range"]) == (1, 12, "no")


def test_they_are_never_made_again() -> None:
    with pytest.raises(FileExistsError, match="never made again"):
        main()

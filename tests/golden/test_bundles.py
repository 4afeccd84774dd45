"""Golden bundles verify for ever: by the verifier that is in them, and by this one."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from recorder.ledger.standalone.verify import verify_bundle
from tests.golden.make_bundles import HERE, NAMES, main, own_result
from tests.sealed import Key

DIGESTS = {
    "v1-order": "3c5ffe2a347257d329677d3a786b562828ea62db266cbad58420f3af891af462",
    "v1-period": "66187a4db140b10bbc37ea97d9a2a817eeddbe1a10db112a440311699b7aa3d1",
    "v1-unsealed": "fb08fe516d52b86d1af751d0976c8766870e005bf7d8835e9f27eb1dd58f1f5a",
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
    assert then["verdicts"]["authentic"] == ("not proved" if name == "v1-unsealed" else "yes")


def test_they_are_never_made_again() -> None:
    with pytest.raises(FileExistsError, match="never made again"):
        main()

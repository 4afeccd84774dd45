"""The time stamps in a bundle: what an authority says of the checkpoints that seal what is in it.

The verifier that is in a bundle knows the standard library alone, which reads no certificates. Whoever has recorder
with the extra ``tsa`` has them checked here, against certificates that he trusts and has from elsewhere. The bundle
itself was verified before: what is read here are files that its manifest names.
"""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from recorder.core.json_text import rfc3339
from recorder.core.seal_times import TimeStamp
from recorder.ledger.anchors.base import Checked
from recorder.ledger.anchors.time_stamps import check_time_stamp
from recorder.ledger.standalone.report import OF_ANCHORS

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_STAMP: Final = "rfc3161:"
_NOT_PROVED: Final = "that there is no second history: an authority stamps another one as readily"


def with_stamps(
    path: Path, verified: Callable[[Sequence[TimeStamp]], Mapping[str, Any]], roots: list[Certificate]
) -> dict[str, Any]:
    """Return what the verification of a bundle came to, with what its time stamps prove.

    What they contradict is found as it is in a store.

    :param path: the bundle.
    :param verified: verifies it, see :func:`recorder.ledger.standalone.verify.verify_bundle`, with time stamps.
    :param roots: certificates that whoever asks trusts.
    :raises ConfigurationError: the extra is not installed.
    :raises OSError: the file cannot be read.
    """
    result = verified(())
    if any(one["kind"] == "bundle" for one in result["findings"]):
        return dict(result)  # it is not the file that was made: nothing of it is looked at
    checked: dict[str, Checked] = {}
    with zipfile.ZipFile(path) as packed:
        for anchor in result["anchors"]:
            if anchor["anchor"].startswith(_STAMP):
                evidence = base64.b64decode(json.loads(packed.read(anchor["file"]))["evidence"])
                note = packed.read(f"checkpoints/{anchor['size']:020}.note")
                checked[anchor["file"]] = check_time_stamp(anchor["anchor"], note, evidence, roots)
    stamps = list(_stamps(result["anchors"], checked))
    result = verified(stamps) if stamps else result
    anchors = [{**one, **_told(checked.get(one["file"]))} for one in result["anchors"]]
    times = _times(result["exchanges"], _confirmed(anchors, checked))
    exchanges = [
        {**one, "not_after": rfc3339(times[one["id"]])} if one["id"] in times else one for one in result["exchanges"]
    ]
    found = [
        {"field": name, "kind": "anchor", "detail": one.told}
        for name, one in checked.items()
        if one.state == "contradicted"
    ]
    verdicts = {**result["verdicts"], "bounded_in_time": _verdict(result, exchanges)}
    findings = [*result["findings"], *found]
    open_points = list(_not_proved(result, checked))
    return {**result, "verdicts": verdicts, "findings": findings, "anchors": anchors} | {
        "exchanges": exchanges,
        "not_proved": open_points,
    }


def _told(checked: Checked | None) -> dict[str, Any]:
    if checked is None:
        return {}
    told = {"state": checked.state.replace(" ", "_"), "told": checked.told}
    if checked.time is not None:
        told["not_before"] = rfc3339(checked.time.not_before_ns)
        told["not_after"] = rfc3339(checked.time.not_after_ns)
    return told


def _stamps(anchors: list[dict[str, Any]], checked: Mapping[str, Checked]) -> Iterator[TimeStamp]:
    for one in anchors:
        found = checked.get(one["file"])
        if found is not None and found.state == "confirmed" and found.time is not None:
            yield TimeStamp(one["size"], found.time.not_before_ns, found.time.not_after_ns, found.time.by)


def _confirmed(anchors: list[dict[str, Any]], checked: Mapping[str, Checked]) -> list[tuple[int, int]]:
    """Return of each good time stamp how many leaves it is over, and when these were there at the latest."""
    good = ((one["size"], checked[one["file"]].time) for one in anchors if one["file"] in checked)
    return [(size, time.not_after_ns) for size, time in good if time is not None]


def _times(exchanges: list[dict[str, Any]], stamps: list[tuple[int, int]]) -> dict[str, int]:
    """Return of exchanges by when all of what is here of them was there."""
    found = ((one["id"], [at for size, at in stamps if one.get("leaf", size) < size]) for one in exchanges)
    return {identity: min(times) for identity, times in found if times}


def _verdict(result: Mapping[str, Any], exchanges: list[dict[str, Any]]) -> str:
    before = str(result["verdicts"]["bounded_in_time"])
    if before == "no":
        return "no"
    under = sum("not_after" in one for one in exchanges)
    return before if not under else "yes" if under == len(exchanges) else "partly"


def _not_proved(result: Mapping[str, Any], checked: Mapping[str, Checked]) -> Iterator[str]:
    for sentence in result["not_proved"]:
        if sentence != OF_ANCHORS or len(checked) < len(result["anchors"]):
            yield sentence
    if any(one.state == "confirmed" for one in checked.values()):
        yield _NOT_PROVED

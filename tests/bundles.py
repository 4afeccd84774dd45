"""Bundles in tests: made of small sealed stores, and changed by somebody who can pack them again."""

from __future__ import annotations

import base64
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from recorder.core.notes import NoteKey, Sign
from recorder.ledger.bundle import LedgerKeys, write_bundle
from recorder.ledger.bundle_manifest import manifest
from recorder.ledger.bundle_plan import Wanted, planned
from recorder.ledger.bundle_zip import BundleZip
from recorder.ledger.standalone.container import SEAL_NAME
from recorder.ledger.standalone.verification import MANIFEST
from recorder.ledger.standalone.verify import verify_bundle
from recorder.store import open_store
from tests.sealed import Desk, Key, Stream, small, url_of

PAGES = {"COVER.html": [b"<p>read this</p>\n"], "transcript.md": ["# Wirtschaft €\n".encode()]}


def bundle_of(desk: Desk, out: Path, exchanges: Sequence[Stream], **asked: Any) -> Path:
    """Make a bundle of some exchanges of a store."""
    key = desk.key
    keys = LedgerKeys(()) if key is None else LedgerKeys((key.public,), (key.public, key.sign))
    ids = tuple(stream.opened.stream for stream in exchanges)
    selection = asked.pop("selection", {"exchange": exchanges[0].id})
    with closing(open_store(desk.url, write=False)) as store:
        plan = planned(store, Wanted(selection, ids, **asked))
        write_bundle(out, store, plan, keys, PAGES)
    return out


def small_bundle(folder: Path, key: Key | None = None) -> tuple[Path, Desk]:
    """Make a bundle of an order, with the exchange that led to it, and the store that it is of."""
    desk, exchanges, link = small(url_of(folder), key)
    talk = desk.streams[1].opened.stream
    selection = {"link": {"kind": "order", "id": "12345"}}
    more = {"selection": selection, "openings": (talk,), "links": (link.opened.stream,)}
    return bundle_of(desk, folder / "evidence.zip", exchanges[2:], **more), desk


def members(path: Path) -> dict[str, bytes]:
    """Return the files of a bundle."""
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def predicate_of(path: Path) -> dict[str, Any]:
    """Return what the manifest of a bundle says."""
    envelope = json.loads(members(path)[MANIFEST])
    told: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return told


def repacked(
    path: Path,
    out: Path,
    changed: Mapping[str, bytes | None],
    predicate: Callable[[dict[str, Any]], None] = lambda _: None,
    signer: tuple[NoteKey, Sign] | None = None,
) -> Path:
    """Pack a bundle again with other files, every checksum and every digest right.

    :param changed: new bytes of files, by name; None: the file is left out.
    :param predicate: changes what the manifest says.
    :param signer: signs the new manifest.
    """
    files: dict[str, bytes | None] = {**members(path), **changed, MANIFEST: None, SEAL_NAME: None}
    told = predicate_of(path)
    predicate(told)
    with BundleZip(out.parent) as pack:
        for name, data in files.items():
            if data is not None:
                pack.add(name, [data])
        pack.add(MANIFEST, [manifest(pack.digests(), told, signer)])
        with out.open("wb") as file:
            pack.write(file)
    return out


def kinds(path: Path, *keys: str, **options: Any) -> set[str]:
    """Return the kinds of what a verification finds."""
    return {finding["kind"] for finding in verify_bundle(path, keys, **options)["findings"]}


def stream_file(path: Path, kind: str) -> str:
    """Return the name of the first event stream of a kind."""
    found = next(one["id"] for one in predicate_of(path)["streams"] if one["kind"] == kind)
    return f"streams/{found}.ev"

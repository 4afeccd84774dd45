"""The verification of a bundle: every check, in the order in which each relies on those before it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO

from recorder.core.seal_times import TimeStamp
from recorder.ledger.standalone.container import SEAL_NAME, Container, Damaged
from recorder.ledger.standalone.findings import OF_TIMES, Findings, id_of
from recorder.ledger.standalone.journals import Journals
from recorder.ledger.standalone.log import Log, Sealed
from recorder.ledger.standalone.notes import (
    Checkpoint,
    Key,
    canonical_json,
    parse_checkpoint,
    parse_envelope,
    parse_json,
    parse_proof,
)
from recorder.ledger.standalone.records import Broken, Entry, StreamReader
from recorder.ledger.standalone.selection import link_names, period_of, wrong_selection
from recorder.ledger.standalone.streams import StreamChecks, StreamSummary
from recorder.ledger.standalone.times import Times

MANIFEST = "manifest.json"
PREDICATE_TYPE = "urn:recorder:evidence-bundle:v1"
KINDS = ("exchange", "conversation", "link", "journal")
_LARGE, _SMALL = 32 << 20, 1 << 20


class Verification:
    """Checks one bundle.

    :param file: opened for reading bytes, seekable.
    :param trusted: fingerprints of the keys that the auditor has from elsewhere, in lower-case hexadecimal.
    :param held: a checkpoint that the auditor has from elsewhere: the bytes of a note.
    :param stamps: time stamps over its checkpoints, which somebody has checked who reads certificates.
    """

    def __init__(
        self,
        file: BinaryIO,
        trusted: Sequence[str] = (),
        held: bytes | None = None,
        stamps: Sequence[TimeStamp] = (),
    ) -> None:
        self._file, self.trusted, self._held, self._stamps = file, frozenset(trusted), held, stamps
        self.findings = Findings()
        self.predicate: dict[str, Any] = {}
        self.manifest_signers: tuple[Key, ...] = ()
        self.log: Log | None = None
        self.journals: Journals | None = None
        self.times: Times | None = None
        self.summaries: dict[bytes, StreamSummary] = {}
        self.events = 0
        self.anchors: list[dict[str, Any]] = []
        self.held_told = ""
        self.counts: dict[str, int] = {}
        self.unsigned_erasures = 0
        self.tagged: dict[str, Sealed] = {}
        self._kinds: dict[str, Any] = {}

    def run(self) -> None:
        """Check everything; what is wrong is in :attr:`findings`."""
        try:
            self._container = Container(self._file)
            self._run()
        except Damaged as damaged:
            self.findings.add("bundle", "file", str(damaged))

    def _run(self) -> None:
        told = self._container.read(MANIFEST, _LARGE)
        names = self._container.names("streams")
        streams = {_stream_of(name): name for name in names}
        statement = self._read_manifest(told)
        self._check_subjects(statement)
        log = self.log = Log(self._container, self.predicate.get("ledger"), self.findings, self._stamps)
        held = self._read_held(log)
        if log.present:
            log.read_leaves(streams, 0 if held is None else held.size)
        self._check_signers(told)
        proved = self._check_proofs(log)
        self._read_streams(streams, log)
        for stream, summary in self.summaries.items() if log.present else ():
            if stream not in proved and (summary.kind or self._kinds.get(id_of(stream))) != "journal":
                self.findings.add("omitted", "proof", "its proof is not here", stream)
        self._check_links()
        self._check_anchors(log)
        self._check_counts(log)
        if held is not None:
            self._compare_held(held, log)

    def _read_manifest(self, data: bytes) -> Any:
        try:
            statement, _ = parse_envelope(_unsigned(data), ())
        except ValueError as error:
            raise Damaged(f"{MANIFEST}: {error}") from None
        predicate = statement.get("predicate") if isinstance(statement, dict) else None
        if not isinstance(predicate, dict) or statement.get("predicateType") != PREDICATE_TYPE:
            raise Damaged(f"{MANIFEST} is not that of a bundle in a format that is known here")
        if predicate.get("format") != 1:
            raise Damaged("the bundle is of a later format: get a newer verifier")
        self.predicate = predicate
        return statement

    def _check_signers(self, data: bytes) -> None:
        assert self.log is not None
        try:
            _, self.manifest_signers = parse_envelope(data, self.log.keys)
        except ValueError as error:
            self.findings.add("signature", MANIFEST, f"{error}")

    def _check_subjects(self, statement: Any) -> None:
        subjects = statement.get("subject")
        told: dict[str, str] = {}
        for one in subjects if isinstance(subjects, list) else ():
            if isinstance(one, dict) and isinstance(one.get("digest"), dict):
                told[str(one.get("name"))] = str(one["digest"].get("sha256"))
        for name in self._container.members:
            if name in (MANIFEST, SEAL_NAME):
                continue
            digest = hashlib.sha256()
            for piece in self._container.chunks(name):
                digest.update(piece)
            if told.pop(name, "") != digest.hexdigest():
                self.findings.add("digest", name, "it is not the file that the manifest names")
        for name in told:
            self.findings.add("omitted", "manifest", f"the manifest names a file that is not here: {name[:200]!r}")

    def _read_streams(self, names: dict[bytes, str], log: Log) -> None:
        period = period_of(self.predicate.get("selection"))
        journals = self.journals = Journals(names, period, self.findings, self._counting(log), log.in_force)
        checks = StreamChecks(self._container, log, self.findings)
        times = self.times = Times(log.seals, lambda stream: log.own.get(stream, []), self.findings)

        def take(summary: StreamSummary, entry: Entry) -> None:
            times.take(summary, entry)
            journals.take(summary, entry)

        listed = self.predicate.get("streams")
        listed = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        kinds = {str(one.get("id")): one.get("kind") for one in listed}
        self._kinds = dict(kinds)
        ordered = sorted(names, key=lambda stream: (kinds.get(id_of(stream)) != "journal", stream))
        for stream in ordered:
            told = kinds.pop(id_of(stream), None)
            see = take if told == "journal" else times.take
            summary = checks.read(names[stream], stream, journals.lengths(stream), see)
            times.end()
            if summary is None:
                continue
            self.summaries[stream] = summary
            if summary.kind != told:
                found = f"it is {summary.kind}" if summary.kind else "what it is cannot be read"
                self.findings.add("manifest", "kind", f"the manifest calls it {told}, {found}", stream)
            elif summary.first > 1 and told != "journal":
                self.findings.add("omitted", "version", "its beginning is not here", stream, 1)
        for name in kinds:
            told = f"the manifest names the {self.kind_of(name)} {name}, which is not here"
            self.findings.add("omitted", "manifest", told)
        self.events = checks.events
        journals.compare(self.summaries)
        self._settle_times(times, journals, log, names)
        self._check_erasures(journals)

    def _settle_times(self, times: Times, journals: Journals, log: Log, names: Mapping[bytes, str]) -> None:
        def again(stream: bytes) -> Iterator[Entry]:
            with suppress(Broken):  # which was told when it was read first
                yield from StreamReader(stream, self._container.chunks(names[stream])).entries()

        excused = self.predicate.get("times") != "explained" and self._is_vouched_for()
        times.settle(partial(journals.late_because, began_ns=log.began_ns), again, excused)

    def _check_erasures(self, journals: Journals) -> None:
        """Look whether somebody answers for what is erased: by a record that a key of the ledger signed.

        A bundle whose manifest does not say that records are signed was made before they were: where the ledger's key
        has signed it, nobody without that key can have made it, and on whose authority it was is not proved.
        """
        if self.log is None or not self.log.present:
            return
        earlier = self.predicate.get("erasures") != "signed" and self._is_vouched_for()
        for stream, summary in self.summaries.items():
            erased, records = summary.emptied["erased"], journals.erasures.get(stream, [])
            if sum(one.events for one in records) < erased:
                told = f"{erased} payloads are said to be erased, and no journal here says on whose authority"
                self.findings.add("erasure", "payload", told, stream)
            elif sum(one.events for one in records if one.signed) >= erased:
                continue
            elif earlier:
                self.unsigned_erasures += 1
            else:
                told = f"{erased} payloads are erased, and no key that counts signed the record of it"
                self.findings.add("erasure", "authority", f"{told}: whoever had the store can have made it", stream)

    def _is_vouched_for(self) -> bool:
        """Return whether a key that was named signed the manifest; where none was, whether any of the ledger did."""
        signers = {key.fingerprint for key in self.manifest_signers}
        return bool(signers & self.trusted) if self.trusted else bool(signers)

    def _counting(self, log: Log) -> list[Key]:
        """Return the keys whose signature counts: those that were named, and those that one of them vouches for.

        Where none was named, all that are here; then nothing is authentic. The manifest names all files, so that of
        the keys too.
        """
        if not self.trusted or self._is_vouched_for():
            return [*log.keys, *log.former]
        return [key for key in (*log.keys, *log.former) if key.fingerprint in self.trusted]

    def _check_proofs(self, log: Log) -> set[bytes]:
        proved = set()
        for name in self._container.names("proofs"):
            stream = _stream_of(name)
            try:
                wrong = log.take_proof(stream, parse_proof(self._container.read(name, _SMALL)))
            except ValueError as error:
                wrong = str(error)
            if wrong:
                self.findings.add("proof", name, wrong, stream)
            proved.add(stream)
        return proved

    def _check_links(self) -> None:
        selection = self.predicate.get("selection")
        asked = selection.get("link") if isinstance(selection, dict) else None
        linked = self.journals.linked if self.journals is not None else {}
        links = [summary for summary in self.summaries.values() if summary.kind == "link"]
        if asked is not None and not any(link_names(one, linked.get(one.stream), asked) for one in links):
            self.findings.add("link", "selection", f"no link here names what the bundle was made for: {asked}")
        announced = {} if self.journals is None else self.journals.announced
        wrong = wrong_selection(selection, self.summaries, announced)
        if wrong and not self.findings.others_than(*OF_TIMES):  # what is damaged need not be what was asked for
            self.findings.add("manifest", "selection", wrong)
        here = {id_of(stream) for stream in self.summaries}
        for summary in links:
            of = linked.get(summary.stream, {}) if summary.emptied["erased"] else summary.link
            if of.get("exchange") not in here and not summary.emptied["withheld"]:
                self.findings.add("omitted", "link", "the exchange that it names is not here", summary.stream, 1)
        tags = {one.link["tag"] for one in links if isinstance(one.link.get("tag"), str)}
        if tags and self.log is not None and self.log.present:
            self.tagged = self.log.tagged(tags)

    def _check_anchors(self, log: Log) -> None:
        sizes = {checkpoint.size: checkpoint for checkpoint in log.checkpoints}
        for name in self._container.names("anchors"):
            try:
                told = parse_json(self._container.read(name, _LARGE))
                evidence = base64.b64decode(str(told["evidence"]), validate=True)
                checkpoint = sizes[told["size"]]
                made_ns, anchor = int(told["made_ns"]), str(told["anchor"])
            except (ValueError, KeyError, TypeError):
                self.findings.add("anchor", name, "it is none, or of a checkpoint that is not here")
                continue
            one = {"anchor": anchor, "size": checkpoint.size, "made_ns": made_ns, "file": name}
            self.anchors.append({**one, "names_checkpoint": _names(evidence, checkpoint)})

    def _check_counts(self, log: Log) -> None:
        emptied = {why: sum(one.emptied[why] for one in self.summaries.values()) for why in ("withheld", "erased")}
        counted = {
            "events": self.events,
            "streams": len(self.summaries),
            "other_streams": log.others,
            "withheld": emptied["withheld"],
            "erased": emptied["erased"],
        }
        told = self.predicate.get("counts")
        if told != counted and not self.findings.others_than(*OF_TIMES):
            self.findings.add("manifest", "counts", f"the manifest counts {told}, here are {counted}")
        self.counts = counted

    def _read_held(self, log: Log) -> Checkpoint | None:
        if self._held is None:
            return None
        try:
            return parse_checkpoint(self._held, log.keys)
        except ValueError as error:
            self.findings.add("stale", "checkpoint", f"the checkpoint that you hold cannot be read: {error}")
            return None

    def _compare_held(self, own: Checkpoint, log: Log) -> None:
        """Compare with a checkpoint that the auditor kept: is this the same log, and not an older state of it?"""
        roots = {**{one.size: one.root for one in log.checkpoints}, **log.roots}
        if own.origin != log.origin or roots.get(own.size, own.root) != own.root:
            told = "the checkpoint that you hold is not of this ledger: one of the two was changed"
            self.findings.add("tree", "checkpoint", told)
        elif own.size > max(roots, default=0):
            told = f"you hold a checkpoint of {own.size} leaves: the bundle shows an older state of the ledger"
            self.findings.add("stale", "checkpoint", told)
        else:
            self.held_told = "agrees" if own.size in roots else "not comparable"

    def kind_of(self, name: str) -> str:
        """Return what an event stream is, by its id as text: as its events say, else as the manifest does."""
        try:
            summary = self.summaries.get(uuid.UUID(name).bytes)
        except ValueError:
            summary = None
        told = (summary.kind if summary is not None else "") or self._kinds.get(name)
        return told if told in KINDS else "event stream"

    def gaps(self) -> int:
        """Return how often the recorder itself noted, in what is here, that something could not be kept."""
        return sum(summary.gaps for summary in self.summaries.values())

    def dropped(self) -> int:
        """Return how many events of what is here are lost, as the journals say."""
        return 0 if self.journals is None else self.journals.dropped

    def anchored(self) -> bool:
        """Return whether what an anchor gave names a checkpoint that covers everything here."""
        end = 0 if self.log is None else self.log.end
        return any(anchor["names_checkpoint"] and anchor["size"] >= end for anchor in self.anchors)


def _unsigned(data: bytes) -> bytes:
    """Return an envelope without its signatures: what it says is needed to find the keys."""
    envelope = parse_json(data)
    return canonical_json({**envelope, "signatures": []}) if isinstance(envelope, dict) else data


def _stream_of(name: str) -> bytes:
    """Return the id in the name of a file.

    :raises Damaged: there is none in its only form.
    """
    text = name.split("/")[-1].partition(".")[0]
    try:
        found = uuid.UUID(text)
    except ValueError:
        found = None
    if found is None or name not in (f"streams/{found}.ev", f"proofs/{found}.tlog-proof"):
        raise Damaged(f"{name} is not a file that a bundle has")
    return found.bytes


def _names(evidence: bytes, checkpoint: Checkpoint) -> bool:
    """Return whether what an anchor gave names a checkpoint: its SHA-256, or the note itself."""
    forms: Iterable[bytes] = (checkpoint.digest, checkpoint.digest.hex().encode(), checkpoint.note.encode())
    return any(form in evidence for form in forms)

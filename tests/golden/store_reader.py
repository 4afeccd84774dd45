"""Verifies a SQLite store with nothing but Python, written from docs/format.md alone: ``store_reader.py STORE.db``.

It checks no signature: whoever has a checkpoint from elsewhere compares it with those that it prints.
"""

import base64
import collections
import hashlib
import itertools
import json
import sqlite3
import struct
import sys
import uuid

Event = collections.namedtuple("Event", "kind facts hash instance ended")
ENDS = "request_failed response_completed response_truncated response_failed consumer_closed consumer_abandoned "
ENDS = (ENDS + "process_died recorder_closed instance_stopped").split()


def check(holds, *told):
    if not holds:
        raise SystemExit("FOUND " + " ".join(x.hex() if isinstance(x, bytes) else str(x) for x in told))


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def part(value):
    return b"\xff" * 8 if value is None else struct.pack(">Q", len(value)) + value


def name_of(text):
    return uuid.UUID(text).bytes


def chain(opening, rows, erased):
    """Verify the hashes of an event stream; return its events."""
    stream, events, ended = opening["stream"], [], False
    head = sha(b"recorder/genesis/v1\0", stream)
    for version, row in enumerate(rows, 1):
        meta, body = row["meta"] and row["meta"].encode(), row["body"]
        salt = hashlib.blake2b(struct.pack(">Q", version), key=opening["secret"], digest_size=16).digest()
        size = len(meta or b"") + len(body or b"")
        commitment = sha(b"recorder/payload/v1\0", salt, part(meta), part(body))
        if (stream, version) in erased:
            check(meta is None and body is None, "a payload that was erased is there:", stream, version)
            size, commitment = erased[stream, version]
        instance = row["instance"] or opening["instance"]
        numbers = struct.pack(">QQQ", row["version"], row["wall_ns"], row["mono_ns"])
        fixed = stream + numbers + instance + struct.pack(">HQ", row["flags"], size) + commitment
        head = sha(b"recorder/event/v1\0", head, fixed, row["name"].encode())
        check(row["version"] == version and row["hash"] == head, "not what was written:", stream, version, row["name"])
        ended = ended or row["name"] in ENDS
        events.append(Event(row["name"], json.loads(meta or b"{}"), head, instance, ended))
    return events


def journal(stream, events, streams, told):
    """Compare the journal of a process with the streams; return the exchanges that it numbers."""
    check(events[0].kind == "instance_started", "a journal has no beginning:", stream)
    numbered = {}
    for kind, facts, *_ in events:
        if kind == "exchange_opened":
            check(facts["number"] == len(numbered) + 1, "the journal has no number", len(numbered) + 1, "in", stream)
            numbered[facts["number"]] = name_of(facts["exchange"])
        head = facts.get("previous") if kind == "instance_started" else facts
        if head and kind in ("exchange_closed", "stream_written", "instance_started"):
            name, length = name_of(head.get("stream") or head["exchange"]), head["length"]
            there = streams.get(name, [])[:length]
            check(len(there) == length, "a journal knows more events of", name)
            check(not there or there[-1].hash.hex() == head["head"], "a journal knows another head of", name)
            if kind != "instance_started":
                told[name] = max(length, told.get(name, 0))
    return numbered


def journals(openings, streams):
    """Compare the streams with all that the journals say of them; return the exchanges that each numbers."""
    told = {}
    numbered = {
        name: journal(name, events, streams, told)
        for name, events in streams.items()
        if name == openings[name]["instance"]
    }
    for name, length in told.items():
        check(len(streams.get(name, [])) == length, "no journal knows the last events of", name)
    for process, exchanges in numbered.items():
        for name in exchanges.values() if streams[process][-1].ended else ():
            check(name in streams or name in told, "it was announced and is not here:", name)
    for name, (first, *_) in streams.items():
        elsewhere = first.instance not in numbered and name in told  # a copy from another store tells of it
        if first.kind == "request_sent" and "number" in first.facts and not elsewhere:
            there = numbered.get(first.instance, {}).get(first.facts["number"])
            check(there == name, "no journal announces", name)
    return numbered


def erasures(numbered, streams, erased, covered):
    """Compare what was erased with the records of it; *covered*: how much of each stream is signed for, if any is."""
    ground = collections.Counter()
    for process in numbered:
        for event in streams[process][: None if covered is None else covered.get(process, 0)]:
            if event.kind == "payload_erased":
                ground[name_of(event.facts["exchange"])] += event.facts["events"]
    check(collections.Counter(name for name, _ in erased) <= ground, "payloads were erased without a sealed record")


def tree(origin, leaves, nodes, streams):
    """Compare the entries of the ledger with the streams; return the root of each size."""
    log_id, before, whole, roots = sha(b"recorder/origin/v1\0", origin.encode()), {}, [], [sha()]
    for number, leaf in enumerate(leaves):
        tag, log, *head = struct.unpack(">17s32s 16sQ 32s BQQ", leaf["entry"])
        stream, length, hashed, state, _, earlier = head
        check((tag, log) == (b"recorder/head/v1\0", log_id), "entry of another ledger:", number)
        check((number, stream, length, state) == tuple(leaf)[:4], "columns that are not the entry's:", number)
        events = streams.get(stream, [])[:length]
        check(len(events) == length > 0, "sealed, and not here: events of", stream)
        check(events[-1].hash == hashed and events[-1].ended == state, "not what was sealed:", stream, "entry", number)
        check(earlier == before.get(stream, 0), "another entry of the stream is before", number)
        before[stream] = number + 1
        level, node = 0, sha(b"\0", leaf["entry"])
        while whole and whole[-1][0] == level:
            check(nodes.pop((level, number >> level), None) == node, "wrong node of the tree:", level, number)
            level, node = level + 1, sha(b"\1", whole.pop()[1], node)
        check(nodes.pop((level, number >> level), None) == node, "wrong node of the tree:", level, number)
        whole.append((level, node))
        roots.append(node)
        for _, left in whole[-2::-1]:
            roots[-1] = sha(b"\1", left, roots[-1])
    check(not nodes, "nodes that the tree does not have:", *nodes)
    return roots


def main(path):
    """Verify a store."""
    store = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    store.row_factory = sqlite3.Row
    check(store.execute("PRAGMA application_id").fetchone()[0] == 0x52454344, "this is no store")
    erased = {tuple(row)[:2]: tuple(row)[2:] for row in store.execute("SELECT * FROM erased_payloads")}
    openings = {row["stream"]: row for row in store.execute("SELECT * FROM event_streams")}
    rows = "SELECT e.*, t.name FROM events e LEFT JOIN event_types t ON t.code = e.type ORDER BY stream, version"
    streams = {}
    for name, found in itertools.groupby(store.execute(rows), key=lambda row: row["stream"]):
        check(name in openings and openings[name]["format"] == 1, "no opening that can be read:", name)
        streams[name] = chain(openings[name], found, erased)
    check(streams.keys() == openings.keys(), "nothing is left of", *openings.keys() - streams.keys())
    leaves = store.execute("SELECT number, stream, length, state, entry FROM ledger_leaves ORDER BY number").fetchall()
    nodes = {(row["level"], row["number"]): row["hash"] for row in store.execute("SELECT * FROM ledger_nodes")}
    (origin,) = store.execute("SELECT origin FROM ledger").fetchone() or ("",)
    signed = store.execute("SELECT max(size) FROM checkpoints").fetchone()[0] or 0
    covered = {leaf["stream"]: leaf["length"] for leaf in leaves if leaf["number"] < signed}
    numbered = journals(openings, streams)
    roots = tree(origin, leaves, nodes, streams)
    for size, note in store.execute("SELECT size, note FROM checkpoints ORDER BY size"):
        name, count, root = note.split("\n\n")[0].split("\n")[:3]
        check((name, count) == (origin, str(size)), "checkpoint of another ledger or size:", size)
        check(size < len(roots) and roots[size] == base64.b64decode(root), "checkpoint with another root:", size)
        print(f"{name}\n{count}\n{root}")
    erasures(numbered, streams, erased, covered if origin else None)
    print(f"true: {sum(map(len, streams.values()))} events of {len(streams)} event streams, {len(leaves)} entries")


if __name__ == "__main__":
    main(sys.argv[1])

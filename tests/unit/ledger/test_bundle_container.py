"""The zip of a bundle has one form; hostile ones are refused in little memory, and never end in an error."""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.core.chain import link
from recorder.core.codec import event_record
from recorder.errors import ConfigurationError
from recorder.ledger import bundle_zip
from recorder.ledger.bundle_zip import BundleZip
from recorder.ledger.standalone.container import (
    SEAL_NAME,
    Container,
    Damaged,
    central_header,
    end_record,
    local_header,
)
from recorder.ledger.standalone.verification import Verification
from tests.bundles import members, repacked, small_bundle
from tests.sealed import Key

Parts = list[tuple[str, bytes, int]]


def deflated(data: bytes, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def assembled(parts: Parts, *, sealed: bool = True) -> bytes:
    """Return a zip of names, packed bytes and declared sizes, with what has to stand at its end."""
    out, directory = bytearray(), bytearray()
    for name, packed, size in parts:
        try:
            crc = zlib.crc32(zlib.decompress(packed, -15))
        except zlib.error:
            crc = 0
        directory += central_header(name, 8, crc, len(packed), size, len(out))
        out += local_header(name, 8, crc, len(packed), size) + packed
    if sealed:
        line = hashlib.sha256(out).hexdigest().encode() + b"\n"
        fields = (SEAL_NAME, 0, zlib.crc32(line), len(line), len(line))
        directory += central_header(*fields, len(out))
        out += local_header(*fields) + line
    count = len(parts) + sealed
    return bytes(out + directory + end_record(count, len(directory), len(out)))


def one(name: str = "a.txt", data: bytes = b"text") -> tuple[str, bytes, int]:
    return name, deflated(data), len(data)


def read(data: bytes) -> dict[str, bytes]:
    container = Container(io.BytesIO(data))
    return {name: b"".join(container.chunks(name)) for name in container.members if name != SEAL_NAME}


def test_what_is_written_is_read_again_and_by_others(tmp_path: Path) -> None:
    files = {"b/c.txt": b"x" * 200_000, "a": b"", "b/a-1.bin": bytes(range(256)) * 900}
    with BundleZip(tmp_path) as pack:
        for name, data in files.items():
            pack.add(name, [data[at : at + 1000] for at in range(0, len(data), 1000)])
        with pytest.raises(ValueError, match="already"):
            pack.add("a", [])
        out = io.BytesIO()
        pack.write(out)
    assert read(out.getvalue()) == files
    assert pack.digests() == {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    with zipfile.ZipFile(out) as other:
        assert other.testzip() is None
        assert other.namelist() == [*sorted(files), SEAL_NAME]
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_would_be_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle_zip, "_MOST_BYTES", 100)
    with BundleZip(tmp_path) as pack:
        pack.add("a", [b"x" * 101])
        with pytest.raises(ConfigurationError, match="make several, each of a shorter time"):
            pack.write(io.BytesIO())


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([one("b"), one("a")], "order of their names"),
        ([one("a"), one("a", b"other")], "twice"),
        ([one("../a")], "whose name"),
        ([one("/a")], "whose name"),
        ([one("a//b")], "whose name"),
        ([one("a\\b")], "whose name"),
        ([one("a/../b")], "whose name"),
        ([one("a" * 161)], "whose name"),
        ([("a", deflated(b"text"), 5)], "not what the directory"),
        ([("a", deflated(b"text"), 3)], "not as large"),
        ([("a", deflated(b"text") + b"more", 4)], "not as large"),
        ([("a", deflated(b"text" * 99)[:-4], 396)], "cut off"),
        ([("a", b"\xff\xff\xff", 3)], "cannot be unpacked"),
        ([], None),
    ],
)
def test_another_form_is_refused(parts: Parts, said: str | None) -> None:
    data = assembled(parts)
    if said is None:
        assert read(data) == {}
        return
    with pytest.raises(Damaged, match=said):
        read(data)


def test_what_other_programs_pack_is_refused(tmp_path: Path) -> None:
    for options in ({}, {"compression": zipfile.ZIP_DEFLATED}):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", **options) as packed:  # type: ignore[call-overload] # a compression, or none
            packed.writestr("a.txt", b"text")
        with pytest.raises(Damaged):
            read(out.getvalue())
    commented = bytearray(assembled([one()]))
    struct.pack_into("<H", commented, len(commented) - 2, 4)
    with pytest.raises(Damaged, match="does not end"):
        read(bytes(commented) + b"text")
    with pytest.raises(Damaged, match="only allowed form"):
        read(bytes(commented))
    with pytest.raises(Damaged, match="order of their names"):
        read(assembled([one()], sealed=False))
    for empty in (b"", b"PK", b"PK\5\6" + bytes(18), bytes(100)):
        with pytest.raises(Damaged):
            read(empty)


def test_the_same_text_packed_in_another_way_needs_another_seal() -> None:
    good, other = assembled([one()]), assembled([("a.txt", deflated(b"text", 0), 4)])
    assert read(good) == read(other)
    line = good[good.rindex(SEAL_NAME.encode(), 0, -100) :]
    assert line[len(SEAL_NAME) :][:64] not in other


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused_without_an_error(data: bytes) -> None:
    for tried in (data, data + end_record(1, 10, 0), data + end_record(0, 0, len(data))):
        verification = Verification(io.BytesIO(tried))
        verification.run()
        assert verification.findings.found


def packed_manifest(size: int) -> bytes:
    """Return a bundle of a manifest that is nothing but so many zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece, crc = bytes(1 << 20), 0
    packed = b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()
    for _ in range(size >> 20):
        crc = zlib.crc32(piece, crc)
    fields = ("manifest.json", 8, crc, len(packed), size)
    out = local_header(*fields) + packed
    line = hashlib.sha256(out).hexdigest().encode() + b"\n"
    sealed = (SEAL_NAME, 0, zlib.crc32(line), len(line), len(line))
    directory = central_header(*fields, 0) + central_header(*sealed, len(out))
    out += local_header(*sealed) + line
    return out + directory + end_record(2, len(directory), len(out))


def verified_in_little_memory(path: Path) -> str:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (160 << 20, 160 << 20)); "
        "from pathlib import Path; from recorder.ledger.standalone.verify import verify_bundle; "
        "print(verify_bundle(Path(sys.argv[1]))['findings'])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_bomb_takes_time_and_no_memory(tmp_path: Path) -> None:
    """160 MB of zeros in less than one, where the manifest has to be, and as one event of a stream."""
    (tmp_path / "bomb.zip").write_bytes(packed_manifest(160 << 20))
    assert "manifest.json is larger than" in verified_in_little_memory(tmp_path / "bomb.zip")
    path, desk = small_bundle(tmp_path, Key())
    stream = desk.streams[-2]
    last = stream.events[-1]
    bare = last._replace(version=last.version + 1, type="gap_recorded", body=bytes(160 << 20))
    bomb = event_record(bare._replace(hash=link(last.hash, stream.opened.secret, bare)))
    name = f"streams/{stream.id}.ev"
    repacked(path, tmp_path / "bomb.zip", {name: members(path)[name] + bomb})
    assert (tmp_path / "bomb.zip").stat().st_size < 1 << 20
    assert "what follows is not sealed" in verified_in_little_memory(tmp_path / "bomb.zip")

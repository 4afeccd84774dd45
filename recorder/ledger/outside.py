r"""What was signed of a ledger, kept outside its database.

A store can be put back to an older state, with all that lies in it. What is here cannot go back with it, so a ledger
that has become shorter, or another one, is told before anything is signed that contradicts what was signed before.

The file holds signed notes, one after the other, an empty line behind each; it is only ever appended to, and each
note is forced to the medium before :meth:`SignedCheckpoints.append` returns::

    origin\n size\n root\n \n — signature\n \n   origin\n …

A process that dies while it appends leaves a torn note at the end, without its empty line. It was never anywhere
else: it is cut off, which is told, and its checkpoint is signed again. Sizes and roots are read from verified notes
alone.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from recorder.clock import SystemClock
from recorder.core.heads import log_id
from recorder.core.notes import Checkpoint, NoteKey, Verify, open_checkpoint
from recorder.durable import fdatasync, make_directory, sync_directory, write_all
from recorder.errors import CorruptRecording, LedgerConflict, StoreUnreachable
from recorder.ledger.key_chain import short_name, signer_named
from recorder.ledger.keys import public_here, verifier
from recorder.locations import signed_checkpoints
from recorder.locks import LockFile
from recorder.store.base import Ledger

_LONGEST: Final = 65_536  # bytes of a note here
LONGEST_WAIT: Final = 5.0  # seconds for somebody else who has the file
_LOOK_EVERY: Final = 0.001
_BLANK: Final = b"\n\n"
_DASH: Final = "— ".encode()
_log = logging.getLogger("recorder")
_clock: Final = SystemClock()


class Signed(NamedTuple):
    """A checkpoint that was verified, and the note that it was read from."""

    checkpoint: Checkpoint
    note: str


class InUse(StoreUnreachable):
    """Somebody else has the file, and does not give it back."""


class SignedCheckpoints:
    """The file of a log's checkpoints, to append to. Hold it (``with``) for whatever depends on the last one;
    one thread at a time. A forked child opens one of its own.

    :param origin: the log's name.
    :param keys: its public keys, of now and of before, the oldest first.
    :param path: the file; by default where :func:`recorder.locations.signed_checkpoints` says. Made where missing.
    :param verify: checks a signature.
    :ivar patience: seconds to wait for somebody else who has the file.
    :ivar cut: bytes of torn notes that were cut off.
    :raises StoreUnreachable: it cannot be opened.
    """

    def __init__(
        self, origin: str, keys: Sequence[NoteKey], path: Path | None = None, *, verify: Verify | None = None
    ) -> None:
        self.origin = origin
        self.keys = tuple(keys)
        self.path = signed_checkpoints(log_id(origin)) if path is None else path
        self.patience = LONGEST_WAIT
        self.cut = 0
        self._verify = verifier() if verify is None else verify
        self._last: Signed | None = None
        self._size = 0
        try:
            make_directory(self.path.parent)
            there = self.path.exists()
            self._file = LockFile(self.path, flags=os.O_RDWR | os.O_CREAT | os.O_APPEND)
            if not there:
                sync_directory(self.path.parent)
        except OSError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> SignedCheckpoints:
        """Wait until nobody else has the file, and take note of what was appended meanwhile.

        :raises CorruptRecording: its last note does not verify.
        :raises StoreUnreachable: it cannot be read.
        :raises InUse: somebody else has it for too long.
        """
        try:
            self._acquire()
            try:
                self._catch_up()
            except BaseException:  # an interrupt too: other processes wait for the file
                self._file.release()
                raise
        except OSError as error:
            raise self._unusable(error) from error
        return self

    def _acquire(self) -> None:
        left = self.patience
        while not self._file.acquire(blocking=False):  # a process that was stopped must not stop all others
            if left <= 0:
                raise InUse(f"{self.path} stays in use by another process: look which one hangs")
            _clock.sleep(_LOOK_EVERY)
            left -= _LOOK_EVERY

    def __exit__(self, *exc_info: object) -> None:
        self._file.release()

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._file.close()

    @property
    def last(self) -> Signed | None:
        """What was signed last; None: nothing yet. Current while the file is held."""
        return self._last

    def check(self, size: int, root_of: Callable[[int], bytes]) -> None:
        """Refuse a ledger that does not continue what was signed last.

        :param size: how many leaves it has.
        :param root_of: returns the root of the tree of its first leaves.
        :raises LedgerConflict: it has fewer leaves, or others.
        """
        if self._last is None:
            return
        signed = self._last.checkpoint
        if size < signed.size:
            raise LedgerConflict(
                f"the store's ledger has {size:,} entries and {signed.size:,} were signed: it was put back to an older "
                f"state, or is another store; bring back the newer one ({self.path} has what was signed), or copy it "
                "over this one, as one does to erase in a backup: `recorder db copy --from NEWER --to THIS`; where it "
                "is lost for good, go on with a new ledger: `recorder db copy --without-ledger`, then `recorder keys "
                "init --after` (docs/howto-auditor.md)"
            )
        if root_of(signed.size) != signed.root:
            raise LedgerConflict(
                f"the first {signed.size:,} entries of the store's ledger are not those that were signed: "
                f"it was changed, or is another store ({self.path} has what was signed)"
            )

    def check_signer(self, note: str) -> None:
        """Refuse a note by a key that had been rotated away when something smaller was signed.

        :param note: of the store, larger than what was signed last. The file is held.
        :raises LedgerConflict: it is one.
        """
        signer, last = signer_named(note, self.keys), self._last
        current = None if last is None else signer_named(last.note, self.keys)
        if signer is not None and current is not None and self.keys.index(signer) < self.keys.index(current):
            raise LedgerConflict(
                f"the store's last checkpoint is signed by {short_name(signer)}, in whose place {short_name(current)} "
                "had come before: whoever has the old private key can have made it; see `recorder verify`"
            )

    def append(self, note: str) -> None:
        """Keep a note for good; the one that is kept last may be given again.

        :param note: a checkpoint signed by one of the keys, of a tree that :meth:`check` has seen. The file is held.
        :raises CorruptRecording: it is not.
        :raises LedgerConflict: its tree is smaller than that of the last one, or as large and another.
        :raises StoreUnreachable: it cannot be written; nothing is kept.
        """
        data = note.encode() + b"\n"
        checkpoint = open_checkpoint(note, self.origin, self.keys, self._verify)
        if len(data) > _LONGEST:
            raise CorruptRecording(f"a signed checkpoint has {len(data):,} bytes, more than {_LONGEST:,}")
        if self._last is not None:
            before = self._last.checkpoint
            if (checkpoint.size, checkpoint.root) == (before.size, before.root):
                return
            if checkpoint.size <= before.size:
                raise LedgerConflict(
                    f"a checkpoint of {checkpoint.size:,} entries after one of {before.size:,}: not kept"
                )
        try:
            try:
                write_all(self._file.fd, data)
                fdatasync(self._file.fd)
            except OSError:
                os.ftruncate(self._file.fd, self._size)
                raise
        except OSError as error:
            raise self._unusable(error) from error
        self._size += len(data)
        self._last = Signed(checkpoint, note)

    def _catch_up(self) -> None:
        there = os.fstat(self._file.fd)
        if not os.path.samestat(there, self.path.stat()):
            raise FileNotFoundError(errno.ENOENT, "it was removed or replaced while in use")
        size = there.st_size
        if size == self._size:
            return
        start = max(0, size - 2 * _LONGEST)
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(size - start)
        found = _last_note(data, start == 0)
        begin, end = (0, 0) if found is None else found
        torn = len(data) - end
        if torn > _LONGEST:
            raise CorruptRecording(f"the end of {self.path} is damaged, {torn:,} bytes: restore the file from a backup")
        self._last = None
        if found is not None:
            self._last = _verified(data[begin : end - 1], self.origin, self.keys, self._verify, self.path)
        if torn:
            _log.warning(
                "%s ended in a torn checkpoint of %d bytes, which was never given out: cut off", self.path, torn
            )
            os.ftruncate(self._file.fd, size - torn)
            fdatasync(self._file.fd)
            self.cut += torn
        self._size = size - torn

    def _unusable(self, error: OSError) -> StoreUnreachable:
        return StoreUnreachable(
            f"the checkpoints outside the store, {self.path}, cannot be used ({error.strerror}): "
            "check the disk, or set XDG_STATE_HOME to another place"
        )


def require_newest(ledger: Ledger) -> None:
    """Refuse a ledger that is older than what was signed of it, or another one, as far as is known here.

    For whatever is built on a store without sealing it: what was put back to an older state must be told before
    anybody shows it to somebody, signs a new key in, or takes something out of it for good. Where nothing was signed on
    this machine, or no public key of the log is here, nothing is known.

    :raises LedgerConflict: it has fewer leaves than were signed, or others; or a key that was rotated away signed more.
    :raises CorruptRecording: what was signed last does not verify.
    :raises StoreUnreachable: it cannot be read, or somebody else has it for too long.
    :raises ConfigurationError: the keys that are here are damaged.
    """
    origin = ledger.origin()
    if origin is None or not signed_checkpoints(log_id(origin)).exists():
        return
    public = public_here(origin)
    if not public:
        return
    outside = SignedCheckpoints(origin, public)
    try:
        with outside:  # nobody signs anything meanwhile
            outside.check(ledger.size(), ledger.root)
            signed, last = outside.last, ledger.last_checkpoint()
            if signed is not None and last is not None and last[0] > signed.checkpoint.size:
                outside.check_signer(last[1])
    finally:
        outside.close()


def is_outside(origin: str) -> bool:
    """Return whether this machine keeps anything of what was signed of a log."""
    return signed_checkpoints(log_id(origin)).exists()


def read_signed(
    origin: str, keys: Sequence[NoteKey], path: Path | None = None, *, verify: Verify | None = None
) -> Iterator[Signed]:
    """Yield all that was signed of a log, oldest first, each note verified; nothing where there is no file.

    For audits: the file is neither locked nor changed, and a torn note at its end, which may be one that is just being
    written, is passed over.

    :raises CorruptRecording: a note does not verify, or its size is not above that of the one before.
    :raises StoreUnreachable: the file cannot be read.
    """
    path = signed_checkpoints(log_id(origin)) if path is None else path
    verify = verifier() if verify is None else verify
    size = -1
    for note in _notes(path):
        signed = _verified(note, origin, keys, verify, path)
        if signed.checkpoint.size <= size:
            raise CorruptRecording(f"{path}: a checkpoint of {signed.checkpoint.size:,} entries after one of {size:,}")
        size = signed.checkpoint.size
        yield signed


def _verified(note: bytes, origin: str, keys: Sequence[NoteKey], verify: Verify, path: Path) -> Signed:
    try:
        return Signed(open_checkpoint(note, origin, keys, verify), note.decode())
    except CorruptRecording as error:
        raise CorruptRecording(f"{path}: {error}") from None


def _notes(path: Path) -> Iterator[bytes]:
    """Yield the notes of a file: of two blocks of lines each, with an empty line behind each block."""
    try:
        with path.open("rb") as file:
            lines: list[bytes] = []
            blanks = 0
            for line in file:
                blanks += line == b"\n"
                if blanks == 2:
                    yield b"".join(lines)
                    lines, blanks = [], 0
                else:
                    lines.append(line)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreUnreachable(
            f"the checkpoints outside the store, {path}, cannot be read ({error.strerror})"
        ) from error


def _last_note(data: bytes, whole: bool) -> tuple[int, int] | None:
    """Return where the last whole note in *data* begins and where its empty line ends; None where there is none.

    Only signature lines begin with a dash and a blank: the name of a log has no blanks.

    :param whole: *data* begins where a note does.
    """
    under = len(data)
    while True:
        under = data.rfind(_BLANK, 0, under + 1)
        if under < 0:
            return None
        if data.startswith(_DASH, data.rfind(b"\n", 0, under) + 1):
            break
    text = data.rfind(_BLANK, 0, under)
    before = data.rfind(_BLANK, 0, max(text, 0))
    if before < 0 and not whole:
        return None
    return (before + 2 if before >= 0 else 0), under + 2

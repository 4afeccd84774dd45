"""What formats in JSON Lines have in common: an entry in each line, read or refused by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from recorder.core.json_text import parse_json
from recorder.formats.importing.base import Foreign, Refused
from recorder.formats.importing.values import EntryError, mapping, numbered_lines, refuse_empty


def line_entries(data: bytes, reads: Callable[[int, dict[str, Any]], Foreign]) -> Iterator[Foreign | Refused]:
    """Yield the entries of a file.

    :param reads: makes an exchange of a line; the number is its place among those that are not blank.
    :raises ImportRefused: there is no line.
    """
    number = 0
    for number, place, line in numbered_lines(data):
        try:
            yield reads(number, mapping(parse_json(line.strip()), "line"))
        except EntryError as error:
            yield Refused(number, f"{error} (line {place})")
        except ValueError as error:
            yield Refused(number, f"line {place} is no JSON ({error})")
    refuse_empty(number > 0, "lines")

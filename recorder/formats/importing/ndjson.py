"""The body of an answer of Ollama alone, as ``curl`` writes it: a JSON object in each line, with ``done`` in it."""

from __future__ import annotations

from recorder.formats.importing.base import Recording
from recorder.formats.importing.several import ends_of_lines, is_line
from recorder.formats.importing.source import Source
from recorder.formats.importing.sse import bodies_alone


class RawNdjson:
    """The lines of Ollama, and nothing about them."""

    name = "ndjson"
    help = "a stream of Ollama's JSON lines, as curl writes it"
    order = 58

    def recognises(self, source: Source) -> bool:
        """Its first line tells a model, whether it is the last one, and a piece of a message or of a text."""
        return is_line(source.first_line)

    def read(self, source: Source) -> Recording:
        """Return the recording: an exchange for each answer, of which only the body is known."""
        return Recording(self.name, bodies_alone(source, ends_of_lines(source.raw)))


IMPORTER = RawNdjson()

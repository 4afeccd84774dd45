"""Characters that steer whoever shows a text instead of being shown."""

from __future__ import annotations

import re
from typing import Final

#: Controls but tab and line feed, halves of surrogate pairs, and those that turn the direction of what follows
#: (Unicode UAX #9), which can make a text read as another.
STEERING: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

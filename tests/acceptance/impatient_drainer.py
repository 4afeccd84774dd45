"""A drainer process for which a store that has not answered for a second fails."""

from __future__ import annotations

import sys

from recorder.recording import drainer_process, store_outage

if __name__ == "__main__":
    setattr(store_outage, "OVERDUE", 1.0)  # noqa: B010 - it is final
    sys.exit(drainer_process.main())

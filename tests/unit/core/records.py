"""Made-up records."""

from __future__ import annotations

from hypothesis import strategies as st

from recorder.core.events import Event

ids = st.binary(min_size=16, max_size=16)
_u64 = st.integers(0, 2**64 - 1)
events = st.builds(
    Event,
    ids,
    _u64,
    st.sampled_from(["chunk_received", "request_sent", "x"]),
    _u64,
    _u64,
    ids,
    st.integers(0, 65535),
    st.none() | st.text(st.characters(max_codepoint=127), max_size=20),
    st.none() | st.binary(max_size=40),
    st.binary(min_size=32, max_size=32),
    st.none(),  # the position is the store's
)

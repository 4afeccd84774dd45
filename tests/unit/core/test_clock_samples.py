"""What kernels said of their clocks is counted as they said it."""

from __future__ import annotations

from recorder.core.clock_samples import ClockSamples


def words(*facts: dict[str, object]) -> list[str]:
    samples = ClockSamples()
    for each in facts:
        samples.take(each)
    return list(samples.words())


def test_without_samples_nothing_is_known() -> None:
    assert words() == [
        "no kernel said whether its clock was synchronised: how far the clocks were from UTC is not known"
    ]


def test_samples_without_the_kernels_word_say_no_more() -> None:
    assert words({"exchanges": 3}) == words()


def test_the_largest_error_of_a_synchronised_clock_is_told() -> None:
    said = words(
        {"synchronized": True, "maxerror_us": 1500},
        {"synchronized": True, "maxerror_us": 12_250},
        {"synchronized": False, "maxerror_us": 16_000_000},
    )
    assert said == ["kernels called their clocks synchronised in 2 of 3 samples, with an error of at most 12.250 ms"]


def test_samples_in_which_nothing_was_said_are_counted_apart() -> None:
    assert words({"synchronized": True}, {}) == [
        "kernels called their clocks synchronised in 1 of 1 samples",
        "in 1 samples the kernel said nothing of it",
    ]


def test_values_of_another_type_are_absent() -> None:
    samples = ClockSamples()
    samples.take({"synchronized": "yes", "maxerror_us": 1})
    samples.take({"synchronized": True, "maxerror_us": True})
    assert (samples.known, samples.synchronised, samples.maxerror_us) == (1, 1, None)

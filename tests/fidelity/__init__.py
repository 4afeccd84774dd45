"""The fidelity matrix: scripted server behaviours × ways to consume, compared bare, recorded and replayed."""

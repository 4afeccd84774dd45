"""Measurements, as ratios taken in one run: ``python -m bench`` runs them, ``--help`` lists them."""

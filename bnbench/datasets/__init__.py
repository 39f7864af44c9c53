"""Data sets, verified and split."""

"""Compares where Batch Normalization stands in an MLP: many paired seeds, intervals, a verdict."""

__version__ = "0.1.0"

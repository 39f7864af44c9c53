"""Measures how fast bnbench is, beside other ways to train the same networks on this machine.

``python -m tests.benchmarks``; the README of this folder says what is measured and how.
"""

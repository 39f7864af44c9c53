"""Experiments to records: the compiled epoch, and the engines that make many runs at once.

Whoever changes what numbers a run gives, from the order of the batches to the arithmetic of a step,
raises ``TRAINING_VERSION``: a run recorded under another version is another run.
"""

TRAINING_VERSION = 1

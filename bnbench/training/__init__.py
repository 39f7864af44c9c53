"""Experiments to records: what is missing, the compiled epoch, and the engines that run it.

``TRAINING_VERSION`` stands for the way of training. Whoever changes what numbers a run gives, from
the order of the batches to the arithmetic of a step, raises it: a run recorded under another
version is another run.
"""

TRAINING_VERSION = 1

"""What to do about what an answer lacks, as far as it depends on where one reads it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """The cures, in words where nothing can be typed; ``wider`` has a place for key and values."""

    more_seeds: str = ""
    all_pairs: str = ""
    protocol: str = "asking for the protocol"
    rates: str = "try other learning rates"
    standardize: str = "standardise the features"
    margin: str = "take a larger margin, or more test rows"
    balanced: str = "compare the balanced test accuracy, which counts every class alike"
    wider: str = "try {key} at {values}"


IN_WORDS = Advice()

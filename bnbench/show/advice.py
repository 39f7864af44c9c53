"""What to do about what an answer lacks, as far as it depends on where one reads it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Sweep = Mapping[str, tuple[Any, ...]]  # values by dotted key


def _in_words(sweep: Sweep) -> str:
    tried = (f"{key} at {', '.join(map(str, values))}" for key, values in sweep.items())
    return f"try {', each with '.join(tried)}"


def _set_in_words(key: str, value: Any) -> str:
    return f"set {key} to {value}"


@dataclass(frozen=True)
class Advice:
    """The cures, in words where nothing can be typed."""

    more_seeds: str = ""
    seeds: Callable[[int], str] = lambda seeds: ""
    all_pairs: str = ""
    protocol: str = "asking for the protocol"
    rates: str = "try other learning rates"
    standardize: str = "standardise the features"
    margin: str = "take more test rows, or state a larger margin before the first run"
    balanced: str = "compare the balanced test accuracy, which counts every class alike"
    recalls: str = "see the recall of every class"
    sweep: Callable[[Sweep], str] = _in_words
    set: Callable[[str, Any], str] = _set_in_words


IN_WORDS = Advice()

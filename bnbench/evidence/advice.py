"""What to do about what weakens an answer, in words or, where one can type, as commands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Sweep = Mapping[str, tuple[Any, ...]]  # values by dotted key


def _sweep_in_words(sweep: Sweep) -> str:
    tried = (f"{key} at {', '.join(map(str, values))}" for key, values in sweep.items())
    return f"try {', each with '.join(tried)}"


@dataclass(frozen=True)
class Advice:
    """The cures, by default in words; empty where words would not help."""

    more_seeds: str = ""
    seeds: Callable[[int], str] = lambda seeds: ""
    all_pairs: str = ""
    protocol: str = "asking for the protocol"
    rates: str = "try other learning rates"
    standardize: str = "standardise the features"
    margin: str = "take more test rows, or state a larger margin before the first run"
    balanced: str = "compare the balanced test accuracy, which counts every class alike"
    recalls: str = "see the recall of every class"
    sweep: Callable[[Sweep], str] = _sweep_in_words
    set: Callable[[str, Any], str] = lambda key, value: f"set {key} to {value}"


IN_WORDS = Advice()

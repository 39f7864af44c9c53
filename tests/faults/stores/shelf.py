"""A folder of records that is filled by hand, file by file, and what must come of it."""

import copy
import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import record

Content = dict[str, Any]  # of a record, as JSON has it
Fill = Callable[["Shelf"], None]

EVIL = "[/x][link=http://evil]\x1b]0;t\x07\x1b[31m\x9b31m\u202e\u2066\u200b\r\n[bold]<b>|$`\\&%#_{}"
IMPLIED = ("experiment", "experiment_id", "protocol_id", "swept", "status", "test_accuracy")
SEVEN = (0.880, 0.882, 0.881, 0.879, 0.883, 0.880, 0.882)


def raw(
    file: str, seed: int, accuracy: float | None, *settings: str, val: float = 0.85, **changes: Any
) -> Content:
    """Make a record of a shipped config's run; ``val`` is its last validation accuracy.

    It also states what its other fields imply, as records of version 2 do.
    """
    made = record(file, seed, accuracy, overrides=settings, **changes)
    content: Content = json.loads(made.to_json(line=True))
    content["parameters"] = made.parameters.counts()
    content |= {name: getattr(made, name) for name in IMPLIED}
    if accuracy is not None:
        content["history"]["val_accuracy"][-1] = val
    return content


def runs_of(
    file: str, accuracies: Iterable[float | None], *settings: str, first: int = 0, **changes: Any
) -> list[Content]:
    """Make a record for each accuracy, with the seeds from ``first`` on."""
    return [
        raw(file, seed, accuracy, *settings, **changes)
        for seed, accuracy in enumerate(accuracies, first)
    ]


def shifted(by: float, values: Sequence[float] = SEVEN) -> list[float]:
    """Return the values, each so much higher."""
    return [round(value + by, 4) for value in values]


def altered(content: Content, changes: Mapping[str, Any]) -> Content:
    """Return the record with other values at these dotted keys, whether they fit or not."""
    new = copy.deepcopy(content)
    for path, value in changes.items():
        *above, last = path.split(".")
        part = new
        for key in above:
            part = part[key]
        part[last] = value
    return new


def home_of(content: Content) -> str:
    """Return the name of the folder in which the record belongs."""
    return f"{content['experiment']}-{content['experiment_id']}"


def place_of(content: Content) -> str:
    """Return where the record belongs."""
    return f"{home_of(content)}/seed-{content['seed']:04d}.json"


@dataclass
class Shelf:
    """The folder, the records that count, and what else must follow from it.

    ``warned`` and ``remarked`` are phrases that must be said of the folder and under the tables.
    ``unclean`` means that ``--strict`` fails for a comparison, unhealthy or not clean; for what is
    warned of it always does. ``chosen`` has the ids of the networks that a tuned comparison must be
    of. ``blocked`` is the name of an experiment whose records could not be put in their places.
    """

    folder: Path
    counted: list[Content] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    remarked: list[str] = field(default_factory=list)
    chosen: list[str] = field(default_factory=list)
    unclean: bool = False
    blocked: str | None = None
    taken: int = 100

    def put(self, *contents: Content) -> None:
        """Put records where they belong: they count. Every other one is of version 2."""
        for content in contents:
            stored = {name: value for name, value in content.items() if name not in IMPLIED}
            if content["seed"] % 2 == 0:
                stored = {**content, "schema_version": 2}
            self.write(place_of(content), json.dumps(stored))
            self.counted.append(content)

    def put_two(self, *, better: float = 0.01) -> None:
        """Put two networks that differ in the placement alone, seven seeds each."""
        self.put(*runs_of("post_act", SEVEN), *runs_of("pre_act", shifted(better)))

    def spoil(self, place: str, content: Content | str | bytes, reason: str) -> None:
        """Put what does not count, and expect it to be named with the reason."""
        self.write(place, json.dumps(content) if isinstance(content, dict) else content)
        self.warned.append(f"{self.folder / place}: skipped: {reason}")

    def free_place(self) -> str:
        """Return the place of a run of the last network that has none yet."""
        self.taken += 1
        return f"{home_of(self.counted[-1])}/seed-{self.taken:04d}.json"

    def write(self, place: str, text: str | bytes) -> Path:
        """Put a file."""
        path = self.folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def pack(self, name: str, lines: Iterable[Content | str]) -> None:
        """Put a packed file; what of it counts is for the caller to say."""
        texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
        self.write(name, gzip.compress("".join(f"{text}\n" for text in texts).encode()))


STORES: dict[str, Fill] = {}


def store(fill: Fill) -> Fill:
    """Take a function that fills a shelf into the table of hostile stores."""
    STORES[fill.__name__] = fill
    return fill

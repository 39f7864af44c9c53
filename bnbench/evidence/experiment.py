"""An experiment: its records under one protocol, what they say together, and its names."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import Any, get_args

import numpy as np

from bnbench.evidence import stats
from bnbench.evidence.metrics import Metric
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import label, order_of_values, typed_name

Identity = tuple[str, str]  # name and experiment id


@dataclass(frozen=True, eq=False)
class Experiment:
    """The records of one experiment by seed; ``label`` is its unique name in a comparison.

    Values are in the metric's own unit, times in seconds.
    """

    label: str
    records: Mapping[int, RunRecord]
    metric: Metric

    @cached_property
    def newest(self) -> RunRecord:
        """The record that was started last."""
        return max(self.records.values(), key=lambda record: record.started_at)

    @property
    def config(self) -> Config:
        """The config of the newest record."""
        return self.newest.config

    @property
    def identity(self) -> Identity:
        """Name and experiment id, unique in its comparison."""
        return self.newest.key[:2]

    @cached_property
    def values(self) -> dict[int, float]:
        """The metric of each seed that completed."""
        read = {seed: self.metric.read(r) for seed, r in self.records.items() if r.completed}
        return {seed: value for seed, value in read.items() if value is not None}

    @property
    def outcomes(self) -> dict[int, float | None]:
        """The metric of each seed that is recorded; None where the run diverged."""
        return {seed: self.values.get(seed) for seed in self.records}

    @property
    def completed(self) -> list[RunRecord]:
        """The records of the seeds that completed."""
        return [record for record in self.records.values() if record.completed]

    @cached_property
    def learned(self) -> list[RunRecord]:
        """The records of the runs that did better than guessing."""
        return list(filter(learned, self.completed))

    @property
    def fails_to_train(self) -> bool:
        """Whether no run did better than guessing, or none completed."""
        return not self.learned

    @property
    def mixed(self) -> bool:
        """Whether some runs did better than guessing and some that completed did not."""
        return 0 < len(self.learned) < len(self.completed)

    @cached_property
    def recalls(self) -> dict[int, np.ndarray]:
        """The recall (classes,) of each class, by seed; NaN where a class has no test row."""
        rows = np.array(self.newest.data.test_rows_by_class, dtype=np.float64)
        rows[rows == 0] = np.nan
        return {
            seed: np.array(record.data.test_correct_by_class) / rows
            for seed, record in self.records.items()
            if record.completed
        }

    @property
    def diverged(self) -> int:
        """Number of seeds whose loss became infinite or NaN."""
        return len(self.records) - len(self.values)

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that completed."""
        return float(np.mean(list(self.values.values()))) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over the seeds (n - 1 in the divisor)."""
        return float(np.std(list(self.values.values()), ddof=1)) if len(self.values) > 1 else None

    @cached_property
    def ci95(self) -> tuple[float, float] | None:
        """95 % t interval of the mean."""
        if len(self.values) < 2:
            return None
        low, high = stats.mean_interval(list(self.values.values()))
        return float(low), float(high)

    @cached_property
    def epoch_quartiles(self) -> tuple[float, float, float] | None:
        """First quartile, median and third quartile of the epoch times of all seeds."""
        seconds = [s for record in self.records.values() for s in record.history.epoch_seconds]
        if not seconds:
            return None
        low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist()
        return low, middle, high

    def epoch_seconds(self, seeds: Iterable[int]) -> list[float]:
        """Return each seed's median epoch time."""
        return [median(self.records[seed].history.epoch_seconds) for seed in seeds]


def order_of_seeds(experiments: Iterable[Experiment], most: int) -> tuple[int, ...]:
    """Return `in_order` of what the experiments' records and their configs have."""
    records = [record for experiment in experiments for record in experiment.records.values()]
    return in_order({r.config.seeds for r in records}, {r.seed for r in records}, most)


def in_order(
    stated: Collection[int | tuple[int, ...]], recorded: Iterable[int], most: int
) -> tuple[int, ...]:
    """Return the first ``most`` seeds in the order in which a plan looks at them: ascending.

    Where all configs state a count of seeds they are 0, 1, 2 and so on, else those that any config
    lists or a record has, and after them the numbers that follow.
    """
    if all(isinstance(seeds, int) for seeds in stated):
        return tuple(range(most))
    known = set(recorded)
    known.update(*(range(seeds) if isinstance(seeds, int) else seeds for seeds in stated))
    return (*sorted(known), *range(max(known) + 1, max(known) + 1 + most))[:most]


def group(records: Iterable[RunRecord], metric: Metric) -> list[Experiment]:
    """Return the experiments of these records; of a run recorded twice the first record counts.

    An experiment is a name with an id: several networks may have one name, and then their labels
    have the id too. Some of its records may be of a sweep; the longest one gives the label.
    """
    groups: dict[Identity, dict[int, RunRecord]] = {}
    for record in records:
        groups.setdefault(record.key[:2], {}).setdefault(record.seed, record)
    labels = [
        label(max((r.config for r in by_seed.values()), key=lambda config: len(config.swept)))
        for by_seed in groups.values()
    ]
    return [
        Experiment(_unique(text, own, labels), dict(sorted(by_seed.items())), metric)
        for text, ((_, own), by_seed) in zip(labels, groups.items(), strict=True)
    ]


def _unique(text: str, experiment_id: str, labels: list[str]) -> str:
    if labels.count(text) == 1:
        return text
    with_id = f"{text}-{experiment_id}"
    return with_id if with_id not in labels else f"{text} [{experiment_id}]"  # in no name


def _names_of(config: Config) -> tuple[str, ...]:
    """Return the names of an experiment that one can type, the most specific first."""
    name, own = config.name, config.experiment_id
    return label(config), typed_name(config), name, f"{name}-{own}", f"{name} [{own}]", own


def is_named(config: Config, names: Collection[str]) -> bool:
    """Return whether any of these names is one of a config's experiment."""
    return any(name in names for name in _names_of(config))


def known_names(configs: Iterable[Config]) -> list[str]:
    """Return the names to choose from, sorted."""
    return sorted({name for config in configs for name in _names_of(config)[:3]})


def called(experiments: Sequence[Experiment], name: str | None) -> list[Experiment]:
    """Return the experiments of this name; a label comes before all other kinds of names."""
    names = [(e.label, *_names_of(e.config)) for e in experiments]
    for kind in range(len(names[0])):
        found = [e for e, own in zip(experiments, names, strict=True) if own[kind] == name]
        if found:
            return found
    return []


def position(config: Config, names: Sequence[str]) -> tuple[Any, ...]:
    """Return the sort key of experiments: as named, by placement, input BN, name and values."""
    norm = config.model.batch_norm
    given = next((names.index(name) for name in _names_of(config) if name in names), len(names))
    placement = get_args(Placement).index(norm.placement)
    values = order_of_values(config, config.swept)
    return given, placement, norm.input, config.name, values, config.experiment_id


def learned(record: RunRecord) -> bool:
    """Return whether a run did better than guessing, by its balanced accuracy on the test rows.

    That is more than three standard errors above guessing every class alike, or more than halfway
    from there to perfect, as with few rows three standard errors are out of reach. Up to 1,000 rows
    one class that is better than guessing is enough (Fisher's exact test, p < 0.01). A network that
    assigns all rows to one class has not learned.
    """
    classes = _by_class(record)
    if not classes or says_one_class(record):
        return False
    if sum(rows for _, rows in classes) <= 1000 and _smallest_p(classes) < 0.01:
        return True
    balanced = sum(right / rows for right, rows in classes) / len(classes)
    guess = 1 / len(classes)
    error = math.sqrt(sum(guess * (1 - guess) / rows for _, rows in classes)) / len(classes)
    return balanced > min(guess + 3 * error, (1 + guess) / 2)


def _smallest_p(classes: Sequence[tuple[int, int]]) -> float:
    """Return the smallest p of Fisher's test over the classes, times one less than there are.

    How many rows were assigned to a class is known where there are two. With more classes it is
    taken to be as many as possible, all that were wrong in other classes, so that p is never too
    small.
    """
    total = sum(rows for _, rows in classes)
    wrong = sum(rows - right for right, rows in classes)
    smallest = 1.0
    for right, rows in classes:
        others, assigned = total - rows, right + wrong - (rows - right)
        as_good = range(max(right, assigned - others), min(assigned, rows) + 1)
        ways = (math.comb(rows, k) * math.comb(others, assigned - k) for k in as_good)
        smallest = min(smallest, sum(way / math.comb(total, assigned) for way in ways))
    return smallest * (len(classes) - 1)


def says_one_class(record: RunRecord) -> bool:
    """Return whether a run assigns all test rows to one class."""
    recognized = [(right, rows) for right, rows in _by_class(record) if right]
    return len(recognized) == 1 and recognized[0][0] == recognized[0][1]


def _by_class(record: RunRecord) -> list[tuple[int, int]]:
    """Return the correct rows and all rows of each class that has test rows."""
    data = record.data
    counted = zip(data.test_correct_by_class or (), data.test_rows_by_class, strict=False)
    return [(right, rows) for right, rows in counted if rows]

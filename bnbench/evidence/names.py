"""What experiments are called by, and the order that they stand in."""

from collections.abc import Collection, Sequence
from typing import Any, get_args

from bnbench.errors import InputError
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.question import Question
from bnbench.evidence.records import RunRecord
from bnbench.experiments.config import Config
from bnbench.experiments.fields import Placement
from bnbench.experiments.sweep import label, order_of_values, typed_name


def _names_of(config: Config) -> tuple[str, ...]:
    """Return what an experiment may be called, the most specific first."""
    name, own = config.name, config.experiment_id
    return label(config), typed_name(config), name, f"{name}-{own}", f"{name} [{own}]", own


def is_named(config: Config, names: Collection[str]) -> bool:
    """Whether a config's experiment is called by any of these names."""
    return any(name in names for name in _names_of(config))


def check_names(question: Question, records: Sequence[RunRecord]) -> None:
    """Raise `InputError` for a name that is asked for and has no record."""
    named = (*question.names, *([question.baseline] if question.baseline else ()))
    configs = {record.config for record in records} if named else set()
    for name in named:
        if not any(is_named(config, [name]) for config in configs):
            known = sorted({own for config in configs for own in _names_of(config)[:3]})
            listed = ", ".join(known) or "none, as no run has been recorded"
            raise InputError(f"no experiment named {name}; there are: {listed}")


def called(experiments: Sequence[Experiment], name: str | None) -> list[Experiment]:
    """Return the experiments that are called so; one whose label it is comes before all others."""
    if name is None:
        return []
    for place in range(len(_names_of(experiments[0].config))):
        found = [e for e in experiments if name in (e.label, _names_of(e.config)[place])]
        if found:
            return [e for e in found if e.label == name] or found
    return []


def position(config: Config, names: Sequence[str]) -> tuple[Any, ...]:
    """Return what orders experiments: as named, then by placement, input BN, name and values."""
    norm = config.model.batch_norm
    own = [names.index(name) for name in _names_of(config) if name in names]
    given = own[0] if own else len(names)
    placement = get_args(Placement).index(norm.placement)
    values = order_of_values(config, config.swept)
    return given, placement, norm.input, config.name, values, config.experiment_id

"""What makes a command end with exit code 1, and which comparison a command is about."""

from collections.abc import Iterator

from bnbench.api import Study
from bnbench.cli import options
from bnbench.errors import CheckFailed, InputError
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.show import terminal
from bnbench.show.remarks import confound, named
from bnbench.text import count, fixed


def check_runs(study: Study) -> None:
    """Raise `CheckFailed` where a run failed or diverged; tell of each that failed."""
    for failure in study.failures:
        terminal.notice(f"failed: {failure.trial}: {failure.reason}", "red")
        if options.debugging and failure.details:
            terminal.notice(failure.details)
    diverged = [record for record in study.records if not record.completed]
    if study.failures or diverged:
        raise CheckFailed(f"{count(len(study.failures), 'run')} failed, {len(diverged)} diverged")


def check_comparisons(study: Study, fail_under: float | None, strict: bool) -> None:
    """Raise `CheckFailed` for means below ``fail_under`` per cent, and for what is not clean."""
    failed: list[str] = []
    for comparison in study.comparisons:
        if fail_under is not None:
            failed += filter(None, (_shortfall(e, fail_under) for e in comparison.experiments))
        if strict:
            failed += _unclean(comparison)
    failed += study.warnings if strict else ()
    if failed:
        raise CheckFailed("\n".join(failed))


def _shortfall(experiment: Experiment, fail_under: float) -> str | None:
    """Return by what the mean is too low; a run that diverged counts as 0."""
    if not experiment.values:
        return f"{experiment.label}: no run completed"
    mean = experiment.metric.scale * sum(experiment.values.values()) / len(experiment.records)
    if mean >= fail_under:
        return None
    zeros = f" ({experiment.diverged} of {len(experiment.records)} runs diverged and count as 0)"
    return (
        f"{experiment.label}: mean {fixed(mean)} {experiment.metric.unit} is below "
        f"{fail_under:g}{zeros * bool(experiment.diverged)}"
    )


def _unclean(comparison: Comparison) -> Iterator[str]:
    for contrast in comparison.contrasts:
        if not contrast.clean:
            yield f"{named(contrast)}: {confound(contrast)}"


def chosen(study: Study, protocol: str | None) -> Comparison:
    """Return the comparison of this protocol id, the tuned one, or the newest."""
    references = [comparison.reference for comparison in study.comparisons]
    wanted = references[0] if protocol is None else protocol
    if wanted not in references:
        raise InputError(f"--protocol: none named {wanted}; there are: {', '.join(references)}")
    return study.comparisons[references.index(wanted)]

"""What makes a command end with exit code 1."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import assert_never

from bnbench.api import Study
from bnbench.cli import options
from bnbench.cli.options import FailOn
from bnbench.errors import CheckFailed
from bnbench.evidence.comparison import Comparison
from bnbench.evidence.experiment import Experiment
from bnbench.evidence.health import health
from bnbench.show import terminal
from bnbench.show.remarks import confound, named, reason
from bnbench.text import count, fixed


def check_runs(study: Study) -> None:
    """Raise `CheckFailed` where a run failed or diverged; write each failure to standard error."""
    for failure in study.failures:
        terminal.notice(f"failed: {failure.trial}: {failure.reason}", "red")
        if options.debugging and failure.details:
            terminal.notice(failure.details)
    diverged = [record for record in study.records if not record.completed]
    if study.failures or diverged:
        raise CheckFailed(f"{count(len(study.failures), 'run')} failed, {len(diverged)} diverged")


def check_comparisons(
    comparisons: Iterable[Comparison],
    shown: Sequence[Comparison],
    warnings: Iterable[str],
    *,
    fail_under: float | None,
    fail_on: Collection[FailOn],
    strict: bool,
) -> None:
    """Raise `CheckFailed` for means below ``fail_under`` per cent and for what the others name.

    ``strict`` fails for contrasts that are not clean, findings of `health` and ``warnings`` of the
    records. ``fail_on`` is about the answers that are shown, the tuned alone where there are any.
    """
    failed: list[str] = []
    for comparison in comparisons:
        if fail_under is not None:
            failed += filter(None, (_shortfall(e, fail_under) for e in comparison.experiments))
        if strict:
            failed += (f"{named(c)}: {confound(c)}" for c in comparison.contrasts if c.confounds)
            failed += (finding.message for finding in health(comparison))
    for comparison in [c for c in shown if c.tuning] or shown:
        for kind in fail_on:
            failed += _failing(comparison, kind)
    failed += warnings if strict else ()
    if failed:
        raise CheckFailed("\n".join(dict.fromkeys(failed)))


def _failing(comparison: Comparison, kind: FailOn) -> Iterator[str]:
    """Yield a message for each contrast or finding of this kind."""
    match kind:
        case FailOn.WORSE:
            for contrast in comparison.contrasts:
                if comparison.is_against_baseline(contrast) and contrast.result.verdict == "worse":
                    yield f"{named(contrast)}: worse"
        case FailOn.UNDECIDED:
            for contrast in comparison.contrasts:
                if not contrast.result.decided:
                    yield f"{named(contrast)}: {reason(comparison, contrast)}"
        case FailOn.UNHEALTHY:
            yield from (finding.message for finding in health(comparison))
        case other:
            assert_never(other)


def _shortfall(experiment: Experiment, fail_under: float) -> str | None:
    """Return a message if the mean is too low; a run that diverged counts as 0."""
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

"""Seconds per epoch of one run, and model-epochs per second of the whole machine."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import peers
from tests.benchmarks.figures import Figure, Section, Spread, times
from tests.benchmarks.processes import Worker, WorkerFailed, hired
from tests.benchmarks.rounds import ALONE, SHARED, SPREAD, Contender, Sample, take_turns
from tests.benchmarks.settings import Settings

OURS, FIT, FLOOR = "bnbench", "model.fit", "matrix products"
OTHERS = [name for name in peers.MODULES if name not in (OURS, FIT, FLOOR)]
CHECKED_ROWS = 1600  # 50 steps
TOLERANCE = 1e-5  # of the loss; float32 rounding over 50 steps is some 1e-7, and 1e-5 in 20 layers
DEEP_TOLERANCE = 1e-4
SECONDS, RATE = "epoch", "all cores"

Samples = dict[tuple[str, str], list[Sample]]


class Disagreement(Exception):
    """A program does not compute what bnbench computes."""


def measure(settings: Settings, *, others: bool, floor: bool) -> Section:
    """Measure bnbench and `model.fit`, and if asked for the other libraries and the floor."""
    section = Section("epoch", "One epoch, batch size 32")
    names = [OURS, FIT, *(OTHERS if others else ()), *([FLOOR] if floor else ())]
    with hired() as hire, tempfile.TemporaryDirectory() as folder:
        contenders = _contenders(names, settings, hire)
        for network in settings.networks:
            config = settings.config(network)
            checked = settings.task(Path(folder), config, CHECKED_ROWS)
            deep = len(config.model.hidden_units) > 10
            tolerance = DEEP_TOLERANCE if deep else TOLERANCE
            section.notes += _agree(network, contenders, checked, tolerance)
            task = settings.task(Path(folder), config, settings.rows) | {"start": checked["start"]}
            for contender in contenders:
                contender.prepare(task)
            samples = take_turns(contenders, settings.rounds)
            section.figures += _figures(network, contenders, samples)
    return section


def _contenders(
    names: Sequence[str], settings: Settings, hire: Callable[..., Worker]
) -> list[Contender]:
    found = []
    for name in names:
        if not peers.installed(name):
            found.append(Contender(name, SHARED, [], trouble="not installed"))
        elif name == OURS:
            workers = [hire() for _ in settings.cores]
            found.append(Contender(name, ALONE, workers[:1], prepares=False))
            found.append(Contender(name, SPREAD, workers))
        else:
            tied = [hire(core) for core in settings.cores]
            if name == FLOOR:
                found.append(Contender(name, ALONE, tied[:1], prepares=False))
            else:
                found.append(Contender(name, SHARED, [hire()]))
            found.append(Contender(name, SPREAD, tied))
    return found


def _agree(
    network: str, contenders: Sequence[Contender], task: dict[str, Any], tolerance: float
) -> list[str]:
    """Check that every program computes the same as bnbench; return what was found, in words."""
    asked = {c.program: c for c in contenders if c.program != FLOOR and not c.trouble}
    ours = asked.pop(OURS).workers[0]
    expected = ours.ask("check", peer=OURS, task=task)
    worst = 0.0
    for name, contender in asked.items():
        try:
            found = contender.workers[0].ask("check", peer=name, task=task)
        except WorkerFailed as failure:
            for each in contenders:
                if each.program == name:
                    each.trouble = f"failed: {str(failure).splitlines()[0][:80]}"
            continue
        error = max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))
        if error > tolerance:
            raise Disagreement(f"{network}: {name}: losses {found}, bnbench has {expected}")
        worst = max(worst, error)
    return [
        f"{network}: after the same 50 steps all programs have a loss of {expected[1]:.6f}; the "
        f"largest relative difference is {worst:.1e} (allowed: {tolerance:.0e})."
    ]


def _figures(network: str, contenders: Sequence[Contender], samples: Samples) -> list[Figure]:
    fit_forms = [c.label for c in contenders if c.program == FIT]
    fit_label = max(fit_forms, key=lambda label: _rate(samples[label]))
    fit_seconds = [sample.seconds for sample in samples[FIT, SHARED]]
    fit_rates = [sample.rate for sample in samples[fit_label]]
    floor = {form: samples.get((FLOOR, form)) for form in (ALONE, SPREAD)}
    found = []
    for contender in contenders:
        own = samples[contender.label]
        labels = {"subject": network, "program": contender.program, "form": contender.form}
        labels["note"] = contender.trouble or _merit(contender, contenders, samples)
        seconds, rates = [s.seconds for s in own], [s.rate for s in own]
        if not own:
            found.append(Figure(**labels, quantity=SECONDS, unit="s", values=()))
            continue
        ratios = {FIT: times(seconds, fit_seconds)}
        if floor[ALONE]:
            ratios[FLOOR] = times([s.seconds for s in floor[ALONE]], seconds)
        found.append(
            Figure(**labels, quantity=SECONDS, unit="s", values=tuple(seconds), ratios=ratios)
        )
        ratios = {FIT: times(fit_rates, rates)}
        if floor[SPREAD]:
            ratios[FLOOR] = times(rates, [s.rate for s in floor[SPREAD]])
        if contender.form != ALONE:
            found.append(
                Figure(**labels, quantity=RATE, unit="epochs/s", values=tuple(rates), ratios=ratios)
            )
    return found


def _merit(contender: Contender, contenders: Sequence[Contender], samples: Samples) -> str:
    """Say of a program in several forms which makes the better use of all cores."""
    forms = [c.label for c in contenders if c.program == contender.program and c.form != ALONE]
    best = max(forms, key=lambda label: _rate(samples[label]))
    return "better use of all cores" if len(forms) > 1 and best == contender.label else ""


def _rate(samples: Sequence[Sample]) -> float:
    return Spread.of([sample.rate for sample in samples]).median if samples else 0.0

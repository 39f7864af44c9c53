"""What `bnbench data` shows: the data sets it found, or what is in a file, with a config for it."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import get_args

from bnbench.cli.advice import COMMANDS
from bnbench.datasets import dataset
from bnbench.errors import InputError
from bnbench.evidence.comparison import PLACEMENT
from bnbench.experiments.config import dump_yaml
from bnbench.experiments.fields import TABLES, Placement
from bnbench.files import check_output, write_text
from bnbench.show import data_grids, terminal
from bnbench.text import count, visible
from bnbench.training.inspection import inspect_data, name_for

_CANDIDATES = 8  # for the label, that are named


def show_shipped(data_dir: Path | None) -> None:
    """Show where the data sets that have a name were found, and what to do about the others."""
    found = dataset.status(data_dir)
    terminal.show_grids(data_grids.data_files(found))
    for name, files in found.items():
        if not all(file.path for file in files):
            terminal.write(f"{dataset.ADVICE[name]}\n")


def describe(file: str, label: str | None, output: Path | None, data_dir: Path | None) -> None:
    """Show what a file holds, and a config that runs on it, which goes to ``output`` if given.

    Of a table without a label, show the columns that might be it.
    """
    if label is None and file.endswith(TABLES):
        return _name_candidates(file, output)
    place = visible(shlex.quote(str(output or f"{name_for(file)}.yaml")))
    command = f"bnbench run {place} --set {PLACEMENT}={','.join(get_args(Placement))}"
    if output:
        check_output(output, lambda held: held.startswith(f"# {command}\n".encode()))
    found = inspect_data(file, label, data_dir, lambda line: terminal.warn([line]))
    comments = "".join(f"# {line}\n" for line in (command, *found.reasons))
    text = comments + dump_yaml(found.config, defaults=False)
    if output:
        check_output(output, text.encode().__eq__)
    terminal.show_grids(data_grids.parts(found), data_grids.class_rows(found))
    cures = COMMANDS
    if found.config.data.standardize:
        cures = replace(COMMANDS, standardize="the config has data.standardize: true")
    findings = [f"{one.message}: {one.cure(cures)}" for one in found.findings]
    terminal.show_remarks(f"{sentence}." for sentence in (*found.warnings, *findings))
    if output:
        write_text(output, text)
    else:
        terminal.write(f"\n{text}")
    terminal.notice(f"{output or 'Save it, then'}: {command}", copied=True)


def _name_candidates(file: str, output: Path | None) -> None:
    candidates = dataset.candidates(file)
    if not candidates:
        raise InputError(
            f"{file}: no column might hold the class, as none has text or whole numbers of few "
            "values; make one, such as low and high from a quantity"
        )
    terminal.show_grids(data_grids.label_candidates(candidates[:_CANDIDATES]))
    if (more := len(candidates) - _CANDIDATES) > 0:
        terminal.write(f"{count(more, 'other column')} might be the label too.\n\n")
    if output:
        raise InputError(f"--label: expected the column of {file} that holds the class")
    first = candidates[0].name
    command = shlex.join(["bnbench", "data", file, "--label", first])
    terminal.notice(f"If the label is {visible(first)}: {visible(command)}", copied=True)

"""The choices of the command line are those of the rooms that act on them."""

from pathlib import Path
from typing import get_args

import pytest

from bnbench.cli import options
from bnbench.experiments.fields import OPTIMIZERS
from bnbench.show import plots
from bnbench.show.formats import FORMATS
from bnbench.training.device import Request


def test_every_choice_is_one_that_something_acts_on() -> None:
    """Formats, plots and devices: neither list has what the other lacks."""
    assert list(get_args(options.FormatName)) == list(FORMATS)
    assert [kind.value for kind in options.PlotKind] == list(plots.KINDS)
    assert list(get_args(options.DeviceName)) == list(get_args(Request))


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_is_known_to_keras_and_to_the_script(
    optimizer: str, keras: object, tiny, data_path: Path
) -> None:
    """What a config may name can be trained and written out; a forgotten one is found here."""
    from bnbench.training.program import make_optimizer

    made = make_optimizer(tiny(f"training.optimizer={optimizer}").training)
    assert type(made).__name__ == OPTIMIZERS[optimizer].keras_class

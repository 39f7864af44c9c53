"""What is planned, and in which order."""

from collections.abc import Callable

import pytest

from bnbench.datasets.dataset import batch_faults
from bnbench.errors import InputError
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.training.plan import Trial, interleave, plan
from tests.conftest import dataset_of, record

Make = Callable[..., Config]


def test_runs_are_interleaved_seed_by_seed(tiny: Make) -> None:
    """Seed 0 of all experiments comes before seed 1 of any; none is lost where counts differ."""
    first, second = tiny("seeds=3", name="first"), tiny("seeds=[7]", name="second")
    assert [str(trial) for trial in interleave([first, second])] == [
        "first seed 0",
        "second seed 7",
        "first seed 1",
        "first seed 2",
    ]


def test_only_what_is_missing_is_planned(tiny: Make, tmp_path) -> None:
    """A recorded seed is skipped, `force` repeats it, and a damaged record counts as missing."""
    config = tiny("seeds=3")
    data = dataset_of(config)
    store = RecordStore(tmp_path)
    made = record().model_copy(
        update={
            "config": config,
            "experiment": config.name,
            "experiment_id": config.experiment_id,
            "protocol_id": config.protocol_id,
            "environment": record(data_sha256=data.sha256).environment,
        }
    )
    store.keep(made)
    store.path(config, 1).write_text("{")
    planned = plan({config: data}, store)
    assert planned.missing == (Trial(config, 1), Trial(config, 2))
    assert planned.recorded == (made,)
    assert "seed-0001.json: skipped: not a run record" in planned.warnings[0]
    assert len(plan({config: data}, store, force=True).missing) == 3


def test_records_of_other_data_are_not_taken_for_done(tiny: Make, tmp_path) -> None:
    """An .npz that changed under its name is refused with the two ways on."""
    config = tiny("seeds=1")
    update = {
        "config": config,
        "experiment": config.name,
        "experiment_id": config.experiment_id,
        "protocol_id": config.protocol_id,
    }
    store = RecordStore(tmp_path)
    store.keep(record().model_copy(update=update))
    with pytest.raises(InputError, match=r"trained on other data .* --force.* --runs-dir"):
        plan({config: dataset_of(config)}, store)


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (["data.validation_size=110"], "data.validation_size: expected less than the 110 rows"),
        (["training.batch_size=101"], "training.batch_size: expected at most the 100 training"),
        (
            ["training.batch_size=33", "model.batch_norm.input=true"],
            "training.batch_size: 100 training rows in batches of 33 leave a last batch of one row",
        ),
    ],
)
def test_batches_that_cannot_be_made_are_refused(
    tiny: Make, overrides: list[str], fault: str
) -> None:
    """The sizes of the data are checked before anything is trained."""
    (found,) = batch_faults(tiny(*overrides), training_rows=110)
    assert found.startswith(fault)


def test_a_last_batch_of_one_is_fine_without_batch_norm(tiny: Make) -> None:
    """One row has no variance, which matters to BN alone."""
    assert batch_faults(tiny("training.batch_size=33"), training_rows=110) == []

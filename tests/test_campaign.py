"""What is to be made, and in which order."""

from collections.abc import Callable

import pytest

from bnbench.campaign import agenda
from bnbench.datasets.dataset import batch_faults
from bnbench.errors import EnvironmentFault, InputError
from bnbench.evidence.packed import pack
from bnbench.evidence.records import History, RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.training import TRAINING_VERSION
from bnbench.training.trial import Trial
from tests.conftest import dataset_of, record, trials_of

Make = Callable[..., Config]


def made_for(config: Config, data_sha256: str, seed: int = 0) -> RunRecord:
    """Make by hand the record of a run of a tiny config."""
    whole = record(data_sha256=data_sha256)
    epochs = config.training.epochs
    history = {name: values[:epochs] for name, values in vars(whole.history).items()}
    update = {
        "config": config,
        "seed": seed,
        "history": History(**history),
    }
    return whole.model_copy(update=update)


def test_runs_are_interleaved_seed_by_seed(tiny: Make) -> None:
    """Seed 0 of all experiments comes before seed 1 of any; none is lost where counts differ."""
    first, second = tiny("seeds=3", name="first"), tiny("seeds=[7]", name="second")
    assert [str(trial) for trial in trials_of(first, second)] == [
        "first seed 0",
        "second seed 7",
        "first seed 1",
        "first seed 2",
    ]


def test_only_what_is_missing_is_to_be_made(tiny: Make, tmp_path) -> None:
    """A recorded seed is skipped, `force` repeats it, and a damaged record counts as missing."""
    config = tiny("seeds=3")
    data = dataset_of(config)
    store = RecordStore(tmp_path)
    made = made_for(config, data.sha256)
    store.keep(made)
    store.path(config, 1).write_text("{")
    found = agenda(trials_of(config), {config: data}, store)
    assert found.missing == (Trial(config, 1), Trial(config, 2))
    assert found.recorded == (made,)
    assert "seed-0001.json: skipped: not a run record" in found.warnings[0]
    assert len(agenda(trials_of(config), {config: data}, store, force=True).missing) == 3


def test_records_of_other_data_are_not_taken_for_done(tiny: Make, tmp_path) -> None:
    """An .npz that changed under its name is refused with the two ways on."""
    config = tiny("seeds=1")
    store = RecordStore(tmp_path)
    path = store.keep(made_for(config, "d" * 64))
    with pytest.raises(InputError, match=rf"{path}: made on other data than .* another folder$"):
        agenda(trials_of(config), {config: dataset_of(config)}, store)
    assert (
        len(
            agenda(
                trials_of(config),
                {config: dataset_of(config)},
                store,
                force=True,
            ).missing
        )
        == 1
    )


def test_packed_runs_are_recorded(tiny: Make, tmp_path) -> None:
    """A run in a packed file is not made again, unless its model is asked for."""
    config = tiny("seeds=3")
    data = dataset_of(config)
    store = RecordStore(tmp_path)
    packed = [made_for(config, data.sha256, seed) for seed in (0, 1)]
    pack(packed, tmp_path / "shared.jsonl.gz")
    store.path(config, 1).parent.mkdir()
    store.path(config, 1).write_text("{")
    found = agenda(trials_of(config), {config: data}, store)
    assert found.missing == (Trial(config, 2),)
    assert found.recorded == tuple(packed)
    assert found.warnings[0].startswith(f"{store.path(config, 1)}: skipped: not a run record")
    assert "the run is repeated" not in found.warnings[0]
    assert len(agenda(trials_of(config), {config: data}, store, models=True).missing) == 3


def test_a_run_of_another_training_version_is_made_again(tiny: Make, tmp_path) -> None:
    """Its numbers are not those that training gives now, which is said."""
    config = tiny("seeds=1")
    data = dataset_of(config)
    store = RecordStore(tmp_path)
    made = made_for(config, data.sha256)
    store.keep(made.model_copy(update={"training_version": TRAINING_VERSION + 1}))
    found = agenda(trials_of(config), {config: data}, store)
    assert found.missing == (Trial(config, 0),)
    assert found.warnings == (
        f"tiny seed 0: recorded under training version {TRAINING_VERSION + 1}, "
        f"this is version {TRAINING_VERSION}; the run is repeated",
    )


def test_a_recorded_run_comes_with_the_config_that_is_asked_for(tiny: Make, tmp_path) -> None:
    """A value that was trained alone before is a value of the sweep now."""
    alone, of_sweep = tiny("seeds=1"), tiny("seeds=1", "swept=[training.epochs]")
    data = dataset_of(alone)
    store = RecordStore(tmp_path)
    store.keep(made_for(alone, data.sha256))
    (found,) = agenda(trials_of(of_sweep), {of_sweep: data}, store).recorded
    assert (found.config, found.swept) == (of_sweep, {"training.epochs": 2})


@pytest.mark.parametrize("ending", [".json", ".keras"])
def test_a_folder_in_a_records_place_is_said_before_training(
    tiny: Make, tmp_path, ending: str
) -> None:
    """It ends with an error that names it, as it would stop the run after its last epoch."""
    config = tiny("seeds=1")
    data = dataset_of(config)
    store = RecordStore(tmp_path)
    path = store.path(config, 0).with_suffix(ending)
    path.mkdir(parents=True)
    with pytest.raises(
        EnvironmentFault, match=f"{path}: cannot be written: something else is there"
    ):
        agenda(trials_of(config), {config: data}, store)


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

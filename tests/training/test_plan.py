"""What is planned, in which order, and that the number of jobs changes nothing."""

from collections.abc import Callable

import pytest

from bnbench.datasets.dataset import batch_faults
from bnbench.errors import InputError
from bnbench.evidence.records import RunRecord
from bnbench.evidence.store import RecordStore
from bnbench.experiments.config import Config
from bnbench.training.engines.threads import Event, Workers
from bnbench.training.plan import Trial, interleave, plan
from tests.conftest import dataset_of, record

Make = Callable[..., Config]


def train(configs: list[Config], jobs: int) -> list[RunRecord]:
    from bnbench.training.program import DeviceData

    data = DeviceData.place(dataset_of(configs[0]), "CPU:0")
    kept: list[RunRecord] = []
    Workers(
        trials=interleave(configs),
        data=dict.fromkeys(configs, data),
        keep=lambda program, made: kept.append(made),
        report=lambda event: None,
        jobs=jobs,
    ).run()
    return sorted(kept, key=lambda made: (made.experiment, made.seed))


def test_runs_are_interleaved_seed_by_seed(tiny: Make) -> None:
    """Seed 0 of all experiments comes before seed 1 of any; none is lost where counts differ."""
    first, second = tiny("seeds=3", name="first"), tiny("seeds=[7]", name="second")
    assert [str(trial) for trial in interleave([first, second])] == [
        "first seed 0",
        "second seed 7",
        "first seed 1",
        "first seed 2",
    ]


def test_weights_are_the_same_for_any_number_of_jobs(tiny: Make, keras: object) -> None:
    """`weights_sha256` does not depend on how many runs share the machine."""
    configs = [
        tiny(f"model.batch_norm.placement={placement}", "seeds=3", name=placement)
        for placement in ("none", "before_activation")
    ]
    alone, together = (train(configs, jobs) for jobs in (1, 2))
    hashes = [made.weights_sha256 for made in alone]
    assert hashes == [made.weights_sha256 for made in together]
    assert len(set(hashes)) == 6


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


def test_one_failing_run_does_not_hide_the_others(
    tiny: Make, keras: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The failure is reported with its reason; the other runs end with their records."""
    from bnbench.training.program import DeviceData, TrainingProgram

    real = TrainingProgram.run

    def failing(self: TrainingProgram, seed: int, *rest: object) -> RunRecord | None:
        if seed == 1:
            raise MemoryError("no room")
        return real(self, seed, *rest)

    monkeypatch.setattr(TrainingProgram, "run", failing)
    config = tiny("seeds=3")
    ended: list[Event] = []
    kept: list[int] = []
    Workers(
        trials=interleave([config]),
        data={config: DeviceData.place(dataset_of(config), "CPU:0")},
        keep=lambda program, made: kept.append(made.seed),
        report=lambda event: ended.append(event) if event.ended else None,
        jobs=1,
    ).run()
    assert kept == [0, 2]
    assert [event.reason for event in ended if event.failure] == ["MemoryError: no room"]
    assert Event(ended[0].trial, 0).ended is False

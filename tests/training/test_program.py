"""The compiled epoch: equal to Keras, equal from run to run, and paired over the placements."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.evidence.records import parse_record
from bnbench.experiments.architecture import Dense, build
from bnbench.experiments.config import Config, parse_config
from tests.conftest import PLACEMENTS, dataset_of, tiny_settings, write_data

Make = Callable[..., Config]


@pytest.fixture(autouse=True)
def _started(keras: Any) -> None:
    """All of these train in this process."""


def program_for(config: Config) -> Any:
    from bnbench.training.program import DeviceData, TrainingProgram

    return TrainingProgram(config, DeviceData.place(dataset_of(config), "CPU:0"), jobs=1)


def placed(make: Make, placement: str, *overrides: str) -> Config:
    return make(
        f"model.batch_norm.placement={placement}",
        f"model.batch_norm.input={'false' if placement == 'none' else 'true'}",
        *overrides,
    )


def test_same_seed_starts_all_placements_from_the_same_kernels(tiny: Make) -> None:
    """Before training the kernels are bitwise equal across placements, and differ by seed."""
    kernels: dict[int, list[list[np.ndarray]]] = {0: [], 1: []}
    for placement in PLACEMENTS:
        program = program_for(placed(tiny, placement))
        for seed, found in kernels.items():
            program.reset(seed)
            found.append([v.numpy() for v in program.model.variables if v.name == "kernel"])
    for first, *others in kernels.values():
        for other in others:
            assert all(map(np.array_equal, first, other))
    assert not any(map(np.array_equal, kernels[0][0], kernels[1][0]))


def test_batch_order_depends_on_seed_and_epoch_alone() -> None:
    """A permutation of all rows, the same at every call, another in the next epoch and seed."""
    from bnbench.training.program import batch_order

    order = batch_order(3, 1, 100)
    assert sorted(order) == list(range(100))
    assert np.array_equal(order, batch_order(3, 1, 100))
    assert not np.array_equal(order, batch_order(3, 2, 100))
    assert not np.array_equal(order, batch_order(4, 1, 100))


def test_seeded_fit_repeats_its_batch_order_which_is_why_we_own_it(keras: Any) -> None:
    """A seeded `fit(shuffle=True)` visits the batches of every epoch in the same order."""
    visited: list[float] = []

    class Watched(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            import tensorflow as tf

            tf.py_function(lambda row: visited.append(float(row[0, 0])), [x], [])
            return x

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((1,)), Watched(), keras.layers.Dense(1)])
    model.compile(loss="mse", optimizer="sgd")
    rows = np.arange(40, dtype=np.float32).reshape(-1, 1)
    model.fit(rows, rows, batch_size=1, epochs=2, shuffle=True, verbose=0)
    assert sorted(visited[:40]) == list(range(40))
    assert visited[:40] == visited[40:]


@pytest.mark.parametrize("rows", [106, 110], ids=["whole batches", "a smaller last batch"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_an_epoch_equals_model_fit(placement: str, rows: int, tmp_path: Path, keras: Any) -> None:
    """On one batch order, weights, moving statistics, loss and accuracy are those of `fit`."""
    write_data(tmp_path / "data.npz", rows)
    config = parse_config(
        "name: tiny",
        "tiny.yaml",
        [
            *tiny_settings(tmp_path / "data.npz"),
            f"model.batch_norm.placement={placement}",
            f"model.batch_norm.input={'false' if placement == 'none' else 'true'}",
            "training.learning_rate=0.1",
        ],
    )
    from bnbench.training import model as models
    from bnbench.training.program import batch_order

    program = program_for(config)
    program.reset(5)
    data = program.data.dataset
    peer = models.build(build(config.model, data.feature_shape, data.classes), data.features)
    peer.set_weights(program.model.get_weights())
    peer.compile(
        optimizer=keras.optimizers.SGD(0.1),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    order = batch_order(5, 0, len(data.x_train))
    fit = peer.fit(
        data.x_train[order] / np.float32(255),
        data.y_train[order],
        batch_size=32,
        shuffle=False,
        verbose=0,
    ).history

    loss, accuracy = program.train_epoch(5, 0)

    for ours, theirs in zip(program.model.get_weights(), peer.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-6)
    assert loss == pytest.approx(fit["loss"][0], rel=1e-5)
    assert accuracy == pytest.approx(fit["accuracy"][0])
    evaluated = peer.evaluate(data.x_val / np.float32(255), data.y_val, verbose=0)
    loss, hits = program.evaluate(program.data.validation)
    assert (loss, hits.mean()) == pytest.approx(tuple(evaluated), rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
def test_a_reset_program_repeats_a_run_bit_for_bit(optimizer: str, tiny: Make) -> None:
    """The same seed gives the same weights after another seed was trained; others differ."""
    config = placed(tiny, "before_activation", f"training.optimizer={optimizer}")
    program = program_for(config)
    first, other, again = (program.run(seed) for seed in (0, 1, 0))
    assert first.weights_sha256 == again.weights_sha256
    assert first.weights_sha256 != other.weights_sha256
    assert first.history.loss == again.history.loss
    assert first.test_accuracy == again.test_accuracy


def test_a_program_that_is_compiled_anew_repeats_a_run_bit_for_bit(tiny: Make) -> None:
    """Nothing of a run depends on what its process did before."""
    config = placed(tiny, "before_activation")
    first, again = (program_for(config).run(0) for _ in range(2))
    assert first.weights_sha256 == again.weights_sha256


def test_compile_time_is_counted_once_and_apart(tiny: Make) -> None:
    """The first run of a program carries the compile time, and its epochs do not."""
    program = program_for(tiny())
    first, second = program.run(0), program.run(1)
    assert first.compile_seconds > max(first.history.epoch_seconds)
    assert second.compile_seconds == 0


def test_a_hidden_bias_before_batch_norm_has_no_effect(tiny: Make) -> None:
    """With and without it the predictions agree, as BN takes it out again; it stays at zero."""
    dropped = program_for(placed(tiny, "before_activation"))
    kept = program_for(placed(tiny, "before_activation", "model.use_bias=true"))
    records = [program.run(0) for program in (dropped, kept)]
    assert records[0].test_accuracy == records[1].test_accuracy
    assert records[0].test_loss == pytest.approx(records[1].test_loss, rel=1e-4)
    for layer in ("hidden_1", "hidden_2"):
        assert np.abs(kept.model.get_layer(layer).bias.numpy()).max() < 1e-6


def test_a_network_with_batch_norm_learns_the_sample() -> None:
    """A few epochs on real images bring the accuracy far above the 10 % of chance."""
    config = parse_config(
        "name: sample",
        "sample.yaml",
        [
            "data.dataset=fashion_mnist_sample",
            "data.validation_size=500",
            "model.batch_norm.placement=before_activation",
            "training.epochs=5",
        ],
    )
    record = program_for(config).run(0)
    assert record.test_accuracy > 0.7
    assert len(record.history.val_accuracy) == 5


def test_a_diverging_run_stops_and_is_recorded_as_such(tiny: Make) -> None:
    """The history ends where the loss broke off, test values are absent, the JSON is strict."""
    record = program_for(tiny("training.learning_rate=1e30", "training.epochs=9")).run(0)
    assert record.status == "diverged"
    assert len(record.history.loss) < 9
    assert (record.test_loss, record.test_accuracy) == (None, None)
    assert "NaN" not in record.to_json()


COMMITTED_LOSSES = {
    "none": (1.3172735595703124, 0.9218051147460937, 0.7840084711710612),
    "before_activation": (1.496126708984375, 0.6317164611816406, 0.762528928120931),
    "after_activation": (1.387934112548828, 0.5455413818359375, 0.6886061986287435),
}


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_training_version_belongs_to_these_losses(tiny: Make, placement: str) -> None:
    """A change that moves them by more than other processors do must raise `TRAINING_VERSION`."""
    from bnbench.training import TRAINING_VERSION

    made = program_for(placed(tiny, placement, "training.learning_rate=0.1")).run(3)
    assert made.training_version == TRAINING_VERSION == 1
    found = (*made.history.loss, made.test_loss)
    assert found == pytest.approx(COMMITTED_LOSSES[placement], rel=1e-4)


def test_a_record_has_which_test_rows_were_correct(tiny: Make) -> None:
    """They are those of the trained model, in the data set's order, in total and by class."""
    program = program_for(tiny("training.learning_rate=0.1"))
    made = program.run(3)
    data = program.data.dataset
    x = data.x_test.astype(np.float32) * np.float32(data.scale)
    right = program.model(x).numpy().argmax(axis=1) == data.y_test
    assert 0 < right.sum() < len(right)
    assert np.array_equal(made.correct(), right)
    assert made.test_accuracy == right.sum() / len(right)
    assert (made.data.sha256, made.data.rows, made.data.classes) == (data.sha256, (100, 10, 30), 3)
    by_class = zip(made.data.test_rows_by_class, made.data.test_correct_by_class, strict=True)
    for label, (rows, hits) in enumerate(by_class):
        assert (rows, hits) == (sum(data.y_test == label), sum(right[data.y_test == label]))
    assert parse_record(made.to_json().encode(), "here") == made


def test_a_record_has_where_it_was_made(tiny: Make) -> None:
    """The engine is the one given to the program; the rest is what the machine says."""
    from bnbench.training import device
    from bnbench.training.program import DeviceData, TrainingProgram

    config = tiny("swept=[training.epochs]")
    data = DeviceData.place(dataset_of(config), "CPU:0")
    made = TrainingProgram(config, data, jobs=3, engine="elsewhere").run(0)
    assert made.swept == {"training.epochs": 2}
    where = made.environment
    assert (where.engine, where.jobs, where.device) == ("elsewhere", 3, "cpu")
    assert (where.cores, where.processor) == (device.cores(), device.processor())
    assert where.instruction_set == device.instruction_set()


def test_a_diverged_run_also_describes_its_data(tiny: Make) -> None:
    """What belongs to the test results is missing, and nothing else."""
    made = program_for(tiny("training.learning_rate=1e30")).run(0)
    assert (made.status, made.test_loss, made.test_accuracy) == ("diverged", None, None)
    assert (made.test_correct, made.data.test_correct_by_class) == (None, None)
    assert made.data.test_rows_by_class == (10, 10, 10)
    assert parse_record(made.to_json().encode(), "here") == made


def test_epochs_are_reported_as_they_end(tiny: Make) -> None:
    """A run yields the number of finished epochs after each, and finally its record."""
    *epochs, record = program_for(tiny("training.epochs=3")).steps(0)
    assert epochs == [1, 2, 3]
    assert len(record.history.loss) == 3


@pytest.mark.parametrize("copied", [False, True])
def test_data_is_not_copied_if_its_address_allows(tiny: Make, copied: bool) -> None:
    """An array at a multiple of 64 bytes is not copied, another one is; the weights are equal."""
    import tensorflow as tf

    from bnbench.training.program import DeviceData, TrainingProgram

    config = tiny()
    data = dataset_of(config)
    memory = np.zeros(data.x_train.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + copied
    x = memory[start : start + data.x_train.nbytes].reshape(data.x_train.shape)
    x[...] = data.x_train
    placed = DeviceData.place(replace(data, x_train=x), "CPU:0")
    found = TrainingProgram(config, placed, jobs=1).run(0)
    assert found.weights_sha256 == program_for(config).run(0).weights_sha256
    before = int(placed.train.x[0, 0])
    x[0, 0] += 1
    assert int(placed.train.x[0, 0]) == before + (not copied)
    assert tf.is_tensor(placed.train.x)


def test_kernels_come_from_seed_and_layer_name(tiny: Make) -> None:
    """Layers of one shape but other names start from other kernels."""
    from bnbench.training.model import seeded_kernel

    layers = [
        Dense(
            name=name,
            output_shape=(6,),
            inputs=6,
            activation="elu",
            use_bias=True,
            kernel_initializer="he_normal",
        )
        for name in ("hidden_1", "hidden_2")
    ]
    first, second = (np.asarray(seeded_kernel(layer, 0)) for layer in layers)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, np.asarray(seeded_kernel(layers[0], 0)))


@pytest.mark.gpu
def test_a_gpu_trains(tmp_path: Path) -> None:
    """Where there is a GPU, a run on it completes and its record says so."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees no GPU here")
    from tests.conftest import bnbench_process

    done = bnbench_process("run", "configs/smoke.yaml", "--device", "gpu", "--runs-dir", tmp_path)
    assert done.returncode == 0

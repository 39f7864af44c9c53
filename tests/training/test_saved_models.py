"""What `--save-models` leaves is an ordinary Keras model that does what its record says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bnbench.evidence.records import RunRecord, read_record
from bnbench.experiments import architecture
from tests.conftest import tiny_settings, write_data
from tests.forge import Forge

Saved = tuple[Any, RunRecord]


@pytest.fixture(scope="module")
def folder(forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and the runs on it of a network with BN on its input and before each activation."""
    folder = tmp_path_factory.mktemp("saved")
    write_data(folder / "data.npz", rows=110)
    config = folder / "tiny.yaml"
    config.write_text(
        "name: tiny\nmodel: {batch_norm: {placement: before_activation, input: true}}\n"
    )
    settings = [word for s in tiny_settings(folder / "data.npz") for word in ("--set", s)]
    done = forge.run("run", config, *settings, "--save-models", "--runs-dir", folder / "runs")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def saved(folder: Path, keras: Any) -> Saved:
    """The model of seed 1 as Keras loads it, without custom objects, and its record."""
    (path,) = folder.glob("runs/tiny-*/seed-0001.json")
    return keras.models.load_model(path.with_suffix(".keras")), read_record(path)


def test_a_saved_model_gives_the_recorded_test_results(saved: Saved, folder: Path) -> None:
    """Plain Keras makes the same number of hits on the test rows, and the same loss."""
    model, record = saved
    with np.load(folder / "data.npz") as data:
        x, y = data["x_test"].reshape(30, 20) / np.float32(255), data["y_test"]
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert np.mean(model.predict(x, verbose=0).argmax(axis=1) == y) == record.test_accuracy
    assert np.float32(accuracy) == np.float32(record.test_accuracy)
    assert loss == pytest.approx(record.test_loss, rel=1e-5)


def test_a_saved_model_is_loaded_as_the_recorded_network(saved: Saved) -> None:
    """It takes rows of features, is not compiled, and has the layers and parameters recorded."""
    model, record = saved
    layers = architecture.build(record.config.model, (5, 4), 3)
    assert [layer.name for layer in model.layers] == [layer.name for layer in layers]
    assert model.count_params() == record.parameters.counts()["total"]
    assert not model.compiled
    assert model.predict(np.zeros((2, 20)), verbose=0).sum(axis=1) == pytest.approx([1, 1])


def test_a_saved_model_has_the_recorded_weights(folder: Path, keras: Any) -> None:
    """The hash of what is in the file is the record's, so every bit is; another run's is not."""
    from bnbench.training.model import weights_sha256

    paths = sorted(folder.glob("runs/tiny-*/seed-*.json"))
    recorded = [read_record(path).weights_sha256 for path in paths]
    models = [keras.models.load_model(path.with_suffix(".keras")) for path in paths]
    assert [weights_sha256(model) for model in models] == recorded
    assert len(set(recorded)) == 2

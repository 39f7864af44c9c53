"""The Keras program of a config builds, compiles and trains the network that bnbench trains."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings

from bnbench.datasets import dataset
from bnbench.experiments import architecture
from bnbench.experiments.config import Config, load_config
from bnbench.experiments.fields import TRAINING_ROWS, Activation, Initializer
from bnbench.lessons.script import keras_script
from tests.conftest import CONFIGS, PLACEMENTS, dataset_of
from tests.strategies import configs

Make = Callable[..., Config]
SHIPPED = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.rglob("*.yaml"))
HOSTILE = [
    'x"""\nimport os',
    "a\r import os",
    "a\x0cimport os\x85import os\u2028import os\x00",
    "coding: utf-7 +AAo-import os",
    "-*- coding: no-such-thing -*-",
    "a \\\nimport os",
    "\u202e\x1b[2J" + "word " * 150 + "x" * 200,
]


def program_of(config: Config) -> str:
    return keras_script(config, *dataset.describe(config.data)[:2])


def executed(program: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(program.encode(), "program.py", "exec"), namespace)
    return namespace


def without_data(program: str) -> str:
    """Leave out what loads the data and what trains on them."""
    start, end = program.index("model = "), program.index("model.fit(")
    return program[: program.index("keras.utils.set_random_seed")] + program[start:end]


def check_model(model: Any, config: Config) -> None:
    """Compare layers, shapes, settings, parameters and optimizer with those that we train."""
    from bnbench.training import program
    from bnbench.training.model import build

    shape, classes, _ = dataset.describe(config.data)
    network = architecture.build(config.model, shape, classes)
    ours = build(network, int(np.prod(shape)))
    assert [type(layer).__name__ for layer in model.layers] == [layer.kind for layer in network]
    for theirs, layer, description in zip(model.layers, ours.layers, network, strict=True):
        assert theirs.output.shape == layer.output.shape
        assert theirs.get_config() | {"name": layer.name} == layer.get_config()
        assert theirs.count_params() == layer.count_params() == description.size
    count = architecture.count_parameters(network)
    assert model.count_params() == count["total"]
    trained = sum(weights.value.shape.num_elements() for weights in model.trainable_weights)
    assert trained == count["trainable"]
    optimizer = program.make_optimizer(config.training)
    assert type(model.optimizer) is type(optimizer)
    expected = optimizer.get_config() | {"name": model.optimizer.name}
    assert model.optimizer.get_config() == expected
    assert model.loss == "sparse_categorical_crossentropy"


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_program_trains_our_network(placement: str, tiny: Make, keras: Any) -> None:
    """Run as a whole it holds our data and trains our layers, for as many epochs."""
    config = tiny(f"model.batch_norm.placement={placement}", "model.batch_norm.input=true")
    found = executed(program_of(config))
    check_model(found["model"], config)
    assert len(found["model"].history.history["val_accuracy"]) == 2
    assert 0 <= found["test_accuracy"] <= 1
    dataset = dataset_of(config)
    for part, rows in (("train", 100), ("val", 10), ("test", 30)):
        features = getattr(dataset, f"x_{part}") * np.float32(dataset.scale)
        np.testing.assert_allclose(found[f"x_{part}"].reshape(rows, -1), features, rtol=1e-6)
        np.testing.assert_array_equal(found[f"y_{part}"], getattr(dataset, f"y_{part}"))


@pytest.mark.parametrize("use_bias", ["auto", "true", "false"])
@pytest.mark.parametrize("input_bn", ["true", "false"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_variant_is_our_network(
    placement: str, input_bn: str, use_bias: str, tiny: Make, keras: Any
) -> None:
    """Placement, input BN and hidden biases are in the program as in our model."""
    config = tiny(
        f"model.batch_norm.placement={placement}",
        f"model.batch_norm.input={input_bn}",
        f"model.use_bias={use_bias}",
    )
    check_model(executed(without_data(program_of(config)))["model"], config)


def test_features_that_are_not_bytes_are_taken_as_they_are(tiny: Make, tmp_path: Path) -> None:
    """Nothing but uint8 is divided by 255."""
    with np.load(tiny().data.dataset) as arrays:
        changed = {key: arrays[key] / (7 if key[0] == "x" else 1) for key in arrays}
    changed |= {key: changed[key].astype(int) for key in ("y_train", "y_test")}
    np.savez(tmp_path / "own.npz", **changed)
    config = tiny(f"data.dataset={tmp_path / 'own.npz'}")
    program = program_of(config)
    loading = program[program.index("with np.load") : program.index("model = ")]
    found = executed(f"import numpy as np\n{loading}")
    np.testing.assert_array_equal(found["x_train"].reshape(100, -1), dataset_of(config).x_train)


@pytest.mark.parametrize("constant", [False, True])
def test_standardized_features_are_ours(constant: bool, tiny: Make, tmp_path: Path) -> None:
    """Each has mean 0 and deviation 1 over the training rows, a constant one is 0 everywhere."""
    with np.load(tiny().data.dataset) as arrays:
        changed = {key: arrays[key].copy() for key in arrays}
    if constant:
        changed["x_train"][:, 2, 1] = 7
    np.savez(tmp_path / "own.npz", **changed)
    config = tiny(f"data.dataset={tmp_path / 'own.npz'}", "data.standardize=true")
    program = program_of(config)
    loading = program[program.index("with np.load") : program.index("model = ")]
    found = executed(f"import numpy as np\n{loading}")
    for part, rows in (("train", 100), ("val", 10), ("test", 30)):
        features = getattr(dataset_of(config), f"x_{part}")
        made = found[f"x_{part}"].reshape(rows, -1)
        np.testing.assert_allclose(made, features, rtol=1e-4, atol=1e-5)


def test_a_table_is_split_as_ours_is(tiny: Make, tmp_path: Path) -> None:
    """The same rows of every class test and validate; which ones is drawn by the program."""
    rows = (f"{row}, {'ab '[row % 3 % 2]}{row % 3},{row / 3}" for row in range(90))
    (tmp_path / "own.csv").write_text("\n".join(['one, the "kind",other', *rows]))
    path = f"data.dataset={tmp_path / 'own.csv'}"
    for size in ("auto", "12"):
        config = tiny(path, "data.label='the \"kind\"'", f"data.validation_size={size}")
        program = program_of(config)
        start = program.index("import numpy"), program.index("from keras")
        loading = program[program.index("# The rows come") : program.index("model = ")]
        found = executed(program[slice(*start)] + loading)
        own = dataset_of(config)
        for part in ("train", "val", "test"):
            assert found[f"x_{part}"].shape == getattr(own, f"x_{part}").shape
            assert found[f"x_{part}"].dtype == np.float32
        np.testing.assert_array_equal(np.bincount(found["y_test"]), np.bincount(own.y_test))
        assert tuple(found["names"]) == own.class_names
        taken = np.concatenate([found[f"x_{part}"][:, 0] for part in ("train", "val", "test")])
        assert sorted(taken) == list(range(90))
        labels = np.concatenate([found[f"y_{part}"] for part in ("train", "val", "test")])
        names = [f"{'ab '[int(row) % 3 % 2]}{int(row) % 3}" for row in taken]
        assert [found["names"][label] for label in labels] == names


@pytest.mark.parametrize(
    ("header", "labels", "classes"),
    [
        ("one,kind", ["NA", "x", "x ", "y"], ("NA", "x", "y")),
        ("one, kind ", ["TRUE", "True", "1"], ("1", "TRUE", "True")),
        ("one,kind", ["10", "9", "09", "+9.0", "1e28"], ("9", "10", f"1{'0' * 28}")),
        ("one,kind", ["1_0", "inf", "10"], ("10", "1_0", "inf")),
    ],
)
def test_labels_of_a_table_are_read_as_ours_are(
    header: str, labels: list[str], classes: tuple[str, ...], tmp_path: Path
) -> None:
    """NA is a class, blanks around names do not count, and equal numbers are one class."""
    rows = (f"{row},{labels[row % len(labels)]}" for row in range(12 * len(labels)))
    (tmp_path / "own.csv").write_text("\n".join([header, *rows]))
    data = {"dataset": str(tmp_path / "own.csv"), "label": "kind"}
    config = Config.model_validate({"name": "own", "data": data})
    program = program_of(config)
    start = program.index("from decimal"), program.index("import keras")
    loading = program[program.index("# The rows come") : program.index("model = ")]
    imports = f"{program[slice(*start)]}import numpy as np\nimport pandas as pd\n"
    found, own = executed(imports + loading), dataset_of(config)
    names = [name if isinstance(name, str) else f"{name:.0f}" for name in found["names"]]
    assert tuple(names) == own.class_names == classes
    np.testing.assert_array_equal(np.bincount(found["y_test"]), np.bincount(own.y_test))


def test_the_sample_is_found_in_the_package(keras: Any) -> None:
    """The smoke config's program trains on the sample that bnbench brings along."""
    config = load_config(CONFIGS / "smoke.yaml")
    found = executed(program_of(config))
    assert found["x_train"].shape == (1500, 28, 28)
    check_model(found["model"], config)


@pytest.mark.parametrize("path", SHIPPED)
def test_shipped_configs_give_their_network(path: str, keras: Any) -> None:
    """Every shipped config's program, but for its data, builds and compiles our model."""
    config = load_config(CONFIGS / path)
    check_model(executed(without_data(program_of(config)))["model"], config)


@pytest.mark.parametrize(
    "overrides",
    [
        ["training.optimizer=sgd", "training.momentum=0.9"],
        ["training.optimizer=adam", "training.learning_rate=1e-3"],
        ["training.optimizer=rmsprop", "training.momentum=0.5"],
        ["training.optimizer=adamw", "training.learning_rate=1e-5"],
        ["model.batch_norm.momentum=0.9", "model.batch_norm.epsilon=1e-5"],
        ["model.hidden_units=[9, 9, 9, 9, 7, 7, 9, 9, 9]", "model.batch_norm.input=true"],
        ["model.hidden_units=[9, 9, 9, 9]", "model.activation=[elu, elu, relu, relu]"],
        *([f"model.kernel_initializer={name}"] for name in get_args(Initializer)),
        [
            f"model.activation=[{', '.join(get_args(Activation))}]",
            f"model.hidden_units={[8] * len(get_args(Activation))}",
        ],
    ],
    ids=lambda overrides: overrides[0][:40],
)
def test_every_setting_is_in_the_program(overrides: list[str], tiny: Make, keras: Any) -> None:
    """Optimizers, initializers, activations, BN's settings and equal layers come out as ours."""
    for placement in ("before_activation", "after_activation"):
        config = tiny(f"model.batch_norm.placement={placement}", *overrides)
        check_model(executed(without_data(program_of(config)))["model"], config)


def test_many_equal_layers_become_a_loop() -> None:
    """Twenty blocks take no more lines than the one that is repeated."""
    program = program_of(load_config(CONFIGS / "deep/pre_act.yaml"))
    assert program.count("for _ in range(20):") == 1
    assert program.count("layers.Dense(") == 2
    assert len(program.splitlines()) < 65


def test_shipped_programs_are_formatted(tmp_path: Path) -> None:
    """Ruff has nothing to complain of and nothing to change, at its default width."""
    for path in SHIPPED:
        program = program_of(load_config(CONFIGS / path))
        (tmp_path / path.replace("/", "_")).with_suffix(".py").write_text(program, "utf-8")
    for command in (["check", "--select", "E,F,W,I"], ["format", "--diff"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", str(tmp_path)]
        done = subprocess.run(ruff, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@settings(derandomize=True, deadline=None, database=None, max_examples=60)
@given(config=configs(most_layers=5))
def test_any_config_gives_a_program(config: Config) -> None:
    """It is Python, the description adds nothing to it, and the path is in it as a string."""
    program = keras_script(config, (4, 5), 3)
    tree = ast.parse(program.encode())
    plain = keras_script(config.model_copy(update={"description": ""}), (4, 5), 3)
    assert ast.dump(tree) == ast.dump(ast.parse(plain.encode()))
    if config.data.dataset not in TRAINING_ROWS:
        strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        assert config.data.dataset in strings


@pytest.mark.parametrize("text", HOSTILE)
def test_the_description_stays_a_comment(text: str) -> None:
    """No line break, control code or declaration of an encoding gets out of the comment."""
    hostile = Config.model_validate({"name": "coding", "description": text})
    program = program_of(hostile)
    assert ast.dump(ast.parse(program.encode())) == ast.dump(
        ast.parse(program_of(Config(name="coding")))
    )
    assert max(map(len, program.splitlines())) <= 88
    assert all(line.startswith("#") for line in program[: program.index("\n\n")].splitlines())
    assert all(character.isprintable() or character == "\n" for character in program)


@pytest.mark.parametrize(
    "path",
    [
        '") or __import__("os").abort() or ("',
        "C:\\new\\table",
        "'\"\\",
        "{x}\\",
        "é 数据 \\x41 \\N{DEL}",
    ],
)
def test_a_path_stays_a_string(path: str) -> None:
    """Quotes, backslashes and letters of any kind come back as they were."""
    config = Config.model_validate({"name": "a", "data": {"dataset": f"{path}.npz"}})
    program = keras_script(config, (20,), 3)
    (line,) = re.findall(r"^with np\.load\((.*)\) as data:$", program, re.MULTILINE)
    assert ast.literal_eval(line) == f"{path}.npz"


@pytest.mark.data
@pytest.mark.endurance
@pytest.mark.slow
@pytest.mark.skipif(
    not dataset.status()["fashion_mnist"][0].path,
    reason="the full Fashion-MNIST data set is not installed",
)
def test_a_user_runs_the_program(tmp_path: Path) -> None:
    """One epoch of pre_act in a process of its own prints summary, progress and accuracy."""
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    for file in dataset.status()["fashion_mnist"]:
        (folder / file.name).symlink_to(file.path)
    quick = ["training.epochs=1", "training.batch_size=250", "training.learning_rate=0.1"]
    config = load_config(CONFIGS / "pre_act.yaml", quick)
    (tmp_path / "pre_act.py").write_text(program_of(config), "utf-8")
    environment = {**os.environ, "KERAS_HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "pre_act.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "270,946" in done.stdout
    assert "220/220" in done.stdout
    accuracy = re.findall(r"Test accuracy: ([\d.]+)%", done.stdout)
    assert float(accuracy[0]) > 75

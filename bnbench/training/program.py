"""One experiment's compiled program: it makes a `RunRecord` from a seed.

A whole epoch is one XLA program on data that sits on the device. It is compiled once and used for
every seed, by setting the variables back to what that seed starts from.
"""

import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bnbench.datasets.dataset import Dataset
from bnbench.evidence.records import Environment, History, Parameters, RunRecord, pack_bits
from bnbench.experiments import architecture
from bnbench.experiments.config import Config, TrainingConfig
from bnbench.experiments.fields import OPTIMIZERS
from bnbench.training import TRAINING_VERSION, variables
from bnbench.training.device import cores, instruction_set, processor
from bnbench.training.inspection import summarize
from bnbench.training.model import build, seeded_kernel, weights_sha256
from bnbench.version import __version__

_EVALUATION_ROWS = 1000


class Part(NamedTuple):
    """One part of a data set on the device: x (rows, features) as stored, y int32 (rows,)."""

    x: Any
    y: Any


@dataclass(frozen=True)
class DeviceData:
    """A data set's three parts on one device, shared by all runs of a process."""

    train: Part
    validation: Part
    test: Part
    dataset: Dataset
    device: str

    @classmethod
    def place(cls, dataset: Dataset, device: str) -> "DeviceData":
        """Put the data set on the device; the CPU uses arrays without a copy if it can."""
        put = _borrowed if device.startswith("CPU") else tf.constant
        with tf.device(device):
            train, validation, test = (
                Part(put(getattr(dataset, f"x_{part}")), put(getattr(dataset, f"y_{part}")))
                for part in ("train", "val", "test")
            )
        return cls(train, validation, test, dataset, device)


def _borrowed(array: np.ndarray) -> Any:
    # In the array's own memory if its address is a multiple of 64 bytes, which TensorFlow's kernels
    # need. The tensor keeps it alive, and nothing writes to it any more.
    if array.ctypes.data % 64 or not array.flags.writeable:  # DLPack takes no read-only one
        return tf.constant(array)
    return tf.experimental.dlpack.from_dlpack(array.__dlpack__())


class TrainingProgram:
    """An experiment's model, optimizer and compiled epoch on one device.

    ``jobs`` and ``engine`` go into the records.
    """

    def __init__(
        self, config: Config, data: DeviceData, jobs: int, engine: str = "processes"
    ) -> None:
        self.config, self.data, self.jobs, self.engine = config, data, jobs, engine
        self._layers = architecture.build(
            config.model, data.dataset.feature_shape, data.dataset.classes
        )
        with tf.device(data.device):
            self.model = build(self._layers, data.dataset.features)
            self._optimizer = make_optimizer(config.training)
            self._optimizer.build(self.model.trainable_variables)
        self._variables = [*self.model.variables, *self._optimizer.variables]
        self._initial = [variable.numpy() for variable in self._variables]
        self._uncounted_compile_seconds = self._compile()

    def _compile(self) -> float:
        start = time.perf_counter()
        train, test = self.data.train, self.data.test
        self._train = _compiled_epoch(self._training_step, self.config.training.batch_size)
        self._evaluate = _traced_evaluation(self._loss_and_correct, test)
        self._call(self._train, *train, np.arange(len(train.y), dtype=np.int32), 0)
        self._call(self._evaluate, test.x[:0], test.y[:0])
        return time.perf_counter() - start

    def _call(self, program: Any, *arguments: Any) -> tuple[float, np.ndarray]:
        with tf.device(self.data.device):
            loss, hits = program(*map(tf.convert_to_tensor, arguments))
            return float(loss), hits.numpy()

    def _training_step(self, x: Any, y: Any) -> tuple[Any, Any]:
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            loss, correct = self._loss_and_correct(x, y, training=True)
        self._optimizer.apply(tape.gradient(loss, weights), weights)
        return loss, tf.math.count_nonzero(correct, dtype=tf.int32)

    def _loss_and_correct(self, x: Any, y: Any, *, training: bool = False) -> tuple[Any, Any]:
        scaled = tf.cast(x, tf.float32) * self.data.dataset.scale
        probabilities = self.model(scaled, training=training)
        loss = keras.losses.SparseCategoricalCrossentropy()(y, probabilities)
        return loss, tf.equal(tf.argmax(probabilities, axis=-1, output_type=tf.int32), y)

    def reset(self, seed: int) -> None:
        """Set model and optimizer to what this seed starts from."""
        for variable, initial in zip(self._variables, self._initial, strict=True):
            variable.assign(initial)
        for layer in self._layers:
            if isinstance(layer, architecture.Dense):
                self.model.get_layer(layer.name).kernel.assign(seeded_kernel(layer, seed))

    def train_epoch(self, seed: int, epoch: int) -> tuple[float, float]:
        """Visit every training row once; return mean loss and accuracy over the epoch's batches.

        Ends early, with a loss that is not finite, at the batch whose loss is not finite.
        """
        order = batch_order(seed, epoch, len(self.data.train.y)).astype(np.int32)
        loss, hits = self._call(self._train, *self.data.train, order, len(order))
        return loss / len(order), int(hits) / len(order)

    def evaluate(self, part: Part) -> tuple[float, np.ndarray]:
        """Return mean loss over a part with BN's moving statistics, and bool (rows,): the hits."""
        loss, correct = self._call(self._evaluate, *part)
        return loss / len(correct), correct

    def run(self, seed: int) -> RunRecord:
        """Train from the seed to the last epoch."""
        *_, record = self.steps(seed)
        assert isinstance(record, RunRecord)
        return record

    def steps(self, seed: int) -> Iterator[int | RunRecord]:
        """Train from the seed; yield after each epoch how many are done, and last the record."""
        started_at, start = datetime.now(UTC), time.perf_counter()
        self.reset(seed)
        history: dict[str, list[float]] = {name: [] for name in History.model_fields}
        for epoch in range(self.config.training.epochs):
            epoch_start = time.perf_counter()
            trained = self.train_epoch(seed, epoch)
            seconds = time.perf_counter() - epoch_start
            val_loss, hits = self.evaluate(self.data.validation)
            row = (*trained, val_loss, np.count_nonzero(hits) / len(hits), seconds)
            if not all(map(math.isfinite, row)):
                break
            for values, value in zip(history.values(), row, strict=True):
                values.append(value)
            yield epoch + 1
        finished = len(history["loss"]) == self.config.training.epochs
        test_loss, correct = self.evaluate(self.data.test) if finished else (math.nan, None)
        if not math.isfinite(test_loss):
            correct = None
        duration = time.perf_counter() - start
        uncounted, self._uncounted_compile_seconds = self._uncounted_compile_seconds, 0.0
        yield RunRecord(
            seed=seed,
            training_version=TRAINING_VERSION,
            config=self.config,
            parameters=Parameters(**architecture.count_parameters(self._layers)),
            history=History(**{name: tuple(values) for name, values in history.items()}),
            compile_seconds=uncounted,
            test_loss=None if correct is None else test_loss,
            test_correct=None if correct is None else pack_bits(correct),
            weights_sha256=weights_sha256(self.model),
            started_at=started_at.isoformat(timespec="seconds"),
            duration_seconds=duration,
            data=summarize(self.data.dataset, correct),
            environment=self._environment(),
        )

    def _environment(self) -> Environment:
        return Environment(
            bnbench=__version__,
            tensorflow=tf.__version__,
            keras=keras.__version__,
            python=platform.python_version(),
            platform=platform.platform(),
            processor=processor(),
            instruction_set=instruction_set(),
            cores=cores(),
            engine=self.engine,
            device=self.data.device.split(":")[0].lower(),
            jobs=self.jobs,
            numpy=np.__version__,
            variables=variables.remaining(),
        )


def batch_order(seed: int, epoch: int, rows: int) -> np.ndarray:
    """Return the order in which an epoch visits the training rows: a permutation (rows,)."""
    return np.random.default_rng([seed, epoch]).permutation(rows)


def make_optimizer(training: TrainingConfig) -> Any:
    """Return the Keras optimizer that the config names, with its settings."""
    kind = OPTIMIZERS[training.optimizer]
    momentum = {"momentum": training.momentum} if kind.takes_momentum else {}
    optimizer: Any = getattr(keras.optimizers, kind.keras_class)
    return optimizer(training.learning_rate, **momentum)


def _compiled_epoch(step: Callable[[Any, Any], tuple[Any, Any]], batch_size: int) -> Any:
    """Compile ``step`` over batches of ``batch_size`` rows, and one of what remains.

    The program takes x (n, features), y (n,), order int32 (n,) and rows, which is n, or 0 to
    compile without computing; it returns the sum of loss over rows and the number of hits.
    """

    @tf.function(jit_compile=True, autograph=False)  # type: ignore[untyped-decorator]
    def program(x: Any, y: Any, order: Any, rows: Any) -> tuple[Any, Any]:
        whole, remainder = divmod(x.shape[0], batch_size)

        def batch(start: Any, size: int, loss: Any, hits: Any) -> tuple[Any, Any]:
            visited = tf.slice(order, [start], [size])
            batch_loss, batch_hits = step(tf.gather(x, visited), tf.gather(y, visited))
            return loss + batch_loss * size, hits + batch_hits

        def unfinished(index: Any, loss: Any, hits: Any) -> Any:
            return (index < tf.minimum(rows, whole)) & tf.math.is_finite(loss)

        def advance(index: Any, loss: Any, hits: Any) -> tuple[Any, Any, Any]:
            return index + 1, *batch(index * batch_size, batch_size, loss, hits)

        start = (tf.constant(0), tf.constant(0.0), tf.constant(0))
        _, loss, hits = tf.while_loop(unfinished, advance, start)
        if remainder:
            loss, hits = tf.cond(
                (rows > 0) & tf.math.is_finite(loss),
                lambda: batch(x.shape[0] - remainder, remainder, loss, hits),
                lambda: (loss, hits),
            )
        return loss, hits

    return program


def _traced_evaluation(step: Callable[[Any, Any], tuple[Any, Any]], part: Part) -> Any:
    """Trace ``step`` over parts of any n like ``part``, in order; see `_compiled_epoch`.

    The program returns the sum of loss over rows, and bool (n,): the hits. Without XLA evaluation
    takes the same time, and seconds less to compile.
    """
    signature = [tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in (part.x, part.y)]

    @tf.function(input_signature=signature, autograph=False)  # type: ignore[untyped-decorator]
    def program(x: Any, y: Any) -> tuple[Any, Any]:
        def advance(start: Any, loss: Any, correct: Any) -> tuple[Any, Any, Any]:
            end = start + _EVALUATION_ROWS
            rows = tf.cast(tf.minimum(end, tf.size(y)) - start, tf.float32)
            batch_loss, batch_correct = step(x[start:end], y[start:end])
            return end, loss + batch_loss * rows, tf.concat([correct, batch_correct], 0)

        start = (tf.constant(0), tf.constant(0.0), tf.zeros([0], tf.bool))
        shapes = (tf.TensorShape([]), tf.TensorShape([]), tf.TensorShape([None]))
        _, loss, correct = tf.while_loop(
            lambda start, *_: start < tf.size(y), advance, start, shape_invariants=shapes
        )
        return loss, correct

    return program

"""The device that trains, chosen and set up before TensorFlow starts."""

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from bnbench.errors import EnvironmentFault

Request = Literal["auto", "cpu", "gpu"]


def select(request: Request, gpus: Sequence[str]) -> str:
    """Return the name of the TensorFlow device to train on, given the names of the GPUs present.

    Raises `EnvironmentFault` where a GPU is asked for and absent.
    """
    if request == "gpu" and not gpus:
        raise EnvironmentFault(
            "--device gpu: TensorFlow sees no GPU here, only the CPU; "
            "use --device cpu, or install the extra bnbench[cuda] on a machine with an NVIDIA GPU"
        )
    return "CPU:0" if request == "cpu" or not gpus else "GPU:0"


def load() -> None:
    """Import TensorFlow and Keras and start nothing: a process forked from this one still may.

    Whatever environment and ``keras.json`` say, Keras computes on TensorFlow.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_muted():
        with _without_keras_json():
            import keras  # noqa: F401
        import tensorflow  # noqa: F401


def start(request: Request) -> str:
    """Set up TensorFlow and Keras in this process, for one run at a time; return the device.

    One thread to an operation, so that a result does not depend on what else the machine does.
    Keras computes in float32, whatever ``keras.json`` says.
    Raises `EnvironmentFault` where a GPU is asked for and absent.
    """
    load()
    with _standard_error_muted():
        import keras
        import tensorflow as tf

        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        keras.config.set_epsilon(1e-7)
        tf.get_logger().setLevel("ERROR")  # it takes our few programs for one that is retraced
        gpus = tf.config.list_physical_devices("GPU")
        device = select(request, [gpu.name for gpu in gpus])
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        if device.startswith("GPU"):
            for gpu in gpus:
                tf.config.experimental.set_memory_growth(gpu, True)
        else:
            tf.config.set_visible_devices([], "GPU")
        tf.config.list_logical_devices()
    return device


def processor() -> str:
    """Return the processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@contextmanager
def _without_keras_json() -> Iterator[None]:
    # Keras refuses to be imported with an odd keras.json, and writes one where there is none.
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = os.devnull
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home


@contextmanager
def _standard_error_muted() -> Iterator[None]:
    # TensorFlow's native parts write to the descriptor before their log level is read.
    with suppress(OSError):  # nobody may be able to read what was said
        sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)

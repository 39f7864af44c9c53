"""The device that trains, chosen and set up before TensorFlow starts."""

import os
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Literal

from bnbench import memory
from bnbench.errors import EnvironmentFault
from bnbench.training import variables

# The kernel's flag for each set of vector instructions, the widest first.
_VECTORS = ("avx512f", "avx2", "avx", "sse4_2", "sve", "asimd")
_NAMES = {"avx512f": "avx512", "sse4_2": "sse4.2", "asimd": "neon"}  # of other names than the flag

_ADDRESS_SPACE = 1_500_000_000  # bytes that importing and starting TensorFlow takes

Request = Literal["auto", "cpu", "gpu"]


def select(request: Request, present: Sequence[Any]) -> Sequence[Any]:
    """Return those of the GPUs present to train on; raises `EnvironmentFault` if none is."""
    if request == "gpu" and not present:
        raise EnvironmentFault(
            "device gpu: TensorFlow sees no GPU here, only the CPU; take the device cpu, "
            "or install the extra bnbench[cuda] on a machine with an NVIDIA GPU"
        )
    return [] if request == "cpu" else present


def may_have_gpu() -> bool:
    """Return whether there can be a GPU; TensorFlow would take seconds to answer."""
    drivers = ("/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dxg")  # NVIDIA, AMD, WSL
    return sys.platform != "linux" or any(Path(driver).exists() for driver in drivers)


def load() -> tuple[Any, Any]:
    """Import Keras and TensorFlow without starting them, which a forked process still can.

    Returns the two modules. Keras computes on TensorFlow, whatever the environment (see
    `variables`) and ``keras.json`` say. Raises `EnvironmentFault` if they cannot be imported.
    """
    variables.clear()
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    left = memory.address_space()
    if left < _ADDRESS_SPACE:  # it would end the process without a message
        raise EnvironmentFault(
            f"TensorFlow needs about {_ADDRESS_SPACE / 1e9} GB of address space to start, "
            f"{left / 1e9:.1f} GB are left; raise the limit of this process (ulimit -v)"
        )
    try:
        with _standard_error_muted():
            # Keras cannot be imported with a wrong keras.json, and writes one if there is none.
            with variables.replaced(os.environ, "KERAS_HOME", os.devnull):
                import keras
            import tensorflow
    except Exception as error:  # of any kind, if memory or a library is missing
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise EnvironmentFault(
            f"TensorFlow cannot be imported: {reason}; it needs all its parts installed, and memory"
        ) from error
    return keras, tensorflow


def start(request: Request) -> str:
    """Set up TensorFlow and Keras in this process; return the device to train on.

    An operation has one thread, so that results do not depend on the load of the machine. Keras
    computes in float32, whatever ``keras.json`` says. Raises `EnvironmentFault` if they cannot be
    started, or a GPU is asked for and absent.
    """
    keras, tf = load()
    with _standard_error_muted():
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")
        keras.config.set_epsilon(1e-7)
        tf.get_logger().setLevel("ERROR")  # it warns of retracing, as there are several programs
        gpus = select(request, tf.config.list_physical_devices("GPU"))
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if not gpus:
            tf.config.set_visible_devices([], "GPU")
        tf.config.list_logical_devices()
        if variables.remaining():  # XLA ends a process whose flags it does not know: do it now
            tf.function(lambda: tf.constant(0), jit_compile=True)()
    return "GPU:0" if gpus else "CPU:0"


def processor() -> str:
    """Return the processor's name as the system gives it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


def instruction_set() -> str:
    """Return the widest vector instructions of the processor, such as ``avx2``.

    Results depend on them, as sums are added in another order. Where the system does not name them
    this is the type of the machine, such as ``arm64``.
    """
    flags = _cpuinfo("flags|Features").split()
    widest = next((flag for flag in _VECTORS if flag in flags), platform.machine())
    return _NAMES.get(widest, widest)


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@cache
def _cpuinfo(key: str) -> str:
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(errors="replace")
        if of_first_core := re.search(rf"^(?:{key})\s*:(.*)", text, re.MULTILINE):
            return of_first_core[1].strip()
    return ""


@contextmanager
def _standard_error_muted() -> Iterator[None]:
    # TensorFlow's native code writes to the descriptor before it reads its log level.
    saved = os.dup(2)
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)

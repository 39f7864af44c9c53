"""What is left out of an epoch, what is tried on it, and what was expected of each try."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How a variant differs from the epoch written out in TensorFlow operations.

    The first six are stages; what a stage left out does instead is said in `variant`.
    """

    gather: bool = True
    batch_norm: bool = True
    activation: bool = True
    loss: bool = True
    update: bool = True
    metric: bool = True
    float_images: bool = False
    only_update: bool = False
    packed: bool = False
    kernels_transposed: bool = False
    gradients_transposed: bool = False
    input_shortcut: bool = False

    def options(self) -> dict[str, Any]:
        """Return the changes as a worker is told of them."""
        return asdict(self)


PRODUCTS_ONLY = Changes(
    gather=False, batch_norm=False, activation=False, loss=False, metric=False, update=False
)

STAGES = {
    "gather and scaling": Changes(gather=False),
    "Batch Normalization, its products kept": Changes(batch_norm=False),
    "activation": Changes(activation=False),
    "loss and metric": Changes(loss=False, metric=False),
}

UPDATE = Changes(only_update=True)  # measured by itself: without it the gradients must go somewhere


@dataclass(frozen=True)
class Try:
    """One change: to the written-out epoch (``changes``), or to bnbench's own by ``environment``.

    ``predicted`` is the expected ratio of the changed epoch's seconds to the plain one's.
    """

    what: str
    predicted: float
    why: str
    changes: Changes | None = None
    environment: dict[str, str] = field(default_factory=dict)


def _flags(flags: str) -> dict[str, str]:
    return {"XLA_FLAGS": flags}


TRIES = (
    Try("nothing (a control: the noise of this table)", 1.0, "another process of the same program"),
    Try(
        "SGD written out, not the Keras optimizer",
        1.0,
        "XLA makes one pass over each weight of either",
        Changes(),
    ),
    Try(
        "gamma, beta and bias in one vector",
        0.98,
        "one small update in the place of seven",
        Changes(packed=True),
    ),
    Try("metric out of the loop", 0.99, "an argmax of 32 × 10", Changes(metric=False)),
    Try(
        "weight gradients as (dzᵀx)ᵀ",
        1.0,
        "the product packs its operands anyway",
        Changes(gradients_transposed=True),
    ),
    Try(
        "kernels stored as units × inputs",
        1.0,
        "moves the transpose from one product to another",
        Changes(kernels_transposed=True),
    ),
    Try(
        "images held as float32",
        1.0,
        "four times the bytes to gather, no conversion",
        Changes(float_images=True),
    ),
    Try(
        "input BN's gradients from the weight gradient",
        0.8,
        "one of the first layer's three products goes, for two passes over its kernel",
        Changes(input_shortcut=True),
    ),
    Try("oneDNN off", 1.0, "XLA calls Eigen by itself", None, {"TF_ENABLE_ONEDNN_OPTS": "0"}),
    Try(
        "XLA: no Eigen threads",
        1.0,
        "there is one thread to an operation already",
        None,
        _flags("--xla_cpu_multi_thread_eigen=false"),
    ),
    Try(
        "XLA: vectors of 512 bits",
        0.98,
        "only the elementwise loops would gain",
        None,
        _flags("--xla_cpu_prefer_vector_width=512"),
    ),
    Try(
        "XLA: fast math (changes rounding)",
        0.97,
        "exp and reductions in another order",
        None,
        _flags("--xla_cpu_enable_fast_math=true"),
    ),
    Try(
        "XLA: products by oneDNN",
        1.0,
        "its packing costs as much as it gains at 32 rows",
        None,
        _flags("--xla_cpu_use_onednn=true"),
    ),
    Try(
        "XLA: products by XNNPACK",
        1.0,
        "the same",
        None,
        _flags("--xla_cpu_use_xnnpack=true"),
    ),
    Try(
        "XLA: LLVM at optimisation level 2",
        1.0,
        "the elementwise loops are simple",
        None,
        _flags("--xla_backend_optimization_level=2"),
    ),
)

"""How much is measured: the full benchmark, or a quick one that only shows that it works."""

from dataclasses import dataclass, field
from pathlib import Path

from bnbench.experiments.config import Config, load_config
from bnbench.experiments.fields import TRAINING_ROWS
from tests.benchmarks.processes import ROOT, cores


@dataclass(frozen=True)
class Settings:
    """Sizes of the measurement; the defaults are those of the full benchmark."""

    rounds: int = 3
    networks: tuple[str, ...] = ("no_bn", "post_act", "pre_act", "deep/pre_act")
    engine_networks: tuple[str, ...] = ("pre_act", "deep/pre_act")
    engine_epochs: int = 4
    ray_seeds: int = 16
    ray_epochs: int = 20
    overrides: tuple[str, ...] = ()
    growth: dict[str, tuple[int, ...]] = field(
        default_factory=lambda: {
            "batch size": (32, 128, 512, 1024),
            "hidden width": (100, 300, 1000, 2000),
            "hidden layers": (2, 5, 10, 20),
        }
    )
    growth_rows: int = 16_384
    wide_rows: int = 4_096  # where a layer has 1,000 units or more
    seeds: tuple[int, ...] = (1, 5, 10, 20, 50)
    command_seeds: int = 10
    command_epochs: int = 10
    latency_rounds: int = 7
    records: tuple[int, int] = (30, 10_000)

    @property
    def cores(self) -> list[int]:
        """The cores that may be used."""
        return cores()

    def config(self, network: str, *overrides: str) -> Config:
        """Return a shipped config, on this measurement's data."""
        return load_config(ROOT / "configs" / f"{network}.yaml", [*self.overrides, *overrides])

    @property
    def rows(self) -> int:
        """Training rows of one epoch."""
        data = self.config(self.networks[0]).data
        return TRAINING_ROWS[data.dataset] - data.validation_rows(TRAINING_ROWS[data.dataset])

    def task(self, folder: Path, config: Config, rows: int) -> dict[str, object]:
        """Return what workers need to know of a network and its rows."""
        start = folder / f"{config.experiment_id}-{rows}.npz"
        return {"config": config.resolved(), "rows": rows, "start": str(start)}


FULL = Settings()
QUICK = Settings(
    rounds=1,
    networks=("pre_act",),
    engine_networks=("pre_act",),
    engine_epochs=1,
    ray_seeds=2,
    ray_epochs=1,
    overrides=("data.dataset=fashion_mnist_sample", "data.validation_size=400"),
    growth={"batch size": (32, 64), "hidden width": (100,), "hidden layers": (2,)},
    growth_rows=640,
    wide_rows=640,
    seeds=(1, 2, 4),
    command_seeds=2,
    command_epochs=1,
    latency_rounds=1,
    records=(30, 100),
)

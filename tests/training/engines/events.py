"""Makes the runs of config files and prints a line of JSON for each event.

The first argument is the address of a Ray cluster, or the number of worker processes.
"""

import json
import sys
from pathlib import Path

from bnbench.errors import BnbenchError
from bnbench.experiments.config import load_config
from bnbench.training.engines.engine import Engine, EpochEnded, RunEnded
from bnbench.training.engines.processes import Processes
from bnbench.training.engines.ray import Ray
from tests.conftest import dataset_of, trials_of


def main(address: str, *paths: str) -> None:
    configs = [load_config(Path(path)) for path in paths]
    data = {config: dataset_of(config) for config in configs}

    def say(**line: object) -> None:
        print(json.dumps(line), flush=True)  # noqa: T201 - its purpose

    engine: Engine = Ray(address, lambda note: say(note=note))
    if address.isdigit():
        engine = Processes("cpu", int(address))
    try:
        for event in engine.make(trials_of(*configs), data):
            match event:
                case EpochEnded():
                    say(trial=str(event.trial), epochs=event.epochs_done)
                case RunEnded():
                    say(trial=str(event.trial), record=event.record.to_json())
                case _:
                    say(trial=str(event.trial), failed=event.reason)
    except BnbenchError as fault:
        say(fault=str(fault))
    say(imported=[name for name in ("ray", "tensorflow") if name in sys.modules])


if __name__ == "__main__":
    main(*sys.argv[1:])

"""The commands about configs: shown, explained, as a program, their schema, those that ship."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bnbench.cli import options
from bnbench.text import count


def show(
    configs: options.Configs, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Show each config with its defaults, its layers and every variable."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.experiments.architecture import build, count_parameters
    from bnbench.experiments.config import dump_yaml
    from bnbench.show import grids, terminal

    for config in api.load_configs(configs, overrides or ()):
        network = build(config.model, *dataset.describe(config.data)[:2])
        terminal.write(
            f"# experiment {config.experiment_id}, protocol {config.protocol_id}\n"
            f"{dump_yaml(config)}\n"
        )
        terminal.show_grids(grids.layers(network), grids.variables(network))
        number = count_parameters(network)
        terminal.write(
            f"Total parameters:         {number['total']:>12,}\n"
            f"Trainable parameters:     {number['trainable']:>12,}\n"
            f"Non-trainable parameters: {number['non_trainable']:>12,}\n\n"
        )


def explain(
    config: options.Config, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Explain in words why each layer has the parameters it has."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.lessons.explanation import Section, sections
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    head = Section(loaded.name, (loaded.description,) if loaded.description else ())
    terminal.show_sections([head, *sections(loaded, *dataset.describe(loaded.data)[:2])])


def script(
    config: options.Config, overrides: options.Set = None, debug: options.Debug = False
) -> None:
    """Print a plain Keras program that builds and trains the same network."""
    from bnbench import api
    from bnbench.datasets import dataset
    from bnbench.lessons.script import keras_script
    from bnbench.show import terminal

    loaded = api.load_config(config, overrides or ())
    terminal.write(keras_script(loaded, *dataset.describe(loaded.data)[:2]))


def schema(debug: options.Debug = False) -> None:
    """Print the JSON Schema of config files, which editors check them by."""
    from bnbench.experiments.config import json_schema
    from bnbench.show import terminal

    terminal.write(json.dumps(json_schema(), indent=2) + "\n")


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write to.", metavar="DIR")] = Path(
        "configs"
    ),
    debug: options.Debug = False,
) -> None:
    """Write the configs that ship with bnbench to a folder, to run and to change."""
    from bnbench.lessons.shipped import write_configs
    from bnbench.show import terminal

    written = write_configs(folder)
    for path in written:
        terminal.write(f"{path}\n")
    terminal.notice(f"{count(len(written), 'file')} written to {folder}")

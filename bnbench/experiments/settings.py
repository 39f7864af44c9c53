"""Settings that override those of a config: texts such as ``training.epochs=3``, or Python values."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bnbench.experiments.document import REFUSED, Document, Source, shorten
from bnbench.experiments.yaml_source import DEPTH_LIMIT, read

Given = str | tuple[str, Any]  # KEY=VALUE, whose value is read as YAML; or the key and its value
Settings = Mapping[str, Any] | Sequence[Given]
Setting = tuple[tuple[str, ...], Document]  # the path to what is overridden, and by what


def listed(settings: Settings) -> list[Given]:
    """Return the settings one by one."""
    return list(settings.items() if isinstance(settings, Mapping) else settings)


def read_settings(settings: Settings) -> list[Setting]:
    """Return the settings as data to merge; what is wrong with one is among its faults."""
    return [read_setting(given, number) for number, given in enumerate(listed(settings), 1)]


def read_setting(given: Given, number: int) -> Setting:
    """Return one setting as data to merge; ``number`` orders its faults among those of others."""
    if isinstance(given, str):
        key, equals, value = given.partition("=")
        name = given
    else:
        key, value = str(given[0]), given[1]
        name = equals = f"{key}={value}"
    source, path = Source(f"setting {shorten(name)}", number), tuple(key.split("."))
    if not (equals and key.isprintable() and all(path) and len(path) <= DEPTH_LIMIT):
        fault = (source.place(), "expected KEY=VALUE, such as training.epochs=3")
        return path, Document(REFUSED, {(): source.place()}, [fault])
    if isinstance(given, str):
        return path, read(value, source)
    return path, Document(value, {(): source.place()})

"""Settings that override a config's: texts such as ``training.epochs=3``, or Python values."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from bnbench.experiments.document import REFUSED, Document, KeyPath, Place, shorten
from bnbench.experiments.yaml_source import DEPTH_LIMIT, items_of, read

Given = str | tuple[str, Any]  # KEY=VALUE, whose value is read as YAML; or the key and its value
Settings = Mapping[str, Any] | Sequence[Given]
Setting = tuple[KeyPath, Document]  # the path to what is overridden, and by what


def listed(settings: Settings) -> list[Given]:
    """Return the settings one by one."""
    return list(settings.items() if isinstance(settings, Mapping) else settings)


def alternatives(settings: Settings, sweepable: Collection[str] = ()) -> list[list[Setting]]:
    """Return each setting as data to merge, once for each value of a sweep; faults are noted.

    A sweep is of a ``sweepable`` key: values with commas between them, or a tuple of Python.
    """
    numbered = enumerate(listed(settings), 2)  # after a file, or a config
    return [list(_values(given, number, sweepable)) for number, given in numbered]


def _values(given: Given, number: int, sweepable: Collection[str]) -> Iterator[Setting]:
    if isinstance(given, str):
        key, equals, value = given.partition("=")
        values: Sequence[Any] = items_of(value) if key in sweepable else ()
    else:
        key, equals, value = str(given[0]), "=", given[1]
        values = value if key in sweepable and isinstance(value, tuple) else ()
    path = tuple(key.split("."))
    named = equals and key.isprintable() and all(path) and len(path) <= DEPTH_LIMIT
    for one in values or [value]:
        place = Place(f"setting {shorten(f'{key}{equals}{one}')}", number)
        if not named:
            fault = (place, "expected KEY=VALUE, such as training.epochs=3")
            yield path, Document(REFUSED, {(): place}, [fault])
        else:
            text = isinstance(given, str)
            yield path, read(one, place) if text else Document(one, {(): place})

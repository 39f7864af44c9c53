"""Plain data that knows where each of its values was written, and what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from bnbench.errors import InputError
from bnbench.text import visible

KeyPath = tuple[str | int | None, ...]  # None at the end: the key of the value, not the value
Message = str | Callable[[], str]  # a function where it takes time to make and may not be shown

REFUSED = object()  # in place of a value that is left out, as its fault is noted already
_MOST_SHOWN = 100


class Place(NamedTuple):
    """Where a value was written, and the text that was written there.

    ``number`` orders the sources of a config, of which the first, 0, is a file and has lines.
    """

    source: str
    number: int = 0
    line: int = 0
    column: int = 0
    written: str = ""

    def __str__(self) -> str:
        return visible(self.source) + ("" if self.number else f":{self.line + 1}")


@dataclass(frozen=True)
class Document:
    """Plain data, the places where its values were written, and its faults so far."""

    data: Any
    places: dict[KeyPath, Place]
    faults: list[tuple[Place, Message]] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Return where a value was written, or the nearest value that it would be part of."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]

    def merged(self, path: KeyPath, other: "Document") -> "Document":
        """Return a copy with other data in the place of what is at the path; makes sections.

        Other data with faults only add their faults; so does a parent that is not a section.
        """
        start, section, faults = other.places[()], self.data, list(other.faults)
        for size, key in enumerate(path):
            if isinstance(section, dict):
                section = section.get(key, {})
            elif size:  # that the whole is no mapping is a fault of its own
                found = describe(section, self.place(path[:size]))
                name, parent = (".".join(map(str, keys)) for keys in (path, path[:size]))
                faults.append((start, f"{name}: cannot be set, as {parent} is {found}"))
                break
        if faults or not isinstance(self.data, dict):
            return replace(self, faults=self.faults + faults)
        places = {path[:size]: start for size in range(1, len(path))}
        places |= {p: place for p, place in self.places.items() if p[: len(path)] != path}
        places |= {path + inner: place for inner, place in other.places.items()}
        return Document(_put(self.data, path, other.data), places, list(self.faults))

    def error(self) -> InputError:
        """Return all faults as one error, in the order of their places."""
        faults = sorted(dict.fromkeys(self.faults), key=lambda fault: fault[0][1:4])
        lines = [
            f"{place}: {message if isinstance(message, str) else message()}"
            for place, message in faults[:_MOST_SHOWN]
        ]
        if len(faults) > _MOST_SHOWN:
            lines.append(f"and {len(faults) - _MOST_SHOWN} more faults")
        return InputError("\n".join(lines))


def _put(data: dict[Any, Any], path: KeyPath, value: Any) -> dict[Any, Any]:
    key, *inner = path
    return data | {key: _put(data.get(key, {}), tuple(inner), value) if inner else value}


def describe(value: Any, place: Place) -> str:
    """Return a value as it was written, shortened and printable, with its kind in words."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return f"a list of {len(value)}"
        case None:
            return "nothing"
        case str():
            return f"'{shorten(value)}' (text)"
        case bool():
            kind = "true/false"
        case int() | float():
            kind = "number"
        case _:
            kind = type(value).__name__
    return f"{shorten(place.written or str(value).lower())} ({kind})"


def shorten(text: str) -> str:
    """Return text from outside, printable and at most 60 characters long."""
    shown = visible(text[:61])
    return shown if len(shown) <= 60 else f"{shown[:59]}…"

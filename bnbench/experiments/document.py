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
    """Where a value was written: its order among all places, its name in messages, the text."""

    order: tuple[int, int, int]
    name: str
    written: str = ""


class Source(NamedTuple):
    """A text: its name in messages, and its number, 0 for a file, whose places have their lines."""

    name: str
    number: int = 0

    def place(self, line: int = 0, column: int = 0, written: str = "") -> Place:
        """Return a place in the text."""
        ending = "" if self.number else f":{line + 1}"
        return Place((self.number, line, column), visible(self.name) + ending, written)


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

    def merged(self, path: tuple[str, ...], other: "Document") -> "Document":
        """Return a copy with other data in the place of what is at the path; makes sections.

        Other data with faults only add their faults; so does a parent that is not a section.
        """
        faults, start, section = [*self.faults, *other.faults], other.places[()], self.data
        if other.faults:
            return replace(self, faults=faults)
        for size, key in enumerate(path):
            if not isinstance(section, dict):
                if size:  # that the whole is no mapping is a fault of its own
                    parent = f"{'.'.join(path[:size])} is {describe(section, self.places[path[:size]])}"
                    faults.append((start, f"{'.'.join(path)}: cannot be set, as {parent}"))
                return replace(self, faults=faults)
            section = section.get(key, {})
        places = {path[:size]: start for size in range(1, len(path))}
        places |= {p: place for p, place in self.places.items() if p[: len(path)] != path}
        places |= {path + inner: place for inner, place in other.places.items()}
        return Document(_put(self.data, path, other.data), places, faults)

    def error(self) -> InputError:
        """Return all faults as one error, in the order of their places."""
        faults = sorted(dict.fromkeys(self.faults), key=lambda fault: fault[0].order)
        lines = [
            f"{place.name}: {message if isinstance(message, str) else message()}"
            for place, message in faults[:_MOST_SHOWN]
        ]
        if len(faults) > _MOST_SHOWN:
            lines.append(f"and {len(faults) - _MOST_SHOWN} more faults")
        return InputError("\n".join(lines))


def _put(data: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
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

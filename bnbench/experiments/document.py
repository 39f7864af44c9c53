"""A config as plain data that knows where each value was written: YAML, and what overrides it."""

import json
import math
import re
import stat
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from yaml import MarkedYAMLError

from bnbench.errors import InputError
from bnbench.text import visible

KeyPath = tuple[str | int, ...]
Settings = Mapping[str, Any] | Sequence[str | tuple[str, Any]]  # texts KEY=VALUE have YAML values

REFUSED = object()  # in place of a value that is left out, as its fault is noted already
_SIZE_LIMIT = 64 * 1024
_DEPTH_LIMIT = 20
_MOST_SHOWN = 100
_LONG = 300  # digits: far beyond every bound, and below the limit that Python has for int()

_WORDS = {  # of YAML 1.2
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


class Place(NamedTuple):
    """Where a value was written, and the text that was written there."""

    source: str
    number: int = 0  # of the source: 0 is a file, which has lines; overrides follow
    line: int = 0
    column: int = 0
    written: str = ""

    def __str__(self) -> str:
        return visible(self.source) + ("" if self.number else f":{self.line + 1}")


Fault = tuple[Place, object]  # whose ``str`` is the message, made only if it is shown


@dataclass(frozen=True)
class Document:
    """Plain data, the places where its values were written, and its faults so far."""

    data: Any
    places: dict[KeyPath, Place]
    faults: list[Fault] = field(default_factory=list)

    def place(self, path: KeyPath) -> Place:
        """Return where a value was written, or the nearest value that contains it."""
        return self.places[path] if path in self.places else self.place(path[:-1])

    def merged(self, path: tuple[str, ...], other: "Document") -> "Document":
        """Return a copy with the other data at the path, or with only faults where it has some."""
        start, section, faults = other.places[()], self.data, list(other.faults)
        for size, key in enumerate(path):
            if isinstance(section, dict):
                section = section.get(key, {})
            elif size:  # that the whole is no mapping is a fault of its own
                parent = f"{'.'.join(path[:size])} is {describe(section, self.place(path[:size]))}"
                faults.append((start, f"{'.'.join(path)}: cannot be set, as {parent}"))
                break
        if faults or not isinstance(self.data, dict):
            return replace(self, faults=self.faults + faults)
        places: dict[KeyPath, Place] = {path[:size]: start for size in range(1, len(path))}
        places |= {p: place for p, place in self.places.items() if p[: len(path)] != path}
        places |= {path + inner: place for inner, place in other.places.items()}
        return Document(_put(self.data, path, other.data), places, list(self.faults))

    def error(self) -> InputError:
        """Return all faults as one error, in the order of their places."""
        faults = sorted(self.faults, key=lambda fault: fault[0][1:4])
        lines = [f"{place}: {message}" for place, message in faults[:_MOST_SHOWN]]
        if len(faults) > _MOST_SHOWN:
            lines.append(f"and {len(faults) - _MOST_SHOWN} more faults")
        return InputError("\n".join(lines))


Setting = tuple[tuple[str, ...], Document]  # the path to what is overridden, and by what


def _put(data: dict[Any, Any], path: Sequence[str], value: Any) -> dict[Any, Any]:
    key, *inner = path
    return data | {key: _put(data.get(key, {}), inner, value) if inner else value}


def describe(value: Any, place: Place) -> str:
    """Return a value as it was written, shortened and printable, with its kind in words."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if value is None or isinstance(value, str):
        return "nothing" if value is None else f"'{shorten(value)}' (text)"
    number = "number" if isinstance(value, int | float) else type(value).__name__
    kind = "true/false" if isinstance(value, bool) else number
    return f"{shorten(place.written or str(value).lower())} ({kind})"


def shorten(text: str) -> str:
    """Return text from outside, printable and at most 60 characters long."""
    shown = visible(text[:61])
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def read_text(path: Path) -> str:
    """Return the text of a regular, small UTF-8 file; opens nothing else, so it never blocks."""
    where = visible(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{where}: expected a config file, but this is not a regular file")
        with path.open("rb") as file:
            content = file.read(_SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:
        reason = visible(getattr(error, "strerror", None) or error)
        if isinstance(error, FileNotFoundError):
            reason = "no such file; bnbench init writes the shipped ones"
        raise InputError(f"{where}: cannot read the config: {reason}") from error
    if len(content) > _SIZE_LIMIT:
        raise InputError(f"{where}: expected a config of at most {_SIZE_LIMIT:,} bytes, got more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        raise InputError(f"{where}:{line}: expected UTF-8 text, got the byte {byte}") from error


def read(text: str, start: Place) -> Document:
    """Return the only document of a YAML text; what is wrong with it is among its faults."""
    try:
        loader = yaml.SafeLoader(text)
        return _Reader(loader, start).document()
    except yaml.reader.ReaderError as error:
        place = start._replace(line=text.count("\n", 0, error.position))
        reason = f"the character {visible(text[error.position])} is not allowed"
    except MarkedYAMLError as error:
        place = _at(start, error.problem_mark or loader.get_mark())
        reason = visible(", ".join(filter(None, (error.context, error.problem)))[:200])
    except (ValueError, OverflowError):  # from PyYAML: an escape beyond Unicode, a huge version
        place, reason = _at(start, loader.get_mark()), "a number here is too large"
    return Document(REFUSED, {(): start}, [(place, f"cannot read as YAML: {reason}")])


def _at(start: Place, mark: yaml.Mark, written: str = "") -> Place:
    return start._replace(line=mark.line, column=mark.column, written=written)


class _Reader:
    """Makes plain data of the events of YAML; no tag makes anything else."""

    def __init__(self, loader: yaml.SafeLoader, start: Place) -> None:
        self._next: Callable[[], Any] = loader.get_event
        self._start = start
        self._places: dict[KeyPath, Place] = {(): start}
        self._faults: list[Fault] = []
        self._anchors: dict[str, Any] = {}

    def document(self) -> Document:
        data = None
        self._next()  # the start of the stream
        if not isinstance(self._next(), yaml.StreamEndEvent):
            data = self._value(self._next(), ())
            self._next()  # the end of the document
            if not isinstance(event := self._next(), yaml.StreamEndEvent):
                raise MarkedYAMLError(None, None, "found another document", event.start_mark)
        return Document(data, self._places, self._faults)

    def _value(self, event: Any, path: KeyPath, key: Any = None) -> Any:
        written, mark = getattr(event, "value", ""), event.start_mark
        self._places[path] = place = _at(self._start, key.start_mark if key else mark, written)
        if len(path) >= _DEPTH_LIMIT:
            problem = f"nested more than {_DEPTH_LIMIT} levels deep"
            raise MarkedYAMLError(None, None, problem, mark)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in self._anchors:
                return self._anchors[event.anchor]
            raise MarkedYAMLError(None, None, f"found undefined alias '{event.anchor}'", mark)
        value = self._content(event, path)
        if event.tag is not None:
            value = self._refused(place, f"tag {shorten(event.tag)}: tags are not allowed")
        elif re.search("[\ud800-\udfff]", written):
            value = self._refused(place, f"half a character (a surrogate) in '{shorten(written)}'")
        if event.anchor is not None:
            self._anchors[event.anchor] = value
        return value

    def _content(self, event: Any, path: KeyPath) -> Any:
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, yaml.SequenceStartEvent):
            values: list[Any] = []
            while not isinstance(item := self._next(), yaml.SequenceEndEvent):
                values.append(self._value(item, (*path, len(values))))
            return values
        return _plain(event.value) if event.implicit[0] else event.value

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        aside = (*path, -1)  # a path at which nothing looks for a place
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._value(event, aside)
            if isinstance(key, str) and key not in values:
                values[key] = self._value(self._next(), (*path, key), event)
                continue
            place = self._places[aside]
            fault = f"expected a key that is text, got {describe(key, place)}"
            if isinstance(key, str):
                first = self._places[*path, key].line + 1
                fault = f"duplicate key {shorten(key)}, first given in line {first}"
            if key is not REFUSED:
                self._refused(place, fault)
            self._value(self._next(), aside)
        return values

    def _refused(self, place: Place, fault: str) -> Any:
        self._faults.append((place, fault))
        return REFUSED


def _plain(text: str) -> Any:
    """Return what YAML 1.2 takes a text without quotes for; mostly it stays text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        return int(text, base) if len(text) < _LONG else math.inf
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def listed(settings: Settings) -> Sequence[str | tuple[str, Any]]:
    """Return the settings one by one."""
    return [*settings.items()] if isinstance(settings, Mapping) else settings


def alternatives(settings: Settings, sweepable: Collection[str] = ()) -> list[list[Setting]]:
    """Return each setting, once for each value of a sweep (with commas, or a tuple of Python)."""
    numbered = enumerate(listed(settings), 2)  # after a file, or a config
    return [_values(given, number, sweepable) for number, given in numbered]


def _values(given: str | tuple[str, Any], number: int, sweepable: Collection[str]) -> list[Setting]:
    pair = given.partition("=") if isinstance(given, str) else (str(given[0]), "=", given[1])
    key, equals, value = pair
    path = tuple(key.split("."))
    start = Place(f"setting {shorten(f'{key}{equals}{value}')}", number)
    if not (equals and key.isprintable() and all(path) and len(path) <= _DEPTH_LIMIT):
        fault = (start, "expected KEY=VALUE, such as training.epochs=3")
        return [(path, Document(REFUSED, {(): start}, [fault]))]
    if isinstance(given, str):
        whole, several = read(value, start), read(f"[{value}]", start)
    else:
        whole = Document(value, {(): start})
        several = whole if isinstance(value, tuple) else replace(whole, data=())
    if key not in sweepable or several.faults or not several.data:
        return [(path, whole)]
    items: list[Setting] = []
    for index, item in enumerate(several.data):
        place = several.place((index,))
        source = f"setting {shorten(f'{key}={place.written or item}')}"
        items.append((path, Document(item, {(): place._replace(source=source)})))
    return items


def dump_lines(values: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield YAML lines for nested dicts of scalars and lists; `read` gives back the same."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from dump_lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {_dumped(value)}"


def _dumped(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_dumped, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    unquoted = re.fullmatch(r"[A-Za-z]([A-Za-z0-9_./;() -]*[A-Za-z0-9.)])?", value)
    if unquoted and _plain(value) == value:
        return value
    return visible(json.dumps(value, ensure_ascii=False))

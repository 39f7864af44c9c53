"""The YAML of a config: text to plain data that knows where it was written, and data to text."""

import json
import math
import re
import stat
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import yaml

from bnbench.errors import InputError
from bnbench.experiments.document import REFUSED, Document, KeyPath, Place, describe, shorten
from bnbench.text import visible

SIZE_LIMIT = 64 * 1024
DEPTH_LIMIT = 20
_VALUES_LIMIT = 50_000  # more than a text of that size holds, unless aliases multiply
_LONG = 300  # digits: far beyond every bound, and below the limit that Python has for int()

_SCALARS = [  # of YAML 1.2; what matches none of them is text
    ("null", re.compile(r"(~|null|Null|NULL|)\Z")),
    ("bool", re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")),
    ("int", re.compile(r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    ("float", re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")),
    ("float", re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")),
]
_KINDS = {"list", "mapping", "text", *(kind for kind, _ in _SCALARS)}


def read_text(path: Path) -> str:
    """Return the text of a regular, small UTF-8 file; opens nothing else, so it never blocks."""
    where = visible(path)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise InputError(f"{where}: expected a config file, but this is {kind}")
        with path.open("rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError as error:
        cure = "bnbench init writes those that ship with the package"
        raise InputError(f"{where}: cannot read the config: no such file; {cure}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{where}: cannot read the config: {visible(reason)}") from error
    if len(content) > SIZE_LIMIT:
        raise InputError(f"{where}: expected a config of at most {SIZE_LIMIT:,} bytes, got more")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        byte = f"0x{content[error.start]:02x}"
        raise InputError(f"{where}:{line}: expected UTF-8 text, got the byte {byte}") from error


def read(text: str, start: Place) -> Document:
    """Return the only document of a YAML text; what is wrong with it is among its faults."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return _Walk(start).document(node) if node else Document(None, {(): start})
    except yaml.reader.ReaderError as error:
        place = start._replace(line=text.count("\n", 0, error.position))
        reason = f"the character {visible(text[error.position])} is not allowed"
    except yaml.MarkedYAMLError as error:
        place = _at(start, error.problem_mark or loader.get_mark())
        reason = visible(", ".join(filter(None, (error.context, error.problem)))[:200])
    except (ValueError, OverflowError):  # from PyYAML: an escape beyond Unicode, a huge version
        place, reason = _at(start, loader.get_mark()), "a number here is too large"
    return Document(REFUSED, {(): start}, [(place, f"cannot read as YAML: {reason}")])


def _at(start: Place, mark: yaml.Mark, written: str = "") -> Place:
    return start._replace(line=mark.line, column=mark.column, written=written)


class _Loader(yaml.SafeLoader):
    """Composes nodes whose tags are the kinds above, or what a text has as a tag of its own."""

    yaml_implicit_resolvers = {None: _SCALARS}  # noqa: RUF012 (so declared by PyYAML)
    DEFAULT_SCALAR_TAG = "text"  # type: ignore[misc]
    DEFAULT_SEQUENCE_TAG = "list"  # type: ignore[misc]
    DEFAULT_MAPPING_TAG = "mapping"  # type: ignore[misc]
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "tag", None) is not None:
            event.tag = f"tag {event.tag}"  # which is none of the kinds
        self.depth += 1
        _check_depth(self.depth, event)
        node = super().compose_node(parent, index)
        self.depth -= 1
        if node and isinstance(event, yaml.AliasEvent):  # faults are named where the alias is
            node = copy(node)
            node.start_mark, node.end_mark = event.start_mark, event.end_mark
        return node


def _check_depth(depth: int, at: Any) -> None:
    if depth > DEPTH_LIMIT:
        problem = f"nested more than {DEPTH_LIMIT} levels deep"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)


class _Walk:
    """Makes plain data of nodes, and notes their places and what a config may not hold."""

    def __init__(self, start: Place) -> None:
        self._start = start
        self._places: dict[KeyPath, Place] = {}
        self._faults: list[tuple[Place, str]] = []

    def document(self, root: yaml.Node) -> Document:
        """Return the document of a root node; raises `yaml.MarkedYAMLError` where it has no end."""
        return Document(self._value(root, ()), self._places, [*self._faults])

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        written = node.value if isinstance(node, yaml.ScalarNode) else ""
        self._places[path] = place = _at(self._start, node.start_mark, written)
        _check_depth(len(path) + 1, node)  # an alias within what it stands for has no end
        if len(self._places) > _VALUES_LIMIT:
            problem = f"its aliases make more than {_VALUES_LIMIT:,} values of it"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if node.tag not in _KINDS:
            return self._refused(place, f"{shorten(node.tag)}: tags are not allowed")
        if re.search("[\ud800-\udfff]", written):
            text = f"'{shorten(written)}'"
            return self._refused(place, f"half a character (a surrogate) in {text}")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node.tag, written)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._value(key_node, (*path, None, None))
            place = self._places[*path, None, None]
            if key is REFUSED:
                continue
            if not isinstance(key, str):
                self._refused(place, f"expected a key that is text, got {describe(key, place)}")
            elif key in values:
                first = self._places[*path, key, None].line + 1
                self._refused(place, f"duplicate key {shorten(key)}, first given in line {first}")
            else:
                self._places[*path, key, None] = place
                values[key] = self._value(value_node, (*path, key))
        return values

    def _refused(self, place: Place, fault: str) -> Any:
        self._faults.append((place, fault))
        return REFUSED


def _scalar(kind: str, text: str) -> Any:
    match kind:
        case "null":
            return None
        case "bool":
            return text.lower() == "true"
        case "int":
            base = {"0x": 16, "0o": 8}.get(text[:2], 10)
            return int(text, base) if len(text) < _LONG else math.inf
        case "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def items_of(text: str) -> list[str]:
    """Return the texts between commas that are not in brackets or quotes; none if unreadable."""
    try:
        root = _Loader(f"[{text}]").get_single_node()
    except (yaml.YAMLError, ValueError, OverflowError):
        return []
    if not isinstance(root, yaml.SequenceNode) or root.end_mark.index != len(text) + 2:
        return []
    return [text[node.start_mark.index - 1 : node.end_mark.index - 1] for node in root.value]


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
    if unquoted and not any(pattern.match(value) for _, pattern in _SCALARS):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{visible(escaped)}"'

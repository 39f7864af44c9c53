"""The YAML of a config: text to nodes that know their place, nodes to plain data, data to text."""

import json
import math
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from bnbench.errors import InputError
from bnbench.text import visible

SIZE_LIMIT = 64 * 1024
_DEPTH_LIMIT = 20
_FAULT_LIMIT = 100
_LONG = 300  # digits: far beyond every bound, and below the limit that Python has for int()

STR, NULL, BOOL, INT, FLOAT, MAP = (
    f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "bool", "int", "float", "map")
)
_KINDS = {STR: "text", BOOL: "true/false", INT: "number", FLOAT: "number"}
_SCALARS = [
    (NULL, re.compile(r"(~|null|Null|NULL|)\Z")),
    (BOOL, re.compile(r"(true|True|TRUE|false|False|FALSE)\Z")),
    (INT, re.compile(r"([-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)\Z")),
    (FLOAT, re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")),
    (FLOAT, re.compile(r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))\Z")),
]


class Faults:
    """The faults found so far, at most one for each place."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, int, int], tuple[str, str | Callable[[], str]]] = {}
        self._sources: list[str] = []

    def __len__(self) -> int:
        return len(self._texts)

    def enter(self, source: str) -> None:
        """Let the faults of a source come after those of the sources entered before."""
        if source not in self._sources:
            self._sources.append(source)

    def add(self, mark: yaml.Mark, text: str | Callable[[], str]) -> None:
        """Note what is wrong at a mark, unless something is noted there already.

        A text that takes time to make may be a function: it is called only if it is shown.
        """
        line = "" if mark.name.startswith("setting ") else f":{mark.line + 1}"
        place = (self._sources.index(mark.name), mark.line, mark.column)
        self._texts.setdefault(place, (f"{visible(mark.name)}{line}: ", text))

    def error(self) -> InputError:
        """Return all faults as one error, in the order of sources and lines."""
        faults = [self._texts[place] for place in sorted(self._texts)]
        lines = [
            where + (text if isinstance(text, str) else text())
            for where, text in faults[:_FAULT_LIMIT]
        ]
        if len(faults) > _FAULT_LIMIT:
            lines.append(f"and {len(faults) - _FAULT_LIMIT} more faults")
        return InputError("\n".join(lines))


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


def compose(text: str, source: str, faults: Faults) -> yaml.Node | None:
    """Return the root node of the only document, or None after noting that it is not YAML."""
    faults.enter(source)
    start = _start(source)
    try:
        loader = _Loader(text, source, faults)
        return loader.get_single_node() or yaml.ScalarNode(NULL, "", start, start)
    except yaml.reader.ReaderError as error:
        mark = yaml.Mark(source, 0, text.count("\n", 0, error.position), 0, None, 0)
        character = visible(text[error.position])
        faults.add(mark, f"cannot read as YAML: the character {character} is not allowed")
    except yaml.MarkedYAMLError as error:
        reason = ", ".join(filter(None, (error.context, error.problem)))[:200]
        faults.add(error.problem_mark or start, f"cannot read as YAML: {visible(reason)}")
    except (ValueError, OverflowError):  # from PyYAML: an escape beyond Unicode, a huge version
        faults.add(loader.get_mark(), "cannot read as YAML: a number here is too large")
    return None


class _Loader(yaml.SafeLoader):
    """Composes nodes with the scalars of YAML 1.2 and notes what a config may not hold."""

    yaml_implicit_resolvers = {None: _SCALARS}  # noqa: RUF012 (so declared by PyYAML)

    def __init__(self, text: str, source: str, faults: Faults) -> None:
        super().__init__(text)
        self.name = source
        self._faults = faults
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        refused = None
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            refused = f"alias *{shorten(str(event.anchor))}: write the value out instead"
        else:
            if event.anchor is not None:
                self._faults.add(mark, f"anchor &{shorten(event.anchor)}: anchors are not allowed")
            if event.tag is not None:
                refused = f"tag {shorten(event.tag)}: tags are not allowed"
            elif re.search("[\ud800-\udfff]", getattr(event, "value", "")):
                refused = f"half a character (a surrogate) in '{shorten(event.value)}'"
            event.anchor = event.tag = None
            node = self._compose_deeper(parent, index, mark)
        if refused is None:
            return node
        self._faults.add(mark, refused)
        return yaml.ScalarNode(NULL, "", mark, event.end_mark)

    def _compose_deeper(self, parent: Any, index: Any, mark: yaml.Mark) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            problem = f"nested more than {_DEPTH_LIMIT} levels deep"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if key.tag != STR:
                self._faults.add(
                    key.start_mark, f"expected a key that is text, got {describe(key)}"
                )
            elif key.value in pairs:
                first = pairs[key.value][0].start_mark.line + 1
                message = f"duplicate key {shorten(key.value)}, first given in line {first}"
                self._faults.add(key.start_mark, message)
            else:
                pairs[key.value] = (key, value)
        node.value = list(pairs.values())
        return node


def override(root: yaml.Node, setting: str, faults: Faults) -> None:
    """Put the value of a ``KEY=VALUE`` into the tree, in the place of what stands there."""
    source = f"setting {shorten(setting)}"
    faults.enter(source)
    start = _start(source)
    key, equals, text = setting.partition("=")
    *sections, last = key.split(".")
    named = key.isprintable() and all((*sections, last)) and len(sections) < _DEPTH_LIMIT
    if not equals or not named:
        faults.add(start, "expected KEY=VALUE, such as training.epochs=3")
        return
    node, value = root, compose(text, source, faults)
    for section in sections:
        if not isinstance(node, yaml.MappingNode):
            return
        child = next((v for k, v in node.value if k.value == section), None)
        if child is None:
            child = yaml.MappingNode(MAP, [], start, start)
            node.value.append((yaml.ScalarNode(STR, section, start, start), child))
        node = child
    if isinstance(node, yaml.MappingNode) and value is not None:
        node.value = [pair for pair in node.value if pair[0].value != last]
        node.value.append((yaml.ScalarNode(STR, last, start, start), value))


def plain(node: yaml.Node) -> Any:
    """Return the dict, list or scalar that a node stands for; a huge number is infinite."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: plain(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [plain(item) for item in node.value]
    if node.tag == NULL:
        return None
    if node.tag == BOOL:
        return node.value.lower() == "true"
    if node.tag == INT:
        base = {"0x": 16, "0o": 8}.get(node.value[:2], 10)
        return int(node.value, base) if len(node.value) < _LONG else math.inf
    if node.tag == FLOAT:
        return float(node.value.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return node.value


def describe(node: yaml.Node) -> str:
    """Return a node's value, shortened and printable, with its kind in words."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return f"a list of {len(node.value)}"
    if node.tag == NULL:
        return "nothing"
    value = f"'{shorten(node.value)}'" if node.tag == STR else shorten(node.value)
    return f"{value} ({_KINDS[node.tag]})"


def shorten(text: str) -> str:
    """Return text from outside, printable and at most 60 characters long."""
    shown = visible(text[:61])
    return shown if len(shown) <= 60 else f"{shown[:59]}…"


def dump_lines(values: dict[str, Any], indent: str = "") -> Iterator[str]:
    """Yield YAML lines for nested dicts of scalars and lists; `compose` reads back the same."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield f"{indent}{key}:"
            yield from dump_lines(value, indent + "  ")
        else:
            yield f"{indent}{key}: {_scalar(value)}"


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if not isinstance(value, str):
        return json.dumps(value)
    unquoted = re.fullmatch(r"[A-Za-z]([A-Za-z0-9_./;() -]*[A-Za-z0-9.)])?", value)
    if unquoted and not any(pattern.match(value) for _, pattern in _SCALARS):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{visible(escaped)}"'


def _start(source: str) -> yaml.Mark:
    return yaml.Mark(source, 0, 0, 0, None, 0)

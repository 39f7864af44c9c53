"""The house: which component may import which, and how long its parts are, read from the source.

A component is a file or a folder directly under ``bnbench/``, with all that is in the folder.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "bnbench"
FLOORS = (  # from the ground up; a component may import what is on floors below its own
    {"errors", "text", "version"},
    {"files", "memory", "interruption", "experiments"},
    {"datasets", "evidence"},
    {"training", "lessons"},
    {"show", "campaign"},
    {"api"},
    {"cli"},
    {"__main__"},
)
DEEPEST = 8  # rooms on top of each other
MODULE_LINES, FUNCTION_LINES, PARAMETERS = 399, 49, 7
MAY_TAKE_MANY = {"cli", "api"}  # an option or a keyword each: what people type
FACE = "__init__"  # the names that the package offers, imported by nothing within
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
MAY_NAME_FLAGS = {
    "cli",
    "__main__",
    "show.report",  # it prints whole commands, which make its runs again
}
HEAVY = {"tensorflow", "keras"}
VAGUE = {"utils", "util", "helpers", "common", "misc"}

Graph = Mapping[str, set[str]]


@cache
def files() -> dict[str, Path]:
    """Return every file of the package by its module's dotted name below ``bnbench``."""
    return {_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def component(module: str) -> str:
    return module.partition(".")[0]


@cache
def tree(module: str) -> ast.Module:
    return ast.parse(files()[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Yield what a module imports, in functions and for type checkers too, as dotted names."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own(name: str) -> str | None:
    """Return the module of ours that an imported name is, or is from."""
    if name.partition(".")[0] != "bnbench":
        return None
    inside = name.partition(".")[2]
    while inside and inside not in files():
        inside = inside.rpartition(".")[0]
    return inside or None


@cache
def modules() -> Graph:
    """Return which modules each imports; the package itself, of which all are parts, is none."""
    graph = {}
    for module in files():
        found = {own(name) for name in imports(module)}
        graph[module] = {name for name in found if name} - {module}
    return graph


@cache
def rooms() -> Graph:
    """Return which rooms each imports."""
    graph: dict[str, set[str]] = {}
    for module, imported in modules().items():
        graph.setdefault(component(module), set()).update(map(component, imported))
    return {name: imported - {name} for name, imported in graph.items()}


def cycles(graph: Graph) -> list[str]:
    """Return, as lines, what is left when whatever imports nothing is taken away repeatedly."""
    left = {name: set(imported) for name, imported in graph.items()}
    while free := [name for name, imported in left.items() if not imported & set(left)]:
        for name in free:
            del left[name]
    return [f"{name} -> {', '.join(sorted(found & set(left)))}" for name, found in left.items()]


def depth(graph: Graph, name: str) -> int:
    return 1 + max((depth(graph, below) for below in graph[name]), default=0)


def texts(module: str) -> Iterator[ast.Constant]:
    """Yield the texts of a module, its docstrings aside."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = list(ast.walk(tree(module)))
    docstrings = {
        id(node.body[0].value)
        for node in nodes
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in nodes:
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in docstrings:
            yield node


def test_every_room_has_a_floor() -> None:
    """A new file or folder at the top is a decision: give it a floor here."""
    assert {component(module) for module in files()} <= set().union(*FLOORS) | {"__init__"}


def test_no_import_goes_upwards() -> None:
    """Rooms import what is on floors below theirs, and neighbours do not import each other."""
    floors = {name: floor for floor, names in enumerate(FLOORS) for name in names}
    upwards = [
        f"{module} imports {imported}"
        for module, found in modules().items()
        for imported in sorted(found)
        if module != "__init__" and component(module) != component(imported)
        if floors[component(imported)] >= floors[component(module)]
    ]
    assert upwards == []


@pytest.mark.parametrize("graph", [modules, rooms])
def test_there_is_no_cycle(graph: type[Graph]) -> None:
    """Neither among modules nor among rooms, lazy imports and those for types included."""
    assert cycles(graph()) == []


def test_the_house_is_not_too_high() -> None:
    """No more than eight rooms are on top of each other, from the program to the ground."""
    graph = {name: found - {FACE} for name, found in rooms().items()}
    heights = {name: depth(graph, name) for name in graph if name != FACE}
    assert max(heights.values()) <= DEEPEST, heights


@pytest.mark.parametrize("module", files())
def test_modules_and_functions_are_short(module: str) -> None:
    """What is long, or takes many arguments, is hard to read and to change."""
    assert len(files()[module].read_text(encoding="utf-8").splitlines()) <= MODULE_LINES
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES, node.name
            assert component(module) in MAY_TAKE_MANY or _parameters(node) <= PARAMETERS, node.name


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    given = node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


@pytest.mark.parametrize("module", files())
def test_flags_are_named_by_the_command_line_alone(module: str) -> None:
    """What other rooms say is read in notebooks too, where nobody passes a flag."""
    if component(module) not in MAY_NAME_FLAGS and module not in MAY_NAME_FLAGS:
        found = [text for text in texts(module) if FLAG.search(text.value)]
        assert [f"line {text.lineno}: {text.value!r}" for text in found] == []


def test_rooms_say_what_is_in_them() -> None:
    """No module is called after what it is used for by everybody."""
    parts = {part for module in files() for part in module.split(".")}
    assert parts & VAGUE == set()


def test_tensorflow_is_imported_where_something_trains() -> None:
    """At module level only in the modules that ruff lets: all else starts fast."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    allowed = {p for p, rules in settings["per-file-ignores"].items() if "TID253" in rules}
    importing = {
        str(path.relative_to(ROOT))
        for module, path in files().items()
        if HEAVY & {name.partition(".")[0] for name in _imported_at_once(module)}
    }
    assert importing <= allowed
    assert {path for path in allowed if path.startswith("bnbench/")} <= importing


def _imported_at_once(module: str) -> Iterator[str]:
    for node in tree(module).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_the_guide_for_contributors_names_what_is_there() -> None:
    """Every file and folder it sends someone to exists, in the package or beside it."""
    guide = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:[\w.-]+/)+(?:[\w-]+\.\w+)?)`", guide)
    assert len(named) > 10
    places = [(PACKAGE / path, ROOT / path) for path in named]
    assert [str(own) for own, beside in places if not (own.exists() or beside.exists())] == []

"""What a validation error says to people: which key, what was expected and what was found."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bnbench.experiments.yaml_source import STR, Faults, describe, shorten

Schema = dict[str, Any]

_IN_WORDS = {"boolean": "true or false", "null": "null", "object": "a mapping"}


class _Spot(NamedTuple):
    path: tuple[str | int, ...]
    mark: yaml.Mark
    node: yaml.Node | None
    schema: Schema


class _Pairs(dict[yaml.Node, dict[str, tuple[yaml.Node, yaml.Node]]]):
    """The keys and values of each mapping that is asked for, found once."""

    def __missing__(self, mapping: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        self[mapping] = {key.value: (key, value) for key, value in mapping.value}
        return self[mapping]


def note_all(error: ValidationError, root: yaml.Node, schema: Schema, faults: Faults) -> None:
    """Note every error, at its place in the tree of nodes that was validated.

    ``schema`` is the JSON Schema of the model; what a key takes is told from it.
    """
    details = error.errors(include_url=False, include_input=False)
    pairs = _Pairs()
    spots = [_locate(detail, root, schema, pairs) for detail in details]
    lists = {spot.path[:-1] for spot in spots if spot.path and isinstance(spot.path[-1], int)}
    for detail, spot in zip(details, spots, strict=True):
        if spot.path in lists:
            continue  # a list that might have been a single value: its items have the fault
        faults.add(spot.mark, partial(_message, detail, spot, schema))


def _locate(detail: ErrorDetails, root: yaml.Node, top: Schema, pairs: _Pairs) -> _Spot:
    """Follow a location of pydantic, which also names the members of unions, to its node."""
    location = detail["loc"]
    if "key" in detail.get("ctx", {}):
        location += (detail["ctx"]["key"],)
    spot = _Spot((), root.start_mark, root, top)
    for part in location:
        node, schema = spot.node, spot.schema
        if isinstance(part, int) and isinstance(node, yaml.SequenceNode):
            items = next(option["items"] for option in _options(schema) if "items" in option)
            item = node.value[part]
            spot = _Spot((*spot.path, part), item.start_mark, item, items)
        elif "properties" in schema and isinstance(node, yaml.MappingNode):
            field = schema["properties"].get(part, {})
            if "$ref" in field:
                field = top["$defs"][field["$ref"].rpartition("/")[2]]
            key, value = pairs[node].get(str(part), (node, None))
            unknown = detail["type"] == "extra_forbidden"
            mark = key.start_mark if unknown or value is None else value.start_mark
            spot = _Spot((*spot.path, part), mark, value, field)
    return spot


def _message(detail: ErrorDetails, spot: _Spot, top: Schema) -> str:
    keys = "".join(f"[{k}]" if isinstance(k, int) else f".{shorten(k)}" for k in spot.path)
    return (f"{keys.removeprefix('.')}: " if keys else "") + _reason(detail, spot, top)


def _reason(detail: ErrorDetails, spot: _Spot, top: Schema) -> str:
    if detail["type"] == "missing":
        return "missing: a config states at least its name"
    if detail["type"] == "extra_forbidden":
        return _unknown(str(spot.path[-1]), ".".join(map(str, spot.path[:-1])), top)
    own = detail["type"] == "expected"
    expected = detail["ctx"]["expected"] if own else range_in_words(spot.schema)
    found = describe(spot.node) if spot.node else "nothing"
    return f"expected {expected}, got {found}{_hint(spot)}"


def _unknown(key: str, section: str, top: Schema) -> str:
    paths = [path.rpartition(".") for path in _key_paths(top, top)]
    allowed = [leaf for parent, _, leaf in paths if parent == section]
    homes = ["".join(path) for path in paths if path[2] == key]
    if homes:
        hint = f" (it belongs at {' or '.join(homes)})"
    else:
        near = get_close_matches(key, allowed, 1)
        if not near:
            leaf = get_close_matches(key, [path[2] for path in paths], 1)
            near = ["".join(path) for path in paths if path[2] in leaf]
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f"unknown key{hint}; allowed here: {', '.join(allowed)}"


def _key_paths(section: Schema, top: Schema, prefix: str = "") -> Iterator[str]:
    for key, field in section["properties"].items():
        yield prefix + key
        if "$ref" in field:
            inner = top["$defs"][field["$ref"].rpartition("/")[2]]
            yield from _key_paths(inner, top, f"{prefix}{key}.")


def _hint(spot: _Spot) -> str:
    if not isinstance(spot.node, yaml.ScalarNode):
        return ""
    if spot.schema.get("type") == "array":
        return f"; did you mean [{shorten(spot.node.value)}]?" if spot.node.value else ""
    if spot.node.tag != STR:
        return ""
    value, options = spot.node.value.lower(), _options(spot.schema)
    switch = any(option.get("type") == "boolean" for option in options)
    if switch and value in ("yes", "no", "on", "off", "y", "n"):
        meant = "true" if value in ("yes", "on", "y") else "false"
        return f"; write {meant}, as '{value}' is text here"
    names = [n for o in options for n in (*o.get("enum", ()), *o.get("examples", ()))]
    near = get_close_matches(value, names, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _options(schema: Schema) -> list[Schema]:
    options: list[Schema] = schema.get("anyOf", [schema])
    return options


def range_in_words(schema: Schema) -> str:
    """Say which values the JSON Schema of a setting allows."""
    match schema:
        case {"anyOf": [{"const": value}, {"type": "boolean"}]}:
            return f"{value}, true or false"
        case {"anyOf": options}:
            return " or ".join(map(range_in_words, options))
        case {"const": value}:
            return str(value)
        case {"enum": names}:
            return f"one of {', '.join(names)}"
        case {"type": "boolean" | "null" | "object" as kind}:
            return _IN_WORDS[kind]
        case {"type": "integer" | "number"}:
            return _interval(schema)
        case {"type": "array", "items": {"enum": _}}:
            return "a list of such names"
        case {"type": "array", "items": items, "minItems": low, "maxItems": high}:
            return f"a list of {low} to {high} entries, each {range_in_words(items)}"
        case {"maxLength": limit}:
            return f"text of at most {limit} characters"
    return "text"


def _interval(schema: Schema) -> str:
    noun = schema["type"]
    closed = "maximum" in schema
    top = schema["maximum"] if closed else f"below {schema['exclusiveMaximum']}"
    if schema.get("exclusiveMinimum") == 0 or (noun == "integer" and schema["minimum"] == 1):
        return f"a positive {noun} {f'up to {top}' if closed else top}"
    return f"{'an' if noun == 'integer' else 'a'} {noun} from {schema['minimum']} to {top}"

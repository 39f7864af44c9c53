"""What a validation error says to people: which key, what was expected and what was found."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import partial
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bnbench.experiments.document import (
    REFUSED,
    Document,
    KeyPath,
    Message,
    Place,
    describe,
    shorten,
)

Schema = dict[str, Any]

_IN_WORDS = {"boolean": "true or false", "null": "null", "object": "a mapping"}


class _Spot(NamedTuple):
    path: KeyPath
    value: Any
    place: Place
    schema: Schema


def faults_of(
    error: ValidationError, document: Document, schema: Schema
) -> Iterator[tuple[Place, Message]]:
    """Yield the place and the message of every fault of the document that was validated.

    ``schema`` is the JSON Schema of the model; it says what each key takes.
    """
    details = error.errors(include_url=False, include_input=False)
    spots = [_locate(detail, document, schema) for detail in details]
    # A list that might have been a single value: its items have the fault.
    done = {spot.path[:-1] for spot in spots if spot.path and isinstance(spot.path[-1], int)}
    for detail, spot in zip(details, spots, strict=True):
        if spot.path not in done and spot.value is not REFUSED:
            yield spot.place, partial(_message, detail, spot, schema)
        done.add(spot.path)


def _locate(detail: ErrorDetails, document: Document, top: Schema) -> _Spot:
    """Follow a location of pydantic, which also names the members of unions, to its value."""
    location = detail["loc"]
    if "key" in detail.get("ctx", {}):
        location += (detail["ctx"]["key"],)
    path: KeyPath = ()
    value, schema = document.data, top
    for part in location:
        if isinstance(part, int) and isinstance(value, list | tuple):
            schema = next(option["items"] for option in _options(schema) if "items" in option)
            path, value = (*path, part), value[part]
        elif "properties" in schema and isinstance(value, dict):
            schema = _resolved(schema["properties"].get(part, {}), top)
            path, value = (*path, part), value.get(part)
    of_key = detail["type"] == "extra_forbidden" and (*path, None) in document.places
    return _Spot(path, value, document.place((*path, None) if of_key else path), schema)


def _resolved(field: Schema, top: Schema) -> Schema:
    """Return the schema of a section where a field is one."""
    section: Schema = top["$defs"][field["$ref"].rpartition("/")[2]] if "$ref" in field else field
    return section


def _message(detail: ErrorDetails, spot: _Spot, top: Schema) -> str:
    keys = "".join(f"[{k}]" if isinstance(k, int) else f".{shorten(str(k))}" for k in spot.path)
    return (f"{keys.removeprefix('.')}: " if keys else "") + _reason(detail, spot, top)


def _reason(detail: ErrorDetails, spot: _Spot, top: Schema) -> str:
    if detail["type"] == "missing":
        return "missing: a config states at least its name"
    if detail["type"] == "extra_forbidden":
        return _unknown(str(spot.path[-1]), ".".join(map(str, spot.path[:-1])), top)
    own = detail["type"] == "expected"
    expected = detail["ctx"]["expected"] if own else _range(spot.schema)
    return f"expected {expected}, got {describe(spot.value, spot.place)}{_hint(spot)}"


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
            yield from _key_paths(_resolved(field, top), top, f"{prefix}{key}.")


def _hint(spot: _Spot) -> str:
    if isinstance(spot.value, dict | list | tuple):
        return ""
    if spot.schema.get("type") == "array":
        written = spot.place.written or spot.value
        return f"; did you mean [{shorten(str(written))}]?" if written is not None else ""
    if not isinstance(spot.value, str):
        return ""
    value, options = spot.value.lower(), _options(spot.schema)
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


def _range(schema: Schema) -> str:
    match schema:
        case {"anyOf": [{"const": value}, {"type": "boolean"}]}:
            return f"{value}, true or false"
        case {"anyOf": options}:
            return " or ".join(map(_range, options))
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
            return f"a list of {low} to {high} entries, each {_range(items)}"
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


def with_ranges_in_words(schema: Schema) -> Schema:
    """Return the JSON Schema of a model with the values allowed at the end of each description."""
    for section in (schema, *schema["$defs"].values()):
        for field in section["properties"].values():
            if "$ref" not in field and "pattern" not in field:
                field["description"] += f": {_range(field)}"
    return schema

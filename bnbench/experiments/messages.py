"""What a validation error says to people: which key, what was expected and what was found."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bnbench.experiments.document import REFUSED, Document, Fault, KeyPath, describe, shorten

Schema = dict[str, Any]


def faults_of(error: ValidationError, document: Document, schema: Schema) -> Iterator[Fault]:
    """Yield place and message of every fault of a document; the schema says what each key takes."""
    for section in (schema, *schema["$defs"].values()):
        for key, field in section["properties"].items():
            if "$ref" in field:
                section["properties"][key] = schema["$defs"][field["$ref"].rpartition("/")[2]]
    details = error.errors(include_url=False, include_input=False)
    faults = [_Fault(detail, document, schema) for detail in details]
    # A list that might have been a single value: its items have the fault.
    done = {fault.path[:-1] for fault in faults if fault.path and isinstance(fault.path[-1], int)}
    for fault in faults:
        if fault.path not in done and fault.value is not REFUSED:
            yield fault.place, fault
        done.add(fault.path)


class _Fault:
    """An error of pydantic with the value at fault, its place, and the schema of its key."""

    def __init__(self, detail: ErrorDetails, document: Document, top: Schema) -> None:
        self._detail, self._top, self._schema = detail, top, top
        self.path: KeyPath = ()
        self.value = document.data
        extra = (key,) if (key := detail.get("ctx", {}).get("key")) else ()
        for part in (*detail["loc"], *extra):
            if isinstance(part, int) and isinstance(self.value, list | tuple):
                options = self._schema.get("anyOf", [self._schema])
                self._schema = next(option["items"] for option in options if "items" in option)
                self.path, self.value = (*self.path, part), self.value[part]
            elif "properties" in self._schema and isinstance(self.value, dict):
                self._schema = self._schema["properties"].get(part, {})
                self.path, self.value = (*self.path, part), self.value.get(part)
            # Other parts name the members of unions.
        self.place = document.place(self.path)

    def __str__(self) -> str:
        keys = (f"[{k}]" if isinstance(k, int) else f".{shorten(str(k))}" for k in self.path)
        named = "".join(keys).removeprefix(".")
        return f"{named}: {self._reason()}" if named else self._reason()

    def _reason(self) -> str:
        match self._detail["type"]:
            case "missing":
                return "missing: a config states at least its name"
            case "extra_forbidden":
                return self._unknown(str(self.path[-1]), ".".join(map(str, self.path[:-1])))
            case "expected":
                expected = self._detail["ctx"]["expected"]
            case _:
                expected = _range(self._schema)
        return f"expected {expected}, got {describe(self.value, self.place)}{self._hint()}"

    def _unknown(self, key: str, section: str) -> str:
        keys = [path.rpartition(".") for path in _key_paths(self._top)]
        allowed = [leaf for parent, _, leaf in keys if parent == section]
        closest = get_close_matches(key, [leaf for *_, leaf in keys], 1)
        meant = [leaf for leaf in allowed if leaf in closest]
        meant = meant or ["".join(path) for path in keys if path[2] in closest]
        hint = f" (did you mean {' or '.join(meant)}?)" if meant else ""
        return f"unknown key{hint}; allowed here: {', '.join(allowed)}"

    def _hint(self) -> str:
        value, options = self.value, self._schema.get("anyOf", [self._schema])
        if isinstance(value, dict | list | tuple) or value is None:
            return ""
        if self._schema.get("type") == "array":
            return f"; did you mean [{shorten(self.place.written or str(value))}]?"
        names = [n for o in options for n in (*o.get("enum", ()), *o.get("examples", ()))]
        near = get_close_matches(str(value).lower(), names, 1)
        return f"; did you mean {near[0]}?" if near else ""


def _key_paths(section: Schema, prefix: str = "") -> Iterator[str]:
    for key, field in section["properties"].items():
        yield prefix + key
        if "properties" in field:
            yield from _key_paths(field, f"{prefix}{key}.")


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
            return {"boolean": "true or false", "null": "null", "object": "a mapping"}[kind]
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

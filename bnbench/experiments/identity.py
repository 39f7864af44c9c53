"""What an id stands for: the settings that differ from their defaults."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of a config: frozen, strict, and without keys beside its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def differing(self) -> dict[str, Any]:
        """Return the settings that differ from their defaults, for which ids stand."""
        return self.model_dump(mode="json", exclude_defaults=True)


def digest(**sections: Section) -> str:
    """Return 8 hex digits that stand for the settings of each section that are not the defaults.

    They are the first of SHA-256 over JSON with sorted keys and no spaces, without the sections
    that have no such setting: a setting that is added with a default changes no id.
    """
    differing = {name: section.differing() for name, section in sections.items()}
    values = {name: settings for name, settings in differing.items() if settings}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:8]


def leaves(tree: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of nested dicts, each with its dotted key."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value

"""The hostile stores: folders that tempt a comparison to mix up, to count twice or to believe."""

from tests.faults.stores import content, damage, files, names
from tests.faults.stores.shelf import STORES

__all__ = ["STORES", "content", "damage", "files", "names"]

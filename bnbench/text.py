"""Text from outside, made harmless before it reaches a terminal, a table or a file."""

import unicodedata
from collections.abc import Sequence

_UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: object, keep: str = "") -> str:
    r"""Return ``str(text)`` with control and format characters as escapes such as ``\x1b``.

    Covers ESC and the other C0 and C1 codes, bidirectional overrides, zero-width and unassigned
    characters and lone surrogates; characters in ``keep`` pass as they are.
    """
    return "".join(
        c if c in keep or unicodedata.category(c) not in _UNSEEN else _escape(c) for c in str(text)
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def fixed(value: float) -> str:
    """Return a number with two decimals."""
    return f"{value:.2f}"


def signed(value: float) -> str:
    """Return a number with its sign and two decimals; -0.00 is below zero, where more shows it.

    What the ninth decimal does not show is rounding, and zero.
    """
    return f"{round(value, 9) + 0.0:+.2f}"


def percent(share: float) -> str:
    """Return a share of 1 in per cent with two decimals."""
    return fixed(100 * share)


def seconds(time: float) -> str:
    """Return a time in seconds with three significant digits."""
    return f"{time:#.3g}".removesuffix(".")


def duration(time: float) -> str:
    """Return a time in seconds in minutes and hours, as fine as an estimate is."""
    if time < 60:
        return f"{max(round(time), 1)} s"
    minutes = round(time / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def listed(names: Sequence[str]) -> str:
    """Return the names in one phrase: ``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def count(number: int, noun: str) -> str:
    """Return the number with its noun, in the plural unless it is one."""
    return f"{number} {noun}{'' if number == 1 else 's'}"

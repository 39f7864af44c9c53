"""A figure as a file: the endings there are, and an SVG that a page can hold."""

import hashlib
import io
import re
from pathlib import Path
from xml.sax.saxutils import quoteattr

from matplotlib import style
from matplotlib.figure import Figure

from bnbench.errors import InputError
from bnbench.files import write_atomically, write_text
from bnbench.show.plots.style import STYLE
from bnbench.text import visible

ENDINGS = (".png", ".svg", ".pdf")
_FAMILY = "; font-family: 'DejaVu Sans', 'Verdana', sans-serif"
_UNSEEN = re.compile(  # in the tags of an SVG
    r' *\n *|(?<=\d\.\d)\d+|(?<=[ML]) | id="[\w.]+_\d+"| transform="rotate\(-0 [^"]*"'
)
_MARKERS_ALIKE = re.compile(r'<g([^>]*)>(<use[^>]*( style="[^"]*")/>(?:<use[^>]*\3/>)*)</g>')


def check_ending(path: Path) -> None:
    """Raise `InputError` unless a plot can be written under this name."""
    if path.suffix.lower() not in ENDINGS:
        expected = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
        raise InputError(f"{visible(path)}: expected a name that ends in {expected}")


def write(figure: Figure, path: Path) -> None:
    """Put the figure at ``path``, in the format that its ending names, without a date in it.

    Raises `InputError` for another ending and `EnvironmentFault` where it cannot be written.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending == ".svg":
        write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{to_svg(figure)}\n')
        return
    known = {"CreationDate": None} if ending == ".pdf" else {"Description": figure.get_label()}
    dpi = min(150, 60_000 / figure.get_figheight())  # an image has at most 65,535 rows
    with style.context(STYLE):
        write_atomically(path, lambda file: figure.savefig(file, dpi=dpi, metadata=known))


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element that can stand in an HTML page among others.

    Its text stays text, and the figure's label is what a screen reader says.
    """
    drawn = io.StringIO()
    with style.context(STYLE):
        unsaid = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", metadata=unsaid)
    text = drawn.getvalue()
    prefix = "b" + hashlib.sha256(text.encode()).hexdigest()[:7]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg ") :])
    text = re.sub(r"\s*(<[^>]*>)\s*", lambda tag: _own(tag[1], prefix), text)
    text = _MARKERS_ALIKE.sub(lambda g: f"<g{g[1]}{g[3]}>{g[2].replace(g[3], '')}</g>", text)
    spoken = quoteattr(str(figure.get_label()))
    ours = f'<svg role="img" aria-label={spoken} style="stroke-linejoin: round{_FAMILY}"'
    return text.replace("<svg", ours, 1)


def _own(tag: str, prefix: str) -> str:
    """Make ids the figure's own, and drop what no reader sees, such as hundredths of a point."""
    tag = _UNSEEN.sub("", tag.replace(_FAMILY, ""))
    return re.sub(r'( id="|href="#|url\(#)', rf"\1{prefix}", tag)

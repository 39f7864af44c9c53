"""A figure as a file: the possible endings, and an SVG that can be part of a page."""

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

MADE_HERE = re.compile(  # what the files hold, PNG, PDF and SVG
    rb"tEXtSoftware\0bnbench|/Creator \(bnbench\)"
    rb'|\A<\?xml version="1.0" encoding="UTF-8"\?>\n<svg role="img" aria-label='
)
# Instead of a style for the whole page, and of the family at each text.
_STYLE = "stroke-linejoin: round; font-family: 'DejaVu Sans', 'Verdana', sans-serif"
_UNNEEDED = re.compile(  # in the tags of an SVG
    r' id="[\w.]+_\d+"|(?<=\d)\.0\d*|(?<=\d\.\d)\d+| *\n *|(?<=[ML]) '
    r'|; font-family: [^;"]*| transform="rotate\(-0[^"]*"'
)
_IDS = re.compile(r'( id="|href="#|url\(#)')


def check_ending(path: Path) -> None:
    """Raise `InputError` unless a plot can be written under this name."""
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise InputError(f"{visible(path)}: expected a name that ends in .png, .svg or .pdf")


def write(figure: Figure, path: Path) -> None:
    """Write the figure to ``path``, in the format that its ending names, without a date.

    Raises `InputError` for another ending and `EnvironmentFault` where it cannot be written.
    """
    check_ending(path)
    ending = path.suffix.lower()
    if ending == ".svg":
        write_text(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{to_svg(figure)}\n')
        return
    known = {"Software": "bnbench", "Description": figure.get_label()}
    if ending == ".pdf":
        known = {"Creator": "bnbench", "CreationDate": None}
    dpi = min(150, 60_000 / figure.get_figheight())  # an image has at most 65,535 rows
    drawn = io.BytesIO()
    with style.context(STYLE):
        figure.savefig(drawn, format=ending[1:], dpi=dpi, metadata=known)
    write_atomically(path, drawn.getvalue())


def to_svg(figure: Figure) -> str:
    """Return the figure as an ``<svg>`` element that shares an HTML page with others.

    Its ids are its own, its text stays text, and screen readers read the figure's label.
    """
    drawn = io.StringIO()
    with style.context(STYLE):
        without = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(drawn, format="svg", metadata=without)
    text = drawn.getvalue()
    prefix = "b" + hashlib.sha256(text.encode()).hexdigest()[:7]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text[text.index("<svg ") :])
    text = re.sub(r"\s*(<[^>]*>)\s*", lambda tag: _UNNEEDED.sub("", tag[1]), text)
    text = re.sub(r"<[^>]*>", lambda tag: _IDS.sub(rf"\1{prefix}", tag[0]), text)
    spoken = quoteattr(str(figure.get_label()))
    return text.replace("<svg", f'<svg role="img" aria-label={spoken} style="{_STYLE}"', 1)

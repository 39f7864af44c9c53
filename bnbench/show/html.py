"""HTML from templates that escape text from outside."""

import re
from functools import cache
from typing import Any

from bnbench.errors import EnvironmentFault
from bnbench.text import visible

try:
    import jinja2
    from markupsafe import Markup, escape
except ImportError as error:
    raise EnvironmentFault(
        "a report needs Jinja2 and Matplotlib; install them with: pip install 'bnbench[report]'"
    ) from error


@cache
def template(name: str) -> jinja2.Template:
    """Return a template of this package; rendering one that lacks a value fails."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("bnbench.show"),
        autoescape=True,
        finalize=_harmless,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template(name)


def _harmless(value: Any) -> Any:
    """Escape control characters; Jinja escapes what HTML would act on."""
    return value if isinstance(value, Markup) else visible(value, keep="\n")


def _breakable(text: str) -> Markup:
    """Allow a line break in a long name after an underscore or a swept value."""
    return Markup(re.sub(r"(?<=\w)[_+=/](?=\w)", r"\g<0><wbr>", str(escape(visible(text)))))

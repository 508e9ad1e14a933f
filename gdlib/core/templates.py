"""The templates of pages and reports (``gdlib/templates``)."""

from importlib.resources import files

import jinja2


def templates(*, autoescape: bool) -> jinja2.Environment:
    """The templates; a value that a template names and nobody gives is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("gdlib"),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def source(name: str) -> str:
    """The text of a script or a style sheet among them, as it stands."""
    return (files("gdlib") / "templates" / name).read_text("utf-8")

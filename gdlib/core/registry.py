"""Names that a knob can take, each with a line of help and the object that it stands for.

A registry is written where nothing heavy is imported, so that ``gdlib list`` need not load torch;
what a name stands for is imported when it is looked up::

    STUDENTS = Registry("student")
    STUDENTS.add("KimCNN", "gdlib.networks.students:KimCNN", "convolutions of three widths")

    STUDENTS["KimCNN"]           # the class, imported now
    STUDENTS.help["KimCNN"]      # its line

A name can also be added from outside of the library: by a module of your own that calls ``add``,
named in the environment variable ``GDLIB_PLUGINS`` (several: separated by commas), so that every
process of a run knows it.
"""

import os
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from pkgutil import resolve_name
from typing import Any

from gdlib.core.errors import GdlibError, first_line, unknown


class Registry(Mapping[str, Any]):
    """Name to object, in the order in which the names were added.

    Args:
        what: the kind of thing, in the field's terms, for the message about an unknown one.
    """

    def __init__(self, what: str):
        self.what = what
        self._targets: dict[str, Any] = {}
        self._help: dict[str, str] = {}

    def add(self, name: str, target: Any, help: str = "") -> None:
        """Put a name in, or replace what it stands for.

        Args:
            name: what a user writes.
            target: the object, or ``"module:attribute"`` to import it from when it is looked up.
            help: one line for ``gdlib list``.
        """
        self._targets[name], self._help[name] = target, help

    @property
    def help(self) -> Mapping[str, str]:
        """Name to line of help; nothing is imported but the plugins."""
        load_plugins()
        return self._help

    def __getitem__(self, name: str) -> Any:
        load_plugins()
        if name not in self._targets:
            raise unknown(self.what, name, self._targets)
        target = self._targets[name]
        return resolve_name(target) if isinstance(target, str) else target

    def __contains__(self, name: object) -> bool:
        return name in self.help

    def __iter__(self) -> Iterator[str]:
        return iter(self.help)

    def __len__(self) -> int:
        return len(self.help)


def plugins() -> list[str]:
    """The modules that ``GDLIB_PLUGINS`` names."""
    named = os.environ.get("GDLIB_PLUGINS", "").split(",")
    return [module.strip() for module in named if module.strip()]


@cache
def load_plugins() -> None:
    """Import the plugins, once in a process."""
    for module in plugins():
        try:
            import_module(module)
        except ModuleNotFoundError as error:
            why = f'GDLIB_PLUGINS names "{module}": {first_line(error)}'
            raise GdlibError(f"{why}; is its folder in PYTHONPATH?") from error

"""What is read while something is worked out, so that no recipe can leave it out."""

from collections.abc import Callable, Iterable
from typing import Any

from gdlib.core.errors import GdlibError
from gdlib.core.settings import plain

KNOB, VALUE, ARTIFACT = "the knob", "the value", "the artifact"

Names = Iterable[tuple[str, str]]
"""What was read: its sort, and the name of a knob or derived value or the key of an artifact."""


class Undeclared(GdlibError):
    """Something was read, while an artifact was made, that its recipe does not cover."""


class Scope:
    """Notes what is read while a recipe or a derived value is worked out."""

    def __init__(self) -> None:
        self.names: set[tuple[str, str]] = set()

    def read(self, sort: str, name: str, sources: Names = ()) -> None:
        """Something is read; ``sources`` is what it was itself worked out from."""
        self.names |= {(sort, name), *sources}


class Making(Scope):
    """Refuses, while an artifact is made, what its recipe does not cover.

    Args:
        owner: the artifact, for the message.
        declared: the knobs that its declaration names, and the derived values that it needs or
            whose code counts.
        covered: what its recipe was worked out from.
    """

    def __init__(self, owner: str, declared: Names, covered: Scope):
        self.owner, self.declared = owner, set(declared)
        self.covered = self.declared | covered.names

    def read(self, sort: str, name: str, sources: Names = ()) -> None:
        allowed = self.covered if sort == ARTIFACT else self.declared
        if (sort, name) not in allowed:
            self._refuse(f"{sort} {name}")
        for hidden in sorted(set(sources) - self.covered):
            self._refuse(f"{' '.join(hidden)} through {name}")

    def _refuse(self, what: str) -> None:
        raise Undeclared(
            f"{self.owner} reads {what}, which its recipe does not cover; name it in the "
            "@artifact(...) of that method, among the knobs or in needs="
        )


class Watched:
    """The settings of a study; every knob that is read is reported to it."""

    def __init__(self, settings: Any, report: Callable[[str], None]):
        self.plain, self._report = settings, report

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.plain, name)
        self._report(name)
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return plain, (self.plain,)  # another process gets the settings themselves

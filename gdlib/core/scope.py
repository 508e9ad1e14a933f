"""What is read while something is worked out, so that no recipe can leave it out."""

from collections.abc import Callable, Iterable
from typing import Any

from gdlib.core.errors import GdlibError
from gdlib.core.settings import plain


class Undeclared(GdlibError):
    """Something was read, while an artifact was made, that its recipe does not cover."""


class Scope:
    """Notes what is read while a recipe or a derived value is worked out."""

    def __init__(self) -> None:
        self.knobs: set[str] = set()
        self.artifacts: set[str] = set()

    def knob(self, name: str) -> None:
        self.knobs.add(name)

    def value(self, name: str, read: "Scope") -> None:
        self.knobs |= read.knobs
        self.artifacts |= read.artifacts

    def artifact(self, key: str, read: "Scope") -> None:
        self.value(key, read)
        self.artifacts.add(key)


class Making(Scope):
    """Refuses, while an artifact is made, what its recipe does not cover.

    Args:
        owner: the artifact, for the message.
        knobs: the knobs that its declaration names.
        values: the derived values that it needs or whose code counts.
        covered: what its recipe was worked out from.
    """

    def __init__(self, owner: str, knobs: Iterable[str], values: Iterable[str], covered: Scope):
        self.owner, self.named, self.values = owner, set(knobs), set(values)
        self.knobs, self.artifacts = covered.knobs | self.named, covered.artifacts

    def knob(self, name: str) -> None:
        self._check(name in self.named, f"the knob {name}")

    def value(self, name: str, read: Scope) -> None:
        self._check(name in self.values, f"{name}")
        for knob in sorted(read.knobs - self.knobs):
            self._check(False, f"the knob {knob} through {name}")
        self._check(read.artifacts <= self.artifacts, f"another artifact through {name}")

    def artifact(self, key: str, read: Scope) -> None:
        self._check(key in self.artifacts, f"the artifact {key}")

    def _check(self, covered: bool, what: str) -> None:
        if not covered:
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

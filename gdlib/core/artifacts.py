"""How a study says what it makes: a method for each kind of artifact, and what decides it.

::

    class MyStudy(Study):
        @derived
        def splits(self): ...                     # cheap; computed once in every process

        @artifact("teacher", "teacher_lr", "seed", needs=("splits", "network"))
        def trained_teacher(self, folder): ...    # fills the folder

        @artifact("students", "student_lr", "seed", needs=("splits", "trained_teacher"))
        def trained_student(self, folder, arm, student_seed): ...

    study.trained_student(arm, 0)          # the finished artifact, made now if the store has it not
    study.make_all("trained_student", [(arm, seed) for ...], "students")     # several at a time

An artifact's recipe follows from its declaration: the values of the knobs that it names, the
digests of what it needs, its arguments (its *cell*: one artifact for each trained model), and the
code that its method reaches (:mod:`gdlib.core.reach`). A recipe cannot lie: while an artifact is
made, a knob, a derived value or another artifact that its recipe does not cover cannot be read.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from itertools import product
from pathlib import Path
from typing import Any

from gdlib.core.reach import Reach
from gdlib.core.scope import ARTIFACT, KNOB, VALUE, Making, Scope
from gdlib.core.settings import digest, jsonable
from gdlib.core.store import MANIFEST, Artifact

AGAIN = "GDLIB_AGAIN"
"""Set to ``"STAGE:SECONDS"``, artifacts of the stage from before that time are made again."""


class derived:
    """A value of a study that is cheap enough to be computed once in every process.

    What it was computed from is noted: an artifact that reads it has to be covered for all of that.
    """

    def __init__(self, compute: Callable[[Any], Any]):
        self.func, self.__doc__ = compute, compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, study: Any, owner: type) -> Any:
        if study is None:
            return self
        if (self.name,) not in study.memo:
            with study.within(Scope()) as read:
                study.memo[self.name,] = self.func(study), read
        value, read = study.memo[self.name,]
        study.scope.read(VALUE, self.name, read.names)
        return value


class artifact:
    """A method of a study that fills a folder; asked for, it gives the finished artifact.

    Args:
        stage: the stage that makes it, or the stages, where studies share it; ``gdlib run --force
            STAGE`` makes it again.
        knobs: the knobs that the method reads itself.
        needs: the study's derived values and artifacts (those without a cell) that it is made from.
        given: what else it is made from, by the cell: name to ``lambda study, arm, seed: ...``. If
            that is an attribute of the study too (``lessons``), its value counts, not its code.
    """

    def __init__(
        self,
        stage: str | tuple[str, ...],
        *knobs: str,
        needs: Iterable[str] = (),
        given: Mapping[str, Callable[..., Any]] | None = None,
    ):
        self.stages = (stage,) if isinstance(stage, str) else stage
        self.knobs, self.needs, self.given = knobs, tuple(needs), given or {}

    def __call__(self, build: Callable[..., None]) -> "artifact":
        self.func, self.__doc__ = build, build.__doc__
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.kind = name, name.replace("_", "-")

    def __get__(self, study: Any, owner: type) -> Any:
        return self if study is None else partial(self.make, study)

    def recipe(self, study: Any, *cell: Any) -> dict[str, Any]:
        """Everything that decides the artifact of a cell, JSON-able. What it needs is made now."""
        needs = {}
        for name in self.needs:
            value = getattr(study, name)
            needs[name] = value() if isinstance(value, partial) else value
        needs |= {name: given(study, *cell) for name, given in self.given.items()}
        knobs = {name: getattr(study.settings, name) for name in self.knobs}
        arguments = [ingredient(value) for value in cell]
        read = [
            getattr(study.settings.plain, name) for sort, name in study.scope.names if sort == KNOB
        ]
        reach, classes = self.reach(type(study)), Reach()
        for value in needs.values():
            if not isinstance(value, Artifact):
                classes.value(type(value))  # the code of its methods; what is in it is its digest
        code = [reach.code, classes.code, reach.entries(json.dumps([arguments, read]))]
        needs = {name: ingredient(value) for name, value in needs.items()}
        return jsonable({"cell": arguments, "knobs": knobs, "needs": needs, "code": digest(code)})

    def reach(self, owner: type) -> Reach:
        """The code that the method reaches; what it needs counts by its value, not by its code."""
        return _reach(owner, self.name, (*self.needs, *self.given))

    def missing(self, study: Any, *cell: Any) -> bool:
        """Whether the artifact of a cell would have to be made. What it needs is made now."""
        with study.within(Scope()):
            recipe = self.recipe(study, *cell)
        return self._is_old(study, recipe) or study.store.find(self.kind, recipe) is None

    def make(self, study: Any, *cell: Any) -> Artifact:
        """The artifact of a cell, from the store or made now."""
        call = (self.name, *cell)
        if call not in study.memo:
            with study.within(Scope()) as covered:
                recipe = self.recipe(study, *cell)

            def build(folder: Path) -> None:
                owner = f"{type(study).__name__}.{self.name}"
                values = {*self.reach(type(study)).attributes, *self.needs, *self.given}
                declared = {*product([KNOB], self.knobs), *product([VALUE], values)}
                with study.within(Making(owner, declared, covered)):
                    self.func(study, folder, *cell)

            again = self._is_old(study, recipe)
            study.memo[call] = study.store.make(self.kind, recipe, build, again=again), covered
        made, read = study.memo[call]
        study.scope.read(ARTIFACT, f"{self.kind}/{made.key}", read.names)
        return made

    def _is_old(self, study: Any, recipe: Mapping[str, Any]) -> bool:
        """Whether the artifact was made before the time from which on its stage is made again."""
        stage, _, since = os.environ.get(AGAIN, "").rpartition(":")
        manifest = study.store.folder(self.kind, recipe) / MANIFEST
        is_forced = stage in self.stages and manifest.exists()
        return is_forced and manifest.stat().st_mtime < float(since)


def ingredient(value: Any) -> Any:
    """A value as it stands in a recipe: an artifact's key, a digest, or plain data.

    Fields of a dataclass with ``metadata={"label": True}`` (a line of help) do not count.
    """
    if isinstance(value, Artifact):
        return f"{value.kind}/{value.key}"
    if hasattr(value, "digest") and not isinstance(value, type):
        return value.digest() if callable(value.digest) else value.digest
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [field for field in dataclasses.fields(value) if not field.metadata.get("label")]
        return {field.name: ingredient(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {str(name): ingredient(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [ingredient(each) for each in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} cannot stand in a recipe; give it a digest")


@cache
def _reach(owner: type, name: str, by_value: tuple[str, ...]) -> Reach:
    members = {each: value for base in owner.__mro__ for each, value in vars(base).items()}
    others = [each for each, value in members.items() if isinstance(value, artifact)]
    return Reach().method(owner, name, (*by_value, *others))

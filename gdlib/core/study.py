"""A study: settings, a store, and the artifacts that its methods declare."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from gdlib.core.artifacts import ingredient
from gdlib.core.plans import Plan
from gdlib.core.processes import in_processes
from gdlib.core.reach import Reach
from gdlib.core.scope import KNOB, Scope, Watched
from gdlib.core.settings import digest, plain, replace
from gdlib.core.store import Artifact, Store


class Study:
    """One run: one setting of every knob, one seed.

    Each method gives the finished thing and makes what is missing, so that a notebook can be opened
    and executed on its own; the pipeline merely executes them in an order in which nothing waits.

    Args:
        settings: the parameters.
        store: where artifacts are.
    """

    plan: Plan

    def __init__(self, settings: Any, store: Store):
        self.store, self.memo, self.scope = store, {}, Scope()
        self.settings = Watched(plain(settings), lambda name: self.scope.read(KNOB, name))

    @contextmanager
    def within(self, scope: Scope) -> Iterator[Scope]:
        """What is read inside is noted, or refused, by another scope."""
        outer, self.scope = self.scope, scope
        try:
            yield scope
        finally:
            self.scope = outer

    def seed(self, *numbers: int) -> int:
        """The seed of one training: of the run's seed and, for example, the student's."""
        return int(np.random.SeedSequence([self.settings.seed, *numbers]).generate_state(1)[0])

    def products(self, stage: str) -> Any:
        """The collector (:class:`~gdlib.core.products.Products`) of what a stage shows."""
        from gdlib.core.products import Products  # draws: matplotlib takes a second

        recipe = self.plan.products_recipe(stage, plain(self.settings))
        return Products(self.store, recipe, self.scope)

    def make_all(
        self, name: str, cells: Iterable[tuple[Any, ...]], title: str = ""
    ) -> list[Artifact]:
        """The artifacts of some cells, in their order; missing ones are made several at a time.

        What the cells need is made first, here, so that no process waits for another. If cells need
        one another (students of a teacher of the same kind), ask for those first in a call of their
        own.

        Args:
            name: the artifact method.
            cells: its arguments, a tuple for each artifact.
            title: what the progress bar says.
        """
        cells, declared = list(cells), getattr(type(self), name)
        todo = [cell for cell in dict.fromkeys(cells) if declared.missing(self, *cell)]
        jobs = [(type(self), self.settings.plain, self.store.root, name, cell) for cell in todo]
        with tqdm(total=len(jobs), desc=title or name, mininterval=2.0, disable=not jobs) as bar:
            for _ in in_processes(_make_one, jobs):
                bar.update()
        return [declared.make(self, *cell) for cell in cells]

    def kept(
        self, compute: Callable[..., Any], *inputs: Any, given: Any = None, **options: Any
    ) -> Any:
        """The table, or tables, that a function works out, from the store where it has done so.

        They are kept under what decides them: the code that the function reaches, what it is bound
        to, its inputs and options.

        Args:
            compute: a function, or a method of plain data.
            inputs: what it is given.
            given: what decides the inputs (artifacts, texts), where they have no digest.
            options: plain values that it is given by name.
        """
        reach = Reach()
        bound = reach.value(getattr(compute, "__self__", None))
        reach.value(getattr(compute, "__func__", compute))
        decide = ingredient([given if given is not None else inputs, options])
        code = digest([bound, reach.code, reach.entries(json.dumps(decide))])
        recipe = {"function": compute.__qualname__, "code": code}

        def build(folder: Path) -> None:
            found = compute(*inputs, **options)
            for place, table in enumerate(found if isinstance(found, tuple) else [found]):
                table.to_parquet(folder / f"{place}.parquet")

        made = self.store.make("table", recipe | {"inputs": decide}, build)
        tables = tuple(map(pd.read_parquet, sorted(made.path.glob("*.parquet"))))
        return tables if len(tables) > 1 else tables[0]

    def seconds(self, name: str) -> float:
        """How long the artifacts of a method took that were asked for so far, added up."""
        return sum(made.seconds for call, (made, _) in self.memo.items() if call[0] == name)

    def each_seed(self, **changes: Any) -> list[Self]:
        """This study with every seed of ``settings.seeds``.

        Args:
            changes: of other settings (another number of labels, say).
        """
        seeds = self.settings.seeds or (self.settings.seed,)
        changed = [replace(self.settings, seed=seed, **changes) for seed in seeds]
        return [type(self)(settings, self.store) for settings in changed]

    def over_seeds(self, **changes: Any) -> Any:
        """The ``results()`` of :meth:`each_seed`, stacked; the test part is the same for all.

        Every study has its own kind of results, with a ``stack``.
        """
        results = [study.results() for study in self.each_seed(**changes)]
        return results[0].stack(results)


@lru_cache(maxsize=1)
def _study(kind: Callable[..., Study], settings: Any, root: Path) -> Study:
    return kind(settings, Store(root))


def _make_one(
    kind: Callable[..., Study], settings: Any, root: Path, name: str, cell: Sequence[Any]
) -> None:
    """Make one artifact in a process of its own; it is kept in the store."""
    getattr(_study(kind, settings, root), name)(*cell)

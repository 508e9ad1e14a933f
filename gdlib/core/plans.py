"""A study as a plan: its stages, what each needs, and the tasks that a sweep of settings makes of
them.

A *stage* is a notebook. A *run* is one corpus, number of labels and seed. A *task* is a stage in a
run; a stage that is done once per corpus (the comparison) needs the tasks of all runs of that
corpus::

    wordnet-l100-s0:  corpus -> teacher, generator -> samples -> students --\\
    wordnet-l100-s1:  corpus -> teacher, generator -> samples -> students ---> wordnet: compare
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

from gdlib.core.errors import BadSetting, unknown
from gdlib.core.settings import jsonable, knobs, replace


@dataclass(frozen=True)
class Stage:
    """One notebook of a study.

    Args:
        name: what it is called on the command line and in recipes.
        notebook: its path, relative to ``notebooks/``.
        needs: the stages whose artifacts it reads.
        once_a: done once a ``"run"`` or once a ``"corpus"``.
        help: one line for ``gdlib list``.
        also: stages it does not need whose knobs decide what it makes or shows too: those that
            have no notebook of their own in the plan, or a later one of which it shows a first
            look.
        cpus: processors that it asks of a cluster.
        gpus: GPUs that it can use: asked of a cluster that has any; on others it computes on
            processors.
    """

    name: str
    notebook: str
    needs: tuple[str, ...]
    once_a: Literal["run", "corpus"]
    help: str
    also: tuple[str, ...] = ()
    cpus: float = 2
    gpus: float = 0


@dataclass(frozen=True)
class Plan:
    """A study: its stages in order, and the class of its settings.

    ``ours`` says, a sentence each, what in it is ours and not the paper's; ``choices`` names, by
    knob, names that can be chosen beside others (tasks beside folders), a line each; where a knob
    takes known names alone, it says so itself.

    Besides the knobs of one run the settings hold three that a sweep goes over: ``corpora`` (empty:
    just ``corpus``), ``labels_sweep`` (beside the knob that ``labels`` names) and ``seeds`` (empty:
    just ``seed``).
    """

    name: str
    title: str
    settings: type
    stages: tuple[Stage, ...]
    help: str
    ours: tuple[str, ...] = ()
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    labels: str = "labels_per_class"

    def stage(self, name: str) -> Stage:
        """The stage of that name; an unknown one is an ``UnknownName`` with the choices."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise unknown("stage", name, [stage.name for stage in self.stages])

    def upstream(self, *names: str) -> tuple[str, ...]:
        """The named stages and all that they need, in the plan's order: whose knobs decide what
        they hold.
        """
        wanted = set(names)
        for stage in reversed(self.stages):
            if stage.name in wanted:
                wanted.update(stage.needs)
        return tuple(stage.name for stage in self.stages if stage.name in wanted)

    def values(self, stage: str, settings: Any) -> dict[str, Any]:
        """The knobs (JSON-able) that decide what a stage makes: its own and those of all that it
        needs.
        """
        names = self.upstream(stage)
        stages = {*names, *(other for name in names for other in self.stage(name).also)}
        own = [name for name, meta in knobs(settings).items() if meta["stage"] in stages]
        return {name: jsonable(getattr(settings, name)) for name in own}

    def products_recipe(self, stage: str, settings: Any) -> dict[str, Any]:
        """The recipe of the ``products`` artifact that a stage's notebook leaves."""
        return {"study": self.name, "stage": stage, "settings": self.values(stage, settings)}


@dataclass(frozen=True, eq=False)
class Task:
    """A stage in a run.

    Args:
        plan: the study.
        stage: the stage.
        run: name of the run, or of the corpus for a stage that is done once per corpus; a folder
            name.
        settings: the settings of that run.
        needs: the tasks whose artifacts it reads.
    """

    plan: Plan
    stage: Stage
    run: str
    settings: Any
    needs: tuple["Task", ...]

    @property
    def name(self) -> str:
        return f"{self.run}/{self.stage.name}"

    @property
    def products_recipe(self) -> dict[str, Any]:
        """The recipe of what its notebook shows, with all knobs that decide that as ``settings``;
        see :meth:`Plan.products_recipe`.
        """
        return self.plan.products_recipe(self.stage.name, self.settings)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the notebook is given: the knobs of its own stage; of those it needs, the ones that
        are not the default.
        """
        meta, stage = knobs(self.settings), self.stage.name
        default = self.plan.values(stage, self.plan.settings())
        return {
            name: value
            for name, value in self.plan.values(stage, self.settings).items()
            if meta[name]["stage"] == stage or value != default[name]
        }


def expand(plan: Plan, settings: Any) -> list[Task]:
    """Every task of a sweep, each after the ones it needs.

    Raises:
        BadSetting: two corpora whose names give the same folder name.
    """
    corpora = _distinct(settings.corpora or (settings.corpus,))
    labels = _distinct((getattr(settings, plan.labels), *settings.labels_sweep))
    seeds = _distinct(settings.seeds or (settings.seed,))
    if len({slug(corpus) for corpus in corpora}) < len(corpora):
        raise BadSetting(
            f"corpora {', '.join(corpora)}: two of them would share one folder of results; "
            "rename one"
        )
    # Where there is one seed: as the notebook has it when it is opened by hand.
    sweep = {"corpora": (), "seeds": seeds if len(seeds) > 1 else (), "labels_sweep": labels[1:]}
    tasks: list[Task] = []
    for corpus in corpora:
        of_corpus: list[Task] = []
        for count, seed in product(labels, seeds):
            values = {"corpus": corpus, plan.labels: count, "seed": seed}
            run = f"{slug(corpus)}-l{count}-s{seed}"
            of_corpus += _tasks(plan, "run", run, replace(settings, **values), [])
        whole = replace(settings, corpus=corpus, seed=seeds[0], **sweep)
        tasks += of_corpus + _tasks(plan, "corpus", slug(corpus), whole, of_corpus)
    return tasks


def _tasks(plan: Plan, once_a: str, run: str, settings: Any, before: list[Task]) -> list[Task]:
    """The tasks of one run or corpus; they may need one another and those ``before``."""
    tasks: list[Task] = []
    for stage in plan.stages:
        if stage.once_a == once_a:
            needs = [task for task in (*before, *tasks) if task.stage.name in stage.needs]
            tasks.append(Task(plan, stage, run, settings, tuple(needs)))
    return tasks


def slug(corpus: str) -> str:
    """A corpus (a name, a path, ``hub:owner/name``) as the name of a folder."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", corpus.removeprefix("hub:")).strip("-.") or "corpus"


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))

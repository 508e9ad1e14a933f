"""The studies that there are: every package beside :mod:`gdlib.studies.shared`, by its name.

A study's package has a module ``settings`` with its ``PLAN``, and a module ``study`` with the class
whose ``plan`` that is.
"""

import importlib
import pkgutil

import gdlib.studies
from gdlib.core.errors import unknown
from gdlib.core.plans import Plan
from gdlib.core.registry import load_plugins

SHARED = "shared"


def names() -> list[str]:
    """The names of all studies, found by listing the packages; a plugin may add a folder of its
    own to ``gdlib.studies.__path__``.
    """
    load_plugins()
    packages = pkgutil.iter_modules(gdlib.studies.__path__)
    return [package.name for package in packages if package.ispkg and package.name != SHARED]


def plan_of(study: str) -> Plan:
    """The plan of a study by its name; an unknown one is an ``UnknownName`` with the choices."""
    if study not in names():
        raise unknown("study", study, names())
    return importlib.import_module(f"gdlib.studies.{study}.settings").PLAN


def plans() -> list[Plan]:
    """The plans of all studies, in the order of their notebooks."""
    return sorted(map(plan_of, names()), key=lambda plan: plan.stages[0].notebook)


def class_of(plan: Plan) -> type:
    """The class of a study's artifacts: the one of its module ``study`` that has this plan."""
    module = importlib.import_module(f"gdlib.studies.{plan.name}.study")
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and getattr(value, "plan", None) is plan
    )


def modules_of(study: str) -> list[str]:
    """The names of the modules in a study's package; none if there is no such package."""
    if study not in names():
        return []
    package = importlib.import_module(f"gdlib.studies.{study}")
    modules = pkgutil.iter_modules(package.__path__)
    return [f"{package.__name__}.{module.name}" for module in modules]

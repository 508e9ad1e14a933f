"""Which code one method reaches by name, function by function: whether what it made still holds.

So a change in one method of a study makes the artifacts of that method again and no others.
``gdlib.core`` does not count: it knows how artifacts are kept, and nothing of what is in them.
Modules named in ``GDLIB_PLUGINS`` count like the library's own.
"""

import ast
import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from gdlib.core.code import bare_code, find_module, is_ours
from gdlib.core.registry import Registry
from gdlib.core.settings import digest


@dataclass
class Reach:
    """What some code reaches by name.

    Args:
        code: place (``"module:name"``) of every definition that it reaches, and its digest.
        attributes: the attributes of the study that are read through ``self`` or ``study``.
        words: the text constants in that code: names that it may look up in a registry.
        registries: the registries that it reaches, by the kind of thing that they name.
        owners: the places of the study's classes, whose methods' ``self`` is the study.
    """

    code: dict[str, str] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    registries: dict[str, Registry] = field(default_factory=dict)
    owners: tuple[str, ...] = ()

    def method(self, owner: type, name: str, stops: Iterable[str]) -> "Reach":
        """Take in a method of a study and what it reaches, other methods of the study included.

        Args:
            owner: the study's class.
            name: the method's name.
            stops: attributes of the study that count by their value, not by the code behind it.
        """
        self.owners = tuple(f"{base.__module__}:{base.__qualname__}." for base in owner.__mro__)
        waiting, seen = [name], set(stops) - {name}
        while waiting:
            current = waiting.pop()
            if current not in seen:
                seen.add(current)
                for base in owner.__mro__:
                    self.value(vars(base).get(current))
                waiting.extend(self.attributes - seen)
        return self

    def value(self, value: Any) -> Any:
        """Take in a function, a class, or the functions and classes that stand in a constant.

        Returns:
            What it is, JSON-able. Functions and classes are told by their names, as their code
            counts by itself.
        """
        value = _unwrapped(value)
        parts = _parts(value)
        if isinstance(value, (str, int, float, type(None))):
            return value
        if parts is not None:
            described = [self.value(part) for part in parts]
            return sorted(map(str, described)) if isinstance(value, (set, frozenset)) else described
        if isinstance(value, Registry):
            self.registries[value.what] = value
        elif isinstance(value, (FunctionType, type)):
            self._definition(value)
        elif isinstance(value, ModuleType):
            for member in vars(value).values():
                if getattr(_unwrapped(member), "__module__", "") == value.__name__:
                    self.value(member)
        if isinstance(value, type) and not is_ours(value.__module__):
            # By the name under which our code knows it, which stands in that code: tqdm.auto gives
            # another class in a notebook, and an artifact made there is the same.
            return "class"
        return getattr(value, "__qualname__", type(value).__qualname__)

    def _definition(self, value: Any) -> None:
        module = value.__module__ or ""
        place = f"{module}:{value.__qualname__}"
        if place in self.code or not is_ours(module) or module.startswith("gdlib.core"):
            return
        tree, self.code[place] = _read(value)
        studies = ("self", "study") if place.startswith(self.owners) else ("study",)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.words.add(node.value)
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in studies:
                self.attributes.add(node.attr)
        for name, used in _used(tree, vars(import_module(module))):
            described = self.value(used)  # the code of what this module itself defines stands now
            self.code.setdefault(f"{module}:{name}", digest(described))

    def entries(self, values: str) -> dict[str, Any]:
        """The code of what the registries have under the names that stand in some values (as JSON)
        or in the code itself; of a registry of which nothing is named, the code of all that it has.
        """
        entries = {}
        for what, registry in self.registries.items():
            names = [name for name in registry if name in self.words or json.dumps(name) in values]
            for name in names or registry:
                reach = Reach()
                entries[f"{what} {name}"] = digest([reach.value(registry[name]), reach.code])
        return entries


def _unwrapped(value: Any) -> Any:
    """The function behind a method, a property, a cache or an artifact."""
    if isinstance(value, property):
        return value.fget
    if not isinstance(value, type):
        for name in ("__wrapped__", "func", "__func__"):
            inner = inspect.getattr_static(value, name, None)
            if isinstance(inner, FunctionType):
                return inner
    return value


def _parts(value: Any) -> Iterable[Any] | None:
    """What a constant is made of; none if it is no collection."""
    if isinstance(value, (Registry, type)):
        return None
    if isinstance(value, Mapping):
        return value.items()
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if hasattr(value, "get_params"):  # of scikit-learn
        return [type(value).__qualname__, value.get_params(deep=False)]
    if dataclasses.is_dataclass(value):
        return [type(value), *(getattr(value, f.name) for f in dataclasses.fields(value))]
    return value if isinstance(value, (list, tuple, set, frozenset)) else None


def _used(tree: ast.AST, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What some code names: the globals of its module, and of a module only what is taken of it."""
    known, through = dict(known), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and is_ours(node.module or ""):
            for alias in node.names:
                place = f"{node.module}.{alias.name}"
                known[alias.asname or alias.name] = (
                    import_module(place)
                    if find_module(place)
                    else getattr(import_module(node.module), alias.name)
                )
    ours = {
        name: value
        for name, value in known.items()
        if isinstance(value, ModuleType) and is_ours(value.__name__)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in ours:
            through.add(id(node.value))
            yield f"{node.value.id}.{node.attr}", getattr(ours[node.value.id], node.attr, None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in known and id(node) not in through:
            if node.id in ours or not isinstance(known[node.id], ModuleType):
                yield node.id, known[node.id]


@cache
def _read(value: Any) -> tuple[ast.AST, str]:
    """The definition of a function or class as a tree, and the digest of its code.

    Annotations do not count, nor does the declaration of an artifact: what that names stands in the
    artifact's recipe.
    """
    if value.__name__ == "<lambda>":
        code = value.__code__
        names = [ast.Name(name) for name in code.co_names]
        tree = ast.List([*names, ast.Constant(f"{code.co_code.hex()} {code.co_consts}")])
    else:
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(value))).body
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
            node.decorator_list = [each for each in node.decorator_list if not _declares(each)]
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return tree, digest(bare_code(tree))


def _declares(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "artifact"

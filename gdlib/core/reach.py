"""Which code one method reaches by name, function by function: whether what it made still holds.

So a change in one method of a study makes the artifacts of that method again and no others.
``gdlib.core`` does not count: it knows how artifacts are kept, and nothing of what is in them.
Modules named in ``GDLIB_PLUGINS`` count like the library's own.
"""

import ast
import dataclasses
import hashlib
import inspect
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import FunctionType, ModuleType
from typing import Any

from gdlib.core.code import bare_code, module_file
from gdlib.core.registry import Registry, plugins
from gdlib.core.settings import digest


@dataclass
class Reach:
    """What some code reaches by name.

    Args:
        code: place (``"module:name"``) of every definition that it reaches, and its digest.
        attributes: the attributes of the study that are read through ``self`` or ``study``.
        words: the text constants in that code: names that it may look up in a registry.
        registries: the registries that it reaches.
        owners: the places of the study's classes, whose methods' ``self`` is the study.
    """

    code: dict[str, str] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    registries: list[Registry] = field(default_factory=list)
    owners: tuple[str, ...] = ()

    def method(self, owner: type, name: str, stops: Iterable[str] = ()) -> "Reach":
        """Take in a method of a study and what it reaches, other methods of the study included.

        Args:
            owner: the study's class.
            name: the method's name.
            stops: attributes of the study that count by their value, not by the code behind it.
        """
        self.owners = tuple(f"{base.__module__}:{base.__qualname__}." for base in owner.__mro__)
        open_ends, seen = [name], set(stops) - {name}
        while open_ends:
            current = open_ends.pop()
            if current not in seen:
                seen.add(current)
                for base in owner.__mro__:
                    self.value(vars(base).get(current))
                open_ends.extend(self.attributes - seen)
        return self

    def value(self, value: Any) -> "Reach":
        """Take in a function, a class, or the functions and classes that stand in a constant."""
        value = _unwrapped(value)
        if isinstance(value, Registry):
            if not any(value is known for known in self.registries):
                self.registries.append(value)
        elif isinstance(value, (FunctionType, type)):
            self._definition(value)
        elif isinstance(value, ModuleType):
            for each in vars(value).values():
                if getattr(_unwrapped(each), "__module__", "") == value.__name__:
                    self.value(each)
        else:
            for each in _parts(value):
                self.value(each)
        return self

    def _definition(self, value: Any) -> None:
        module = value.__module__ or ""
        place = f"{module}:{value.__qualname__}"
        if place in self.code or not _counts(module):
            return
        tree = _tree(value)
        self.code[place] = _digest_of(value)
        studies = ("self", "study") if place.startswith(self.owners) else ("study",)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                self.words.add(node.value)
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in studies:
                self.attributes.add(node.attr)
        for name, used in _used(tree, vars(import_module(module))):
            self.value(used)
            if _is_data(used):
                self.code[f"{module}:{name}"] = digest(_described(used))

    def entries(self, names: Iterable[str]) -> dict[str, Any]:
        """The code of what the registries have under the given names or the code's own words; of a
        registry of which nothing is named, the code of all that it has.
        """
        wanted, found = {*names, *self.words}, {}
        for registry in self.registries:
            for name in sorted(wanted.intersection(registry)) or sorted(registry):
                entry = Reach().value(registry[name])
                found[f"{registry.what} {name}"] = digest([_described(registry[name]), entry.code])
        return found


def _counts(module: str) -> bool:
    own = module.startswith("gdlib.") and not module.startswith("gdlib.core")
    return own or module.partition(".")[0] in plugins()


def _unwrapped(value: Any) -> Any:
    """The function behind a method, a property, a cache or an artifact."""
    for name in ("__wrapped__", "fget", "func", "__func__"):
        inner = inspect.getattr_static(value, name, None) if not isinstance(value, type) else None
        if isinstance(inner, FunctionType):
            return inner
    return value


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return (value.__class__, *(getattr(value, f.name) for f in dataclasses.fields(value)))
    return ()


def _is_data(value: Any) -> bool:
    value = _unwrapped(value)
    return not isinstance(value, (FunctionType, type, ModuleType, Registry))


def _described(value: Any) -> Any:
    """A constant as JSON; functions and classes by their names, as their code counts by itself."""
    value = _unwrapped(value)
    if isinstance(value, Mapping):
        return [[_described(name), _described(each)] for name, each in value.items()]
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, map(_described, value)))
    if _parts(value):
        return [_described(each) for each in _parts(value)]
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return getattr(value, "__qualname__", type(value).__qualname__)


def _used(tree: ast.AST, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What some code names: the globals of its module, and of a module only what is taken of it."""
    known, through = dict(known), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("gdlib."):
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                known[alias.asname or alias.name] = (
                    import_module(inside)
                    if module_file(inside).exists()
                    else getattr(import_module(node.module), alias.name)
                )
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = known.get(node.value.id)
            if isinstance(module, ModuleType) and module.__name__.startswith("gdlib."):
                through.add(id(node.value))
                yield f"{node.value.id}.{node.attr}", getattr(module, node.attr, None)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in known and id(node) not in through:
            value = known[node.id]
            if not isinstance(value, ModuleType) or value.__name__.startswith("gdlib."):
                yield node.id, value


@cache
def _source(value: Any) -> str:
    return textwrap.dedent(inspect.getsource(value))


def _tree(value: Any) -> ast.AST:
    """The definition of a function or class as a tree, without annotations and without the
    declaration of an artifact: what that names stands in the artifact's recipe.
    """
    if value.__name__ == "<lambda>":
        code = value.__code__
        names = [ast.Name(name) for name in code.co_names]
        return ast.List([*names, ast.Constant(f"{code.co_code.hex()} {code.co_consts}")])
    (tree,) = ast.parse(_source(value)).body
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            node.returns = None
            node.decorator_list = [each for each in node.decorator_list if not _declares(each)]
        elif isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return tree


def _declares(decorator: ast.expr) -> bool:
    return isinstance(decorator, ast.Call) and getattr(decorator.func, "id", "") == "artifact"


@cache
def _digest_of(value: Any) -> str:
    return hashlib.sha256(bare_code(_tree(value)).encode()).hexdigest()[:16]

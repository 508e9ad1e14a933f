"""The code that something depends on, as digests: what decides whether a kept result still holds.

Two grains. :func:`code_digest` takes whole modules and everything that they import: whether a
notebook has to be executed again. :func:`method_code` takes what one method *reaches by name*,
function by function: whether a kept artifact has to be made again. So a change in one method of a
study makes the artifacts of that method again and no others.

Comments, docstrings and the words of error messages do not count: explaining the code better, or
wording a refusal better, does not retrain a teacher. ``gdlib.core`` does not count either: it knows
how artifacts are kept, and nothing of what is in them.
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
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from gdlib.core.registry import Registry
from gdlib.core.settings import digest


def code_digest(*modules: str) -> str:
    """Digest of the code of the named ``gdlib`` modules and of every ``gdlib`` module that they
    import, all the way down.
    """
    found: dict[str, str] = {}
    open_ends = list(modules)
    while open_ends:
        name = open_ends.pop()
        if name not in found:
            found[name], imported = _read_code(name)
            open_ends.extend(imported)
    return digest(found)


@cache
def _read_code(module: str) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(module_file(module).read_text("utf-8"))
    return hashlib.sha256(bare_code(tree).encode()).hexdigest(), tuple(imported_modules(tree))


def module_file(module: str) -> Path:
    """The file of a ``gdlib`` module; of a package its ``__init__.py``."""
    path = Path(__file__).parents[2].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def bare_code(tree: ast.AST) -> str:
    """The code of a tree without comments, docstrings and the words of errors; the tree changes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if node.body and _is_text(node.body[0]):
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
    return ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def imported_modules(tree: ast.AST) -> list[str]:
    """The ``gdlib`` modules that some code imports, in the order of their names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names if alias.name.startswith("gdlib."))
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("gdlib."):
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            modules = {name for name in inside if module_file(name).exists()}
            names.update(modules)
            if inside - modules and node.module != "gdlib":
                names.add(node.module)
    return sorted(names)


# ---- what one method reaches


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
        if place in self.code or not module.startswith("gdlib.") or module.startswith("gdlib.core"):
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

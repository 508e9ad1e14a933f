"""Which code something depends on, in whole modules: whether a notebook has to be executed again.

Comments, docstrings and the words of error messages do not count: explaining the code better, or
wording a refusal better, makes nothing again. :mod:`gdlib.core.reach` looks closer.
"""

import ast
import sys
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path

from gdlib.core.registry import plugins
from gdlib.core.settings import digest


def is_ours(module: str) -> bool:
    """Whether a module belongs to the library or to a plugin, so that its code decides results."""
    return module.partition(".")[0] in {"gdlib", *(name.partition(".")[0] for name in plugins())}


def code_digest(*modules: str) -> str:
    """Digest of the code of the named modules and of every module of the library or of a plugin
    that they import, all the way down.
    """
    digests: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in digests:
            digests[name], imported = _read_code(name)
            waiting.extend(imported)
    return digest(digests)


@cache
def _read_code(module: str) -> tuple[str, list[str]]:
    tree = ast.parse(Path(find_module(module).origin).read_text("utf-8"))
    return digest(bare_code(tree)), imported_modules(tree)


def find_module(name: str) -> ModuleSpec | None:
    """Where a module is, in the library or in a plugin. Nothing is imported to find it.

    A plugin may have added a folder to the ``__path__`` of a package.
    """
    parent = name.rpartition(".")[0]
    if name in sys.modules or not parent:
        return find_spec(name)
    package = find_module(parent)
    folders = package and package.submodule_search_locations
    return PathFinder.find_spec(name, folders) if folders else None


def bare_code(tree: ast.AST) -> str:
    """The code of a tree without comments, docstrings and the words of errors; the tree changes."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            node.exc.args, node.exc.keywords = [], []
    return ast.unparse(tree)


def imported_modules(tree: ast.AST) -> list[str]:
    """The modules of the library and of plugins that some code imports, in the order of names."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    ours = filter(is_ours, names - {"gdlib"})
    return sorted(name for name in ours if find_module(name))

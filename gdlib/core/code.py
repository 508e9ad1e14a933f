"""Which code something depends on, in whole modules: whether a notebook has to be executed again.

Comments, docstrings and the words of error messages do not count: explaining the code better, or
wording a refusal better, makes nothing again. :mod:`gdlib.core.reach` looks closer.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

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

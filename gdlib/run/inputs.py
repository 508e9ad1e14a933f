"""Digests of what decides a stage's result and lies outside of the store: code and folders."""

import ast
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gdlib.core.code import bare_code, code_digest, imported_modules
from gdlib.core.errors import GdlibError
from gdlib.core.settings import digest
from gdlib.core.store import file_digest
from gdlib.run.studies import modules_of


def notebook_digests(root: Path, notebook: str, study: str) -> dict[str, str]:
    """Digests of a notebook's code cells, without comments and docstrings, and of the modules that
    decide what they do: those that they import, and the package of their study, which they open by
    name.

    Args:
        root: the project's folder.
        notebook: its path, relative to ``notebooks/``.
        study: the name of its study.

    Raises:
        GdlibError: it is not there or no notebook.
    """
    path = root / "notebooks" / notebook
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
    except (OSError, ValueError, KeyError) as error:
        raise GdlibError(f"{path} is no readable notebook ({error})") from None
    code, modules = [], set(modules_of(study))
    for cell in cells:
        if cell["cell_type"] == "code":
            source = "".join(cell["source"])
            try:
                tree = ast.parse(source)
            except SyntaxError:  # a magic like %matplotlib: taken as it stands
                code.append(source)
            else:
                modules.update(imported_modules(tree))
                code.append(bare_code(tree))
    return {"notebook": digest(code), "library": code_digest(*modules)}


def folder_digests(root: Path, values: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Digests of the content of every folder (a corpus, a task, a network) that a knob names.

    Args:
        root: the project's folder, in which paths are relative.
        values: of the knobs, by name.

    Returns:
        For each knob that names a folder: its paths with their digests.
    """
    digests: dict[str, dict[str, str]] = {}
    for name, value in values.items():
        for text in value if isinstance(value, (list, tuple)) else [value]:
            for path in possible_folders(text):
                if (root / path).is_dir():
                    digests.setdefault(name, {})[path] = folder_digest(root / path)
    return digests


def possible_folders(value: Any) -> Iterator[str]:
    """What of a knob's value may be the path of a folder: all of it, or what stands before the
    column that is predicted (``path/to/sick:relatedness``).
    """
    if isinstance(value, str):
        yield from filter(None, (value, value.rpartition(":")[0]))


def folder_digest(folder: Path) -> str:
    """Digest of the names and contents of a folder's files; when they were written is left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})

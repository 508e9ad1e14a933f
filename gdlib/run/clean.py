"""What of the store nothing needs any more: for ``gdlib clean``."""

import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gdlib.core.plans import Plan
from gdlib.core.store import MANIFEST, Store, file_digest
from gdlib.run.inputs import folder_digests, notebook_digests
from gdlib.run.jobs import products_of

DELETED = ".deleted"
"""How the names of folders end that are being deleted."""

NOT_COMPUTED = {"damaged", "work", "locks", "stages", "products"}
"""Folders of the store that hold nothing that a run computed."""


def leftovers(
    plans: Iterable[Plan], store: Store, root: Path, unused_days: float | None = None
) -> dict[Path, str]:
    """What can be deleted, and why: damaged artifacts, interrupted builds, receipts of code that
    has changed since, their products.

    Args:
        unused_days: also what a run computed (networks, signals, samples, ...) and that was made
            longer ago than this.
    """
    current = _current_receipts(plans, store, root)
    wanted = {products_of(path) for path in current}
    work = sorted((store.root / "work").glob("*/*"))
    found = dict.fromkeys(sorted((store.root / "damaged").glob("*")), "damaged")
    found |= {path: "half deleted" for path in sorted(store.root.glob(f"*/.*{DELETED}"))}
    found |= {
        path: "interrupted" for path in work if path not in found and not store.is_locked(path)
    }
    found |= {path: "of other code" for path, _ in store.manifests("stages") if path not in current}
    for path, _ in store.manifests("products"):
        if file_digest(path / MANIFEST) not in wanted:
            found[path] = "of other code"
    if unused_days is not None:
        before = time.time() - unused_days * 86400
        for kind in sorted(set(os.listdir(store.root)) - NOT_COMPUTED):
            for path, _ in store.manifests(kind):
                if path.stat().st_mtime < before:
                    found[path] = f"made over {unused_days:g} days ago"
    return found


def size(folder: Path) -> int:
    """The bytes of the files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _current_receipts(plans: Iterable[Plan], store: Store, root: Path) -> set[Path]:
    """The receipts that the code of today would write, whatever the settings: with today's digests,
    needs included.
    """
    today = {
        (plan.name, stage.name): notebook_digests(root, stage.notebook, plan.name)
        for plan in plans
        for stage in plan.stages
    }

    def is_of_today(recipe: dict[str, Any]) -> bool:
        code = today.get((recipe["study"], recipe["stage"]))
        folders = {"folders": folder_digests(root, recipe["settings"])}
        return code is not None and recipe == recipe | code | folders

    recipes = {path: manifest["recipe"] for path, manifest in store.manifests("stages")}
    current = {path for path, recipe in recipes.items() if is_of_today(recipe)}
    while True:
        keys = {path.name for path in current}
        whole = {path for path in current if keys.issuperset(recipes[path]["needs"])}
        if whole == current:
            return current
        current = whole


def delete(found: Iterable[Path], store: Store) -> None:
    """Delete folders; each is renamed first, so that no reader sees half of one. A build that was
    taken up since it was found stays.
    """
    for path in found:
        if path.parent.parent == store.root / "work" and store.is_locked(path):
            continue
        doomed = path.with_name(f".{path.name}.{time.time_ns()}{DELETED}")
        os.rename(path, doomed)
        shutil.rmtree(doomed)

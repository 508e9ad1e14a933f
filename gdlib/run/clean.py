"""What of the store nothing needs any more: for ``gdlib clean``."""

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gdlib.core.plans import Plan
from gdlib.core.store import MANIFEST, Store, file_digest
from gdlib.run.inputs import Inputs
from gdlib.run.jobs import RECEIPT

NOT_COMPUTED = {"damaged", "work", "locks", "stages", "products"}
"""Folders of the store that hold nothing that a run computed."""


@dataclass(frozen=True)
class Leftover:
    """A folder of the store that nothing needs any more."""

    path: Path
    why: str
    size: int


def leftovers(
    plans: Iterable[Plan], store: Store, root: Path, unused_days: float | None = None
) -> list[Leftover]:
    """What can be deleted: damaged artifacts, interrupted builds, receipts of code that has changed
    since, their products.

    Args:
        unused_days: also what a run computed (networks, signals, samples, ...) and that was made
            longer ago than this.
    """
    current = _current_receipts(plans, store, root)
    wanted = {json.loads((path / RECEIPT).read_text("utf-8"))["products"] for path in current}
    damaged = sorted((store.root / "damaged").glob("*"))
    work = sorted((store.root / "work").glob("*/*"))
    stages = [path for path, _ in store.manifests("stages")]
    products = [path for path, _ in store.manifests("products")]
    reasons = {
        **dict.fromkeys(damaged, "damaged"),
        **dict.fromkeys((path for path in work if not _locked(store, path)), "interrupted"),
        **dict.fromkeys((path for path in stages if path not in current), "of other code"),
        **dict.fromkeys(
            (path for path in products if file_digest(path / MANIFEST) not in wanted),
            "of other code",
        ),
    }
    if unused_days is not None:
        before = time.time() - unused_days * 86400
        for kind in sorted(set(os.listdir(store.root)) - NOT_COMPUTED):
            old = [path for path, _ in store.manifests(kind) if path.stat().st_mtime < before]
            reasons |= dict.fromkeys(old, f"made over {unused_days:g} days ago")
    return [Leftover(path, why, _size(path)) for path, why in reasons.items()]


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _current_receipts(plans: Iterable[Plan], store: Store, root: Path) -> set[Path]:
    """The receipts that the code of today would write, whatever the settings: with today's digests,
    needs included.
    """
    inputs = Inputs(root)
    today = {
        (plan.name, stage.name): inputs.notebook(Path("notebooks") / stage.notebook, plan.name)
        for plan in plans
        for stage in plan.stages
    }

    def is_of_today(recipe: dict[str, Any]) -> bool:
        code = {key: recipe[key] for key in ("notebook", "library")}
        same_folders = recipe["folders"] == inputs.folders(recipe["settings"])
        return code == today.get((recipe["study"], recipe["stage"])) and same_folders

    recipes = {path: manifest["recipe"] for path, manifest in store.manifests("stages")}
    current = {path for path, recipe in recipes.items() if is_of_today(recipe)}
    while True:
        keys = {path.name for path in current}
        whole = {path for path in current if set(recipes[path]["needs"]) <= keys}
        if whole == current:
            return current
        current = whole


def _locked(store: Store, work: Path) -> bool:
    lock = FileLock(store.root / "locks" / f"{work.parent.name}-{work.name}.lock")
    try:
        with lock.acquire(timeout=0):
            return False
    except Timeout:
        return True


def delete(found: Iterable[Leftover]) -> None:
    """Delete leftovers; each is renamed first, so that no reader sees half of one."""
    for leftover in found:
        doomed = leftover.path.with_name(f".{leftover.path.name}.deleted")
        os.rename(leftover.path, doomed)
        shutil.rmtree(doomed)

"""What of the store nothing needs any more: for ``gdlib clean``."""

import json
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from gdlib.core.plans import Plan
from gdlib.core.store import MANIFEST, Store, file_digest
from gdlib.run.inputs import Inputs
from gdlib.run.jobs import RECEIPT


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
    found = [(path, "damaged") for path in sorted((store.root / "damaged").glob("*"))]
    found += [
        (path, "interrupted")
        for path in sorted((store.root / "work").glob("*/*"))
        if not _locked(store, path)
    ]
    found += [
        (path, "of other code") for path, _ in store.manifests("stages") if path not in current
    ]
    wanted = {json.loads((path / RECEIPT).read_text("utf-8"))["products"] for path in current}
    found += [
        (path, "of other code")
        for path, _ in store.manifests("products")
        if file_digest(path / MANIFEST) not in wanted
    ]
    if unused_days is not None:
        before = time.time() - unused_days * 86400
        for kind in sorted(
            set(os.listdir(store.root)) - {"damaged", "work", "locks", "stages", "products"}
        ):
            old = [path for path, _ in store.manifests(kind) if path.stat().st_mtime < before]
            found += [(path, f"made over {unused_days:g} days ago") for path in old]
    return [
        Leftover(path, why, sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))
        for path, why in found
    ]


def _current_receipts(plans: Iterable[Plan], store: Store, root: Path) -> set[Path]:
    """The receipts that the code of today would write, whatever the settings: with today's digests,
    needs included.
    """
    reader = Inputs(root)
    today = {
        (plan.name, stage.name): reader.notebook(Path("notebooks") / stage.notebook, plan.name)
        for plan in plans
        for stage in plan.stages
    }
    recipes = {path: manifest["recipe"] for path, manifest in store.manifests("stages")}
    good = {
        path.name: recipe
        for path, recipe in recipes.items()
        if {key: recipe[key] for key in ("notebook", "library")}
        == today.get((recipe["study"], recipe["stage"]))
        and recipe["folders"] == reader.folders(recipe["settings"])
    }
    while broken := [key for key, recipe in good.items() if not set(recipe["needs"]) <= set(good)]:
        for key in broken:
            del good[key]
    return {path for path in recipes if path.name in good}


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

"""Artifacts on disk: keyed by all that made them, written aside and renamed, checked when read.

An artifact is a folder ``<root>/<kind>/<key>/``. Its key is the digest of its *recipe*: parameters,
digests of the inputs, digests of the weights, and the code that makes it. ``artifact.json`` in it
holds the recipe and the sha256 of every file. :meth:`Store.make` is the one way to come by an
artifact::

    teacher = store.make("teacher", recipe, build)    # build(folder) writes the files, if needed

``build`` is given a work folder that outlives a kill: what it left there the last time is there
again, so that it can go on. The finished folder is renamed into place, so a reader sees a whole
artifact or none. A lock per key lets one of two runs make an artifact; the other then finds it.
"""

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gdlib.core.errors import BadStore, GdlibError, StaleArtifact, first_line
from gdlib.core.settings import digest, jsonable

MANIFEST = "artifact.json"
ASIDE = ".aside"  # how a file is named that is being written
FULL = 1_000_000  # bytes left; the next file would hardly find room
REFUSALS = ("EACCES", "EDQUOT", "EEXIST", "EIO", "ENOSPC", "ENOTDIR", "EPERM", "EROFS")


@dataclass(frozen=True)
class Artifact:
    """A finished, verified artifact: where it is and what made it."""

    path: Path
    kind: str
    key: str
    recipe: dict[str, Any]
    seconds: float

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text("utf-8"))


class Store:
    """The artifacts of all runs under one folder. Safe for several processes at once."""

    def __init__(self, root: str | os.PathLike[str]):
        self.root = Path(root)

    def folder(self, kind: str, recipe: Mapping[str, Any]) -> Path:
        """Where the artifact of this recipe is, or would be."""
        return self.root / kind / digest(jsonable(recipe))

    def find(self, kind: str, recipe: Mapping[str, Any]) -> Artifact | None:
        """The artifact if it is there and sound; a damaged one is said, set aside and counts as
        missing.
        """
        path = self.folder(kind, recipe)
        try:
            return self.open(path) if path.is_dir() else None
        except StaleArtifact as error:
            with suppress(StaleArtifact):  # else it was replaced while it was read
                return self.open(path) if path.is_dir() else None
            print(f"{error}; set aside, to be made again", file=sys.stderr)
            damaged = self.root / "damaged" / f"{kind}-{path.name}-{time.time_ns()}"
            damaged.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another process was first
                os.rename(path, damaged)
            return None

    def open(self, path: Path) -> Artifact:
        """Read and verify the artifact in a folder.

        Raises:
            StaleArtifact: no manifest, a file that is missing or whose sha256 differs, or a recipe
                that is not the folder's.
        """
        try:
            manifest = _manifest(path)
            files = manifest["files"]
            damaged = [name for name in files if file_digest(path / name) != files[name]]
        except (OSError, ValueError) as error:
            raise StaleArtifact(f"artifact {path}: unreadable ({error})") from error
        if damaged:
            raise StaleArtifact(
                f"artifact {path}: {damaged[0]} is damaged (its sha256 is not the recorded one)"
            )
        kind, key = path.parent.name, path.name
        return Artifact(path, kind, key, manifest["recipe"], manifest["seconds"])

    def make(
        self,
        kind: str,
        recipe: Mapping[str, Any],
        build: Callable[[Path], None],
        *,
        again: bool = False,
    ) -> Artifact:
        """The artifact of this recipe; built now if it is missing or damaged.

        Args:
            kind: the sort of artifact, the name of its folder ("teacher", "samples").
            recipe: JSON-able; everything that decides what the artifact holds.
            build: writes the files into the folder it is given. That folder may hold what an
                interrupted build of the same recipe left; names that start with ``checkpoint`` are
                not kept in the artifact.
            again: build even if the artifact is there, and replace it.

        Raises:
            BadStore: the folder of the store cannot be written, or its disk is full.
        """
        path = self.folder(kind, recipe)
        with self._usable():
            if not again and (made := self.find(kind, recipe)):
                return made
            with self.lock(path):
                if not again and (made := self.find(kind, recipe)):
                    return made
                work = self.root / "work" / kind / path.name
                work.mkdir(parents=True, exist_ok=True)
                start = time.monotonic()
                build(work)
                self._seal(work, kind, recipe, time.monotonic() - start)
                path.parent.mkdir(parents=True, exist_ok=True)
                old = work.with_name(f"{path.name}-{time.time_ns()}")
                with suppress(FileNotFoundError):
                    os.rename(path, old)  # whole, for a reader who may be in it
                os.rename(work, path)
                shutil.rmtree(old, ignore_errors=True)
                return self.open(path)

    def manifests(self, kind: str) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Folder and manifest of every artifact of a kind; their files are not checked."""
        for path in sorted((self.root / kind).glob(f"*/{MANIFEST}")):
            with suppress(OSError, ValueError):  # damaged: set aside by whoever opens it
                yield path.parent, _manifest(path.parent)

    @contextmanager
    def _usable(self) -> Iterator[None]:
        """What the system refuses is said of the store; libraries say a full disk in their ways."""
        try:
            yield
        except GdlibError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and errno.errorcode.get(error.errno) in REFUSALS:
                why = f"{error.strerror} ({error.filename})" if error.filename else error.strerror
            elif self.root.is_dir() and shutil.disk_usage(self.root).free < FULL:
                why = f"its disk is full ({first_line(error)})"
            else:
                raise
            raise BadStore(
                f"store {self.root}: {why}; free some space, or choose a folder that can be "
                "written: --store, of the cache GDLIB_CACHE"
            ) from error

    def lock(self, path: Path) -> FileLock:
        """A lock on one artifact, released by the system even if its holder is killed.

        If it has to be waited for, that is said.
        """
        if self.is_locked(path):
            name = f"{path.parent.name}/{path.name}"
            print(f"waiting for another run that is making {name}", file=sys.stderr)
        return self._lock(path)

    def is_locked(self, path: Path) -> bool:
        """Whether somebody makes the artifact at this moment."""
        try:
            with self._lock(path).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def _lock(self, path: Path) -> FileLock:
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        return FileLock(locks / f"{path.parent.name}-{path.name}.lock")

    def _seal(self, work: Path, kind: str, recipe: Mapping[str, Any], seconds: float) -> None:
        for left in [*work.glob("checkpoint*"), *work.rglob(f"*{ASIDE}")]:  # the latter of a kill
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        files = sorted(p for p in work.rglob("*") if p.is_file() and p != work / MANIFEST)
        digests = {p.relative_to(work).as_posix(): file_digest(p) for p in files}
        manifest = {"kind": kind, "recipe": jsonable(recipe), "files": digests}
        manifest["seconds"] = round(seconds, 3)
        write_atomically(work / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True))


def _manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an artifact; a ``ValueError`` says that it is none."""
    manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
    kinds = {"recipe": dict, "files": dict, "seconds": (int, float)}
    for name, kind in kinds.items():
        if not isinstance(manifest, dict) or not isinstance(manifest.get(name), kind):
            raise ValueError(f"{MANIFEST} has no {name}")
    if folder.name != digest(manifest["recipe"]):
        raise ValueError("made from another recipe than the one asked for")
    return manifest


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write aside and rename: a reader, or a kill, never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE}")
    try:
        aside.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def file_digest(path: Path) -> str:
    """sha256 of a file, hex.

    A process reads a file again only if it changed since, or just before (clocks are coarse).
    """
    stat = os.stat(path)
    settled = time.time() - stat.st_ctime > 2
    read = _file_digest if settled else _file_digest.__wrapped__
    return read(os.path.abspath(path), stat.st_ino, stat.st_size, stat.st_ctime_ns)


@cache
def _file_digest(path: str, *_: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def texts_digest(texts: Iterable[str]) -> str:
    """sha256 over texts in their order, each with its length: no two lists run into each other."""
    total = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        total.update(len(encoded).to_bytes(8, "little") + encoded)
    return total.hexdigest()[:16]

"""The store: whole artifacts or none, whatever is killed, damaged, changed or done twice."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdlib.core import code as code_module
from gdlib.core import store as store_module
from gdlib.core.code import bare_code, code_digest, imported_modules
from gdlib.core.errors import BadStore, StaleArtifact
from gdlib.core.store import (
    MANIFEST,
    Artifact,
    Store,
    texts_digest,
    write_atomically,
)

RECIPE = {"epochs": 3, "layers": [1, 2]}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def write(text: str):
    """A build that leaves one file."""
    return lambda folder: (folder / "weights.txt").write_text(text)


def python(code: str, folder: Path) -> subprocess.Popen[str]:
    """Some code in a process of its own; ``root`` is the store's folder."""
    start = (
        "import os, signal, time\nfrom gdlib.core import store as module\nfrom gdlib.core.store "
        "import Store, write_atomically\n"
    )
    start += f"root = {str(folder)!r}\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + textwrap.dedent(code)],
        cwd=Path(__file__).parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- made once, found again


def test_made_once_and_found_again(store: Store) -> None:
    first = store.make("teacher", RECIPE, write("a"))
    assert (first / "weights.txt").read_text() == "a"
    again = store.make("teacher", {"layers": (1, 2), "epochs": 3}, write("never called"))
    assert again == first
    assert (again.kind, again.recipe, again.path.parent.name) == ("teacher", RECIPE, "teacher")


def test_another_recipe_is_another_artifact(store: Store) -> None:
    store.make("teacher", RECIPE, write("a"))
    assert store.find("teacher", {**RECIPE, "epochs": 4}) is None
    assert (
        store.make("teacher", {**RECIPE, "epochs": 4}, write("b")) / "weights.txt"
    ).read_text() == "b"


def test_again_replaces(store: Store) -> None:
    store.make("products", RECIPE, write("a"))
    assert (
        store.make("products", RECIPE, write("b"), again=True) / "weights.txt"
    ).read_text() == "b"
    assert len(list((store.root / "products").iterdir())) == 1


def test_a_reader_finds_a_whole_artifact_while_it_is_replaced(store: Store) -> None:
    """Or none, for the moment between two; never one that looks damaged."""
    store.make("teacher", RECIPE, write("a" * 100_000))
    found, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            found.append(store.find("teacher", RECIPE))

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    for letter in "bcdefghijklmnop":
        store.make("teacher", RECIPE, write(letter * 100_000), again=True)
    done.set()
    reader.join()
    assert any(found)
    assert not (store.root / "damaged").exists()
    assert not [*(store.root / "work").glob("*/*")], "what was replaced is gone"


def test_checkpoints_are_not_kept(store: Store) -> None:
    def build(folder: Path) -> None:
        (folder / "checkpoint").mkdir()
        (folder / "checkpoint" / "state").write_text("s")
        (folder / "checkpoint-old.pt").write_text("s")
        (folder / "weights.txt").write_text("w")

    artifact = store.make("teacher", RECIPE, build)
    assert sorted(path.name for path in artifact.path.iterdir()) == [MANIFEST, "weights.txt"]


# ---- killed


def test_a_failed_build_leaves_no_artifact_and_its_work_is_there_the_next_time(
    store: Store,
) -> None:
    def interrupted(folder: Path) -> None:
        (folder / "step-1").write_text("done")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.make("teacher", RECIPE, interrupted)
    assert store.find("teacher", RECIPE) is None

    def resumed(folder: Path) -> None:
        assert (folder / "step-1").read_text() == "done"
        (folder / "step-2").write_text("done")

    artifact = store.make("teacher", RECIPE, resumed)
    assert sorted(path.name for path in artifact.path.glob("step-*")) == ["step-1", "step-2"]
    assert not list((store.root / "work" / "teacher").iterdir())


def test_killed_between_write_and_rename(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    """The build is finished and sealed, the process dies right before the rename: no artifact, no
    lock, the work goes on.
    """
    process = python(
        """
        module.os.rename = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write = lambda folder: (folder / "weights.txt").write_text("a")
        Store(root).make("teacher", {"epochs": 3, "layers": [1, 2]}, write)
        """,
        store.root,
    )
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert (store.root / "work" / "teacher").exists()
    assert store.find("teacher", RECIPE) is None
    seen = []
    artifact = store.make(
        "teacher", RECIPE, lambda folder: seen.append((folder / "weights.txt").read_text())
    )
    assert seen == ["a"]
    assert (artifact / "weights.txt").read_text() == "a"
    assert capsys.readouterr().err == ""


def test_killed_while_a_file_is_written(tmp_path: Path) -> None:
    """``write_atomically``: whoever reads sees the old content or the new one."""
    (tmp_path / "index.json").write_text("old")
    process = python(
        """
        from pathlib import Path
        module.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        write_atomically(Path(root) / "index.json", "new and longer")
        """,
        tmp_path,
    )
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert (tmp_path / "index.json").read_text() == "old"
    write_atomically(tmp_path / "index.json", b"new")
    assert (tmp_path / "index.json").read_text() == "new"


def test_what_was_half_written_is_not_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither of a build whose disk was full as its manifest was written, nor of a killed one."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", full)
        with pytest.raises(BadStore, match="No space left on device"):
            store.make("teacher", RECIPE, write("a"))
    work = next((store.root / "work" / "teacher").iterdir())
    assert [path.name for path in work.iterdir()] == ["weights.txt"]
    code = """
    from pathlib import Path
    module.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write_atomically(Path(root) / "inner" / "index.json", "new")
    """
    assert python(code, work).wait(timeout=60) == -signal.SIGKILL
    assert len([*(work / "inner").iterdir()]) == 1
    made = store.make("teacher", RECIPE, write("b"))
    undisturbed = Store(tmp_path / "other").make("teacher", RECIPE, write("b"))
    files = [json.loads((each / MANIFEST).read_text())["files"] for each in (made, undisturbed)]
    assert files[0] == files[1] and list(files[0]) == ["weights.txt"]
    left = {path.name for path in made.path.rglob("*") if path.is_file()}
    assert left == {MANIFEST, "weights.txt"}


# ---- damaged, stale


def spoil(artifact: Artifact) -> None:
    (artifact / "weights.txt").write_text("x")


def lose(artifact: Artifact) -> None:
    (artifact / "weights.txt").unlink()


def garble(artifact: Artifact) -> None:
    (artifact / MANIFEST).write_text('{"kind": ')


def forget(artifact: Artifact) -> None:
    (artifact / MANIFEST).unlink()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            spoil,
            (
                r"artifact .*: weights.txt is damaged \(its sha256 is not the recorded one\); "
                r"set aside, to be made again"
            ),
        ),
        (lose, r"artifact .*: unreadable \(.*No such file.*\); set aside"),
        (garble, r"artifact .*: unreadable \(.*\); set aside"),
        (forget, r"artifact .*: unreadable \(.*artifact.json.*\); set aside"),
    ],
)
def test_a_damaged_artifact_is_said_set_aside_and_made_again(
    store: Store, capsys: pytest.CaptureFixture[str], damage, message: str
) -> None:
    damage(store.make("teacher", RECIPE, write("a")))
    assert (store.make("teacher", RECIPE, write("b")) / "weights.txt").read_text() == "b"
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(message, line)
    assert len(list((store.root / "damaged").iterdir())) == 1


def test_an_artifact_under_the_key_of_another_recipe_is_refused(store: Store) -> None:
    made = store.make("teacher", RECIPE, write("a"))
    other = {**RECIPE, "epochs": 4}
    shutil.copytree(made.path, store.folder("teacher", other))
    with pytest.raises(StaleArtifact, match="made from another recipe than the one asked for"):
        store.open(store.folder("teacher", other))
    assert store.find("teacher", other) is None


@pytest.mark.parametrize("content", ["null", "[]", "7", '"text"', "{}", '{"recipe": {}}'])
def test_a_manifest_that_holds_something_else_is_damaged(store: Store, content: str) -> None:
    made = store.make("stages", RECIPE, write("a"))
    (made / MANIFEST).write_text(content)
    assert list(store.manifests("stages")) == []
    assert (store.make("stages", RECIPE, write("b")) / "weights.txt").read_text() == "b"
    whole = json.loads((made / MANIFEST).read_text())
    for name in whole:
        for value in (None, [], 7, "text"):
            if name == "kind" or isinstance(value, type(whole[name])):
                continue
            (made / MANIFEST).write_text(json.dumps(whole | {name: value}))
            same = [] if name != "seconds" or value != 7 else [made.path]
            assert [path for path, _ in store.manifests("stages")] == same


# ---- a folder that cannot be written


def a_file(folder: Path) -> Path:
    (folder / "file").touch()
    return folder / "file"


def locked(folder: Path) -> Path:
    (folder / "locked").mkdir(mode=0o500)
    return folder / "locked" / "store"


HINT = (
    "; free some space, or choose a folder that can be written: --store, of the cache GDLIB_CACHE"
)


@pytest.mark.parametrize(
    ("place", "why"),
    [
        (a_file, r"store .*/file: Not a directory|store .*/file: File exists"),
        (lambda folder: a_file(folder) / "store", "store .*/file/store: Not a directory"),
        (locked, r"store .*/locked/store: Permission denied \(.*/locked/.*\)"),
    ],
)
def test_a_store_that_cannot_be_written_is_one_line(tmp_path: Path, place, why: str) -> None:
    root = place(tmp_path)
    folder = tmp_path
    while folder.owner() == tmp_path.owner() and folder != folder.parent and not folder.is_mount():
        folder.chmod(folder.stat().st_mode | 0o055)  # for the other user to come so far
        folder = folder.parent
    code = """
if os.getuid() == 0:  # whom no permission stops
    os.setuid(65534)
try:
    Store(root).make("teacher", {}, lambda folder: None)
except Exception as error:
    print(type(error).__name__, error)
"""
    process = python(code, root)
    output, errors = process.communicate(timeout=60)
    assert re.fullmatch(f"BadStore ({why}).*{HINT}\n", output), output + errors


def test_a_full_disk_is_one_line(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder / "weights"))

    pattern = f"^store .*/store: No space left on device \\(.*/weights\\){HINT}$"
    with pytest.raises(BadStore, match=pattern):
        store.make("teacher", RECIPE, fill)

    def fill_in_words_of_its_own(folder: Path) -> None:
        raise RuntimeError("enforce fail at inline_container.cc:664\nframe #0")

    with pytest.raises(RuntimeError):
        store.make("teacher", RECIPE, fill_in_words_of_its_own)
    usage = shutil.disk_usage(store.root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4096))
    with pytest.raises(BadStore, match=f"^store .*: its disk is full \\(enforce .*664\\){HINT}$"):
        store.make("teacher", RECIPE, fill_in_words_of_its_own)
    with pytest.raises(StaleArtifact, match="^of ours$"):
        store.make("teacher", RECIPE, lambda _: (_ for _ in ()).throw(StaleArtifact("of ours")))
    monkeypatch.undo()
    with pytest.raises(FileNotFoundError):  # no fault of the store
        store.make("teacher", RECIPE, lambda folder: (folder / "no" / "such").read_text())


# ---- two at once

WRITER = """
def build(folder):
    with open(os.path.join(root, "built.log"), "a") as log:
        log.write("built\\n")
    (folder / "weights.txt").write_text(str(os.getpid()))
    open(os.path.join(root, "building"), "w").close()
    while os.path.exists(os.path.join(root, "hold")):
        time.sleep(0.02)
artifact = Store(root).make("teacher", {"epochs": 3, "layers": [1, 2]}, build)
print((artifact / "weights.txt").read_text())
"""


def test_two_writers_at_once_make_it_once(store: Store) -> None:
    store.root.mkdir()
    (store.root / "hold").touch()
    first = python(WRITER, store.root)
    deadline = time.monotonic() + 60
    while not (store.root / "building").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    second = python(WRITER, store.root)
    assert second.stderr.readline().startswith("waiting for another run that is making teacher/")
    (store.root / "hold").unlink()
    outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
    assert outputs == [f"{first.pid}\n"] * 2
    assert (store.root / "built.log").read_text() == "built\n"


def test_a_killed_writer_s_lock_is_free(store: Store) -> None:
    store.root.mkdir()
    (store.root / "hold").touch()
    process = python(WRITER, store.root)
    deadline = time.monotonic() + 60
    while not (store.root / "building").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (store.make("teacher", RECIPE, write("mine")) / "weights.txt").read_text() == "mine"


# ---- digests


def test_a_file_is_digested_anew_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, reads = tmp_path / "weights", []
    real = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *asked: reads.append(1) or real(*asked))
    for content in (
        b"one",
        b"two",
        b"three",
    ):  # two of them as long as each other, all written at about the same time
        file.write_bytes(content)
        assert store_module.file_digest(file) == hashlib.sha256(content).hexdigest()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)
    assert len({store_module.file_digest(file) for _ in range(5)}) == 1
    assert len(reads) == 3 + 1
    other = tmp_path / "other"
    other.write_bytes(b"seven")
    os.utime(other, ns=(0, file.stat().st_mtime_ns))
    os.replace(other, file)  # as long, and said to be written at the same time
    assert store_module.file_digest(file) == hashlib.sha256(b"seven").hexdigest()


@given(st.lists(st.text()), st.lists(st.text()))
def test_texts_have_one_digest(one: list[str], other: list[str]) -> None:
    assert (texts_digest(one) == texts_digest(other)) == (one == other)


def test_texts_do_not_run_into_each_other() -> None:
    assert (
        len(
            {
                texts_digest(texts)
                for texts in (["ab", "c"], ["a", "bc"], ["abc"], ["c", "ab"], ["\ud800"])
            }
        )
        == 5
    )


def test_code_is_what_is_executed() -> None:
    import ast

    said = '"""What it is."""\n\ndef f(x):\n    """Doubles."""\n    return 2 * x  # twice\n'
    bare = "def f(x):\n    return 2*x"
    assert bare_code(ast.parse(said)) == bare_code(ast.parse(bare))
    assert bare_code(ast.parse(bare)) != bare_code(ast.parse(bare.replace("2", "3")))


def test_imports_of_a_module_are_found_wherever_they_stand() -> None:
    import ast

    code = (
        "import gdlib.sources.zoo\nfrom gdlib import __version__\nfrom gdlib.compare import stats\n"
        "def f():\n    from "
        "gdlib.learn.losses import x\nimport numpy"
    )
    assert imported_modules(ast.parse(code)) == [
        "gdlib.compare",
        "gdlib.compare.stats",
        "gdlib.learn.losses",
        "gdlib.sources.zoo",
    ]


def test_the_digest_of_code_reaches_all_that_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {
        "gdlib.a": ("1", ("gdlib.b",)),
        "gdlib.b": ("1", ("gdlib.c",)),
        "gdlib.c": ("1", ()),
        "gdlib.d": ("1", ("gdlib.a",)),
    }
    monkeypatch.setattr(code_module, "_read_code", lambda name: modules[name])
    before = code_digest("gdlib.a")
    modules["gdlib.d"] = ("2", ("gdlib.a",))
    assert code_digest("gdlib.a") == before, "what imports it does not count"
    modules["gdlib.c"] = ("2", ())
    assert code_digest("gdlib.a") != before

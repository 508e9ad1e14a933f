"""A tiny study for the tests of pipeline, engines and command line: three stages, real notebooks,
seconds.
"""

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

# One thread, in the processes that tests start too: weights are compared bit for bit. Before torch
# is imported, which reads it.
for name in ("OMP_NUM_THREADS", "GDLIB_THREADS"):
    os.environ.setdefault(name, "1")
# A checkpoint at every look, so that also a training of a second is killed between two of them.
os.environ.setdefault("GDLIB_CHECKPOINT_SECONDS", "0")

import nbformat  # noqa: E402
import pytest  # noqa: E402

from gdlib.core import settings as config  # noqa: E402
from gdlib.run import report, studies  # noqa: E402

# The files that take longest, those of a minute or more, from the longest on.
LONGEST = [
    f"test_{name}.py"
    for name in (
        *("study", "explorer_browser", "transfer", "hostile", "tagging_study", "understanding"),
        *("additions", "tutorials", "mlm_study", "paraphrase_study", "lexical_study", "ray"),
        *("pipeline", "benchmarks", "artifacts"),
    )
]


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are cores: many tests wait for a process that they have started."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files with the longest tests first, so that no worker is left alone with one at last."""
    place = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))


STUDY = '''
"""A tiny study: first gives a number, second multiplies it, last adds up all runs of a corpus."""

import os
import time
from pathlib import Path

from gdlib.core.settings import knob, replace, settings_class
from gdlib.core.plans import Plan, Stage
from gdlib.core.products import Products, read_index


@settings_class
class Settings:
    corpus: str = knob("roses", "first", "roses, tulips, or a folder")
    labels_per_class: int = knob(10, "first", "labels per class")
    seed: int = knob(0, "first", "seed")
    number: int = knob(1, "first", "what is multiplied")
    factor: float = knob(2.0, "second", "what it is multiplied by")
    corpora: tuple[str, ...] = knob((), "last", "corpora")
    seeds: tuple[int, ...] = knob((), "last", "seeds; empty: just seed")
    labels_sweep: tuple[int, ...] = knob((), "last", "other numbers of labels")


PLAN = Plan(
    name="tiny",
    title="Tiny",
    settings=Settings,
    stages=(
        Stage("first", "tiny/1_first.ipynb", (), "run", "a number", cpus=1),
        Stage("second", "tiny/2_second.ipynb", ("first",), "run", "a product", cpus=1, gpus=1),
        Stage("last", "tiny/3_last.ipynb", ("second",), "corpus", "their sum", cpus=1),
    ),
    help="A study of nothing.",
)


def leave(store, stage, settings, value):
    """Count the execution, wait while a file hold-STAGE exists, leave the value as the product."""
    with open("executed.log", "a") as log:
        of_run = f"{stage} {settings.corpus} {settings.seed}"
        log.write(f"{of_run} {os.getpid()} {os.environ['OMP_NUM_THREADS']}\\\\n")
    print(f"{stage} is at work", flush=True)
    while Path(f"hold-{stage}").exists():
        time.sleep(0.05)
    out = Products(store, PLAN.products_recipe(stage, settings))
    out.number("value", float(value), "points")
    out.close()


def value(store, stage, settings):
    products = store.find("products", PLAN.products_recipe(stage, settings))
    return read_index(products)["numbers"]["value"]["value"]


def runs(settings):
    return [replace(settings, seed=seed) for seed in settings.seeds or (settings.seed,)]
'''

START = """
import tinystudy
from gdlib.core.settings import from_notebook
from gdlib.core.store import Store

settings = from_notebook(tinystudy.Settings, globals())
store = Store(store)
"""

NOTEBOOKS = {
    "1_first": (
        'corpus = "roses"\nlabels_per_class = 10\nseed = 0\nnumber = 1',
        "settings.number + settings.seed",
    ),
    "2_second": ("factor = 2.0", 'tinystudy.value(store, "first", settings) * settings.factor'),
    "3_last": (
        "corpora = ()\nseeds = ()\nlabels_sweep = ()",
        'sum(tinystudy.value(store, "second", one) for one in tinystudy.runs(settings))',
    ),
}


def write_notebook(path: Path, knobs: str, value: str, more: str = "") -> None:
    """A notebook of the tiny study: prose, parameters, start (and more), the cell that leaves the
    value.
    """
    stage = path.stem.partition("_")[2]
    parameters = nbformat.v4.new_code_cell(
        f'{knobs}\nstore = "runs/store"', metadata={"tags": ["parameters"]}
    )
    cells = [
        nbformat.v4.new_markdown_cell("Prose."),
        parameters,
        nbformat.v4.new_code_cell(START.strip() + f"\n{more}"),
        nbformat.v4.new_code_cell(f'tinystudy.leave(store, "{stage}", settings, {value})'),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def make_project(root: Path) -> Path:
    """A project's folder with the tiny study in it."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "tinystudy.py").write_text(STUDY.replace("\\\\n", "\\n"))
    for name, (knobs, value) in NOTEBOOKS.items():
        write_notebook(root / "notebooks" / "tiny" / f"{name}.ipynb", knobs, value)
    return root


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A fresh project with the tiny study, nothing executed yet."""
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The module of the tiny study (its ``PLAN``, its ``Settings``)."""
    root = make_project(tmp_path_factory.mktemp("tiny"))
    spec = importlib.util.spec_from_file_location("tinystudy", root / "tinystudy.py")
    sys.modules["tinystudy"] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["tinystudy"]


def patch(study: ModuleType, set_attribute: Callable[[Any, str, Any], None] = setattr) -> None:
    """Put the tiny study in the place of the real one: for the command line, here and in a process
    of its own.
    """
    set_attribute(studies, "plan_of", lambda name: study.PLAN)
    set_attribute(report, "write", _write_report)
    profiles = {
        "quick": {"help": "the default"},
        "full": {"help": "a sweep", "corpora": ["roses", "tulips"], "seeds": [0, 1]},
    }
    set_attribute(config, "_profiles", lambda study: profiles)


def _write_report(plan, tasks, store, folder, *, profile, command, **_) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(f"{plan.title}: {len(tasks)} tasks of {profile} by {command}")
    return page


DRIVE = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import conftest, tinystudy
from gdlib.run import cli, fork_server
fork_server.LIBRARIES = ()  # the tiny study needs none
conftest.patch(tinystudy)
cli.main()
"""


def start(root: Path, *arguments: str) -> subprocess.Popen[str]:
    """``gdlib`` on the tiny study in a process of its own."""
    tests = Path(__file__).parent
    path = os.pathsep.join([str(tests.parent), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-c", DRIVE.format(root=str(root), tests=str(tests)), *arguments],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,  # so that a test can end it with its group, and not itself
        # A shell that starts the tests in its background leaves SIGINT ignored; here Ctrl-C has to
        # count.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def executed(root: Path) -> list[str]:
    """The stages that were executed in a project, with their seed: ``["first 0", "second 0"]``."""
    return [" ".join((line.split()[0], line.split()[2])) for line in _log(root)]


def kernel_of(root: Path, stage: str) -> int:
    """The process of the kernel that executes a stage, once it is at work."""
    until(lambda: any(line.startswith(stage) for line in _log(root)))
    return int(next(line for line in reversed(_log(root)) if line.startswith(stage)).split()[3])


def _log(root: Path) -> list[str]:
    log = root / "executed.log"
    return [line for line in log.read_text().split("\n")[:-1]] if log.exists() else []


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until something is true; fail if it does not become so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def ended(process: int) -> bool:
    """Whether a process is gone (a zombie that nobody has collected yet counts)."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True

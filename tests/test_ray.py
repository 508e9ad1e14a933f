"""The Ray engine on a cluster of two nodes in this machine, one of which is killed in the middle of
a stage.
"""

import json
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import NOTEBOOKS, executed, make_project, patch, start, until, write_notebook

from gdlib.core.errors import GdlibError
from gdlib.run import studies
from gdlib.run.engines import Engine, LocalEngine, RayEngine, resources
from gdlib.run.jobs import StageFailed
from gdlib.run.pipeline import Run

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'gdlib[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without processors (so that no stage lands on it), two nodes of one processor each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False}
    )
    cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def execute(
    root: Path, study: ModuleType, engine: Engine, **knobs: Any
) -> tuple[list[str], dict[str, bytes]]:
    """The lines of a run, and the products of every stage as bytes."""
    lines: list[str] = []
    run = Run(
        study.PLAN,
        study.Settings(**{"seeds": (0, 1), "number": 7, **knobs}),
        "quick",
        root,
        say=lines.append,
    )
    run.execute(engine, only=["last"])
    store = run.open_store()
    return lines, {
        job.name: (store.folder("products", job.products) / "products.json").read_bytes()
        for job in run.jobs().values()
    }


@pytest.mark.slow
def test_a_node_dies_and_the_results_are_those_of_one_machine(
    cluster: Any, tmp_path: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(tiny, monkeypatch.setattr)
    here, there = (make_project(tmp_path / name) for name in ("here", "there"))
    _, expected = execute(here, tiny, LocalEngine())

    (there / "hold-first").touch()

    def kill_a_node() -> None:
        until(lambda: {"first 0", "first 1"} <= set(executed(there)))  # one on each node
        cluster.remove_node(cluster.nodes[0], allow_graceful=False)
        (there / "hold-first").unlink()

    killer = threading.Thread(target=kill_a_node)
    killer.start()
    lines, found = execute(there, tiny, RayEngine())
    killer.join()
    assert found == expected
    assert len(expected) == 5
    assert len([line for line in lines if line.startswith("[")]) == 5
    stages = [line.split()[0] for line in executed(there)]
    assert sorted(stages) == ["first"] * 3 + ["last"] + ["second"] * 2, (
        "the stage of the killed node, and only that, is executed again"
    )
    assert "[5/5] last       roses" in lines[4]


@pytest.mark.slow
def test_a_failing_stage_fails_once_and_the_others_go_on(
    cluster: Any, project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(tiny, monkeypatch.setattr)
    notebook = project / "notebooks/tiny/2_second.ipynb"
    notebook.write_text(
        notebook.read_text().replace("tinystudy.leave(", "1 / settings.seed; tinystudy.leave(")
    )
    with pytest.raises(
        StageFailed,
        match=r"second failed \(roses-l10-s0\) in notebooks/tiny/2_second.ipynb, cell \[4\]",
    ):
        execute(project, tiny, RayEngine())
    assert sorted(executed(project)) == ["first 0", "first 1", "second 1"]


@pytest.mark.slow
def test_a_stage_that_can_use_a_gpu_gets_one_of_a_cluster_that_has_one(
    cluster: Any, project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other tests run the same stage on a cluster without."""
    patch(tiny, monkeypatch.setattr)
    for name in ("1_first", "2_second"):
        notebook = project / "notebooks/tiny" / f"{name}.ipynb"
        seen = "import os; open('gpus.log', 'a').write(os.environ.get('CUDA_VISIBLE_DEVICES', ''))"
        write_notebook(notebook, *NOTEBOOKS[name], seen)
    cluster.add_node(num_cpus=1, num_gpus=1)
    execute(project, tiny, RayEngine(), seeds=(0,))
    assert (project / "gpus.log").read_text() == "0", "the first needs none, the second has GPU 0"


GARDEN = """
import pandas as pd
from gdlib.sources.cards import CARDS, Card

TEXTS = pd.DataFrame([(f"{kind} number {n}", kind) for kind in ("lily", "rose") for n in range(21)])
TEXTS.columns = ["text", "label"]
CARDS["orchids"] = Card("a garden", "my drawer", "CC0", {"texts": lambda: {"train": TEXTS}})
"""


@pytest.mark.slow
def test_what_a_plugin_adds_is_known_on_every_worker(
    cluster: Any, project: Path, tiny: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its folder is named as seen from here."""
    patch(tiny, monkeypatch.setattr)
    (project / "drawer").mkdir()
    (project / "drawer/garden.py").write_text(GARDEN)
    monkeypatch.chdir(project / "drawer")
    monkeypatch.syspath_prepend(project / "drawer")
    monkeypatch.setenv("GDLIB_PLUGINS", "garden")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([".", os.environ.get("PYTHONPATH", "")]))
    knobs, _ = NOTEBOOKS["1_first"]
    notebook = project / "notebooks/tiny/1_first.ipynb"
    value = 'len(corpora.load("orchids").parts["train"].texts)'
    write_notebook(notebook, knobs, value, "from gdlib.sources import corpora")
    _, found = execute(project, tiny, RayEngine())
    sums = json.loads(found["roses/last"])["numbers"]["value"]["value"]
    assert sums == 2 * (42 * 2.0), "two seeds, each with all texts of the corpus, doubled"


@pytest.mark.slow
def test_a_cluster_whose_head_is_gone_is_one_line(tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    project = make_project(tmp_path / "headless")
    (project / "hold-first").touch()
    own = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    address = own.address
    try:
        run = start(project, "run", "--engine", "ray", "--ray-address", address)
        until(lambda: executed(project) or run.poll() is not None, seconds=600)
        own.head_node.kill_gcs_server()
        _, said = run.communicate(timeout=600)
    finally:
        (project / "hold-first").unlink()
        own.shutdown()
    assert run.returncode == 2
    assert [line for line in said.splitlines() if "stages on" not in line] == [
        f"gdlib: the Ray cluster at {address} is lost: its head has ended; start a cluster and "
        "give the same command, which goes on with what is made"
    ]


def test_no_more_is_asked_than_one_machine_has(tiny: ModuleType, project: Path) -> None:
    run = Run(tiny.PLAN, tiny.Settings(), "quick", project)
    job = list(run.jobs().values())[1]
    job = replace(job, stage=replace(job.stage, cpus=4, gpus=1))
    big, small, with_gpu = {"CPU": 8.0}, {"CPU": 2.0}, {"CPU": 2.0, "GPU": 1.0}
    assert resources(job, [big, small]) == {"num_cpus": 4, "num_gpus": 0}
    assert resources(job, [big, with_gpu]) == {"num_cpus": 2, "num_gpus": 1}


@pytest.mark.parametrize("study", studies.names())
def test_training_stages_can_use_a_gpu_and_comparisons_need_none(study: str) -> None:
    gpus = {stage.name: stage.gpus for stage in studies.plan_of(study).stages}
    trained = {"teacher", "generator", "samples", "students", "train", "tune"} & set(gpus)
    assert trained and all(gpus[name] == 1 for name in trained)
    assert gpus["compare"] == 0


def test_without_ray_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        GdlibError,
        match=r"the engine ray needs Ray, which is not installed: pip install 'gdlib\[ray\]'",
    ):
        RayEngine().run([], lambda job, outcome: None)

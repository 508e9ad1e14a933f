"""Lexical knowledge from end to end: every notebook on a tiny encoder; its figures; its plan."""

import os
from pathlib import Path

import numpy as np
import pytest
import tiny
from again import recomputes_nothing

from gdlib.core import settings as config
from gdlib.core.plans import expand
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS
from gdlib.run import pipeline
from gdlib.run.report import label
from gdlib.sources import senses as wsd
from gdlib.studies.lexical import compare as lexical_compare
from gdlib.studies.lexical.baselines import BASELINES, FREQUENCY
from gdlib.studies.lexical.settings import PLAN, Settings
from gdlib.studies.lexical.study import LexicalStudy, on_tests

ROOT = Path(__file__).parents[1]


def test_a_run_is_named_by_its_number_of_training_instances() -> None:
    tasks = expand(PLAN, Settings(train_instances=1200, labels_sweep=(50,), seeds=(0, 1)))
    assert [task.name for task in tasks if task.stage.name == "train"] == [
        f"wordnet-l{n}-s{s}/train" for n in (1200, 50) for s in (0, 1)
    ]
    assert label(tasks[0]) == "wordnet, 1200 train instances, seed 0"
    assert tasks[-1].settings.labels_sweep == (50,) and len(tasks[-1].needs) == 4


@pytest.mark.slow
def test_every_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDLIB_THREADS", "1")
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, tmp_path / name)
    moved = {"encoder": str(tiny.encoder(tmp_path / "encoder")), "test_instances": 40}
    lines: list[str] = []
    settings = pipeline.settings_of(PLAN, "smoke", moved)
    run = pipeline.Run(
        PLAN,
        settings,
        "smoke",
        tmp_path,
        "runs/store",
        "gdlib run lexical --profile smoke",
        lines.append,
    )
    run.execute()
    assert sum("] train " in line for line in lines) == 1, lines
    again: list[str] = []
    pipeline.Run(
        PLAN, settings, "smoke", tmp_path, "runs/store", run.command, again.append
    ).execute()
    assert all("up to date" in line for line in again if line.startswith("[")), again
    recomputes_nothing(run, monkeypatch)

    store = Store(tmp_path / "runs/store")
    study, other = (LexicalStudy(config.replace(settings, seed=seed), store) for seed in (0, 1))
    results = study.results()
    both = [name + how for name in ARMS for how in ("", FREQUENCY)]
    assert results.table["arm"].unique().tolist() == [*BASELINES, *both]
    assert len(on_tests(results).items) == 40 and len(results.items) == 40 + 40
    tests = study.data.tests[wsd.EXAMPLES]
    assert tests == other.data.tests[wsd.EXAMPLES] and study.data.train != other.data.train
    assert len(study.data.train) == 60 and all(one.teaches for one in study.data.train)
    begun = study.second_losses().set_index("arm")
    assert begun.index.tolist() == ["LMGC-M"] and (begun.drop(columns="model_seed") > 0).all(
        axis=None
    )
    predictions = study.scores(study.model_plan("gloss vectors"), tests)
    (place,) = results.units(arm="gloss vectors").ravel()
    right = [one.gold[int(score.argmax())] for score, one in zip(predictions, tests)]
    np.testing.assert_array_equal(right, on_tests(results).outputs[place])
    quick = config.replace(settings, arms=("gloss vectors",), labels_sweep=(30,))
    by_size = lexical_compare.over_sizes(LexicalStudy(quick, store)).set_index(["arm", "size"])[
        "value"
    ]
    assert by_size["first sense", 30] == by_size["first sense", 60]
    assert by_size["gloss vectors", 60] == pytest.approx(np.mean(right))
    sizes, times = lexical_compare.costs(study, instances=32)
    flops = sizes.set_index("arm")["megaflops"]
    assert flops["gloss vectors"] < flops["small (gold)"] < flops["LMGC"]
    assert set(times["batch"]) == {1, 32} and (times["ms an instance"] > 0).all()

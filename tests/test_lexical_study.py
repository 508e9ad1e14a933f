"""Lexical knowledge from end to end: every notebook on a tiny encoder; its figures; its plan."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from gdlib.core import settings as config
from gdlib.core.plans import expand
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS
from gdlib.run import pipeline
from gdlib.run.report import label
from gdlib.sources import senses as wsd
from gdlib.studies.lexical import compare as lexical_compare
from gdlib.studies.lexical import figures as lexical_figures
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

    store = Store(tmp_path / "runs/store")
    study, other = (LexicalStudy(config.replace(settings, seed=seed), store) for seed in (0, 1))
    results = study.results()
    assert results.table["arm"].unique().tolist() == [*lexical_figures.BASELINES, *ARMS]
    assert len(on_tests(results).items) == 40 and len(results.items) == 40 + 30
    tests = study.data.tests[wsd.EXAMPLES]
    assert tests == other.data.tests[wsd.EXAMPLES] and study.data.train != other.data.train
    assert len(study.data.train) == 60 and all(one.teaches for one in study.data.train)
    said = study.scores(study.model_plan("gloss vectors"), tests)
    (place,) = results.units(arm="gloss vectors").ravel()
    right = [one.gold[int(score.argmax())] for score, one in zip(said, tests)]
    np.testing.assert_array_equal(right, on_tests(results).outputs[place])
    quick = config.replace(settings, arms=("gloss vectors",), labels_sweep=(30,))
    by_size = lexical_compare.over_sizes(LexicalStudy(quick, store)).set_index(["arm", "size"])[
        "value"
    ]
    assert by_size["first sense", 30] == by_size["first sense", 60]
    assert by_size["gloss vectors", 60] == pytest.approx(np.mean(right))
    sizes, times = lexical_compare.costs(study, instances=32)
    flops = sizes.set_index("arm")["megaflops"]
    assert flops["gloss vectors"] < flops["small, gold"] < flops["LMGC"]
    assert set(times["batch"]) == {1, 32} and (times["ms an instance"] > 0).all()


# ---- figures


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [("random", 0.29), ("first sense", 0.34), ("LMGC", 0.5), ("gloss vectors", 0.52)]
    return pd.DataFrame(
        [{"arm": m, "value": f1, "low": f1 - 0.02, "high": f1 + 0.02} for m, f1 in rows]
    )


def test_trained_methods_are_dots_and_the_others_lines(table: pd.DataFrame) -> None:
    figure = lexical_figures.methods(table, seeds=2)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["LMGC", "gloss vectors"]
    assert {text.get_text() for text in figure.legends[0].get_texts()} == {
        "random 29.0",
        "first sense 34.0",
    }
    assert "axis:" in axes.get_xlabel() and "2 seeds" in figure.get_suptitle()


def test_parts_of_speech_have_a_panel_each(table: pd.DataFrame) -> None:
    parts = pd.concat(
        [table.assign(pos=pos, instances=n) for pos, n in (("noun", 1200), ("verb", 90))]
    )
    figure = lexical_figures.by_pos(parts, table["arm"].tolist(), seeds=1)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "noun (1,200 instances)",
        "verb (90 instances)",
    ]
    assert "ONE seed" in figure.get_suptitle()


def test_cost_and_size_figures_name_every_trained_method(table: pd.DataFrame) -> None:
    trained = table[~table["arm"].isin(lexical_figures.BASELINES)].assign(megaflops=[900.0, 150.0])
    figure = lexical_figures.cost_f1(trained, seeds=2)
    assert figure.axes[0].get_xscale() == "log"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["LMGC", "gloss vectors"]
    sizes = pd.DataFrame(
        [
            {"size": n, "arm": m, "value": 0.4 + n / 10_000}
            for n in (100, 1000)
            for m in ("random", "LMGC")
        ]
    )
    assert [
        line.get_label() for line in lexical_figures.sizes(sizes, seeds=2).axes[0].get_lines()
    ] == ["LMGC"]
    with pytest.raises(ValueError, match="figure lines needs the columns"):
        lexical_figures.cost_f1(table, seeds=1)

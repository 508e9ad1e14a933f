"""Language understanding from end to end: every notebook on a tiny encoder; its comparison; its
figures; its plan.
"""

import dataclasses
import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import tiny
import torch
from again import recomputes_nothing
from torch.nn import functional as F

from gdlib import charts
from gdlib.compare.results import Results
from gdlib.compare.scores import MEAN, SCORES
from gdlib.core.errors import BadSetting
from gdlib.core.plans import expand
from gdlib.core.settings import replace
from gdlib.core.store import Store
from gdlib.networks.masked_lm import NOT_HIDDEN
from gdlib.run import pipeline
from gdlib.run.report import label
from gdlib.sources import zoo
from gdlib.studies.understanding import (
    compare as understanding_compare,
)
from gdlib.studies.understanding.forgetting import ALL_LAYERS
from gdlib.studies.understanding.settings import PLAN, Settings
from gdlib.studies.understanding.study import (
    ResultsByTask,
    TaskResults,
    UnderstandingStudy,
)

ROOT = Path(__file__).parents[1]


def test_a_run_is_named_by_its_number_of_training_texts() -> None:
    tasks = expand(PLAN, Settings(train_texts=240, labels_sweep=(100,), seeds=(0, 1)))
    assert [task.name for task in tasks if task.stage.name == "tune"] == [
        f"wordnet-l{n}-s{s}/tune" for n in (240, 100) for s in (0, 1)
    ]
    assert label(tasks[0]) == "wordnet, 240 train texts, seed 0"
    moved = expand(PLAN, Settings(encoder_lr=1e-5))[1]
    assert moved.parameters["encoder_lr"] == 1e-5, "the lexical study's knobs reach the notebook"


def test_seeds_with_unlike_numbers_of_texts_are_compared_on_the_first(tmp_path, monkeypatch):
    """Each seed hides other pieces, and leaves out the texts in which it hides none."""

    def forgotten(texts: int) -> Results:
        rows = pd.DataFrame({"arm": ["plain", "LMGC"], "model_seed": 0, "seed": texts})
        losses = np.arange(2.0 * texts).reshape(2, texts)
        return Results(rows, losses, pd.DataFrame({"text": range(texts)}))

    seeds = [SimpleNamespace(forgotten=partial(forgotten, texts)) for texts in (5, 7)]
    monkeypatch.setattr(UnderstandingStudy, "each_seed", lambda _, **changes: seeds)
    study = UnderstandingStudy(Settings(), Store(tmp_path))
    (found,) = study.forgotten_by_dose().values()
    assert found.outputs[:, -1].tolist() == [4, 9, 4, 11]


def test_two_tasks_of_one_name_are_refused(tmp_path):
    for folder in ("one", "other"):
        tiny.corpus(tmp_path / folder / "texts", classes=2, texts=20, test=10)
    given = tuple(str(tmp_path / folder / "texts") for folder in ("one", "other"))
    study = UnderstandingStudy(Settings(tasks=given), Store(tmp_path / "store"))
    with pytest.raises(BadSetting, match='^tasks: two are named "texts"; name each once'):
        _ = study.tasks


def check_forgotten(study: UnderstandingStudy) -> None:
    """Losses of hidden pieces against a forward pass text by text; the encoders stood still."""
    forgotten, texts = study.forgotten(), study.masked["measured"]
    assert forgotten.table["arm"].tolist() == ["plain", "LMGC"] and len(texts) == 40
    plan = dataclasses.replace(study.head_plan("frozen", ALL_LAYERS), seed=study.seed(0))
    for row, name in enumerate(("plain", "LMGC")):
        trained = study.trained_head(f"{name} 0", plan)
        model = study.load_masked(f"{name} 0", trained, ALL_LAYERS).model
        encoder = zoo.encoder(study.encoder_network(name, 0)).eval()
        states = zip(model.encoder.state_dict().values(), encoder.state_dict().values())
        assert all(torch.equal(ours, theirs) for ours, theirs in states)
        losses = []
        for ids, targets in zip(texts.inputs, texts.targets):
            places = [place for place, target in enumerate(targets) if target != NOT_HIDDEN]
            with torch.inference_mode():
                hidden = encoder(torch.tensor([ids])).last_hidden_state[0, places]
                logits = model.logits(hidden).float()
            gold = torch.tensor([targets[place] for place in places], dtype=torch.long)
            losses.append(F.cross_entropy(logits, gold, reduction="sum").item())
        found = forgotten.outputs[row] * len(texts.gold) / len(texts)
        np.testing.assert_allclose(found, losses, rtol=0.02, atol=0.02)  # bf16
        assert forgotten.scores(MEAN)[row] == pytest.approx(found.sum() / len(texts.gold))
    by_dose = study.forgotten_by_dose()
    assert list(by_dose) == [30, 60]
    of_few, of_most = (results.outputs for results in by_dose.values())
    np.testing.assert_array_equal(of_most, forgotten.outputs)
    np.testing.assert_array_equal(of_few[0], of_most[0])  # plain
    assert not np.array_equal(of_few[1], of_most[1])
    losses, differences = understanding_compare.forgotten(by_dose)
    assert losses[["arm", "size"]].values.tolist() == [
        [arm, size] for size in (30, 60) for arm in ("plain", "LMGC")
    ]
    assert differences["panel"].tolist() == ["30 instances", "60 instances"]
    for row, outputs in zip(differences.to_dict("records"), (of_few, of_most)):
        assert row["value"] == pytest.approx((outputs[1] - outputs[0]).mean())
        assert row["question"] == "LMGC minus plain" and row["words"].endswith("nats (one seed)")
    assert understanding_compare.forgotten_in_words(differences) == (
        "Loss of hidden words in frozen encoders, after 60 instances: LMGC minus plain: "
        f"{differences['words'].iloc[1]}."
    )


@pytest.mark.slow
def test_every_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GDLIB_THREADS", "1")
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, tmp_path / name)
    cola, sick = tmp_path / "cola", tmp_path / "sick"
    for folder, more in ((cola, {}), (sick, {"score": np.linspace(1, 5, 80).round(2)})):
        folder.mkdir()
        texts = tiny.texts_of("food", 80, seed=len(more))
        table = pd.DataFrame({"sentence1": texts, "label": [i % 2 for i in range(80)], **more})
        (table.assign(sentence2=texts[::-1]) if more else table).to_parquet(
            folder / "train.parquet"
        )
    names = ("movies", str(cola), f"{sick}:score")
    moved = {
        "encoder": str(tiny.encoder(tmp_path / "encoder")),
        "tasks": names,
        "tuning_seeds": (0, 1),
        "encoders": ("plain", "LMGC"),
        "doses": (30,),
    }
    lines: list[str] = []
    settings = pipeline.settings_of(PLAN, "smoke", moved)
    run = pipeline.Run(
        PLAN,
        settings,
        "smoke",
        tmp_path,
        "runs/store",
        "gdlib run understanding --profile smoke",
        lines.append,
    )
    run.execute()
    assert sum("] tune " in line for line in lines) == 1, lines
    again: list[str] = []
    pipeline.Run(
        PLAN, settings, "smoke", tmp_path, "runs/store", run.command, again.append
    ).execute()
    assert all("up to date" in line for line in again if line.startswith("[")), again
    recomputes_nothing(run, monkeypatch)

    store = Store(tmp_path / "runs/store")
    study = UnderstandingStudy(settings, store)
    results = study.results()
    assert {task: of_task.scores[0] for task, of_task in results.items()} == {
        "movies": "accuracy",
        "cola": "Matthews",
        "sick:score": "Pearson",
    }
    assert len(list((store.root / "lexical-model").iterdir())) == 2, "only LMGC, once a dose"
    tunings = set((store.root / "fine-tuned").iterdir())
    assert len(tunings) == 3 * 2 * 2
    of_cola = results["cola"]
    theirs = np.mean(
        [
            sklearn.metrics.matthews_corrcoef(study.tasks["cola"].test.gold, one)
            for one in of_cola.outputs[:2]
        ]
    )
    assert of_cola.table["arm"].unique().tolist() == ["plain", "LMGC"]
    assert score_of(of_cola, "plain", "Matthews") == pytest.approx(theirs)
    sizes, times = understanding_compare.costs(study, texts=32)
    assert (
        sizes.groupby("task")["megaflops"].nunique().eq(1).all() and (times["ms a text"] > 0).all()
    )
    training = understanding_compare.training(study, results).set_index(["task", "encoder"])
    assert (
        training.loc[("movies", "plain"), "lexical seconds"]
        == 0
        < training.loc[("movies", "LMGC"), "lexical seconds"]
    )
    other = UnderstandingStudy(replace(settings, seed=1), store).tasks
    assert all(
        other[name].test.texts == task.test.texts and other[name].train.texts != task.train.texts
        for name, task in study.tasks.items()
    )
    check_forgotten(study)
    more = replace(settings, tasks=("movies",), encoders=("plain",), tuning_seeds=(0, 1, 2))
    UnderstandingStudy(more, store).results()
    assert len(set((store.root / "fine-tuned").iterdir()) - tunings) == 1, "one more seed, one more"
    several = replace(settings, model_seeds=(3, 4), tuning_seeds=(0, 1, 2))
    assert [
        UnderstandingStudy(several, store).model_seed(seed) for seed in several.tuning_seeds
    ] == [3, 4, 3]


# ---- comparison


def answered(
    shares: dict[str, float], seeds: int = 1, tunings: int = 5, texts: int = 300
) -> TaskResults:
    """Encoders that are right on such a share of the texts of two classes."""
    random = np.random.default_rng(0)
    gold = random.integers(2, size=texts)
    rows = [
        (encoder, seed, tuning)
        for seed in range(seeds)
        for encoder in shares
        for tuning in range(tunings)
    ]
    right = np.stack([random.random(texts) < shares[encoder] for encoder, *_ in rows])
    table = pd.DataFrame(rows, columns=["arm", "seed", "tuning_seed"]).assign(
        steps=10, parameters=5, seconds=1.0
    )
    items = pd.DataFrame({"gold": gold})
    return TaskResults(table, np.where(right, gold, 1 - gold), items, ("Matthews", "accuracy"))


def score_of(results: TaskResults, encoder: str, name: str) -> float:
    """The mean over fine-tunings."""
    return float(SCORES[name](results.only(arm=encoder).outputs, results.items).mean())


SHARES = {"plain": 0.8, "LMGC": 0.6, "LMGC-M": 0.82}


def test_results_of_seeds_are_stacked_task_by_task() -> None:
    three = answered(SHARES, seeds=3, tunings=2)
    parts = [ResultsByTask(cola=three.only(seed=seed)) for seed in range(3)]
    stacked = ResultsByTask.stack(parts)["cola"]
    assert stacked.scores == three.scores and stacked.units(arm="LMGC").shape == (3, 2)
    np.testing.assert_array_equal(
        stacked.outputs[stacked.units(arm="LMGC")], three.outputs[three.units(arm="LMGC")]
    )
    other = dataclasses.replace(parts[0]["cola"], items=1 - three.items)
    with pytest.raises(ValueError, match="different test parts"):
        ResultsByTask.stack([parts[0], ResultsByTask(cola=other)])


def test_the_questions_and_their_sentences() -> None:
    results = {
        "cola": answered(SHARES),
        "rte": dataclasses.replace(answered(SHARES | {"LMGC": 0.79}), scores=("accuracy",)),
    }
    table = understanding_compare.differences(results)
    at = table.set_index(["left", "right", "panel", "metric"])
    assert set(table["panel"]) == {"cola", "rte", "average"} and not at.index.duplicated().any()
    lost = at.loc[("LMGC", "plain", "cola", "accuracy")]
    assert lost["value"] == pytest.approx(
        score_of(results["cola"], "LMGC", "accuracy")
        - score_of(results["cola"], "plain", "accuracy")
    )
    assert lost["resolved"] and lost["high"] < 0
    mean = at.loc[("LMGC-M", "plain", "average", "first metrics")]
    both = [
        at.loc[("LMGC-M", "plain", *one)] for one in (("cola", "Matthews"), ("rte", "accuracy"))
    ]
    assert mean["value"] == pytest.approx(np.mean([one["value"] for one in both]))
    spread = np.hypot(*(one["high"] - one["low"] for one in both)) / 2  # of independent texts
    assert mean["high"] - mean["low"] == pytest.approx(spread, rel=0.15)
    assert mean["seeds_low"] < mean["value"] < mean["seeds_high"]
    sentences = list(understanding_compare.verdicts(table))
    assert sentences[0].startswith(
        "**LMGC against plain**: worse on cola; not resolved on rte. Average: -"
    )
    assert understanding_compare.headline(table)["panel"].tolist() == ["average"] * 3
    quality = understanding_compare.quality(results)
    assert len(quality) == 3 * (2 + 1) and quality["counts"].sum() == 6
    assert (quality["low"] <= quality["value"]).all() and (
        quality["value"] <= quality["high"]
    ).all()


def test_of_one_task_there_is_no_average() -> None:
    table = understanding_compare.differences({"cola": answered(SHARES)})
    assert list(understanding_compare.verdicts(table)) == [
        "**LMGC against plain**: worse on cola.",
        "**LMGC-M against plain**: not resolved on cola.",
        "**LMGC-M against LMGC**: better on cola.",
    ]
    answers = understanding_compare.headline(table)
    assert answers[["panel", "metric"]].values.tolist() == [["cola", "Matthews"]] * 3
    assert answers["value"].tolist() == table[table["metric"] == "Matthews"]["value"].tolist()


def test_a_figure_of_the_differences_has_a_panel_per_question_and_is_hollow_if_not_resolved():
    table = understanding_compare.differences(
        {"cola": answered(SHARES), "rte": answered(SHARES | {"LMGC": 0.8})}
    )
    table = table[table["counts"]]
    words = {"title": "Forgotten or gained?", "label": "points"}
    figure = charts.forest(table, panel="question", row="panel", zero=True, seeds=3, **words)
    questions = ["LMGC minus plain", "LMGC-M minus plain", "LMGC-M minus LMGC"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == questions
    dots = [line for line in figure.axes[0].get_lines() if len(line.get_xdata()) == 1]
    hollow = [line.get_markerfacecolor() == "white" for line in dots]
    resolved = table[table["question"] == questions[0]].set_index("panel")["resolved"]
    assert hollow == [not resolved[task] for task in ("cola", "rte", "average")]
    assert hollow[:2] == [False, True]

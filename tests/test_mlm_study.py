"""Masked-language-model distillation from end to end: every notebook on two tiny encoders, and what
is refused.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from again import recomputes_nothing

from gdlib.core.errors import BadCorpus, BadSetting
from gdlib.core.plans import expand
from gdlib.core.settings import build
from gdlib.core.store import Store
from gdlib.run import pipeline
from gdlib.studies.mlm import compare as mlm_compare
from gdlib.studies.mlm import views as mlm_views
from gdlib.studies.mlm.settings import ARMS, PLAN, Settings
from gdlib.studies.mlm.study import MLMStudy, Trial

ROOT = Path(__file__).parents[1]
CONTROLS = ("frequencies", "two heads", "no teacher on more texts")


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("mlm")
    corpus = str(tiny.corpus(folder / "corpus", classes=3, texts=90, test=40))
    encoders = [
        str(tiny.encoder(folder / name, hidden=hidden, seed=seed))
        for seed, (name, hidden) in enumerate({"small": 32, "large": 64}.items())
    ]
    return {
        "corpus": corpus,
        "mlm_corpora": (corpus,),
        "teacher": encoders[0],
        "mlm_teachers": tuple(encoders),
        "labels_per_class": 10,
        "teacher_epochs": 1,
        "test_size": 100,
        "head_texts": 60,
        "choose_texts": 30,
        "student_texts": 100,
        "held_out_texts": 40,
        "corpus_texts": 300,
        "guessed_pieces": 60,
        "maskings": 2,
        "teacher_bodies": ("full", "frozen"),
        "teacher_depths": (1, 0),
        "head_steps": 30,
        "body_steps": 4,
        "kept_pieces": 16,
        "tuned_epochs": 1,
        "arms": tuple(ARMS),
        "student_layers": 1,
        "scratch_hidden": 32,
        "student_steps": 6,
        "evaluate_every": 2,
        "student_batch": 16,
        "starts": ("teacher", "scratch"),
        "student_seeds": (0, 1),
        "tuned_arms": ("no teacher", "mean"),
    }


@pytest.fixture(scope="module")
def study(values: dict, tmp_path_factory: pytest.TempPathFactory) -> MLMStudy:
    return MLMStudy(build(Settings, values), Store(tmp_path_factory.mktemp("store")))


def other(study, **changes):
    return MLMStudy(build(Settings, {**vars(study.settings.plain), **changes}), study.store)


def test_parts_are_disjoint_and_hold_no_test_text(study):
    parts = study.texts
    assert {name: len(texts) for name, texts in parts.items()} == {
        "head": 60,
        "choose": 30,
        "student": 100,
        "held_out": 40,
    }
    everything = [text for texts in parts.values() for text in texts]
    assert len(set(everything)) == 230
    assert not set(everything) & set(study.splits.test.texts)
    assert (
        150 < len(study.masked["student"]) <= 200
    )  # twice each, but for what nothing was hidden in
    hidden = study.guessed.ids[study.masked["held_out"].gold]
    assert len(study.guessed) == 60 and not set(hidden.tolist()) & set(
        study.tokenizer.all_special_ids
    )
    assert other(study, labels_per_class=20).texts == parts != other(study, seed=1).texts
    with pytest.raises(
        BadCorpus,
        match=(
            r"have 270 texts to mask, head_texts 500 \+ choose_texts 30 \+ student_texts 100 \+ "
            r"held_out_texts 40 asked for"
        ),
    ):
        _ = other(study, head_texts=500).texts


def test_arms_and_trials(study):
    assert study.arms == [
        "no teacher",
        "small",
        "large",
        "mean",
        "confidence",
        "gold probability",
        "best teacher",
        "gate",
        "frequencies",
        "two heads",
        "no teacher on more texts",
    ]
    assert len(study.trials) == 2 * 11 * 2 and len(study.tuned_trials) == 2 * 3 * 2
    assert study.looks == [0, 2, 4, 6]
    alone = other(
        study,
        mlm_teachers=study.settings.mlm_teachers[:1],
        teacher_bodies=("frozen",),
        teacher_depths=(0,),
    )
    assert alone.arms == ["no teacher", "small", *CONTROLS]


def test_what_the_controls_are_told_and_read(study):
    """Every lesson again, from the networks and the texts themselves."""
    masked, at = study.masked["student"], torch.arange(12)
    heads = [study.masked_teacher("large", number) for number in (0, 1)]
    predictions = [head.keep(masked, len(study.guessed)).dense(at).exp() for head in heads]
    assert (predictions[0] - predictions[1]).abs().max() > 0.01  # another seed, another head
    targets = study.lessons("two heads")(at).exp()
    # a few pieces are kept, and what is left is spread: so about
    torch.testing.assert_close(targets, (predictions[0] + predictions[1]) / 2, atol=0.02, rtol=0)
    assert study.heads_of("mean") == [("small", 0), ("large", 0)]
    assert study.heads_of("two heads") == [("large", 0), ("large", 1)]
    assert study.heads_for(study.arms) == [("small", 0), ("large", 0), ("large", 1)]

    learnt_from = [*study.texts["head"], *study.texts["student"]]
    pieces = [id for text in learnt_from for id in study.tokenizer(text)["input_ids"]]
    counts = torch.bincount(torch.tensor(pieces), minlength=len(study.tokenizer)).float()
    counts = counts[study.guessed.ids] + 0.1
    shares = (counts / counts.sum()).expand(12, -1)
    torch.testing.assert_close(study.lessons("frequencies")(at).exp(), shares, atol=1e-5, rtol=1e-4)
    weights = {
        arm: study.student_plan(Trial("teacher", arm, 0)).loss for arm in ("mean", "frequencies")
    }
    assert (weights["mean"].hard_weight, weights["mean"].soft_weight) == (0.2, 0.8)
    assert (weights["frequencies"].hard_weight, weights["frequencies"].soft_weight) == (0.8, 0.2)

    more, head = study.texts_of("no teacher on more texts"), study.masked["head"]
    assert study.lessons("no teacher on more texts") is study.lessons("no teacher") is None
    assert study.texts_of("mean") is masked and len(more) == len(masked) + len(head)
    assert more.inputs[: len(masked)] == masked.inputs and more.inputs[len(masked) :] == head.inputs
    assert more.gold.tolist() == masked.gold.tolist() + head.gold.tolist()


def test_teachers_with_other_pieces_are_refused_in_one_line(study, tmp_path):
    causal = str(tiny.causal(tmp_path / "causal"))
    refused = other(study, mlm_teachers=(study.settings.mlm_teachers[0], causal))
    with pytest.raises(
        BadSetting,
        match=(
            "^teacher causal has no .* piece, so it is no masked language model; expected teachers"
        ),
    ):
        _ = refused.ids
    with pytest.raises(BadSetting, match="expected one or more, each once$"):
        _ = other(study, mlm_teachers=()).networks
    with pytest.raises(
        BadSetting, match=r"^teacher_depths = \(0,\): expected one per teacher, so 2$"
    ):
        _ = other(study, teacher_depths=(0,)).networks


@pytest.mark.slow
def test_every_notebook_runs_and_what_the_store_holds_is_consistent(values, tmp_path, monkeypatch):
    monkeypatch.setenv("GDLIB_THREADS", "1")
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, tmp_path / name)
    lines: list[str] = []
    values = values | {
        "arms": ("no teacher", "mean", "confidence", "gate", *CONTROLS),
        "test_size": 30,
        "student_seeds": (0,),
    }
    one = pipeline.Run(
        PLAN,
        pipeline.settings_of(PLAN, "smoke", values),
        "smoke",
        tmp_path,
        "runs/store",
        "gdlib run",
        lines.append,
    )
    one.execute()
    again: list[str] = []
    pipeline.Run(
        PLAN, one.settings, "smoke", tmp_path, "runs/store", "gdlib run", again.append
    ).execute()
    assert all("up to date" in line for line in again if line.startswith("[")), again
    recomputes_nothing(one, monkeypatch)
    products = json.loads((one.folder / "report" / "results.json").read_text("utf-8"))["numbers"]
    assert any("loss of mean" in numbers for numbers in products.values())

    study = MLMStudy(expand(PLAN, one.settings)[0].settings, Store(tmp_path / "runs/store"))
    losses, held_out = (
        {trial: study.trained(trial, "losses").numpy() for trial in study.trials},
        study.masked["held_out"],
    )
    assert all(loss.shape == (4, len(held_out)) for loss in losses.values())
    for start in ("teacher", "scratch"):  # all arms of a start and a seed begin alike
        begin = losses[Trial(start, "no teacher", 0)][0]
        for arm in study.arms:
            np.testing.assert_array_equal(losses[Trial(start, arm, 0)][0], begin)
    assert not np.array_equal(
        losses[Trial("teacher", "mean", 0)][-1], losses[Trial("teacher", "no teacher", 0)][-1]
    )
    assert not np.array_equal(
        losses[Trial("teacher", "mean", 0)][-1], losses[Trial("teacher", "confidence", 0)][-1]
    )
    results = study.results()
    assert set(results.table["arm"]) == {
        "majority",
        "tfidf-lr",
        "tfidf-svm",
        "teacher",
        "start",
        "no teacher",
        "mean",
    }
    assert len(results.table) == 4 + 6
    assert set(results.table["student"]) == {
        "",
        "from teacher",
        "from scratch",
    }  # the teacher is no start
    shown = mlm_views.predictors(study).set_index("name")["loss"]
    targets = study.lessons("frequencies", "held_out").gold.mean().item()
    assert -targets == pytest.approx(mlm_views.frequency_loss(study), rel=1e-5)
    more = other(study, student_seeds=(0, 1), arms=("no teacher", "mean", "best teacher"))
    missing = {trial for trial in more.trials if MLMStudy.trained_student.missing(more, trial)}
    assert missing == {trial for trial in more.trials if trial.seed or trial.arm == "best teacher"}
    tuned = {trial for trial in more.tuned_trials if trial.seed == 0}
    assert not any(MLMStudy.tuned_student.missing(more, trial) for trial in tuned)
    curves = mlm_compare.of_run(study)
    ends = curves.losses("teacher", "mean")[..., -1].mean(axis=-1)
    np.testing.assert_allclose(
        ends[0], losses[Trial("teacher", "mean", 0)][-1].sum() / len(held_out.gold), rtol=1e-5
    )
    assert shown["best teacher"] <= min(shown["small"], shown["large"])
    assert shown["mean"] <= shown[["small", "large"]].mean() + 1e-6  # the logarithm is concave
    cost = mlm_compare.over_time(study, curves)
    assert (
        set(cost[cost["arm"] == "no teacher"]["labelling"]) == {0.0}
        and (cost[cost["arm"] == "mean"]["labelling"] > 0).all()
    )


def test_a_new_head_is_decided_by_the_seed_alone(study, tmp_path):
    trained = []
    for drawn_before in range(2):
        torch.manual_seed(drawn_before)
        again = MLMStudy(study.settings.plain, Store(tmp_path / str(drawn_before)))
        trained.append((again.head_of("small") / "trained.safetensors").read_bytes())
    assert trained[0] == trained[1]

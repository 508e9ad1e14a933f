"""Study 2: its arms as data, what each learns from, every notebook on tiny networks."""

import json
import os
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
import torch
from again import recomputes_nothing

from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.core.errors import BadSetting
from gdlib.core.plans import expand
from gdlib.core.settings import build, replace
from gdlib.core.store import Store
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks.distillation import predict
from gdlib.run import pipeline
from gdlib.studies.transfer import compare as transfer_compare
from gdlib.studies.transfer.settings import PLAN, Settings, arms, trials
from gdlib.studies.transfer.study import TransferStudy

ROOT = Path(__file__).parents[1]

# ---- arms


def test_every_arm_after_the_strategies_differs_from_the_main_one_in_one_thing():
    s = Settings(
        transfer_texts=("real", "generated", "both"),
        transfer_divisors=(4, 16),
        layers_sweep=(2, 4),
        embedding_dims=(16,),
        hidden_dims=(25,),
        student_steps=10,
        same_steps=("D1", "D4.1"),
        projection_sweep=("gelu",),
    )
    found = {arm.name: asdict(arm) for arm in arms(s)}
    assert len(found) == len(arms(s)), "a name stands once"
    assert list(found)[:8] == list(STRATEGIES)
    main = found["D4.1"]
    changed = {
        name: {
            knob: value
            for knob, value in arm.items()
            if knob not in ("name", "family") and value != main[knob]
        }
        for name, arm in found.items()
    }
    assert changed["D0"] == {"strategy": "D0"} and changed["hard"] == {"strategy": "hard"}
    assert {name.removeprefix("D4.1, "): c for name, c in changed.items() if ", " in name} == {
        "D1, as long as D4.2": {"strategy": "D1", "steps": 90},
        "as long as D4.2": {"steps": 30},
        "as many real": {"text": "as many real"},
        "generated": {"text": "generated"},
        "real + generated": {"text": "both"},
        "1/4 of the texts": {"divisor": 4},
        "1/16 of the texts": {"divisor": 16},
        "layer 2": {"teacher_layer": 2},
        "layer 4": {"teacher_layer": 4},
        "random embedding": {"embedding": "random"},
        "last state": {"pooling": "last"},
        "gelu projection": {"projection": "gelu"},
        "E=16, H=25": {"embedding_dim": 16, "hidden_dim": 25},
        "E=16, H=100": {"embedding_dim": 16},
        "E=64, H=25": {"hidden_dim": 25},
    }


def test_the_grid_has_its_own_seeds():
    s = Settings(student_seeds=(3, 4), grid_seeds=(9,), embedding_dims=(16,), hidden_dims=())
    of = {(arm.name, seed) for arm, seed in trials(s) if arm.name in ("D0", "D4.1, E=16, H=100")}
    assert of == {("D0", 3), ("D0", 4), ("D4.1, E=16, H=100", 9)}


def asked_of(s):
    """The questions of a comparison whose results have every arm of the settings."""
    run = [arm.name for arm in arms(s)]
    questions = transfer_compare.comparison(s).questions
    return [pair for pair in questions if set(pair) <= set(run)]


def test_questions_are_about_arms_that_were_run():
    s = Settings(
        strategies=("D0", "D1"),
        strategy="D1",
        transfer_texts=("real", "generated"),
        transfer_divisors=(4, 16),
        layers_sweep=(),
        embedding_sweep=(),
    )
    asked = asked_of(s)
    assert asked == [
        ("D1", "D0"),
        ("D1", "D1, 1/4 of the texts"),
        ("D1", "D1, 1/16 of the texts"),
        ("D1", "D1, last state"),
        ("D1, as many real", "D1, generated"),
    ]
    given = Settings(strategies=("D0", "D1", "D3.2"), strategy="D1", same_steps=("D1",))
    assert ("D3.2", "D1, as long as D3.2") in asked_of(given)


def test_a_strategy_as_long_as_another_takes_its_steps_without_ending_early(study):
    taken = study.traces().groupby(["arm", "student_seed"])["step"].max()
    longest = study.settings.student_steps * STRATEGIES["D4.2"].phases
    assert set(taken["D1, as long as D4.2"]) == {longest} and (taken["D4.2"] <= longest).all()
    table = transfer_compare.by_steps(
        study, transfer_compare.comparison(study.settings).arms(study.results())
    ).set_index("arm")
    assert (
        table.loc["D1, as long as D4.2", "steps"] == longest
        and table.loc["D4.2", "steps"] == taken["D4.2"].mean()
    )
    assert set(table.index) == {
        *study.settings.strategies,
        study.settings.strategy,
        "D1, as long as D4.2",
    }


def test_the_generator_s_knobs_decide_what_students_are_though_it_has_no_notebook_here():
    values = PLAN.values("students", Settings())
    assert {"num_samples", "generator_lr", "teacher_layers", "student_steps"} <= set(
        values
    ) and "queries" not in values
    assert "num_samples" not in PLAN.values("teacher", Settings())
    task = next(t for t in expand(PLAN, Settings(num_samples=7)) if t.stage.name == "students")
    assert task.parameters["num_samples"] == 7 and "top_p" not in task.parameters


# ---- a run


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("smoke")
    corpus = tiny.corpus(folder / "corpus", classes=3, texts=80, test=40)
    words = " ".join(pd.read_csv(corpus / "train.csv")["text"]).split()
    given = {
        "corpus": str(corpus),
        "teacher": str(tiny.encoder(folder / "encoder")),
        "generator": str(tiny.causal(folder / "causal", words=tuple(dict.fromkeys(words)))),
        "generator_method": "last-1",
        "generator_epochs": 1,
        "num_samples": 40,
        "max_new_tokens": 24,
        "teacher_epochs": 6,
        "teacher_lr": 2e-3,
        "teacher_layers": (1, 2),
        "teacher_layer": 2,
        "layers_sweep": (1,),
        "labels_per_class": 15,
        "transfer_texts": ("real", "generated", "both"),
        "embedding_sweep": (),
    }
    return pipeline.settings_of(PLAN, "smoke", given)


@pytest.fixture(scope="module")
def executed(
    smoke: Settings, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pipeline.Run, list[str]]:
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("GDLIB_THREADS", "1")
        for name in ("notebooks", "gdlib"):
            os.symlink(ROOT / name, folder / name)
        lines: list[str] = []
        run = pipeline.Run(
            PLAN,
            smoke,
            "smoke",
            folder,
            "runs/store",
            "gdlib run --study transfer --profile smoke",
            lines.append,
        )
        run.execute()
        again: list[str] = []
        pipeline.Run(
            PLAN, smoke, "smoke", folder, "runs/store", run.command, again.append
        ).execute()
        recomputes_nothing(run, monkeypatch)
    assert all("up to date" in line for line in again if line.startswith("[")), again
    return run, lines


@pytest.fixture(scope="module")
def study(executed: tuple[pipeline.Run, list[str]]) -> TransferStudy:
    run, _ = executed
    return TransferStudy(
        expand(PLAN, run.settings)[0].settings, Store(run.folder.parents[2] / "runs/store")
    )


@pytest.mark.slow
def test_every_notebook_leaves_its_products(executed):
    run, lines = executed
    for stage in ("students", "compare"):
        assert len([line for line in lines if re.search(rf"\] {stage}\s", line)]) == 1, lines
    results = json.loads((run.folder / "report" / "results.json").read_text("utf-8"))
    numbers = next(value for name, value in results["numbers"].items() if name.endswith("/compare"))
    assert {
        "teacher accuracy",
        "labels alone",
        "D4.1",
        "retention",
        "times fewer parameters",
    } <= set(numbers)
    figures = {path.stem for path in (run.folder / "report").rglob("*.svg")}
    for name in (
        "strategies",
        "steps",
        "unfreezing-D3",
        "unfreezing-D4",
        "targets",
        "texts",
        "sizes",
        "details",
        "cost-quality",
    ):
        assert any(name in figure for figure in figures), (name, figures)


@pytest.mark.slow
def test_results_are_what_was_asked_for_and_consistent(study):
    s, results = study.settings, study.results()
    said = results.table[results.table["student"] == "BiLSTM"]
    asked = [(arm.name, seed) for arm, seed in trials(s)]
    assert list(zip(said["arm"], said["student_seed"])) == asked
    np.testing.assert_allclose(results.scores(ACCURACY), results.table["accuracy"])
    at = said.index[(said["arm"] == "D4.1") & (said["student_seed"] == s.student_seeds[0])][0]
    texts, main = study.splits.test.texts, next(arm for arm in arms(s.plain) if arm.name == "D4.1")
    student = study.student(main, s.student_seeds[0])
    np.testing.assert_array_equal(
        predict(student, study.rows(texts)).argmax(-1), results.outputs[at]
    )  # the student to look at is in the table
    generated, real = len(study.generated), len(study.splits.transfer)
    sizes = said.groupby("arm")["size"].first()
    assert (
        generated > 0
        and sizes["D0"] == 0
        and sizes["D1"] == real
        and sizes["D4.1, generated"] == sizes["D4.1, as many real"] == generated
    )
    assert sizes["D4.1, real + generated"] == real + generated and sizes[
        "D4.1, 1/4 of the texts"
    ] == -(-real // 4)
    vocabulary, h, e = (
        len(study.vocabulary),
        s.hidden_dim,
        s.embedding_dim,
    )  # the projection is not counted
    assert set(said["parameters"][said["arm"] == "D4.1"]) == {
        vocabulary * e + 2 * 4 * h * (e + h + 2) + (2 * h + 1) * 3
    }


@pytest.mark.slow
def test_a_training_again_gives_the_same_student_and_steps_are_the_last_kept(study):
    arm = next(arm for arm in arms(study.settings.plain) if arm.name == "D4.2")
    with torch.random.fork_rng():
        _, trace = study.distil(arm, 1)
    kept = study.traces()
    kept = (
        kept[(kept["arm"] == "D4.2") & (kept["student_seed"] == 1)]
        .drop(columns=["arm", "student_seed"])
        .reset_index(drop=True)
    )
    pd.testing.assert_frame_equal(trace, kept)
    rows = study.results().rows(student="BiLSTM", arm="D4.2").set_index("student_seed")
    assert rows.loc[1, "steps"] == trace["step"][trace["kept"]].iloc[-1]


@pytest.mark.slow
def test_transfer_texts_have_no_gold_labels_and_states_of_their_own_teacher(study):
    arm = next(arm for arm in arms(study.settings.plain) if arm.name.endswith("real + generated"))
    data = study.lessons_of(arm)["transfer"]
    assert (data.labels == -1).all() and len(data.pieces) == len(data.teacher_states) == len(
        data.teacher_logits
    )
    text = study.splits.transfer.texts[3]
    alone = study.teacher.signals(
        [text], (arm.teacher_layer,), pooling=study.settings.teacher_pooling
    )
    assert torch.allclose(
        data.teacher_states[3], alone.states[arm.teacher_layer][0], atol=0.05
    )  # bf16 where there is some
    assert torch.allclose(data.teacher_logits[3], alone.logits[0], atol=0.05)


@pytest.mark.slow
def test_the_curve_over_labels_has_labels_logits_the_main_strategy_and_references(
    study, monkeypatch
):
    monkeypatch.setattr(TransferStudy, "over_seeds", lambda *_, **__: study.results())
    table = transfer_compare.over_labels(
        TransferStudy(replace(study.settings, labels_sweep=(10,)), study.store)
    )
    arms_of = table.groupby("size")["arm"].agg(list)
    assert arms_of.to_dict() == dict.fromkeys((10, 15), ["tfidf-lr", "teacher", "D0", "D1", "D4.1"])


@pytest.mark.slow
def test_a_layer_that_is_not_kept_is_said(study):
    wrong = TransferStudy(replace(study.settings, teacher_layer=0), study.store)
    with pytest.raises(
        BadSetting, match=r"^teacher_layer = 0: not kept; teacher_layers = \(1, 2\)$"
    ):
        wrong.results()


def test_a_strategy_that_is_not_known():
    with pytest.raises(Exception, match='^unknown strategies "D5"; known: D0, D1'):
        build(Settings, {"strategies": ("D0", "D5")})


@pytest.mark.real
@pytest.mark.slow
def test_the_real_teacher_from_end_to_end(tmp_path, monkeypatch):
    """Dictionary definitions, few labels: distilled on unlabelled text a student is better than on
    labels alone.
    """
    monkeypatch.setenv("GDLIB_CHECKPOINT_SECONDS", "30")
    given = {
        "corpus": "wordnet",
        "labels_per_class": 30,
        "teacher_epochs": 3,
        "teacher_least_steps": 120,
        "test_size": 400,
        "transfer_size": 1000,
        "strategies": ("D0", "D1"),
        "strategy": "D1",
        "transfer_divisors": (),
        "layers_sweep": (),
        "embedding_sweep": (),
        "pooling_sweep": (),
        "embedding_dims": (),
        "hidden_dims": (),
        "student_seeds": (0, 1),
        "student_steps": 300,
    }
    results: Results = TransferStudy(build(Settings, given), Store(tmp_path)).results()
    accuracy = results.table.groupby("arm")["accuracy"].mean()
    assert (
        accuracy["teacher"] > 0.5 and accuracy["D1"] > accuracy["D0"]
    )  # 14 classes; the largest has 9%

"""Study 1 from end to end: every notebook executed on tiny networks, twice; and once with the real
embedded networks.
"""

import filecmp
import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny

from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.core.plans import expand
from gdlib.core.settings import replace
from gdlib.core.store import Store
from gdlib.run import pipeline, taking
from gdlib.run.predict import Exported
from gdlib.studies.generation import study as generation

ROOT = Path(__file__).parents[1]
STAGES = [stage.name for stage in generation.PLAN.stages]
TIMED = {"timings.json", "timings.html", "timings.md"}


def run(
    folder: Path, settings: dict, monkeypatch: pytest.MonkeyPatch, threads: int = 1
) -> tuple[pipeline.Run, list[str]]:
    """A run of the smoke profile on the project's own notebooks, everything it writes under
    ``folder``; its lines.
    """
    monkeypatch.setenv("GDLIB_THREADS", str(threads))
    for name in ("notebooks", "gdlib"):
        if not (folder / name).exists():
            os.symlink(ROOT / name, folder / name)
    lines: list[str] = []
    plan = pipeline.plan_of("generation")
    chosen = pipeline.settings_of(plan, "smoke", settings)
    one = pipeline.Run(
        plan, chosen, "smoke", folder, "runs/store", "gdlib run --profile smoke", lines.append
    )
    one.execute()
    return one, lines


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> dict:
    folder = tmp_path_factory.mktemp("smoke")
    corpus = tiny.corpus(folder / "corpus", classes=3, texts=60, test=40)
    words = " ".join(pd.read_csv(corpus / "train.csv")["text"]).split()
    return {
        "corpus": str(corpus),
        "teacher": str(tiny.encoder(folder / "encoder")),
        "generator": str(tiny.causal(folder / "causal", words=tuple(dict.fromkeys(words)))),
        "students": ("KimCNN", "ResCNN"),
        "arms": ("labelled only", "generation-distillation", "real unlabelled", "scraps"),
        "teacher_epochs": 4,
        "seeds": (0, 1),
    }


@pytest.mark.slow
def test_every_notebook_runs_and_the_same_run_gives_the_same_bytes(
    smoke, tmp_path_factory, monkeypatch
):
    reports = []
    for name in ("one", "other"):
        folder = tmp_path_factory.mktemp(name)
        one, lines = run(folder, smoke, monkeypatch)
        reports.append(one.folder / "report")
        if name == "one":
            assert [line.split()[1] for line in lines[: len(STAGES)]] != [], lines
            for stage in STAGES[:-1]:
                done = [line for line in lines if re.search(rf"\] {stage}\s", line)]
                assert len(done) == 2, lines  # two seeds
            again: list[str] = []
            pipeline.Run(
                one.plan, one.settings, "smoke", folder, "runs/store", one.command, again.append
            ).execute()
            assert all("up to date" in line for line in again if line.startswith("[")), again
            check_results(one, folder)
    files = [
        sorted(p.relative_to(r).as_posix() for p in r.rglob("*") if p.is_file()) for r in reports
    ]
    assert files[0] == files[1]
    # An executed comparison shows what its networks cost in time.
    timed = re.compile(r".*/timed-.*|notebooks/.*-compare\.md")
    same = [name for name in files[0] if name not in TIMED and not timed.fullmatch(name)]
    assert len(same) > 40
    _, differ, errors = filecmp.cmpfiles(*reports, same, shallow=False)
    assert not differ and not errors


def check_results(one: pipeline.Run, folder: Path) -> None:
    """What the store holds is what the settings asked for, and is in itself consistent."""
    store = Store(folder / "runs/store")
    study = generation.GenerationStudy(expand(one.plan, one.settings)[0].settings, store)
    results: Results = study.results()
    arms = set(results.table["arm"])
    assert {
        "labelled only",
        "generation-distillation",
        "real unlabelled",
        "generated /2",
        "tfidf-lr",
        "teacher",
    } <= arms
    np.testing.assert_allclose(results.scores(ACCURACY), results.table["accuracy"])
    teacher = study.signals(study.splits.test.texts).predicted.numpy()
    row = results.table.index[results.table["arm"] == "teacher"][0]
    np.testing.assert_array_equal(results.outputs[row], teacher)
    assert results.table.loc[row, "agreement"] == 1
    assert (
        results.table["parameters"][results.table["student_seed"] >= 0]
        <= one.settings.student_parameters
    ).all()
    kept = (study.samples()["fate"] == "kept").sum()
    main = results.table[results.table["arm"] == "generation-distillation"]
    assert set(main["size"]) == {kept}
    said = study.student_logits(study.splits.test.texts, "ResCNN").argmax(-1)
    at = main.index[
        (main["student"] == "ResCNN") & (main["student_seed"] == one.settings.student_seeds[0])
    ][0]
    np.testing.assert_array_equal(
        said, results.outputs[at]
    )  # the student to look at is the one in the table
    fewer = tuple(arm for arm in study.settings.arms if arm != "scraps")
    without = generation.GenerationStudy(replace(study.settings, arms=fewer), store)
    assert "scraps" in study.sources and "scraps" not in without.sources
    assert without.vocabulary == study.vocabulary  # so one more arm makes no other student again
    check_abstract(one, store)
    check_export(one, study, folder / "student")
    chosen = study.train_on(np.flatnonzero(study.samples()["fate"] == "kept").tolist())
    assert chosen["texts"] == kept and 0 <= chosen["accuracy"] <= 1


def check_abstract(one: pipeline.Run, store: Store) -> None:
    """The report's first sentence has the number that the results of all seeds have."""
    study = generation.GenerationStudy(expand(one.plan, one.settings)[-1].settings, store)
    rows = study.over_seeds().table.query(
        "student == 'KimCNN' and arm == 'generation-distillation'"
    )
    assert rows["seed"].nunique() == 2
    first = "a KimCNN of 0.4 million parameters that learns from generated texts has an accuracy of"
    report = (one.folder / "report" / "report.md").read_text("utf-8")
    assert f"{first} {rows['accuracy'].mean():.1%} [" in report


def check_export(one: pipeline.Run, study: generation.GenerationStudy, folder: Path) -> None:
    """The exported student answers like the study's own, and its card says how well."""
    taking.export.__wrapped__(lambda: one, folder)
    texts, gold = study.splits.test.texts, study.splits.test.labels
    answers = Exported(folder).probabilities(texts)
    np.testing.assert_array_equal(answers.argmax(1), study.student_logits(texts).argmax(1))
    card = (folder / "README.md").read_text("utf-8")
    assert f"| student.onnx | {(answers.argmax(1) == gold).mean():.1%} \\[" in card


@pytest.mark.real
@pytest.mark.slow
def test_the_real_embedded_networks_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.setenv("GDLIB_CHECKPOINT_SECONDS", "30")  # of two gigabytes
    settings = {
        "corpus": "wordnet",
        "labels_per_class": 12,
        "teacher_least_steps": 40,
        "generator_least_steps": 6,
        "test_size": 200,
        "students": ("KimCNN",),
    }
    one, _ = run(tmp_path, settings, monkeypatch)
    numbers = json.loads((one.folder / "report" / "results.json").read_text("utf-8"))["numbers"]
    run_name = "wordnet-l12-s0"
    # Of 14 classes the largest has 9%.
    assert numbers[f"{run_name}/teacher"]["teacher accuracy"]["value"] > 0.3
    generator = numbers[f"{run_name}/generator"]
    assert generator["perplexity after"]["value"] < generator["perplexity before"]["value"]
    assert numbers[f"{run_name}/samples"]["kept"]["value"] > 5

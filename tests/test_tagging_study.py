"""The tagging part of study 2, end to end on tiny networks: artifacts, arms, results, tables,
figures and notebooks.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from again import recomputes_nothing
from seqeval.metrics import f1_score

from gdlib.compare.results import Results
from gdlib.core.errors import BadSetting
from gdlib.core.plans import expand
from gdlib.core.settings import build, replace
from gdlib.core.store import Store
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import students
from gdlib.run.engines import LocalEngine
from gdlib.run.pipeline import Run, project_root
from gdlib.run.sections import label
from gdlib.run.studies import plan_of
from gdlib.studies.tagging import figures as tagging_figures
from gdlib.studies.tagging import views
from gdlib.studies.tagging.settings import Settings
from gdlib.studies.tagging.study import TaggingStudy
from gdlib.studies.tagging.trials import dimensions, first_trial, trials_of


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("inputs")
    values = {
        "corpus": str(tiny.tagged_corpus(root / "corpus")),
        "teacher": str(tiny.tagger(root / "tagger")),
        "labels_per_language": 20,
        "validation_share": 0.25,
        "transfer_per_language": 40,
        "test_per_language": 30,
        "teacher_epochs": 12,
        "teacher_lr": 3e-3,
        "teacher_batch": 8,
        "teacher_depth": 2,
        "teacher_layer": 1,
        "strategies": ("D0", "D1", "D4.2"),
        "embedding_dim": 12,
        "hidden_dim": 12,
        "main_strategy": "D4.2",
        "student_steps": 8,
        "same_steps": ("D1",),
        "student_lr": 0.02,
        "student_batch": 16,
        "evaluate_every": 4,
        "student_seeds": (0, 1),
        "transfer_divisors": (4,),
        "grid": ("6x5", "16x16"),
        "queries": 40,
    }
    return build(Settings, values)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def study(settings: Settings, store: Store) -> TaggingStudy:
    made = TaggingStudy(settings, store)
    made.results()
    return made


def test_every_arm_is_trained_and_scored_as_seqeval_does(study: TaggingStudy) -> None:
    results, table = study.results(), study.results().table
    assert table.groupby("arm", sort=False).size().to_dict() == {
        "teacher": 1,
        "D0": 2,
        "D1": 2,
        "D4.2": 2,
        "D1, as long as D4.2": 2,
        "D4.2 /4": 2,
        "D4.2 6x5": 1,
        "D4.2 16x16": 1,
    }
    assert table.set_index("arm")["size"].to_dict() | {"teacher": 0} == {
        "teacher": 0,
        "D0": 80,
        "D1": 80,
        "D4.2": 80,
        "D1, as long as D4.2": 80,
        "D4.2 /4": 20,
        "D4.2 6x5": 80,
        "D4.2 16x16": 80,
    }
    test, said = study.splits.test, study.named(study.teacher_tags("test"))
    gold = study.named(test.tags)
    for language in study.corpus.languages:
        of = [i for i, one in enumerate(test.languages) if one == language]
        score = f1_score([gold[i] for i in of], [said[i] for i in of])
        by_language = views.languages(results, ["teacher"]).set_index("language")["value"]
        assert by_language[language] == pytest.approx(score)
    assert table["f1"].iloc[0] == pytest.approx(
        np.mean(views.languages(results, ["teacher"])["value"])
    )
    assert table["f1"].iloc[0] > 0.6


def test_the_student_kept_is_the_one_that_was_scored(study: TaggingStudy) -> None:
    results = study.results()
    for size, arm in (("", "D4.2"), ("6x5", "D4.2 6x5")):
        student = study.student(first_trial(study.settings, "D4.2", size))
        (row,) = results.table.index[
            (results.table["arm"] == arm) & (results.table["student_seed"] == 0)
        ]
        assert np.array_equal(
            study.counts(study.student_tags(student, "test")), results.outputs[row]
        )
        e, h = dimensions(size or "12x12")
        lstm = 2 * 4 * (e * h + h * h + 2 * h)  # two directions, four gates, two biases each
        assert students.parameters(student) == len(study.vocabulary) * e + lstm + 2 * h * 5 + 5
        assert results.table.loc[row, "parameters"] == students.parameters(student)


def test_a_smaller_transfer_set_is_the_beginning_of_every_language(study: TaggingStudy) -> None:
    whole, part = study.transfer(1), study.transfer(4)
    assert part.pieces == whole.pieces[:10] + whole.pieces[40:50]
    assert (whole.labels == -1).all()


def made(store: Store) -> set[str]:
    return {path.name for path in (store.root / "trained-student").iterdir()}


def test_one_more_seed_trains_one_and_names_train_nothing(
    study: TaggingStudy, settings: Settings, store: Store
) -> None:
    before = made(store)
    pd.testing.assert_frame_equal(
        TaggingStudy(settings, store).results().table, study.results().table
    )
    study.trained_student(dataclasses.replace(trials_of(settings)[0], arm="another name"))
    assert made(store) == before
    few = {"strategies": ("D0",), "same_steps": (), "transfer_divisors": (), "grid": ()}
    more = replace(settings, main_strategy="D0", student_seeds=(0, 1, 2), **few)
    TaggingStudy(more, store).results()
    assert len(made(store) - before) == 1
    wider = TaggingStudy(replace(settings, hidden_dim=8), store)
    assert wider.trained_teacher().key == study.trained_teacher().key


def test_the_same_seed_gives_the_same_student(
    study: TaggingStudy, settings: Settings, tmp_path: Path
) -> None:
    trial = first_trial(settings, "D0")
    other = TaggingStudy(settings, Store(tmp_path))
    for file in ("counts.npy", "student.safetensors"):
        same = (made.trained_student(trial) / file for made in (study, other))
        assert len({path.read_bytes() for path in same}) == 1


def test_the_trace_has_the_stages_and_their_unfreezing(study: TaggingStudy) -> None:
    trace = study.trace("D4.2")
    assert trace["losses"].drop_duplicates().tolist() == [
        stage.name for stage in STRATEGIES["D4.2"].stages
    ]
    assert list(trace.loc[trace["stage"] == 0, "unfrozen"].drop_duplicates()) == [
        "",
        "readout",
        "BiLSTM",
        "embedding",
    ]


def test_tables(study: TaggingStudy, settings: Settings) -> None:
    results = study.over_seeds()
    overview = views.overview(results).set_index("arm")
    assert (
        overview.loc["D1, as long as D4.2", "steps"] == 9 * settings.student_steps
        and overview.loc["D1", "steps"] <= settings.student_steps
    )
    assert (
        overview.loc["teacher", "retention"] == 1 and overview.loc["teacher", "minus teacher"] == ""
    )
    d4 = results.table.query("arm == 'D4.2'")["f1"]
    assert (
        overview.loc["D4.2", "value"] == pytest.approx(d4.mean())
        and overview.loc["D4.2", "units"] == 2
    )
    assert overview.loc["D4.2", "low"] < d4.mean() < overview.loc["D4.2", "high"]
    answers = views.answers(results)
    assert list(zip(answers["left"], answers["right"])) == [
        ("D1", "D0"),
        ("D4.2", "D1"),
        ("D4.2", "D0"),
        ("D4.2", "D1, as long as D4.2"),
    ]
    assert answers["value"].iloc[2] == pytest.approx(
        d4.mean() - results.table.query("arm == 'D0'")["f1"].mean()
    )
    assert overview.loc[["D4.2", "D4.2 /4"], "size"].tolist() == [80, 20]
    small = views.compression(results, "D4.2").set_index("size")
    assert (
        small.index.tolist() == ["6x5", "12x12", "16x16", "teacher"]
        and small.loc["teacher", "times fewer"] == 1
    )
    times = views.costs(study)
    assert (
        set(times["size"]) == {"teacher", "6x5", "12x12", "16x16"}
        and (times.query("size == 'teacher'")["times faster"] == 1).all()
    )


def test_marked_sentences() -> None:
    assert (
        views.marked(
            ["I", "met", "Anna", "in", "New", "York"], ["O", "O", "B-PER", "O", "B-LOC", "I-LOC"]
        )
        == "I met [Anna PER] in [New York LOC]"
    )


def test_results_of_other_test_parts_are_not_stacked(study: TaggingStudy) -> None:
    results = study.results()
    items = results.items[::-1].reset_index(drop=True)
    other = Results(results.table, results.outputs, items)
    with pytest.raises(
        ValueError, match="results of different test parts can't be compared item by item"
    ):
        Results.stack([results, other])
    with pytest.raises(KeyError, match="no results of D9"):
        results.units(arm="D9")


def test_a_wrong_size() -> None:
    assert dimensions("64x96") == (64, 96)
    for wrong in ("64", "64x", "0x8", "axb", "1x2x3"):
        with pytest.raises(BadSetting, match=f'size "{wrong}" in grid: expected ExH such as 64x96'):
            dimensions(wrong)


def test_a_sweep_goes_over_tagged_sentences_a_language(settings: Settings) -> None:
    plan = plan_of("tagging")
    tasks = expand(plan, replace(settings, corpora=("silver",), seeds=(0, 1), labels_sweep=(5,)))
    first = [task for task in tasks if task.stage.name == "corpus"]
    assert [(task.settings.labels_per_language, task.settings.seed) for task in first] == [
        (20, 0),
        (20, 1),
        (5, 0),
        (5, 1),
    ]
    assert label(first[2]) == "silver, 5 labels per language, seed 0"


FIGURE = pd.DataFrame(
    {
        "arm": ["teacher", "D0", "D4.2"],
        "value": [0.9, 0.6, 0.8],
        "low": [0.88, 0.57, 0.78],
        "high": [0.92, 0.63, 0.82],
    }
)


@pytest.mark.parametrize("silver", [True, False])
def test_figures_say_what_they_show(silver: bool) -> None:
    by_language = pd.concat([FIGURE.assign(language=name) for name in ("de", "ja")])
    sized = FIGURE.assign(size=["teacher", "16x24", "32x48"], batch=1)
    sized["times fewer"] = sized["times faster"] = [1.0, 200.0, 80.0]
    options = {"seeds": 3, "silver": silver}
    by_size = {"x": "size", "x_label": "transfer sentences"}
    drawn = {
        "F1 by language": tagging_figures.languages(by_language, **options),
        "F1 by strategy": tagging_figures.forest(FIGURE, "F1 by strategy", **options),
        "F1 by sentences": tagging_figures.lines(
            FIGURE.assign(size=[10, 20, 40]), "F1 by sentences", **by_size, **options
        ),
    }
    for what, x in {"Compression and F1": "times fewer", "Speed and F1": "times faster"}.items():
        drawn[what] = tagging_figures.sizes(sized, what, x, "than the teacher", **options)
    twice = pd.concat([sized, sized.assign(batch=32)], ignore_index=True)
    both = tagging_figures.sizes(twice, "Speed", "times faster", "than the teacher", **options)
    names = [text.get_text() for text in both.axes[0].texts]
    assert sorted(name for name in names if "x" in name) == ["16x24", "32x48"]  # each once
    for what, figure in drawn.items():
        assert figure._suptitle.get_text() == f"{what}{', silver text' if silver else ''} (3 seeds)"
        (axes,) = figure.axes
        assert any("entity F1 in %" in text for text in (axes.get_xlabel(), figure.get_supylabel()))
    rows = [text.get_text() for text in drawn["F1 by language"].axes[0].get_yticklabels()]
    assert sorted(rows) == ["de", "ja"]
    with pytest.raises(
        ValueError, match="figure lines needs the columns arm, value, size, panel; missing: size"
    ):
        tagging_figures.lines(FIGURE, "F1", silver=False, **by_size)


@pytest.mark.slow
def test_the_notebooks_run_and_the_report_says_what_was_found(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of("tagging")
    values = dataclasses.asdict(settings) | {
        "student_steps": 6,
        "student_seeds": (0,),
        "grid": ("6x5",),
        "strategies": ("D0", "D4.2"),
        "teacher_epochs": 2,
    }
    root = project_root(plan)
    (tmp_path / "notebooks").symlink_to(root / "notebooks")
    run = Run(
        plan,
        build(Settings, values),
        "quick",
        tmp_path,
        store=str(tmp_path / "store"),
        say=[].append,
    )
    page = run.execute(LocalEngine())
    said = (
        page.with_name("report.md").read_text("utf-8").partition("## What was found")[2]
    )  # before it: the profile's help
    recomputes_nothing(run, monkeypatch)
    assert "D4.2" in said and "teacher F1" in said and "silver text" not in said

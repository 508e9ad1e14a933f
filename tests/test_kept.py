"""What a study works out is kept: a summary executed again recomputes nothing, and one whose inputs
or options have moved does.
"""

import re
import sys

import again
import numpy as np
import pandas as pd
import pytest
import tiny
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gdlib.compare import baselines, tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.core import reach
from gdlib.core.artifacts import ingredient
from gdlib.core.settings import replace
from gdlib.core.store import Store
from gdlib.core.study import Study
from gdlib.studies.generation.settings import PLAN, Settings
from gdlib.studies.generation.study import GenerationStudy
from gdlib.studies.mlm.compare import Curves


@pytest.fixture
def counted(monkeypatch) -> dict[str, int]:
    """How often each kind of work was done."""
    return again.count_work(monkeypatch)


def test_a_summary_executed_again_recomputes_nothing(tmp_path, monkeypatch, counted):
    settings = Settings(
        **tiny.generation_knobs(tmp_path), test_size=40,
        student_steps=5, students=("KimCNN",), student_seeds=(0,), sample_divisors=(),
        arms=("labelled only", "hard labels", "generation-distillation"),
    )  # fmt: skip
    monkeypatch.chdir(tmp_path)
    store = tmp_path / "store"
    # The students themselves come from their own stage.
    GenerationStudy(settings, Store(store)).trained_students()
    assert counted["distil"] == 3
    first = again.compare(PLAN, settings, store)
    assert all(counted.values()), counted
    done = dict(counted)
    second = again.compare(PLAN, settings, store)
    assert counted == done
    for name in ("table", "answers", "pairs", "weights", "times"):
        pd.testing.assert_frame_equal(first[name], second[name])
    # A study with one arm less is another question, but its students are the same.
    again.compare(PLAN, replace(settings, arms=("labelled only", "generation-distillation")), store)
    assert counted["intervals"] > done["intervals"] and counted["distil"] == done["distil"]


def test_a_table_is_kept_under_inputs_options_and_what_it_is_asked_of(tmp_path):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"arm": ["a", "b"], "seed": [0, 0], "student_seed": [0, 0]})
    items = pd.DataFrame({"gold": random.integers(3, size=60)})
    results = Results(rows, random.integers(3, size=(2, 60)), items)
    study = Study(Settings(), Store(tmp_path))
    comparison = tables.Comparison(ACCURACY, questions=(("a", "b"),))
    other = tables.Comparison(ACCURACY, questions=(("b", "a"),))
    moved = Results(rows, results.outputs[::-1], items)

    def number() -> int:
        return len(list((tmp_path / "table").iterdir()))

    for asked, of, options in (
        (comparison, results, {}),
        (other, results, {}),
        (comparison, moved, {}),
        (comparison, results, {"resamples": 99}),
    ):
        before = number() if (tmp_path / "table").exists() else 0
        for _ in range(2):
            pd.testing.assert_frame_equal(
                study.kept(asked.differences, of, **options), asked.differences(of, **options)
            )
            assert number() == before + 1
    assert ingredient(results) == Results(rows.copy(), results.outputs.copy(), items).digest
    others = items.assign(gold=items["gold"] + 1)
    assert Results(rows, results.outputs, others).digest != results.digest


def test_what_a_kind_of_results_adds_is_in_its_digest():
    rows, items = pd.DataFrame({"arm": ["a"]}), pd.DataFrame({"gold": [0, 1]})
    given = rows, np.zeros((1, 2, 2)), items
    one, other = (Curves(*given, np.array(steps), ("a",)) for steps in ([1.0, 2.0], [1.0, 3.0]))
    assert len({one.digest, other.digest, Curves(*given, one.steps, ()).digest}) == 3


LINE = re.compile("[a-z]+")
SETTING = LogisticRegression(C=10)


def lines_of(words: list[str]) -> pd.DataFrame:
    """A table that a pattern and a network of another library decide."""
    return pd.DataFrame({"kept": [w for w in words if LINE.fullmatch(w)], "C": SETTING.C})


@pytest.mark.parametrize(
    ("name", "other"),
    [("LINE", re.compile("[a-z0-9]+")), ("SETTING", LogisticRegression(C=1))],
)
def test_a_pattern_or_an_estimator_that_changed_is_another_table(
    tmp_path, monkeypatch, name, other
):
    here = sys.modules[__name__]
    monkeypatch.setattr(reach, "is_ours", lambda module: module == __name__)
    study = Study(Settings(), Store(tmp_path))
    before = study.kept(lines_of, ["a", "a1"])
    monkeypatch.setattr(here, name, other)
    assert not study.kept(lines_of, ["a", "a1"]).equals(before)


def test_a_baseline_that_changed_answers_anew(tmp_path, monkeypatch):
    study = Study(Settings(), Store(tmp_path))
    texts = ["red sea", "red sun", "blue sea", "green sun"]
    asked = (texts, [0, 0, 1, 1], texts, 2)
    before, _ = study.kept(baselines.answers, *asked)
    changed = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=1e-6))
    monkeypatch.setitem(baselines.BASELINES._targets, "tfidf-lr", changed)
    after, _ = study.kept(baselines.answers, *asked)
    assert not after.equals(before)

"""What a study works out is kept: a summary executed again recomputes nothing, and one whose inputs
or options have moved does.
"""

import again
import numpy as np
import pandas as pd
import pytest
import tiny

from gdlib.compare import tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
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

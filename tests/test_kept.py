"""What a study works out is kept: a summary executed again recomputes nothing, and one whose inputs
or options have moved does.
"""

from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import tiny

from gdlib.compare import baselines, stats, tables
from gdlib.compare.results import Results
from gdlib.compare.scores import ACCURACY
from gdlib.core.artifacts import ingredient
from gdlib.core.settings import knobs, replace
from gdlib.core.store import Store
from gdlib.core.study import Study
from gdlib.networks import costs, distillation
from gdlib.studies.generation.settings import Settings
from gdlib.studies.generation.study import GenerationStudy

NOTEBOOK = Path(__file__).parents[1] / "notebooks/1_generation_distillation/6_compare.ipynb"
WORK = (
    (baselines, "build"),
    (baselines, "linear"),
    (stats, "interval"),
    (stats, "difference"),
    (costs, "measure"),
    (distillation, "distil"),
)


@pytest.fixture
def counted(monkeypatch) -> dict[str, int]:
    """How often each kind of work was done."""
    done = dict.fromkeys((name for _, name in WORK), 0)
    for module, name in WORK:
        original = getattr(module, name)

        def counting(*given, _original=original, _name=name, **named):
            done[_name] += 1
            return _original(*given, **named)

        counting.__wrapped__ = original  # so that the code that recipes see is the original's
        monkeypatch.setattr(module, name, counting)
    return done


def execute(settings: Settings, store: Path) -> dict:
    """The notebook's cells, as a fresh kernel executes them: its variables."""
    names: dict = {}
    for cell in nbformat.read(NOTEBOOK, 4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, cell.id, "exec"), names)  # noqa: S102
            if "parameters" in cell.metadata.get("tags", []):
                names |= {name: getattr(settings, name) for name in knobs(settings)}
                names["store"] = str(store)
    return names


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
    first = execute(settings, store)
    assert all(counted.values()), counted
    done = dict(counted)
    second = execute(settings, store)
    assert counted == done
    for name in ("table", "answers", "pairs", "weights", "times"):
        pd.testing.assert_frame_equal(first[name], second[name])
    # A study with one arm less is another question, but its students are the same.
    execute(replace(settings, arms=("labelled only", "generation-distillation")), store)
    assert counted["interval"] > done["interval"] and counted["distil"] == done["distil"]


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
    again = items.assign(gold=items["gold"] + 1)
    assert Results(rows, results.outputs, again).digest != results.digest

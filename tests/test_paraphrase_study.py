"""Paraphrase detection from end to end on tiny networks; F1 of cells against scikit-learn; figures;
bad input.
"""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tiny
from again import recomputes_nothing
from scipy.stats import sem, t
from sklearn.metrics import f1_score

from gdlib.compare.results import Results
from gdlib.compare.tables import sentences
from gdlib.core import settings as config
from gdlib.core.errors import BadCorpus, BadSetting, UnknownName
from gdlib.core.store import Store
from gdlib.networks.names import SPINNERS
from gdlib.run import pipeline
from gdlib.sources.parts import normalise
from gdlib.studies.paraphrase import compare as paraphrase_compare
from gdlib.studies.paraphrase.compare import CROSS_TOOL, IN_TOOL, LEFT_OUT, ONE_OF
from gdlib.studies.paraphrase.settings import DETECTORS, PLAN, Settings
from gdlib.studies.paraphrase.study import ParaphraseStudy
from gdlib.studies.paraphrase.texts import Sources
from gdlib.studies.paraphrase.views import side_by_side

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Settings of a run on two folders with a tiny encoder."""
    folder = tmp_path_factory.mktemp("small")
    encoder = str(tiny.encoder(folder / "encoder"))
    corpus, other = (
        str(tiny.corpus(folder / f"corpus{i}", texts=480, test=160, seed=i)) for i in range(2)
    )
    moved = {
        "corpus": corpus,
        "domains": [corpus, other],
        "encoder": encoder,
        "infiller": encoder,
        "mlm_corpora": [corpus],
    }
    moved |= {
        "train_texts": 60,
        "transfer_size": 40,
        "test_size": 40,
        "min_words": 6,
        "head_texts": 20,
        "choose_texts": 10,
        "head_steps": 5,
    }
    moved |= {
        "train_instances": 60,
        "held_out_instances": 20,
        "encoder_epochs": 0.2,
        "model_seeds": (0,),
        "mlm_head_steps": 2,
        "max_length": 24,
    }
    moved |= {"detectors": (*DETECTORS,), "trained_on": ("each", "all but one")}
    return moved | {
        "detector_epochs": 1,
        "detector_least_steps": 5,
        "student_steps": 20,
        "student_parameters": 40_000,
    }


def study_of(small: dict[str, object], store: Path, **more: object) -> ParaphraseStudy:
    return ParaphraseStudy(config.build(Settings, small | more), Store(store))


def test_originals_and_paraphrases_are_unaligned_and_parts_disjoint(
    small: dict[str, object], tmp_path: Path
) -> None:
    study = study_of(small, tmp_path, spinners=("dictionary",))
    parts = [*study.parts.values(), *study.tests.values()]
    own = [normalise(text) for of in parts[:4] for text in (*of.originals, *of.spun)]
    assert len(own) == len(set(own)) == 12 + 48 + 40 + 40
    assert all(len(of.originals) == len(of.spun) for of in parts)
    assert study.trained_on == ("dictionary",)
    part = study.detector_parts["dictionary"]["train"]
    assert part.labels == [0] * 24 + [1] * 24 and not set(part.texts) & set(
        study.parts["train"].spun
    )
    other = study_of(small, tmp_path, spinners=("dictionary",), seed=1)
    assert other.tests == study.tests and other.parts != study.parts


def test_a_folder_with_too_few_texts_is_refused(small: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(
        BadCorpus,
        match=(
            r"has \d+ texts to train on of 6 words \(min_words\) or more that all spinners can "
            r"change; expected 5000 or more"
        ),
    ):
        _ = study_of(small, tmp_path, train_texts=5000).parts
    with pytest.raises(BadCorpus, match=r"has 0 test texts of 90 words"):
        _ = study_of(small, tmp_path, min_words=90).tests
    with pytest.raises(
        BadSetting, match=r'^corpus and domains: two are named "corpus0"; name each once'
    ):
        _ = study_of(small, tmp_path, domains=["other/corpus0"]).tested
    with pytest.raises(
        BadSetting,
        match="train_texts = 10 with validation_share = 0.2: expected 4 texts or more in each part",
    ):
        _ = study_of(small, tmp_path, train_texts=10).parts


def test_unknown_names_are_refused_with_the_choices() -> None:
    with pytest.raises(
        UnknownName, match='unknown spinners "spinbot"; known: dictionary, masked-lm, structure'
    ):
        config.build(Settings, {"spinners": ["spinbot"]})
    with pytest.raises(
        UnknownName,
        match='unknown detectors "bert"; known: TF-IDF, plain, LMGC, LMGC-M, distilled student',
    ):
        config.build(Settings, {"detectors": ["bert"]})


def test_spinners_take_turns_where_several_are_learnt_from(
    small: dict[str, object], tmp_path: Path
) -> None:
    """Each source is rewritten by one of them, in turns; no source of any part, and no paraphrase
    of one, stands in another part or beside its own paraphrase.
    """
    study = study_of(small, tmp_path, spinners=("dictionary", "structure"))
    assert study.trained_on == ("dictionary", "structure"), "all but one of two is each"
    study = study_of(small, tmp_path, trained_on=("all but one",))
    assert study.trained_on[1] == "dictionary + structure"
    sources = study.parts["train"]
    one, other = (study.spun(name, sources.spun, 0) for name in ("dictionary", "structure"))
    study.memo["trained_on",] = (study.trained_on[1],), study.memo["trained_on",][1]
    part = study.detector_parts["dictionary + structure"]["train"]
    assert part.texts[:24] == sources.originals and part.labels == [0] * 24 + [1] * 24
    assert part.texts[24::2] == one[::2] and part.texts[25::2] == other[1::2]


@pytest.mark.slow
def test_every_notebook_runs(
    small: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDLIB_THREADS", "1")
    for name in ("notebooks", "gdlib"):
        os.symlink(ROOT / name, tmp_path / name)
    lines: list[str] = []
    settings = pipeline.settings_of(PLAN, "quick", small)
    run = pipeline.Run(
        PLAN, settings, "quick", tmp_path, "runs/store", "gdlib run paraphrase", lines.append
    )
    run.execute()
    again: list[str] = []
    pipeline.Run(
        PLAN, settings, "quick", tmp_path, "runs/store", run.command, again.append
    ).execute()
    assert all("up to date" in line for line in again if line.startswith("[")), again
    recomputes_nothing(run, monkeypatch)

    study = ParaphraseStudy(settings, Store(tmp_path / "runs/store"))
    results, cases = study.results(), study.cases
    pairs = ("dictionary + masked-lm", "dictionary + structure", "masked-lm + structure")
    assert study.trained_on == (*SPINNERS, *pairs)
    assert list(zip(results.table["student"], results.table["arm"])) == [
        (detector, trained) for detector in DETECTORS for trained in study.trained_on
    ]
    teachers = results.table.set_index(["student", "arm"])["learnt_from"].dropna()
    assert set(teachers.index.get_level_values(0)) == {"distilled student"}
    for trained in study.trained_on:
        of = results.table[results.table["arm"] == trained].set_index("student")
        assert teachers["distilled student", trained] == of["held_out"].astype(float).idxmin()
    more, one = study_of(small, study.store.root, model_seeds=(0, 1)), ("plain", "dictionary")
    missing = [ParaphraseStudy.encoder_detector.missing(more, *one, seed) for seed in (0, 1)]
    assert missing == [False, True], "one more model seed trains its own detectors"

    def f1(trained: str, domain: str, tested: str) -> float:
        """Of TF-IDF, from its answers."""
        chosen = ((cases["domain"] == domain) & cases["spinner"].isin(("", tested))).to_numpy()
        said = results.outputs[results.rows(student="TF-IDF", arm=trained).index[0]]
        return f1_score(cases["gold"].to_numpy()[chosen], said[chosen], average="macro")

    other = cases["domain"].iloc[-1]
    table = paraphrase_compare.by_domain(results).set_index(["panel", "arm", "tool"])["value"]
    crossed = [f1(a, other, b) for a in SPINNERS for b in SPINNERS if a != b]
    left_out = [f1(trained, other, b) for trained, b in zip(pairs, reversed([*SPINNERS]))]
    assert table[other, "TF-IDF", CROSS_TOOL] == pytest.approx(np.mean(crossed))
    assert table[other, "TF-IDF", LEFT_OUT] == pytest.approx(np.mean(left_out))


# ---- F1 of cells


def fake(seed: int = 0) -> Results:
    """Random answers of two detectors, two spinners, two seeds, on two domains."""
    random, rows, unit = np.random.default_rng(seed), [], 0
    for domain, number in (("a", 9), ("b", 7)):
        rows += [(domain, "", unit + i, "", 0) for i in range(number)]
        rows += [
            (domain, spinner, unit + number + i, "", 1)
            for spinner in ("s", "t")
            for i in range(number)
        ]
        unit += 2 * number
    cases = pd.DataFrame(rows, columns=["domain", "spinner", "unit", "text", "gold"])
    table = pd.DataFrame(
        [
            {"student": d, "arm": s, "seed": n, "student_seed": 0}
            for d in ("plain", "LMGC")
            for s in ("s", "t")
            for n in range(2)
        ]
    )
    said = random.integers(2, size=(len(table), len(cases))).astype(np.int16)
    return Results(table, said, cases)


def test_cells_are_known_or_not_and_of_one_spinner_or_several() -> None:
    results = fake()
    assert paraphrase_compare.cells(results, ["a", "b"]) == {
        IN_TOOL: [("s", "a", "s"), ("t", "a", "t"), ("s", "b", "s"), ("t", "b", "t")],
        CROSS_TOOL: [("s", "a", "t"), ("t", "a", "s"), ("s", "b", "t"), ("t", "b", "s")],
    }
    several = replace(results, table=results.table.replace({"arm": {"s": "r + s"}}))
    assert paraphrase_compare.cells(several, ["a"]) == {
        IN_TOOL: [("t", "a", "t")],
        CROSS_TOOL: [("t", "a", "s")],
        ONE_OF: [("r + s", "a", "s")],
        LEFT_OUT: [("r + s", "a", "t")],
    }


def means_of(results: Results, wanted: list[tuple[str, str, str]], detector: str) -> np.ndarray:
    """Mean macro-F1 over cells by scikit-learn. *Shape:* ``[seeds]``."""
    cases, means = results.items, []
    for seed in range(2):
        for trained, domain, tested in wanted:
            of = ((cases["domain"] == domain) & cases["spinner"].isin(("", tested))).to_numpy()
            said = results.outputs[results.rows(student=detector, arm=trained).index[seed]][of]
            means.append(f1_score(cases["gold"].to_numpy()[of], said, average="macro"))
    return np.reshape(means, (2, -1)).mean(axis=1)


def test_f1_of_cells_is_that_of_scikit_learn() -> None:
    """Also where kinds have unlike numbers of cells."""
    results = fake()
    wanted = paraphrase_compare.cells(results, ["a", "b"])[CROSS_TOOL]
    kinds = {"four": wanted, "one": wanted[:1]}
    on_cells = paraphrase_compare.on_cells(results, kinds)
    assert on_cells.outputs.shape == (8, 32, 3 * 8), (
        "32 sources: a text that both spinners rewrote counts once"
    )
    found = paraphrase_compare.COMPARISON.arms(on_cells).set_index(["panel", "arm"])["value"]
    for kind, cells in kinds.items():
        for detector in ("plain", "LMGC"):
            mean = means_of(results, cells, detector).mean()
            assert found[kind, detector] == pytest.approx(mean)


def test_every_cell_of_the_matrix_is_that_of_scikit_learn() -> None:
    results = fake()
    table = paraphrase_compare.matrix(results, "b")
    assert len(table) == 8 and table["known"].equals(table["trained"] == table["tested"])
    for row in table.to_dict("records"):
        cell = (row["trained"], "b", row["tested"])
        assert row["value"] == pytest.approx(means_of(results, [cell], row["arm"]).mean())


def test_differences_are_between_the_two_detectors_means() -> None:
    results = fake()
    table = paraphrase_compare.differences(results)
    assert table["panel"].tolist() == [
        f"{tool}, in {where}" for where in ("a", "other domains") for tool in (IN_TOOL, CROSS_TOOL)
    ]
    by_domain = paraphrase_compare.by_domain(results).set_index(["panel", "arm", "tool"])["value"]
    first = table.iloc[0]
    assert first["value"] == pytest.approx(
        by_domain["a", "LMGC", IN_TOOL] - by_domain["a", "plain", IN_TOOL]
    )
    assert next(sentences(table)).startswith("**LMGC** minus **plain**, in-tool, in a: ")


def test_what_an_unknown_spinner_costs_is_the_difference_of_two_kinds() -> None:
    results = fake()
    table = paraphrase_compare.shifts(results).set_index("panel")
    assert set(table["question"]) == {"cross-tool minus in-tool"} and [*table.index] == [
        "plain",
        "LMGC",
    ]
    kinds = paraphrase_compare.cells(results, ["a"])
    crossed, known = (means_of(results, kinds[tool], "LMGC") for tool in (CROSS_TOOL, IN_TOOL))
    assert table.loc["LMGC", "value"] == pytest.approx((crossed - known).mean())
    of_seeds = t.interval(0.95, 1, (crossed - known).mean(), sem(crossed - known))
    assert table.loc["LMGC", ["seeds_low", "seeds_high"]].tolist() == pytest.approx(of_seeds)


# ---- texts


def test_texts_are_escaped() -> None:
    page = side_by_side(["<b>a film</b>"], {"<b>": ["<b>a movie</b>"]})
    assert "<b>" not in page and "&lt;b&gt;a <mark>movie&lt;/b&gt;</mark>" in page


def test_sources_are_halved() -> None:
    assert Sources.halves(list("abcde")) == Sources(["a", "b"], ["c", "d"])

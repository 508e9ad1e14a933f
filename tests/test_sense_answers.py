"""Baselines of word sense disambiguation, F1 and paired differences."""

import numpy as np
import pandas as pd
import pytest

from gdlib.compare.results import TOGETHER, Results
from gdlib.compare.scores import SENSE_F1
from gdlib.compare.stats import Sample, difference, interval
from gdlib.sources import senses as wsd
from gdlib.sources import tables
from gdlib.sources.senses import Instance
from gdlib.studies.lexical import baselines as sense_baselines
from gdlib.studies.lexical import compare as lexical_compare
from gdlib.studies.lexical.study import CHOSEN_ON, LexicalStudy, judge, on_tests


def bank(*tokens: str, key: str = "bank%1:17:01::") -> Instance:
    return Instance("x", tokens, tokens.index("bank"), "bank", "noun", (key,))


# ---- baselines


def test_lesk_counts_common_words_and_falls_back_on_the_first_sense() -> None:
    money = bank(
        "he",
        "deposited",
        "money",
        "lending",
        "from",
        "his",
        "institution",
        "at",
        "the",
        "bank",
        key="bank%1:14:00::",
    )
    nothing = bank("the", "bank")
    scores = sense_baselines.lesk([money, nothing])
    place = [sense.sense_key for sense in money.candidates].index("bank%1:14:00::")
    # "a financial institution that accepts deposits and channels the money into lending activities"
    assert scores[0].argmax() == place and scores[0][place] >= 4
    assert judge(scores, [money, nothing]).tolist() == [1, 1]
    assert not scores[1].any()


def test_lesk_never_reads_the_examples() -> None:
    canoe = bank("they", "pulled", "the", "canoe", "up", "on", "the", "bank")
    assert not sense_baselines.lesk([canoe])[0].any()


def test_first_sense_and_random_on_all_embedded_sentences() -> None:
    """The source's figures: random 28.5%, first sense 33.9%, gloss Lesk 35.3%, by a slightly
    different rule for words.
    """
    instances = wsd.instances_of("wordnet", tables.read_card("wordnet", "senses")["train"])
    random = judge(sense_baselines.at_random(instances, 0), instances).mean()
    first = judge(sense_baselines.first_sense(instances), instances).mean()
    assert (
        random
        == pytest.approx(np.mean([np.mean(one.gold) for one in instances]), abs=0.01)
        == pytest.approx(0.285, abs=0.015)
    )
    assert (
        first
        == pytest.approx(np.mean([one.gold[0] for one in instances]))
        == pytest.approx(0.339, abs=0.005)
    )
    some = wsd.sample(instances, 4000, seed=0)
    lesk = judge(sense_baselines.lesk(some), some).mean()
    assert 0.33 < lesk < 0.42


# ---- results


@pytest.fixture
def results() -> Results:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "arm": ["first sense", "LMGC", "LMGC", "LMGC-M", "LMGC-M"],
            "seed": 0,
            "model_seed": [-1, 0, 1, 0, 1],
        }
    )
    items = pd.DataFrame(
        {
            "part": [CHOSEN_ON] * 10 + ["a"] * 30 + ["b"] * 20,
            "id": "x",
            "pos": ["noun", "verb"] * 30,
            "candidates": 3,
        }
    )
    right = (random.random((5, 60)) < [[0.3], [0.6], [0.6], [0.9], [0.9]]).astype(float)
    return Results(table, right, items)


def test_f1_by_set_and_by_part_of_speech_are_means_of_right_answers(results: Results) -> None:
    table, right = lexical_compare.by_set(results).set_index("arm"), results.outputs
    assert {CHOSEN_ON, "a", "b", "seeds", "model_seeds"} < set(table.columns)
    assert table.loc["LMGC", "value"] == pytest.approx(right[1:3, 10:].mean())
    assert table.loc["LMGC", "a"] == pytest.approx(right[1:3, 10:40].mean())
    assert table.loc["LMGC", "with held-out"] == pytest.approx(right[1:3].mean())
    assert table.loc["LMGC", ["seeds", "model_seeds"]].tolist() == [1, 2]
    assert table.loc["first sense", CHOSEN_ON] == pytest.approx(right[0, :10].mean())
    assert table.loc["LMGC", "low"] < table.loc["LMGC", "value"] < table.loc["LMGC", "high"]
    pos = lexical_compare.by_pos(results).set_index(["arm", "pos"])
    assert pos.loc[("LMGC-M", "verb"), "value"] == pytest.approx(right[3:, 11::2].mean())
    assert pos.loc[("LMGC-M", "verb"), "instances"] == 25


def test_differences_are_paired_by_instance_and_model_seed(results: Results) -> None:
    found = lexical_compare.COMPARISON.differences(on_tests(results), resamples=9999).set_index(
        ["left", "right"]
    )
    assert found.index.tolist() == [("LMGC", "first sense"), ("LMGC-M", "LMGC")]
    right = results.outputs[:, 10:]
    sides = {"LMGC-M": right[3:], "LMGC": right[1:3], "first sense": right[:1]}
    for (left, other), row in found.iterrows():
        by_hand = difference(Sample.of(sides[left], sides[other]), resamples=9999)
        names = ["value", "low", "high", "seeds_low", "seeds_high"]
        expected = [getattr(by_hand, name) for name in names]
        # F1 where all is answered is the share of right answers, but for rounding
        assert row[names].tolist() == pytest.approx(expected, abs=1e-3)
    with pytest.raises(KeyError, match="no results of LMGC-X"):
        results.units(arm="LMGC-X")


def test_words_of_one_sentence_are_drawn_together(results: Results) -> None:
    """A resample of sentences has the F1 of all their words; whole sentences vary more."""
    sentences = [f"sentence {n // 4}" for n in range(60)]
    right = np.repeat(results.outputs[:, ::4], 4, axis=1)  # all words of a sentence or none
    right[:, :4] = [1, 0, 1, 0]
    alone = Results(results.table, right, results.items)
    together = Results(results.table, right, results.items.assign(**{TOGETHER: sentences}))
    sample = together.sample(SENSE_F1, {"arm": "LMGC"})
    times = np.random.default_rng(1).integers(0, 3, size=15).astype(float)
    drawn = np.repeat(times, 4)
    expected = [(right[row] * drawn).sum() / drawn.sum() for row in (1, 2)]
    np.testing.assert_allclose(sample.by_unit(times[None])[0], expected)
    narrow, wide = (
        interval(of.sample(SENSE_F1, {"arm": "LMGC"}), resamples=999) for of in (alone, together)
    )
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_seeds_are_stacked_on_the_test_instances_that_they_share(
    results: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = results.items.assign(id=["y"] * 10 + ["x"] * 50)
    other = Results(results.table.assign(seed=1), 1 - results.outputs, items)
    study = object.__new__(LexicalStudy)

    def over(*runs: Results) -> Results:
        each = [type("Run", (), {"results": lambda _, run=run: run})() for run in runs]
        monkeypatch.setattr(LexicalStudy, "each_seed", lambda _: each)
        return study.over_seeds()

    both = over(results, other)
    assert CHOSEN_ON not in set(both.items["part"])  # each seed has another one
    assert both.units(arm="LMGC").shape == (2, 2)
    expected = [results.outputs[1:3, 10:].mean(), 1 - results.outputs[1:3, 10:].mean()]
    np.testing.assert_allclose(both.outputs[both.units(arm="LMGC")].mean((1, 2)), expected)
    assert len(over(results, results).items) == 60 and len(on_tests(results).items) == 50
    with pytest.raises(ValueError, match="different test parts"):
        over(results, Results(other.table, other.outputs, items.assign(id="y")))


def test_of_equal_scores_the_more_frequent_sense_counts() -> None:
    one = bank("a", "bank")
    assert judge([np.zeros(10)], [one]).tolist() == [1]
    nobody = Instance("z", ("qwx",), 0, "qwx", "noun", ("qwx%1:00:00::",))
    assert judge([np.zeros(0)], [nobody]).tolist() == [0]

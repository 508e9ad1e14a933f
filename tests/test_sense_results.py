"""Baselines of word sense disambiguation, F1 and paired differences."""

import numpy as np
import pandas as pd
import pytest

from gdlib.compare import sense_results, stats
from gdlib.compare.sense_results import CHOSEN_ON, Answers
from gdlib.sources import senses as wsd
from gdlib.sources import tables
from gdlib.sources.senses import Instance
from gdlib.studies.lexical import baselines as sense_baselines


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
    assert sense_results.judge(scores, [money, nothing]).tolist() == [1, 1]
    assert not scores[1].any()


def test_lesk_never_reads_the_examples() -> None:
    canoe = bank("they", "pulled", "the", "canoe", "up", "on", "the", "bank")
    assert not sense_baselines.lesk([canoe])[0].any()


def test_first_sense_and_random_on_all_embedded_sentences() -> None:
    """The source's figures: random 28.5%, first sense 33.9%, gloss Lesk 35.3%, by a slightly
    different rule for words.
    """
    instances = wsd.instances_of("wordnet", tables.read_card("wordnet", "senses")["train"])
    random = sense_results.judge(sense_baselines.at_random(instances, 0), instances).mean()
    first = sense_results.judge(sense_baselines.first_sense(instances), instances).mean()
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
    lesk = sense_results.judge(sense_baselines.lesk(some), some).mean()
    assert 0.33 < lesk < 0.42


# ---- answers


@pytest.fixture
def answers() -> Answers:
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "method": ["first sense", "LMGC", "LMGC", "LMGC-M", "LMGC-M"],
            "seed": 0,
            "model_seed": [-1, 0, 1, 0, 1],
        }
    )
    instances = pd.DataFrame(
        {
            "part": [CHOSEN_ON] * 10 + ["a"] * 30 + ["b"] * 20,
            "id": "x",
            "pos": ["noun", "verb"] * 30,
            "candidates": 3,
        }
    )
    right = (random.random((5, 60)) < [[0.3], [0.6], [0.6], [0.9], [0.9]]).astype(float)
    return Answers(table, right, instances)


def test_f1_by_set_and_by_part_of_speech_are_means_of_right_answers(answers: Answers) -> None:
    table = sense_results.by_set(answers).set_index("method")
    assert list(table.columns) == [
        CHOSEN_ON,
        "a",
        "b",
        "ALL",
        "low",
        "high",
        "seeds",
        "model_seeds",
    ]
    assert table.loc["LMGC", "ALL"] == pytest.approx(answers.right[1:3, 10:].mean())
    assert table.loc["LMGC", "a"] == pytest.approx(answers.right[1:3, 10:40].mean())
    assert table.loc["first sense", CHOSEN_ON] == pytest.approx(answers.right[0, :10].mean())
    assert table.loc["LMGC", "low"] < table.loc["LMGC", "ALL"] < table.loc["LMGC", "high"]
    pos = sense_results.by_pos(answers).set_index(["method", "pos"])
    assert pos.loc[("LMGC-M", "verb"), "f1"] == pytest.approx(answers.right[3:, 11::2].mean())
    assert pos.loc[("LMGC-M", "verb"), "instances"] == 25


def test_f1_is_that_of_precision_and_recall_where_not_all_is_answered() -> None:
    right, answered = np.array([1.0, 1, 0, 0, 0]), np.array([True, True, True, False, False])
    precision, recall = 2 / 3, 2 / 5
    assert sense_results.f1(right, answered) == pytest.approx(
        2 * precision * recall / (precision + recall)
    )
    assert sense_results.f1(np.zeros(3), np.zeros(3, dtype=bool)) == 0
    assert sense_results.f1(right, np.ones(5, dtype=bool)) == pytest.approx(0.4)


def test_differences_are_paired_by_instance_and_model_seed(answers: Answers) -> None:
    d = answers.difference("LMGC-M", "LMGC")
    assert d == stats.paired_difference(answers.right[3:, 10:], answers.right[1:3, 10:])
    one_row = answers.difference("LMGC", "first sense")
    assert one_row == stats.paired_difference(
        answers.right[1:3, 10:], np.repeat(answers.right[:1, 10:], 2, axis=0)
    )
    (row,) = sense_results.differences(answers, [("LMGC-M", "LMGC")]).to_dict("records")
    assert (
        row["difference"] == d.value
        and row["sentence"] == f"**LMGC-M** minus **LMGC**: {d.describe()}."
    )
    with pytest.raises(KeyError, match="no answers of LMGC-X"):
        answers.difference("LMGC-X", "LMGC")


def test_seeds_are_stacked_where_the_test_instances_are_the_same(answers: Answers) -> None:
    other = Answers(
        answers.table.assign(seed=1),
        1 - answers.right,
        answers.instances.assign(id=["y"] * 10 + ["x"] * 50),
    )
    both = Answers.stack([answers, other])
    assert CHOSEN_ON not in set(both.instances["part"])  # each seed has another one
    assert both.units("LMGC").shape == (2, 50)
    np.testing.assert_allclose(
        both.units("LMGC"), [answers.right[1:3, 10:].mean(0), 1 - answers.right[1:3, 10:].mean(0)]
    )
    assert len(Answers.stack([answers, answers]).instances) == 60
    with pytest.raises(ValueError, match="different test instances"):
        Answers.stack([answers, Answers(other.table, other.right, other.instances.assign(id="y"))])


def test_of_equal_scores_the_more_frequent_sense_counts() -> None:
    one = bank("a", "bank")
    assert sense_results.judge([np.zeros(10)], [one]).tolist() == [1]
    nobody = Instance("z", ("qwx",), 0, "qwx", "noun", ("qwx%1:00:00::",))
    assert sense_results.judge([np.zeros(0)], [nobody]).tolist() == [0]

"""How evidence about candidates is weighed: against other ways to the same numbers."""

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from gdlib.compare.choices import RIDGE, fit_weights
from gdlib.core.errors import BadSetting
from gdlib.core.settings import replace
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS
from gdlib.sources import senses as wsd
from gdlib.sources.senses import Instance
from gdlib.studies.lexical import baselines
from gdlib.studies.lexical import compare as lexical_compare
from gdlib.studies.lexical.settings import Settings
from gdlib.studies.lexical.study import LexicalStudy, judge


def drawn(seed: int, questions: int, kinds: int, most: int):
    """Questions whose candidates are right as a conditional logit with weights 1, 2, ... says."""
    random = np.random.default_rng(seed)
    evidence = [random.normal(size=(random.integers(2, most + 1), kinds)) for _ in range(questions)]
    gold = []
    for each in evidence:
        odds = np.exp(each @ np.arange(1.0, kinds + 1))
        gold.append(random.multinomial(1, odds / odds.sum()).astype(bool))
    return evidence, gold


def test_two_candidates_are_a_logistic_regression_on_their_difference() -> None:
    evidence, gold = drawn(0, 300, 2, most=2)
    scale = np.concatenate(evidence).std(axis=0)
    differences = np.stack([each[1] - each[0] for each in evidence]) / scale
    model = LogisticRegression(C=1 / (2 * RIDGE * 300), fit_intercept=False, tol=1e-8)
    model.fit(differences, [right[1] for right in gold])
    np.testing.assert_allclose(fit_weights(evidence, gold), model.coef_[0] / scale, rtol=1e-3)


def test_weights_are_the_likeliest_of_all_and_those_that_the_answers_were_drawn_by() -> None:
    evidence, gold = drawn(1, 4000, 3, most=6)
    gold[0][:] = True  # teaches nothing
    gold[1] = np.eye(len(gold[1]), dtype=bool)[0] | np.eye(len(gold[1]), dtype=bool)[1]
    evidence.append(np.full((1, 3), 1e9))
    gold.append(np.array([True]))
    scale = np.concatenate([e for e, g in zip(evidence, gold) if not g.all()]).std(axis=0)

    def surprise(weights) -> float:
        total, number = 0.0, 0
        for each, right in zip(evidence, gold):
            if right.any() and not right.all():
                odds = np.exp(each @ weights)
                total, number = total - np.log(odds[right].sum() / odds.sum()), number + 1
        return total / number + RIDGE * np.sum((weights * scale) ** 2)

    weights = fit_weights(evidence, gold)
    found = minimize(surprise, np.ones(3), method="Nelder-Mead", options={"xatol": 1e-5})
    assert surprise(weights) <= found.fun + 1e-6
    np.testing.assert_allclose(weights, [1, 2, 3], atol=0.3)  # the ridge shrinks them


def test_evidence_that_misleads_has_no_weight_and_nothing_to_learn_leaves_ones() -> None:
    evidence, gold = drawn(2, 500, 2, most=4)
    misleading = [np.column_stack([each[:, 0], -each[:, 1]]) for each in evidence]
    weights = fit_weights(misleading, gold)
    assert weights[0] > 0 and weights[1] == 0
    assert fit_weights([np.zeros((1, 2))], [[True]]).tolist() == [1, 1]


def bank(number: int, key: str) -> Instance:
    return Instance(str(number), ("the", "bank"), 1, "bank", "noun", (key,))


def test_frequent_senses_win_where_a_method_does_not_know() -> None:
    """Nine of ten words have their most frequent sense; the method is right about the tenth."""
    keys = [sense.sense_key for sense in bank(0, "").candidates]
    places = [0] * 18 + [3, 4]
    instances = [bank(number, keys[place]) for number, place in enumerate(places)]
    random = np.random.default_rng(0)
    scores = [random.normal(size=len(keys)) for _ in places]
    for number in (18, 19):
        scores[number][places[number]] = 20.0
    alone = judge(scores, instances)
    chosen = np.arange(20) % 2 == 0  # fitted on half
    both = judge(baselines.weighed(scores, instances, chosen), instances)
    assert alone.sum() < 10 and both.sum() == 20


def test_every_question_is_about_arms_that_there_are() -> None:
    known = {*baselines.BASELINES, *ARMS, *(name + baselines.FREQUENCY for name in ARMS)}
    assert {arm for pair in lexical_compare.COMPARISON.questions for arm in pair} <= known


def test_examples_in_glosses_are_refused_where_they_are_the_test(tmp_path) -> None:
    study = LexicalStudy(replace(Settings(), gloss_text="examples"), Store(tmp_path))
    with pytest.raises(BadSetting, match="would give the test sentences of wordnet away"):
        study.model_plan("LMGC")
    assert wsd.EMBEDDED == Settings().corpus

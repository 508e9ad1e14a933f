"""The temperature of calibration against laws that it has to obey."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax

from gdlib.compare.metrics import expected_calibration_error
from gdlib.learn.calibration import fit_temperature


def drawn(seed: int, texts: int = 4000, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax: perfectly calibrated."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (texts, classes))
    labels = np.array([random.choice(classes, p=row) for row in softmax(logits, axis=-1)])
    return logits, labels


def test_a_calibrated_network_keeps_its_probabilities():
    assert fit_temperature(*drawn(0)) == pytest.approx(1.0, abs=0.06)


@settings(deadline=None, max_examples=20)
@given(st.floats(0.2, 5.0))
def test_what_logits_were_divided_by_is_found(factor):
    logits, labels = drawn(1, texts=500)
    undivided = fit_temperature(logits, labels)
    assert fit_temperature(logits / factor, labels) == pytest.approx(undivided / factor, rel=1e-3)


def test_no_other_temperature_is_likelier():
    logits, labels = drawn(2, texts=300)
    labels[:40] = 0  # some labels that the logits do not expect

    targets = np.full((300, 4), 1 / 304)
    targets[np.arange(300), labels] = 301 / 304

    def loss(temperature):
        return -(targets * log_softmax(logits / temperature, axis=-1)).sum(-1).mean()

    best = loss(fit_temperature(logits, labels))
    assert all(best <= loss(t) + 1e-7 for t in np.geomspace(0.1, 10, 200))


def test_an_unsure_network_is_calibrated_by_it():
    logits, labels = drawn(3)
    unsure = logits / 3

    def error(logits):
        shares = softmax(logits, axis=-1)
        return expected_calibration_error(shares.max(-1), shares.argmax(-1) == labels)

    assert error(unsure) > 0.15
    assert error(unsure / fit_temperature(unsure, labels)) < 0.03


def test_few_texts_that_are_all_right_do_not_make_a_network_sure_of_everything():
    """With two classes and logits 0 and 1 there is a closed form: T = 1 / logit(share)."""
    for number in (5, 40, 1000):
        share = (number + 1) / (number + 2)
        found = fit_temperature(np.tile([0.0, 1.0], (number, 1)), np.ones(number, int))
        assert found == pytest.approx(1 / np.log(share / (1 - share)), rel=1e-3)

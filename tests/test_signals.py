"""A teacher's signals: kept, read back, and refused where they speak of something else."""

import math

import pytest
import torch

from gdlib.core.errors import StaleArtifact
from gdlib.core.store import texts_digest
from gdlib.networks import signals
from gdlib.networks.signals import Signals

TEXTS, LABELS = ["a cat", "a song", "rain"], ("animals", "music")


def made():
    logits = torch.tensor([[0.0, math.log(3)], [2.0, 2.0], [5.0, -5.0]])
    states = {0: torch.randn(3, 4), 2: torch.randn(3, 4)}
    return Signals(LABELS, logits, texts_digest(TEXTS), states, torch.randn(3, 4))


def test_round_trip(tmp_path):
    kept = made()
    kept.save(tmp_path)
    found = signals.load(tmp_path, LABELS, TEXTS)
    assert found.labels == LABELS and found.digest == kept.digest
    assert torch.equal(found.logits, kept.logits) and torch.equal(found.means, kept.means)
    assert set(found.states) == {0, 2} and all(
        torch.equal(found.states[layer], kept.states[layer]) for layer in (0, 2)
    )


def test_probabilities_and_predictions_by_hand():
    assert torch.allclose(made().probabilities[:2], torch.tensor([[0.25, 0.75], [0.5, 0.5]]))
    assert made().predicted.tolist()[0] == 1 and made().predicted.tolist()[2] == 0


def test_refused(tmp_path):
    made().save(tmp_path)
    where = f"signals in {tmp_path} "
    with pytest.raises(StaleArtifact) as error:
        signals.load(tmp_path, ("animals", "weather"), TEXTS)
    assert (
        str(error.value)
        == where + "are for the classes animals, music; expected, in this order: animals, weather"
    )
    with pytest.raises(StaleArtifact) as error:
        signals.load(tmp_path, ("music", "animals"), TEXTS)
    assert (
        str(error.value)
        == where + "are for the classes animals, music; expected, in this order: music, animals"
    )
    with pytest.raises(StaleArtifact, match="expected, in this order: animals, music, weather$"):
        signals.load(tmp_path, (*LABELS, "weather"), TEXTS)
    for other in (TEXTS[::-1], TEXTS[:2], ["a cat", "a song", "rain "]):
        with pytest.raises(StaleArtifact) as error:
            signals.load(tmp_path, LABELS, other)
        assert str(error.value) == where + f"are of other texts than the {len(other)} given"


def test_logits_of_another_number_of_classes():
    with pytest.raises(
        StaleArtifact, match=r"^signals have shape \[3, 4\], expected \[texts, 2\]$"
    ):
        Signals(LABELS, torch.zeros(3, 4), "")


def test_equal_signals_have_equal_bytes(tmp_path):
    """safetensors puts several entries of a header into an order that is drawn each time."""
    kept, files = made(), set()
    for _ in range(20):
        kept.save(tmp_path)
        files.add((tmp_path / signals.FILE).read_bytes())
    assert len(files) == 1

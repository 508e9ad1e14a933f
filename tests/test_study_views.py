"""What notebooks show of a corpus and a teacher, on a tiny study."""

import numpy as np
import pytest
import tiny
from sklearn.linear_model import LogisticRegression

from gdlib.core.store import Store
from gdlib.studies.shared import views
from gdlib.studies.shared.settings import TeachingSettings
from gdlib.studies.shared.study import TeachingStudy


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    settings = TeachingSettings(
        corpus=str(tiny.corpus(folder / "corpus")),
        teacher=str(tiny.encoder(folder / "encoder")),
        labels_per_class=30,
        transfer_size=40,
        teacher_epochs=4,
        teacher_lr=2e-3,
        teacher_batch=8,
        teacher_layers=(0, 2),
        teacher_pooling="mean",
    )
    return TeachingStudy(settings, Store(folder / "store"))


def test_the_probe_is_a_linear_classifier_on_standardised_states_judged_on_held_out_texts(study):
    found = views.layer_probe(study)
    assert found["layer"].tolist() == [0, 2]
    train, held_out = (
        study.signals(part.texts).states[2].numpy()
        for part in (study.splits.train, study.splits.validation)
    )
    mean, sd = train.mean(0), train.std(0)
    by_hand = LogisticRegression(max_iter=1000).fit((train - mean) / sd, study.splits.train.labels)
    expected = (
        by_hand.predict((held_out - mean) / sd) == np.array(study.splits.validation.labels)
    ).mean()
    assert found["accuracy"].iloc[1] == expected > 0.5  # chance is a third


def test_signal_counts_say_who_has_gold_labels(study):
    table = views.signal_counts(study).set_index("part")
    assert table["texts"].to_dict() == {
        name: len(part) for name, part in study.splits.parts.items()
    }
    said = study.signals(study.splits.test.texts).predicted.numpy()
    assert table.loc["test", "accuracy"] == (said == np.array(study.splits.test.labels)).mean()
    assert views.history(study).columns.tolist() == ["step", "train_loss", "held_out"]

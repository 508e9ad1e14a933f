"""What references and students answer is counted with the right columns."""

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from gdlib.compare import baselines
from gdlib.compare.metrics import expected_calibration_error
from gdlib.core.store import Artifact
from gdlib.learn import tensors
from gdlib.networks.names import STUDENTS
from gdlib.sources.corpora import Part
from gdlib.sources.splits import Splits
from gdlib.studies.shared.trials import Trials

COLUMNS = {"corpus": "made", "labels_per_class": 5, "seed": 3}
TEST = Part(
    [text for c in ("animals", "music") for text in tiny.texts_of(c, 10, 1)], [0] * 10 + [1] * 10
)
ROWS = [[1 + i % 9, 2, 3] for i in range(20)]
TEACHER = np.log(np.eye(2)[[0] * 8 + [1] * 12] * 0.8 + 0.1)  # logits: it is 0.9 sure


@pytest.fixture
def splits():
    parts = [
        Part([t for c in ("animals", "music") for t in tiny.texts_of(c, 5, s)], [0] * 5 + [1] * 5)
        for s in (2, 3)
    ]
    return Splits(("animals", "music"), *parts, Part([], []), TEST)


def student(seed=0):
    torch.manual_seed(seed)
    return STUDENTS["KimCNN"](20, 2, 3, 4, 0.0).eval()


def test_the_row_of_a_student_by_hand(tmp_path):
    trials = Trials(COLUMNS, TEST, TEACHER)
    with torch.no_grad():
        logits = student()(torch.tensor(ROWS))
    size = sum(p.numel() for p in student().parameters())
    notes = {"steps": 60, "parameters": size, "temperature": 0.5}
    tensors.save(tmp_path / "test.safetensors", {"logits": logits}, **notes)
    made = Artifact(tmp_path, "trained-student", "key", {}, 1.0)
    trials.student(made, student="KimCNN", arm="hard labels", student_seed=4, size=123)
    results, probabilities = trials.results(), logits.softmax(-1).numpy()
    predicted = probabilities.argmax(1)
    row = results.table.iloc[0]
    assert {name: row[name] for name in COLUMNS} == COLUMNS
    assert (row["student"], row["arm"], row["student_seed"], row["size"], row["steps"]) == (
        "KimCNN",
        "hard labels",
        4,
        123,
        60,
    )
    assert row["parameters"] == sum(p.numel() for p in student().parameters())
    assert row["accuracy"] == (predicted == TEST.labels).mean()
    assert row["agreement"] == (predicted == TEACHER.argmax(1)).mean()
    assert results.outputs[0].tolist() == predicted.tolist()
    sure = (logits / 0.5).softmax(-1).amax(-1)
    expected = expected_calibration_error(sure, predicted == TEST.labels)
    assert row["calibrated_ece"] == pytest.approx(expected, abs=1e-6) != row["ece"]
    assert results.items["gold"].tolist() == TEST.labels


def test_references(splits):
    trials = Trials(COLUMNS, TEST, TEACHER)
    labelled = splits.labelled
    answers = baselines.answers(labelled.texts, labelled.labels, TEST.texts, len(splits.labels))
    trials.references(answers, nn.Linear(3, 2), teacher_steps=9)
    table = trials.results().table.set_index("arm")
    assert table.index.tolist() == ["majority", "tfidf-lr", "tfidf-svm", "teacher"]
    assert table["student"].tolist() == [""] * 4
    assert table["student_seed"].tolist() == [-1] * 4 and table["size"].tolist() == [0] * 4
    assert table.loc["majority", "accuracy"] == 0.5
    teacher = table.loc["teacher"]
    assert (teacher["accuracy"], teacher["agreement"], teacher["parameters"], teacher["steps"]) == (
        18 / 20,
        1.0,
        8,
        9,
    )
    assert teacher["macro_f1"] == pytest.approx((2 * 8 / (8 + 10) + 2 * 10 / (12 + 10)) / 2)
    assert np.isnan(table.loc["tfidf-lr", "calibrated_ece"])
    assert teacher["calibrated_ece"] == pytest.approx(teacher["ece"])
    assert teacher["ece"] == pytest.approx(0.0, abs=1e-9)  # says 0.9, is right in 18 of 20

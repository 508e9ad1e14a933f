"""Trials: every student is trained once, whatever kills the run, and is counted with the right
columns.
"""

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from gdlib.networks.students import STUDENTS
from gdlib.sources.corpora import Part
from gdlib.sources.splits import Splits
from gdlib.studies.shared.trials import Trials

COLUMNS = {"corpus": "made", "labels_per_class": 5, "seed": 3}
TEST = Part(
    [text for c in ("animals", "music") for text in tiny.texts_of(c, 10, 1)], [0] * 10 + [1] * 10
)
ROWS = [[1 + i % 9, 2, 3] for i in range(20)]
TEACHER = np.eye(2)[[0] * 8 + [1] * 12] * 0.8 + 0.1


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


def calls_of(trained):
    def train():
        trained.append(1)
        return student(len(trained)), 70 + len(trained)

    return train


def test_a_student_is_not_trained_twice(tmp_path):
    trained = []
    jobs = [
        ("KimCNN", "generated /2", 0),
        ("KimCNN", "generated + real", 0),
        ("KimCNN", "generated /2", 1),
        ("ResCNN", "generated /2", 0),
    ]

    def run(jobs):
        trials = Trials(COLUMNS, TEST, TEACHER, tmp_path)
        for name, arm, seed in jobs:
            trials.student(name, arm, seed, 44, ROWS, calls_of(trained))
        return trials.results()

    run(jobs[:2])  # ... and there it was killed
    resumed = run(jobs)
    assert len(trained) == 4
    again = run(jobs)
    assert (
        len(trained) == 4
        and again.table.equals(resumed.table)
        and np.array_equal(again.confidence, resumed.confidence)
    )
    assert resumed.table["steps"].tolist() == [71, 72, 73, 74]
    assert all(
        path.name.startswith("checkpoint") for path in tmp_path.iterdir()
    )  # what the store does not keep
    assert not list(tmp_path.glob("*.aside"))


def test_the_row_of_a_student_by_hand(tmp_path):
    trials = Trials(COLUMNS, TEST, TEACHER, tmp_path)
    trials.student("KimCNN", "hard labels", 4, 123, ROWS, lambda: (student(), 60))
    results = trials.results()
    with torch.no_grad():
        probabilities = student()(torch.tensor(ROWS)).softmax(-1).numpy()
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
    assert results.predicted[0].tolist() == predicted.tolist() and np.allclose(
        results.confidence[0], probabilities.max(1), atol=1e-6
    )
    assert results.gold.tolist() == TEST.labels


def test_references(tmp_path, splits):
    trials = Trials(COLUMNS, TEST, TEACHER, tmp_path)
    trials.references(splits, nn.Linear(3, 2), teacher_steps=9)
    table = trials.results().table.set_index("student")
    assert table.index.tolist() == ["majority", "tfidf-lr", "teacher"] and table[
        "arm"
    ].tolist() == ["baseline", "baseline", "teacher"]
    assert table["student_seed"].tolist() == [-1] * 3 and table["size"].tolist() == [0] * 3
    assert table.loc["majority", "accuracy"] == 0.5
    teacher = table.loc["teacher"]
    assert (teacher["accuracy"], teacher["agreement"], teacher["parameters"], teacher["steps"]) == (
        18 / 20,
        1.0,
        8,
        9,
    )
    assert teacher["macro_f1"] == pytest.approx((2 * 8 / (8 + 10) + 2 * 10 / (12 + 10)) / 2)
    assert teacher["ece"] == pytest.approx(0.0, abs=1e-9)  # says 0.9, is right in 18 of 20


def test_killed_while_training_leaves_nothing(tmp_path):
    trials = Trials(COLUMNS, TEST, TEACHER, tmp_path)

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trials.student("KimCNN", "hard labels", 0, 1, ROWS, killed)
    assert not list(tmp_path.iterdir()) and not trials.rows

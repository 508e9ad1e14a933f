"""Arms by hand: which texts, which targets, in which order; and a student that learns what its
teacher says.
"""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gdlib.core.errors import UnknownName
from gdlib.learn.losses import DistillationLoss, held_out_score
from gdlib.networks import embeddings
from gdlib.networks.arms import ARMS, MAIN_ARM, Arm, arms
from gdlib.networks.distillation import (
    StudentPlan,
    distil,
    loss_of,
    mixed_batches,
    new_student,
    predict,
)
from gdlib.networks.lessons import Source, join, transfer_set
from gdlib.networks.students import Vocabulary


def source(first, number, labelled=False):
    """Texts of one piece each, ``first``, ``first + 1``, ...; the teacher's class is the piece
    modulo 3, gold is always 0.
    """
    pieces = [[first + i] for i in range(number)]
    logits = (
        F.one_hot(torch.tensor([row[0] % 3 for row in pieces], dtype=torch.long), 3).float() * 2
    )
    return Source(pieces, logits, torch.full((number,), 0 if labelled else -1))


SOURCES = {
    "labelled": source(10, 3, labelled=True),
    "generated": source(100, 5),  # classes 1, 2, 0, 1, 2
    "real": source(200, 9),  # classes 2, 0, 1, 2, 0, 1, 2, 0, 1
    "scraps": source(300, 7),
    "feedback": source(400, 6),
}
L, G = [10, 11, 12], [100, 101, 102, 103, 104]
# Real texts and scraps are cut to the number of generated ones.
R, S = [200, 201, 202, 203, 204], [300, 301, 302, 303, 304]
MIXED = [200, 201, 202, 203, 205]  # real ones of the classes 2, 0, 1, 2, 1


def texts_of(lessons):
    """The pieces of the labelled and of the other texts."""
    return [[row[0] for row in part.pieces] if part else [] for part in lessons]


def plan(**changes):
    values = {
        "student_parameters": 20_000,
        "embedding_dim": 8,
        "student_dropout": 0.1,
        "student_steps": 60,
        "student_lr": 5e-3,
        "student_batch": 16,
        "evaluate_every": 20,
        "patience": 0,
        "loss": DistillationLoss(temperature=2.0, hard_weight=0.5),
    }
    return StudentPlan(**(values | changes))


@pytest.mark.parametrize(
    "name, texts",
    [
        ("labelled only", []),
        ("distilled on labelled", []),
        ("generation-distillation", G),
        ("hard labels", G),
        ("real unlabelled", R),
        ("real (generated mix)", MIXED),
        ("generated + real", G + R),
        ("scraps", S),
        ("generated + scraps", G + S),
        ("feedback", [100, 101, 102, 400, 401]),  # one in two, and as many as are left
    ],
)
def test_transfer_set_of_every_arm(name, texts):
    labelled, transfer = transfer_set(ARMS[name], SOURCES)
    assert texts_of((labelled, transfer)) == [L, texts]
    assert labelled.labels.tolist() == [0, 0, 0]  # gold stays gold
    if texts:
        assert transfer.teacher_logits.argmax(-1).tolist() == [piece % 3 for piece in texts]
        expected = [piece % 3 if name == "hard labels" else -1 for piece in texts]
        assert transfer.labels.tolist() == expected


def test_arms_of_the_parametrized_test_are_all_arms():
    assert list(ARMS) == [
        "labelled only",
        "distilled on labelled",
        "generation-distillation",
        "hard labels",
        "real unlabelled",
        "real (generated mix)",
        "generated + real",
        "scraps",
        "generated + scraps",
        "feedback",
    ]


def test_states_go_where_their_texts_go():
    one, other = (
        Source([[1], [2]], torch.zeros(2, 3), torch.zeros(2).long(), torch.tensor([[k], [k + 1.0]]))
        for k in (1.0, 5.0)
    )
    assert join([one, other]).rows([3, 0]).teacher_states.tolist() == [[6], [1]] and one.head(
        1
    ).teacher_states.tolist() == [[1]]
    assert join([one, source(3, 2)]).teacher_states is None


def test_real_and_generated_have_the_same_size():
    names = ("real unlabelled", "real (generated mix)", "scraps", "generation-distillation")
    assert {len(transfer_set(ARMS[name], SOURCES)[1]) for name in names} == {5}
    few = SOURCES | {"real": source(200, 2)}
    assert texts_of(transfer_set(ARMS["real unlabelled"], few)) == [L, R[:2]]


@pytest.mark.parametrize("divisor, kept", [(1, 5), (2, 3), (4, 2), (8, 1)])
def test_the_sweep_takes_one_in_k_rounded_up(divisor, kept):
    [*_, arm] = arms(("labelled only",), (divisor,))
    assert arm.name == f"generated /{divisor}" and arm.target == "soft"
    assert texts_of(transfer_set(arm, SOURCES)) == [L, G[:kept]]


def test_arms_in_their_order():
    assert [arm.name for arm in arms(("hard labels", "labelled only"), (2, 4))] == [
        "hard labels",
        "labelled only",
        "generated /2",
        "generated /4",
    ]
    assert arms(("hard labels",), ()) == [ARMS["hard labels"]]
    known = ", ".join(ARMS)
    with pytest.raises(UnknownName) as error:
        arms(("labelled only", "soft labels"), ())
    nearest = 'did you mean "hard labels"?'
    assert str(error.value) == f'unknown arm "soft labels"; {nearest} known: {known}'


def test_no_sample_was_kept():
    nothing = SOURCES | {
        "generated": Source([], torch.empty(0, 3), torch.empty(0, dtype=torch.long))
    }
    for name in ("generation-distillation", "hard labels", "real unlabelled", "scraps"):
        assert texts_of(transfer_set(ARMS[name], nothing)) == [L, []]


def test_source_rows_and_join():
    both = join([SOURCES["labelled"], SOURCES["real"]])
    assert len(both) == 12 and both.labels.tolist() == [0] * 3 + [-1] * 9
    part = both.rows([11, 0])
    assert (
        part.pieces == [[208], [10]]
        and torch.equal(part.teacher_logits, both.teacher_logits[[11, 0]])
        and part.labels.tolist() == [-1, 0]
    )


def test_loss_of_an_arm():
    p = plan()
    hard = DistillationLoss(hard_weight=1.0, soft_weight=0.0)
    on_labels = [name for name in ARMS if loss_of(ARMS[name], p) != p.loss]
    assert on_labels == ["labelled only", "hard labels"]
    assert loss_of(ARMS["labelled only"], p) == loss_of(ARMS["hard labels"], p) == hard
    assert loss_of(Arm("generated /2", ("generated",), "soft", divisor=2), p) is p.loss


# students


VOCABULARY = Vocabulary((0, 1, *range(2, 60)))
EMBEDDING = torch.randn(60, 16, generator=torch.Generator().manual_seed(0))


def test_new_student_starts_from_vectors_or_at_random():
    student = new_student("BlendCNN", 3, VOCABULARY, EMBEDDING, plan(), seed=1)
    assert torch.equal(student.embedding.weight, embeddings.reduced(EMBEDDING, 8))
    random = new_student("BlendCNN", 3, VOCABULARY, None, plan(), seed=1)
    assert not torch.equal(random.embedding.weight, student.embedding.weight)
    assert torch.equal(
        random.convolutions[0].weight, student.convolutions[0].weight
    )  # the arms differ in one thing
    other = new_student("BlendCNN", 3, VOCABULARY, EMBEDDING, plan(), seed=2)
    assert not torch.equal(other.convolutions[0].weight, student.convolutions[0].weight)
    known = "outputs, svd, random"
    with pytest.raises(UnknownName, match=f'^unknown embedding "glove"; known: {known}$'):
        embeddings.piece_vectors("glove", None, VOCABULARY)


def test_a_quarter_of_every_batch_is_labelled_whatever_else_there_is():
    vocabulary = Vocabulary((0, 1, *range(2, 400)))
    for size in (5, 90):
        batch = mixed_batches(source(10, 12, True), source(100, size), vocabulary, 16, seed=0)
        for step in range(30):
            assert (batch(step)["labels"] >= 0).sum() == 4
    alone = mixed_batches(source(10, 12, True), None, vocabulary, 8, seed=0)
    assert (alone(0)["labels"] >= 0).all()


def test_without_looks_the_last_weights_are_kept():
    texts = targets(60, 0)
    p = plan(evaluate_every=0, student_steps=25)
    student = new_student("KimCNN", 3, VOCABULARY, EMBEDDING, p, 0)
    history = distil(student, texts, None, targets(20, 1), VOCABULARY, p.loss, p, 0)
    assert history.step == [25] and history.best_step == 25


def targets(number, seed):
    """Texts whose class is that of their first piece modulo 3; the teacher says so, softly."""
    random = np.random.default_rng(seed)
    pieces = [random.integers(2, 60, random.integers(1, 9)).tolist() for _ in range(number)]
    pieces = [[row[0]] * 3 + row for row in pieces]
    gold = torch.tensor([row[0] % 3 for row in pieces])
    return Source(pieces, 3.0 * F.one_hot(gold, 3).float(), gold)


def test_a_student_learns_from_soft_targets_alone_and_is_deterministic():
    data, held_out, test = targets(400, 0), targets(60, 1), targets(200, 2)
    data = Source(data.pieces, data.teacher_logits, torch.full((400,), -1))  # not one gold label
    labelled = data.head(9)
    p = plan(student_steps=150, loss=DistillationLoss())

    def trained(seed):
        student = new_student("KimCNN", 3, VOCABULARY, EMBEDDING, p, seed)
        return student, distil(student, labelled, data, held_out, VOCABULARY, p.loss, p, seed)

    student, history = trained(0)
    rows = VOCABULARY.rows(test.pieces)
    assert (predict(student, rows).argmax(-1) == test.labels).float().mean() > 0.8
    score = held_out_score(predict(student, VOCABULARY.rows(held_out.pieces)), held_out.labels)
    # Stopping looks at gold, and the best is put back; the loop looks in bf16 where the hardware
    # has it, this in float32.
    assert score == pytest.approx(history.best, abs=1e-3)
    again, same = trained(0)
    assert same == history and torch.equal(predict(again, rows), predict(student, rows))
    assert not torch.equal(predict(trained(1)[0], rows), predict(student, rows))


def test_predict_keeps_the_order_whatever_the_batch():
    student = new_student("ResCNN", 3, VOCABULARY, EMBEDDING, plan(), seed=1).eval()
    rows = VOCABULARY.rows(targets(30, 3).pieces)
    with torch.no_grad():
        alone = torch.cat([student(torch.tensor([row])) for row in rows])
    for batch in (1, 7, 256):
        assert torch.allclose(predict(student, rows, batch), alone, atol=1e-5)


def test_the_names_of_a_plan_are_those_of_the_settings():
    from gdlib.studies.generation.settings import Settings

    assert {name for name in StudentPlan.__dataclass_fields__ if name != "loss"} <= set(
        Settings.__dataclass_fields__
    )
    assert MAIN_ARM in ARMS


def test_students_are_chosen_by_errors_then_by_cross_entropy():
    labels = torch.tensor([0, 1])
    sure, unsure, wrong = (
        torch.tensor([[9.0, 0], [0, 9.0]]),
        torch.tensor([[1.0, 0], [0, 1.0]]),
        torch.tensor([[1.0, 0], [1.0, 0]]),
    )
    right, mistaken = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    mean = (right + mistaken) / 2
    assert held_out_score(unsure, labels) == pytest.approx(right / (1 + right) / 2)
    assert held_out_score(wrong, labels) == pytest.approx(0.5 + mean / (1 + mean) / 2)
    assert (
        held_out_score(sure, labels)
        < held_out_score(unsure, labels)
        < held_out_score(wrong, labels)
    )

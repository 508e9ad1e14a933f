"""Names of losses, rules and students: read without torch, and added to from outside."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from gdlib.core.settings import choices_of, knobs, parse
from gdlib.learn.losses import DistillationLoss, StagedLoss
from gdlib.learn.mixtures import mixture
from gdlib.learn.names import PAIR_LOSSES, REPRESENTATION_LOSSES, RULES, SOFT_LOSSES
from gdlib.learn.predictions import TopPieces, top_pieces
from gdlib.learn.strategies import STRATEGIES
from gdlib.networks import students
from gdlib.networks.names import POOLINGS, STUDENTS
from gdlib.run.studies import plans
from gdlib.studies.generation.settings import Settings

REGISTRIES = (
    *(SOFT_LOSSES, REPRESENTATION_LOSSES, PAIR_LOSSES, RULES, STRATEGIES),
    *(STUDENTS, POOLINGS),
)


@pytest.fixture
def added(monkeypatch):
    """Adds a name to a registry for one test."""

    def add(registry, name, target, line):
        for table in ("_targets", "_help"):
            monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
        registry.add(name, target, line)

    return add


def test_every_name_has_a_line_of_help_and_stands_for_something():
    for registry in REGISTRIES:
        assert all(registry.help.values()) and len(list(registry.values())) == len(registry)


def test_every_choice_of_a_knob_with_several_values_can_be_typed_in_a_list():
    seen = 0
    for plan in plans():
        for name, meta in knobs(plan.settings).items():
            choices = list(choices_of(meta))
            if choices and isinstance(getattr(plan.settings, name), tuple):
                assert parse(plan.settings, [f"{name}={','.join(choices)}"]) == {name: choices}
                seen += 1
    assert seen >= 7


def test_names_are_read_without_torch():
    modules = (
        "gdlib.learn.names, gdlib.learn.strategies, gdlib.networks.names, gdlib.networks.arms, "
        "gdlib.networks.lexical_arms"
    )
    code = (
        f"import {modules}, sys; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_loss_from_outside_is_a_choice_and_is_minimised(added):
    def absolute(student_logits, teacher_logits, temperature):
        return temperature * (student_logits - teacher_logits).abs().mean()

    added(SOFT_LOSSES, "absolute", absolute, "mean absolute difference of logits")
    assert choices_of(knobs(Settings)["soft_loss"])["absolute"].startswith("mean absolute")
    z, t = torch.tensor([[1.0, 3.0]]), torch.tensor([[2.0, 1.0]])
    loss = DistillationLoss("absolute", temperature=2.0)
    assert loss(z, t, torch.tensor([-1])).item() == 2.0 * 1.5


def test_a_loss_on_states_from_outside(added):
    added(REPRESENTATION_LOSSES, "sum", lambda u, v: (u - v).sum(), "signed sum")
    loss = StagedLoss(0.0, 2.0, 0.0, "sum")
    none = torch.tensor([-1])
    assert loss(torch.zeros(1, 2), none, None, torch.ones(1, 3), torch.zeros(1, 3)).item() == 6.0


def test_a_rule_from_outside_combines_teachers(added):
    added(RULES, "first", lambda seen: torch.eye(len(seen.gold))[0][:, None] + 0 * seen.gold, "1st")
    logits = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    gold = torch.tensor([0, 1, 2, 3])
    teachers = {
        name: TopPieces(**top_pieces(rows, gold, 5), vocabulary=5, digest="")
        for name, rows in zip("ab", logits)
    }
    at = torch.arange(4)
    torch.testing.assert_close(mixture(teachers, "first")(at), logits[0].log_softmax(-1))


def test_a_student_from_outside_is_built_to_the_budget(added):
    class Bag(students.Student):
        def add_layers(self, embedding_dim, channels):
            self.layer = nn.Conv1d(embedding_dim, channels, 1)

        def features(self, hidden, real):
            return students.pool(students.convolve(self.layer, hidden, real).relu())

    added(STUDENTS, "Bag", Bag, "a bag of pieces")
    assert choices_of(knobs(Settings)["students"])["Bag"] == "a bag of pieces"
    student = students.build("Bag", 40, 3, 3000, 8, 0.1)
    assert 2800 < students.parameters(student) <= 3000
    assert student(torch.tensor([[2, 3, 0]])).shape == (1, 3)

"""The page on how losses differ: its tables against the formulas, written out here."""

import ast
import re
from pathlib import Path

import pytest
import torch

from gdlib.learn.losses import DistillationLoss, logit_mse, logit_regression, soft_kl

PAGE = (Path(__file__).parents[1] / "docs" / "conventions.md").read_text("utf-8")
z, t, y = (
    torch.tensor(ast.literal_eval(rows)) for rows in re.findall(r"^[zty] = (.*)$", PAGE, re.M)
)
T = 2.0


def kl(z):
    """KL of softened probabilities, a number per row."""
    p, q = (t / T).softmax(-1), (z / T).softmax(-1)
    return (p * (p / q).log()).sum(-1)


def hard(z):
    return -z.softmax(-1)[torch.arange(2), y].log().mean()


LOSSES = {
    "gdlib `soft_kl`": lambda z: soft_kl(z, t, T),
    "gdlib, `hard_weight = 0.5, soft_weight = 0.5`": lambda z: DistillationLoss(
        "kl", T, hard_weight=0.5, soft_weight=0.5
    )(z, t, y),
    "TextBrewer `kd_ce_loss`": lambda z: (
        -((t / T).softmax(-1) * (z / T).softmax(-1).log()).sum(-1).mean()
    ),
    "torchdistill `KDLoss`, `alpha = 0.5`": lambda z: 0.5 * hard(z) + 0.5 * T**2 * kl(z).mean(),
    "torchdistill `KDLoss`, `alpha = 0.001`": lambda z: (
        0.001 * hard(z) + 0.999 * T**2 * kl(z).mean()
    ),
    "torchdistill `KDLoss`, `alpha = 0`": lambda z: kl(z).mean(),
    "DistilBERT's code, two positions": lambda z: T**2 * kl(z).sum() / 2,
    "`batchmean`, two positions of one text": lambda z: T**2 * kl(z).sum() / 1,
    "gdlib `logit_regression`": lambda z: logit_regression(z, t),
    "gdlib `logit_mse`": lambda z: logit_mse(z, t),
    "XtremeDistil, its papers": lambda z: 0.5 * (z - t).square().sum(-1).mean(),
    "XtremeDistil, its code": lambda z: (z - t).square().sum() / 6,
    "TextBrewer `kd_mse_loss`": lambda z: ((z - t) / T).square().sum() / 6,
    "DistilBERT's code, `alpha_mse`": lambda z: (z - t).square().sum() / 2,
}


def numbers(loss, ours):
    """The value of a loss, and the size of its gradient as a multiple of another's."""
    sizes = []
    for of in (loss, ours):
        student = z.clone().requires_grad_()
        of(student).backward()
        sizes.append(student.grad.norm())
    return f"{loss(z).item():.4f}", f"{(sizes[0] / sizes[1]).item():.2f}"


def rows_of(heading):
    """The rows of the table under a heading: name to value and factor."""
    (part,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S)
    cells = [
        [c.strip() for c in line.split("|")[1:-1]] for line in re.findall(r"^\|.*$", part, re.M)
    ]
    return {row[0]: (row[-2], row[-1]) for row in cells[2:]}


@pytest.mark.parametrize(
    ("heading", "ours"),
    [("Softened probabilities", "gdlib `soft_kl`"), ("Raw logits", "gdlib `logit_regression`")],
)
def test_every_number_of_the_page_is_computed(heading, ours):
    rows = rows_of(heading)
    assert len(rows) >= 6
    assert rows == {name: numbers(LOSSES[name], LOSSES[ours]) for name in rows}


def test_no_loss_is_left_out():
    assert {*rows_of("Softened probabilities"), *rows_of("Raw logits")} == set(LOSSES)

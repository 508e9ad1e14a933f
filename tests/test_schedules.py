"""Schedules: the table of strategies, which layers move in which stage, what is put back, and tags
as well as texts.
"""

import math

import pytest
import torch
from torch.nn import functional as F

from gdlib.core.errors import UnknownName
from gdlib.learn import schedules
from gdlib.learn.batches import pad
from gdlib.learn.loop import Regime, copy_of
from gdlib.learn.losses import StagedLoss
from gdlib.learn.schedules import batch_loss, draw, run, stage_score
from gdlib.learn.strategies import LAYERS, STRATEGIES, Stage, Strategy
from gdlib.networks.recurrent import BiLSTM, Projected

CLASSES, WIDTH = 3, 5
LOSS = StagedLoss(hard_weight=1.0, representation_weight=0.5, soft_weight=0.25)


def learner(pooling="max", seed=0):
    torch.manual_seed(seed)
    return Projected(BiLSTM(12, CLASSES, 6, 8, 0.0, pooling), WIDTH)


def texts(number, seed, labelled=True):
    """Rows of pieces; the class is the first piece modulo 3, and so say logits and states."""
    generator = torch.Generator().manual_seed(seed)
    rows = [
        torch.randint(1, 12, (int(n),), generator=generator).tolist()
        for n in torch.randint(2, 6, (number,), generator=generator)
    ]
    gold = torch.tensor([row[0] % CLASSES for row in rows])
    labels = gold if labelled else torch.full_like(gold, -1)
    return {
        "pieces": pad(rows, 0),
        "labels": labels,
        "teacher_logits": 3.0 * F.one_hot(gold, CLASSES),
        "teacher_states": F.one_hot(gold, WIDTH).float(),
    }


def take(batch, rows):
    return {name: tensor[rows] for name, tensor in batch.items()}


HELD_OUT = texts(60, 1)
LABELLED, TRANSFER = texts(64, 2), texts(64, 3, labelled=False)


def batches(stage, seed):
    data = {"labelled": [LABELLED], "transfer": [TRANSFER]}.get(stage.items, [LABELLED, TRANSFER])

    def at(step):
        rows = torch.randperm(64, generator=torch.Generator().manual_seed(1000 * seed + step))[:32]
        parts = [take(part, rows) for part in data]
        width = max(part["pieces"].shape[1] for part in parts)
        parts = [
            part | {"pieces": F.pad(part["pieces"], (0, width - part["pieces"].shape[1]))}
            for part in parts
        ]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    return at


def regime(**changes):
    return Regime(
        **(
            {
                "steps": 90,
                "lr": 2e-2,
                "evaluate_every": 10,
                "precision": "fp32",
                "seed": 4,
                "decay": "cosine",
            }
            | changes
        )
    )


def accuracy(network, batch=HELD_OUT):
    with torch.no_grad():
        return (network(batch["pieces"])[0].argmax(-1) == batch["labels"]).float().mean().item()


def test_the_table_of_strategies():
    """XtremeDistil (arXiv 2004.05686), table of strategies: what each learns from, by stage."""
    table = {
        name: ([(stage.name, stage.items) for stage in s.stages], s.unfreezing)
        for name, s in STRATEGIES.items()
    }
    states, logits, labels, two = (
        ("states", "transfer"),
        ("logits", "transfer"),
        ("labels", "labelled"),
        ("labels + logits", "both"),
    )
    assert table == {
        "D0": ([labels], False),
        "D1": ([two], False),
        "D2": ([("labels + logits + states", "both")], False),
        "D3.1": ([states, two], False),
        "D3.2": ([states, two], True),
        "D4.1": ([states, logits, labels], False),
        "D4.2": ([states, logits, labels], True),
        "hard": ([("pseudo-labels", "both")], False),
    }
    with pytest.raises(
        UnknownName,
        match='^unknown strategy "D5"; known: D0, D1, D2, D3.1, D3.2, D4.1, D4.2, hard$',
    ):
        STRATEGIES["D5"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_learns_and_each_of_its_turns_takes_its_steps(name, monkeypatch):
    steps = []
    fit = schedules.fit
    monkeypatch.setattr(schedules, "fit", lambda *a, **k: steps.append(a[4].steps) or fit(*a, **k))
    network = learner()
    trace = run(network, STRATEGIES[name], LOSS, batches, [HELD_OUT], regime(steps=90))
    turns = {"D0": 1, "D1": 1, "D2": 1, "D3.1": 2, "D3.2": 6, "D4.1": 3, "D4.2": 9, "hard": 1}[name]
    assert (
        STRATEGIES[name].phases == turns
        and steps == [90] * turns
        and trace["step"].max() == 90 * turns
    )
    assert len(network.groups()) == LAYERS
    assert accuracy(network) > 0.8  # chance is a third
    assert trace.groupby("stage")["kept"].sum().eq(1).all()
    surprise = F.cross_entropy(network(HELD_OUT["pieces"])[0], HELD_OUT["labels"]).item()
    assert trace["score"].iloc[trace.index[trace["kept"]][-1]] == pytest.approx(
        1 - accuracy(network) + surprise / (1 + surprise) / len(HELD_OUT["labels"]), abs=1e-6
    )


def test_a_turn_that_gets_no_better_ends_early_and_the_next_begins():
    network = learner()
    wrong = {**LABELLED, "labels": (LABELLED["labels"] + 1) % CLASSES}
    run(
        network,
        Strategy("good", (Stage(("hard",), "labelled"),)),
        LOSS,
        batches,
        [HELD_OUT],
        regime(),
    )
    two = Strategy("two", (Stage(("hard",), "labelled"), Stage(("hard",), "labelled")))
    trace = run(
        network,
        two,
        LOSS,
        lambda stage, seed: lambda step: wrong,
        [HELD_OUT],
        regime(steps=90, patience=2),
    )
    # whatever the first look says, only two more without a better one are taken: of 90 steps a
    # turn, few
    assert trace.groupby("stage")["step"].max().iloc[1] < 180
    assert trace[trace["stage"] == 1]["step"].iloc[0] == trace[trace["stage"] == 0]["step"].iloc[-1]


def test_an_unfrozen_layer_stays_unfrozen_and_lower_ones_wait():
    network, open_, states = learner(), [], []

    def watched(stage, seed):
        open_.append(
            tuple(
                all(p.requires_grad for module in modules for p in module.parameters())
                for _, modules in network.groups()
            )
        )
        states.append(copy_of(network.state_dict()))
        return batches(stage, seed)

    trace = run(network, STRATEGIES["D3.2"], LOSS, watched, [HELD_OUT], regime())
    once = [(True, False, False), (True, True, False), (True, True, True)]
    assert open_ == once + once  # anew in every stage
    assert list(dict.fromkeys(trace["unfrozen"])) == ["", "readout", "BiLSTM", "embedding"]
    assert all(p.requires_grad for p in network.parameters())
    top = {"project.weight", "project.bias"}  # a stage on states: nothing reaches the readout
    middle = {
        f"student.{way}.{name}"
        for way in ("ahead", "back")
        for name, _ in network.student.ahead.named_parameters()
    }
    assert moved(states[0], states[1]) == top and moved(states[1], states[2]) == top | middle
    assert moved(states[3], states[4]) == {
        "student.readout.weight",
        "student.readout.bias",
    }  # and now nothing the projection


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_a_stage_ends_with_its_best_weights_and_never_worse_than_it_began():
    network = learner()
    good = Strategy("good", (Stage(("hard",), "labelled"),))
    run(network, good, LOSS, batches, [HELD_OUT], regime())
    kept, score = copy_of(network.state_dict()), accuracy(network)
    wrong = {**LABELLED, "labels": (LABELLED["labels"] + 1) % CLASSES}
    trace = run(
        network, good, LOSS, lambda stage, seed: lambda step: wrong, [HELD_OUT], regime(steps=40)
    )
    assert accuracy(network) == score and all(
        torch.equal(t, kept[name]) for name, t in network.state_dict().items()
    )
    assert trace["kept"].tolist() == [True, False, False, False, False] and trace[
        "step"
    ].tolist() == [0, 10, 20, 30, 40]


def test_a_stage_on_states_is_judged_by_its_own_loss():
    network = learner().eval()
    with torch.no_grad():
        _, projected = network(HELD_OUT["pieces"])
        score = stage_score(
            LOSS.only("representation"),
            network,
            [take(HELD_OUT, slice(0, 7)), take(HELD_OUT, slice(7, 60))],
        )
    assert score == pytest.approx(
        0.5 * (projected - HELD_OUT["teacher_states"]).square().mean().item(), rel=1e-5
    )


def test_the_loss_of_tags_is_that_of_their_pieces_one_by_one():
    """Two sentences, tags on some of their pieces: as a batch of tagged pieces by hand."""
    network = learner("none").eval()
    pieces = torch.tensor([[3, 4, 5, 0], [6, 7, 8, 9]])
    items = torch.tensor([[True, False, True, False], [True, True, False, False]])
    labels = torch.tensor(
        [[2, 1, -1, 1], [0, 1, 1, 1]]
    )  # what stands beside an item counts for nothing
    generator = torch.Generator().manual_seed(0)
    logits, states = (
        torch.randn(2, 4, CLASSES, generator=generator),
        torch.randn(2, 4, WIDTH, generator=generator),
    )
    batch = {
        "pieces": pieces,
        "items": items,
        "labels": labels,
        "teacher_logits": logits,
        "teacher_states": states,
    }
    with torch.no_grad():
        z, u = network(pieces)
        found = batch_loss(LOSS, network, batch)
    places = [(0, 0), (0, 2), (1, 0), (1, 1)]
    hard = [-math.log(z[i, j].softmax(-1)[labels[i, j]]) for i, j in places if labels[i, j] >= 0]
    soft = [0.5 * (z[i, j] - logits[i, j]).square().sum().item() for i, j in places]
    represented = [(u[i, j] - states[i, j]).square().mean().item() for i, j in places]
    assert found.item() == pytest.approx(
        sum(hard) / 3 + 0.25 * sum(soft) / 4 + 0.5 * sum(represented) / 4, rel=1e-5
    )
    known = batch | {"items": items & (labels >= 0)}
    errors = [
        z[i, j].argmax().item() != labels[i, j].item() for i, j in places if labels[i, j] >= 0
    ]
    with torch.no_grad():
        assert stage_score(LOSS, network, [known]) == pytest.approx(
            sum(errors) / 3 + sum(hard) / (3 + sum(hard)) / 3, rel=1e-5
        )


def test_draw_takes_every_row_once_an_epoch_and_a_quarter_labelled_of_both():
    labelled, transfer = [3] * 12, [4] * 24
    at = draw(Stage(("hard", "soft"), "both"), labelled, transfer, 16, 0)
    steps = [at(step) for step in range(2)]
    assert [(len(a), len(b)) for a, b in steps] == [(4, 12), (4, 12)]
    assert sorted(i for _, rows in steps for i in rows) == list(range(24))
    only = draw(Stage(("hard",), "labelled"), labelled, transfer, 6, 0)
    assert sorted(only(0)[0] + only(1)[0]) == list(range(12)) and only(0)[1] == []
    assert draw(Stage(("soft",), "transfer"), labelled, transfer, 24, 0)(0)[0] == []


def test_the_same_seed_gives_the_same_bytes():
    one, other = learner(), learner()
    traces = [run(n, STRATEGIES["D4.2"], LOSS, batches, [HELD_OUT], regime()) for n in (one, other)]
    assert traces[0].equals(traces[1]) and all(
        torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values())
    )

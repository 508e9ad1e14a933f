"""One recipe of fine-tuning: some passes over few texts, weights chosen by a held-out part, and the
network left in a folder with its plan and its history.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from gdlib.learn.batches import Batch, Row, batches_by_length, row_length
from gdlib.learn.loop import History, Loss, Regime, Score, fit, writes_files
from gdlib.learn.packing import cast_once
from gdlib.sources.attention import attend_faster
from gdlib.sources.formats import quiet

if TYPE_CHECKING:  # it takes as long to import as torch
    from transformers import PreTrainedTokenizerBase

PLAN, HISTORY = "plan.json", "history.json"
EVALUATIONS = 2  # on the held-out part, per epoch
MOST_EVALUATIONS = 20  # of a whole training, so that many passes over few texts stay cheap


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a network is fine-tuned.

    Args:
        epochs: passes over the texts at most.
        lr: peak learning rate, linear warm-up and decay.
        batch: texts per step.
        seed: of a new head, the order of texts and dropout.
        least_steps: optimisation steps at least, with more passes if need be. Few labelled texts
            give but a handful of steps per pass, and fine-tuning on them fails for want of steps
            (Mosbach et al. 2021, arXiv 2006.04884).
    """

    epochs: int
    lr: float
    batch: int
    seed: int
    least_steps: int = 0

    def regime(self, per_epoch: int) -> Regime:
        """The loop's settings, with so many steps per epoch."""
        steps = max(self.epochs * per_epoch, self.least_steps)
        return Regime(
            steps=steps,
            lr=self.lr,
            evaluate_every=max(1, per_epoch // EVALUATIONS, steps // MOST_EVALUATIONS),
            seed=self.seed,
        )


def train(
    model: nn.Module,
    rows: Sequence[Row],
    inputs: Callable[[list[Row]], Batch],
    loss: Loss,
    held_out: Score,
    plan: Plan,
    *,
    length: Callable[[Row], int] = row_length,
    patience: int = 0,
    folder: Path | None = None,
    title: str = "",
) -> History:
    """Train a network in place; it keeps its best held-out weights (:func:`gdlib.learn.loop.fit`).

    Args:
        rows: what it learns from.
        inputs: some rows as a batch.
        loss: of a batch.
        held_out: what the weights are chosen by.
        plan: how long and how fast.
        length: of a row; rows of like length share a batch.
        patience: evaluations without a better score after which training stops; 0: never.
        folder: where a killed training goes on from; none: no checkpoint.
        title: of the progress bar; none: no bar.
    """
    order = batches_by_length([length(row) for row in rows], plan.batch, plan.seed)
    per_epoch = -(-len(rows) // plan.batch)
    with cast_once(model):
        return fit(
            model,
            lambda step: inputs([rows[i] for i in order(step)]),
            loss,
            held_out,
            replace(plan.regime(per_epoch), patience=patience),
            resume=folder / "checkpoint" if folder else None,
            title=title,
        )


def save(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    plan: Plan,
    history: History,
    folder: Path,
    **more: float,
) -> None:
    """Leave a trained network, its tokenizer, plan and history in a folder, from the process that
    writes.

    Args:
        model: anything with ``save_pretrained``.
        tokenizer: of the model.
        plan: by which it was trained.
        history: of the training.
        folder: becomes the model.
        more: further entries of the history.
    """
    if not writes_files():
        return
    with quiet():
        model.cpu().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / PLAN).write_text(json.dumps(asdict(plan)))
    (folder / HISTORY).write_text(json.dumps(asdict(history) | more))


def load(
    family: str, folder: Path, dtype: torch.dtype = torch.float32
) -> tuple[nn.Module, "PreTrainedTokenizerBase", dict[str, Any]]:
    """The network, tokenizer and plan that :func:`save` left, on a GPU if there is one.

    Args:
        family: the name of an ``AutoModel`` class of transformers.
        folder: of the network.
        dtype: of the weights.
    """
    import transformers

    with quiet():
        network = getattr(transformers, family).from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype
        )
    attend_faster(network)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    plan = json.loads((folder / PLAN).read_text("utf-8"))
    return network.cuda() if torch.cuda.is_available() else network, tokenizer, plan

"""What the paper's size would ask for, from operations that are counted and not from time."""

import numpy as np
import torch

from benchmarks import timing
from benchmarks.timing import Lines, line
from benchmarks.workbench import Workbench
from gdlib.learn.batches import collate
from gdlib.networks import costs
from gdlib.networks.teacher import tokenize

TEXTS, EPOCHS = 13_600, 30
GPU = 100e12
"""Operations per second of a card, in bf16, of which a third is taken to be reached."""


def paper(bench: Workbench) -> Lines:
    """Hours of this machine at its measured peak, which is the least it can take, against a card of
    100 TFLOP/s that reaches a third of it. A card of another peak takes in proportion.
    """
    study, texts = bench.study, bench.texts[:32]
    generator, teacher = study.generator, study.teacher
    written = generator.tokenizer(bench.texts[:500], add_special_tokens=False)["input_ids"]
    length = round(np.mean([len(ids) + 1 for ids in written]))
    tokens = [torch.ones(1, length, dtype=torch.long)]
    rows = tokenize(teacher.tokenizer, texts, teacher.max_length)
    read = [collate([row], teacher.tokenizer.pad_token_id) for row in rows]
    own = [torch.tensor([row]) for row in study.rows(texts)]
    jobs = {
        f"{TEXTS:,} texts of {length} tokens written": costs.operations(generator.network, tokens),
        f"{TEXTS:,} texts labelled": costs.operations(lambda x: teacher.network(**x), read),
        # Backwards it takes twice the products of forwards.
        f"{EPOCHS} epochs of one student": 3 * EPOCHS * costs.operations(study.student(), own),
    }
    peak, lines = timing.peak(bench.precision, torch.get_num_threads()), []
    for job, operations in jobs.items():
        here, there = (TEXTS * operations / per / 3600 for per in (peak, GPU / 3))
        entry = line("paper", "h", (f"here: {job}", here), ("a card of 100 TFLOP/s", there))
        rate = GPU / 3 / operations
        lines.append(entry | {"note": f"{operations / 1e9:.2f} GFLOP a text; {rate:,.0f} texts/s"})
    return lines

"""How much batches of like length save a student: steps a second against random batches, both in
one run.

::

    python benchmarks/student_steps.py --corpus bbc --threads 2

Times are of this machine; only the ratio is worth comparing. The texts are cut into words here, not
into a teacher's
pieces: no network has to be fetched.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from gdlib.compare.metrics import words
from gdlib.learn.batches import batches_by_length, pad
from gdlib.learn.loop import Regime, fit
from gdlib.networks.students import PAD, STUDENTS, Vocabulary, build, parameters
from gdlib.sources import corpora


def rows_of(corpus: str, number: int) -> list[list[int]]:
    """Texts of a corpus as word ids, cut at 64 as in the study."""
    texts = corpora.load(corpus).parts["train"].texts
    ids: dict[str, int] = {}
    chosen = np.random.default_rng(0).permutation(len(texts))[:number]
    encoded = [
        [ids.setdefault(word, len(ids) + 2) for word in words(texts[i])][:64] for i in chosen
    ]
    return Vocabulary.seen(encoded, pad=0, unknown=1, at_most=8000).rows(encoded)


def random_batches(number: int, batch: int) -> Callable[[int], list[int]]:
    order = np.random.default_rng(0).permutation(number)
    cut = [order[i : i + batch].tolist() for i in range(0, number, batch)]
    return lambda step: cut[step % len(cut)]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--corpus", default="wordnet")
    options.add_argument("--texts", type=int, default=2000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--steps", type=int, default=60)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    rows = rows_of(given.corpus, given.texts)
    labels = torch.arange(len(rows)) % 4
    lengths = [len(row) for row in rows]
    orders = {
        "random": random_batches(len(rows), given.batch),
        "by length": batches_by_length(lengths, given.batch, seed=0),
    }
    regime = Regime(steps=given.steps, lr=2e-3, evaluate_every=10**9, precision="fp32")
    print(
        f"{given.corpus}: {len(rows)} texts of {np.mean(lengths):.1f} pieces, batch "
        f"{given.batch}, threads {given.threads}"
    )
    for name, order in orders.items():
        filled = [
            sum(lengths[i] for i in rows_) / (len(rows_) * max(lengths[i] for i in rows_))
            for rows_ in map(order, range(given.steps))
        ]
        print(f"  {name}: {100 * (1 - np.mean(filled)):.0f} % of a batch is padding")
    for student in STUDENTS:
        took: dict[str, list[float]] = {name: [] for name in orders}
        for number in range(
            -1, given.rounds
        ):  # in turns, so that what else the machine does meets both; round -1 warms up
            for name, order in orders.items():
                network = build(student, 8000, 4, 1_100_000, 64, 0.3)

                def batch(
                    step: int, order: Callable[[int], list[int]] = order
                ) -> dict[str, torch.Tensor]:
                    index = order(step)
                    return {"pieces": pad([rows[i] for i in index], PAD), "labels": labels[index]}

                start = time.perf_counter()
                fit(
                    network,
                    batch,
                    lambda model, b: F.cross_entropy(model(b["pieces"]), b["labels"]),
                    lambda _: 0.0,
                    replace(regime, steps=5) if number < 0 else regime,
                )
                if number >= 0:
                    took[name].append(given.steps / (time.perf_counter() - start))
        speed = {name: float(np.median(values)) for name, values in took.items()}
        print(
            f"{student} ({parameters(network):,} parameters): {speed['random']:.1f} steps/s "
            f"random, {speed['by length']:.1f} by length, "
            f"ratio {speed['by length'] / speed['random']:.2f}"
        )


if __name__ == "__main__":
    main()

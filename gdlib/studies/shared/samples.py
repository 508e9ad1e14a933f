"""Generated samples, written to disk as they come."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from gdlib.networks.sampling import Generator, prompts_for
from gdlib.sources.corpora import Part


@dataclass(frozen=True)
class SamplingPlan:
    """How texts are sampled: the decoding, and the seed every batch derives its own from."""

    num_samples: int
    temperature: float
    top_p: float
    top_k: int
    prefix_tokens: int
    max_new_tokens: int
    batch: int
    seed: int


def generate(generator: Generator, labelled: Part, plan: SamplingPlan, file: Path) -> None:
    """Sample texts and stream them to a JSON-lines file, a batch at a time.

    Batch ``b`` depends on the seed and on ``b`` alone. So a run that was killed loses at most the
    batch it was in, and goes on with the next to the same texts as one that was not killed.
    """
    done = whole_batches(file, plan)
    with (
        open(file, "a", encoding="utf-8") as out,
        tqdm(total=plan.num_samples, desc="samples", unit="text", mininterval=2.0) as bar,
    ):
        bar.update(min(plan.num_samples, done * plan.batch))
        for number in range(done, -(-plan.num_samples // plan.batch)):
            size = min(plan.batch, plan.num_samples - number * plan.batch)
            for row in write(generator, labelled, plan, number, size):
                out.write(json.dumps({"batch": number} | row, ensure_ascii=False) + "\n")
            out.flush()
            os.fsync(out.fileno())
            bar.update(size)


def write(
    generator: Generator, labelled: Part, plan: SamplingPlan, number: int, size: int
) -> Iterator[dict[str, Any]]:
    """The texts of a batch: text, ended, tokens, label_asked."""
    prompts = list(prompts_for(generator, number, size, labelled, plan.prefix_tokens, plan.seed))
    written = generator.sample(
        [ids for ids, _, _ in prompts],
        max_new_tokens=plan.max_new_tokens,
        temperature=plan.temperature,
        top_p=plan.top_p,
        top_k=plan.top_k,
        seed=int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0]),
    )
    texts = generator.tokenizer.batch_decode([ids for ids, _ in written])
    for (_, prefix, label), (ids, ended), text in zip(prompts, written, texts):
        row = {"text": prefix + text, "ended": ended}
        yield row | {"tokens": len(ids), "label_asked": label}


def whole_batches(file: Path, plan: SamplingPlan) -> int:
    """How many whole batches a file holds; what follows them (a batch that a kill cut through) is
    cut away.
    """
    if not file.exists():
        return 0
    lines = [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    finished = len(lines) >= plan.num_samples  # the last batch may be a small one
    whole = -(-len(lines) // plan.batch) if finished else len(lines) // plan.batch
    os.truncate(file, sum(map(len, lines[: whole * plan.batch])))
    return whole


def read(file: Path) -> pd.DataFrame:
    """The raw samples: text (outer blanks removed), ended, tokens, label_asked."""
    frame = pd.read_json(file, lines=True, encoding="utf-8", dtype=False)
    return frame.assign(text=frame["text"].str.strip()).drop(columns="batch")

"""What it saves that ended texts leave the batch while sampling: tokens a second against a batch
that keeps them to the end.

::

    python benchmarks/sampling.py --network smollm2-135m --corpus wordnet --batch 64 --threads 2

Both ways write texts of the same lengths, those of real texts of the corpus, in one run and in
turns. Times are of this machine; only the ratio is worth comparing.
"""

import argparse
import time

import numpy as np
import torch
from torch import Tensor

from gdlib.learn.batches import has_bf16
from gdlib.networks import sampling
from gdlib.networks.sampling import Generator, draw
from gdlib.sources import corpora, zoo

KNOBS = {"temperature": 0.9, "top_p": 0.95, "top_k": 0}


def lengths_of(made: Generator, corpus: str, batch: int, most: int) -> list[int]:
    """Tokens of random texts of a corpus, the end token included, at most so many."""
    texts = corpora.load(corpus).parts["train"].texts
    chosen = [texts[i] for i in np.random.default_rng(0).permutation(len(texts))[:batch]]
    return [
        min(most, len(ids) + 1)
        for ids in made.tokenizer(chosen, add_special_tokens=False)["input_ids"]
    ]


def ending_at(lengths: list[int], end: int, leaving: bool):
    """A stand-in for ``draw`` that ends each text at its length, and nowhere else."""
    step = 0

    def drawn(logits: Tensor, *knobs) -> Tensor:
        nonlocal step
        step += 1
        alive = [length for length in lengths if length >= step] if leaving else lengths
        logits[:, end] = -torch.inf
        return torch.where(
            torch.tensor([length == step for length in alive]), end, draw(logits, *knobs)
        )

    return drawn


@torch.inference_mode()
def keeping_all(made: Generator, lengths: list[int], drawn) -> None:
    """The plain way: every text stays in the batch until the longest has ended."""
    ids, cache, random = (
        torch.tensor([made.prompt()] * len(lengths)),
        None,
        torch.Generator().manual_seed(0),
    )
    for _ in range(max(lengths)):
        out = made.network(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        ids = drawn(out.logits[:, -1].float(), *KNOBS.values(), random)[:, None]


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument(
        "--network", default="smollm2-135m", help="a name of the zoo, a folder, or hub:NAME"
    )
    options.add_argument("--corpus", default="wordnet")
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--max-new-tokens", type=int, default=64)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--threads", type=int, default=1)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    network = zoo.locate(given.network)
    made = Generator(
        zoo.causal(network).to(torch.bfloat16 if has_bf16() else torch.float32),
        zoo.tokenizer(network),
    )
    end = made.tokenizer.eos_token_id
    lengths = lengths_of(made, given.corpus, given.batch, given.max_new_tokens)
    took: dict[str, list[float]] = {"leaving": [], "keeping all": []}
    for _ in range(given.rounds):
        for name, times in took.items():
            drawn = ending_at(lengths, end, leaving=name == "leaving")
            start = time.perf_counter()
            if name == "leaving":
                sampling.draw = drawn
                made.sample(
                    [made.prompt()] * given.batch,
                    max_new_tokens=given.max_new_tokens,
                    seed=0,
                    **KNOBS,
                )
            else:
                keeping_all(made, lengths, drawn)
            times.append(time.perf_counter() - start)
    leaving, keeping = (float(np.median(times)) for times in took.values())
    print(
        f"{given.network}, {given.corpus}: batch {given.batch}, texts of "
        f"{np.mean(lengths):.1f} tokens (longest {max(lengths)}), "
        f"{next(made.network.parameters()).dtype}, threads {given.threads}"
    )
    print(
        f"leaving {sum(lengths) / leaving:.0f} tokens/s, keeping all "
        f"{sum(lengths) / keeping:.0f} tokens/s, ratio {keeping / leaving:.2f}"
    )


if __name__ == "__main__":
    main()

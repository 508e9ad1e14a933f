"""Rows on the big networks of a run: the generator writes, the teacher labels."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from benchmarks import timing
from benchmarks.timing import Call, Lines, Work, compare, rate, seconds
from benchmarks.workbench import Workbench
from gdlib.learn.batches import collate
from gdlib.networks import costs
from gdlib.networks.teacher import tokenize


def peak(_: Workbench) -> Lines:
    """A product of two large matrices, which nothing here can outdo: what shares are of."""
    threads = torch.get_num_threads()

    def measured(precision: str) -> Call:
        return lambda _: timing.peak(precision, threads) / 1e9

    calls = {f"matmul {precision}": measured(precision) for precision in ("bf16", "fp32")}
    return compare("peak", "GFLOP/s", calls, rounds=1)


def sampling(bench: Workbench) -> Lines:
    """The same generator with the same settings writes a batch of texts; the tokens of the texts
    count, and not what is written to a text that has ended.
    """
    made, s, sizes = bench.study.generator, bench.study.settings, bench.sizes
    knobs = {"temperature": s.sampling_temperature, "top_p": s.top_p, "top_k": s.top_k}
    prompts, end = [made.prompt()] * sizes.batch, made.tokenizer.eos_token_id
    knobs["max_new_tokens"] = sizes.new_tokens

    def ours(number: int) -> float:
        written = []
        took = seconds(lambda: written.extend(made.sample(prompts, seed=number, **knobs)))
        return sum(len(ids) + ended for ids, ended in written) / took

    def generate(network: nn.Module) -> Call:
        def call(number: int) -> float:
            torch.manual_seed(number)
            ids, written = torch.tensor(prompts), []
            how = {"attention_mask": torch.ones_like(ids), "do_sample": True, "pad_token_id": end}
            took = seconds(lambda: written.append(network.generate(ids, **how, **knobs)))
            return tokens(written[0][:, ids.shape[1] :], end) / took

        return call

    calls = {f"gdlib {bench.precision}": ours}
    copies = {"fp32": torch.float32, "bf16": torch.bfloat16}
    for precision, dtype in copies.items():
        copy = bench.plain(bench.study.trained_generator().path, "AutoModelForCausalLM", dtype)
        calls[f"transformers generate {precision}"] = generate(copy)
    length = 32
    operations = costs.operations(made.network, [torch.ones(1, length, dtype=torch.long)]) / length
    precisions = (bench.precision, *copies)
    work = {name: Work(operations, each) for name, each in zip(calls, precisions)}
    return compare("sampling", "tokens/s", calls, rounds=bench.rounds, work=work)


def tokens(ids: torch.Tensor, end: int) -> int:
    """The tokens of written texts up to the end token, and it. *Shape:* ``[texts, longest]``."""
    ended = (ids == end).int()
    return int((ended.cumsum(-1) - ended == 0).sum())


def labelling(bench: Workbench) -> Lines:
    """The teacher's logits of texts, from the texts on; transformers gives all classes too."""
    teacher, texts = bench.study.teacher, bench.texts[: bench.sizes.labelled]
    whole, halved = bench.pipeline(torch.float32), bench.pipeline(torch.bfloat16)

    def piped(answer: Callable[[Sequence[str]], Any], texts: list[str]) -> Call:
        return rate(len(texts), lambda: answer(texts))

    ours = f"gdlib {bench.precision}"
    calls = {
        ours: rate(len(texts), lambda: teacher.signals(texts, title="")),
        "transformers pipeline fp32": piped(whole, texts),
        "transformers pipeline bf16": piped(halved, texts),
        "transformers pipeline bf16, sorted": piped(halved, sorted(texts, key=len)),
    }
    rows = tokenize(teacher.tokenizer, texts[:32], teacher.max_length)
    batches = [collate([row], teacher.tokenizer.pad_token_id) for row in rows]
    operations = costs.operations(lambda batch: teacher.network(**batch), batches)
    work = {name: Work(operations, "fp32" if "fp32" in name else "bf16") for name in calls}
    work[ours] = Work(operations, bench.precision)
    return compare("labelling", "texts/s", calls, rounds=bench.rounds, work=work)

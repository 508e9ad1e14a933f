"""Networks and corpora small enough to train in a second, as folders that the zoo and the corpora
read like any other.

::

    import tiny
    teacher, generator = tiny.encoder(tmp_path / "encoder"), tiny.causal(tmp_path / "causal")
    corpus = tiny.corpus(tmp_path / "corpus")
"""

import math
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import (
    BertConfig,
    BertModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CLASSES = {  # class name: words that speak for it
    "animals": (
        "cat dog horse bird fish sheep wolf mouse tail wings fur feeds hunts nest herd barks"
    ),
    "music": (
        "song guitar piano concert singer album band chord melody drum stage tune choir plays "
        "violin jazz"
    ),
    "weather": (
        "rain snow wind storm cloud sunny cold warm forecast thunder frost degrees fog heat "
        "showers breeze"
    ),
    "food": (
        "bread cheese soup apple rice sugar cook recipe salt dinner oven sauce kitchen taste "
        "butter fresh"
    ),
    "sport": (
        "goal match team coach player league score race champion tennis ball season win "
        "referee cup final"
    ),
}
COMMON = (
    "the a an of to in and is was it for on that with as by at from this are be has have "
    "had not but they he she we you one two "
    "three many some more most very new old big small good bad long short day night year "
    "time people man woman city house world "
    "went came saw made took gave said found left right near far after before over under "
    "again today yesterday never often"
)
BOS, EOS = "<s>", "</s>"


def texts_of(label: str, number: int, seed: int) -> list[str]:
    """Different texts of one class: 6 to 14 words, a third of them the class's own, one in twelve
    another class's.
    """
    random = np.random.default_rng([seed, list(CLASSES).index(label)])
    own, common = CLASSES[label].split(), COMMON.split()
    others = [word for name, words in CLASSES.items() if name != label for word in words.split()]
    found: dict[str, None] = {}
    while len(found) < number:
        kinds = random.choice(3, size=random.integers(6, 15), p=[4 / 12, 7 / 12, 1 / 12])
        found[" ".join(random.choice((own, common, others)[kind]) for kind in kinds)] = None
    return list(found)


def corpus(path: Path, classes: int = 3, texts: int = 60, test: int = 40, seed: int = 0) -> Path:
    """A folder with ``train.csv`` (``texts`` a class) and ``test.csv`` (``test`` a class); no text
    is in both.
    """
    path.mkdir(parents=True, exist_ok=True)
    rows = [
        (text, label)
        for label in list(CLASSES)[:classes]
        for text in texts_of(label, texts + test, seed)
    ]
    table = pd.DataFrame(rows, columns=["text", "label"])
    is_test = table.groupby("label").cumcount() >= texts
    for name, part in (("train", table[~is_test]), ("test", table[is_test])):
        part.sample(frac=1, random_state=seed).to_csv(path / f"{name}.csv", index=False)
    return path


def encoder(
    path: Path, hidden: int = 64, layers: int = 2, seed: int = 0, words: Sequence[str] = ()
) -> Path:
    """A random BERT with a WordPiece vocabulary of all printable characters and the words above:
    nothing is ``[UNK]``.

    It knows one thing, as if it had been pretrained: words of a class have like embeddings. It is
    as wide as the default ``embedding_dim`` of students, so that they can start from its SVD.
    """
    characters = [c for c in string.printable if not c.isspace() and not c.isupper()]
    words = [*" ".join([COMMON, *CLASSES.values()]).split(), *CLASSES, *words]
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *characters,
        *(f"##{c}" for c in characters),
        *words,
    ]
    vocabulary = {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    ).save_pretrained(path)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=hidden, num_hidden_layers=layers,
        num_attention_heads=2, intermediate_size=2 * hidden, max_position_embeddings=128,
        initializer_range=0.1,
    )  # fmt: skip
    network = BertModel(config)
    with torch.no_grad():
        for words in CLASSES.values():
            network.embeddings.word_embeddings.weight[
                [vocabulary[word] for word in words.split()]
            ] += 0.3 * torch.randn(hidden)
    network.save_pretrained(path)
    return path


def causal(
    path: Path,
    hidden: int = 32,
    layers: int = 2,
    seed: int = 0,
    ends: float = 0.1,
    words: Sequence[str] = (),
) -> Path:
    """A random Llama with a byte-level BPE vocabulary; one token is the end of a text and the
    padding, as in SmolLM2.

    Args:
        path: its folder.
        ends: about how likely the end of the text is at each token (a network drawn at random would
            hardly ever end one).
        words: more words to learn the vocabulary from.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    learnt = [
        f"{word}: {word}"
        for word in (*CLASSES, *" ".join([COMMON, *CLASSES.values()]).split(), *words)
    ] * 2
    trainer = trainers.BpeTrainer(
        vocab_size=800,
        special_tokens=[BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(learnt, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=EOS
    ).save_pretrained(path)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=hidden, intermediate_size=2 * hidden,
        num_hidden_layers=layers, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=256, initializer_range=0.2,
        bos_token_id=0, eos_token_id=1, pad_token_id=1, tie_word_embeddings=False,
    )  # fmt: skip
    network = LlamaForCausalLM(config)
    # a constant in every hidden state, and an output row that reads it: a bias for the end token
    with torch.no_grad():
        network.model.embed_tokens.weight[:, 0] = 3.0
        network.lm_head.weight *= 0.5
        network.lm_head.weight[:, 0] = 0.0
        network.lm_head.weight[1] = 0.0
        states = network.model(torch.arange(2, config.vocab_size)[None, :200]).last_hidden_state[0]
        others = network.lm_head(states)[:, 2:].logsumexp(dim=-1).mean().item()
        network.lm_head.weight[1, 0] = (others + math.log(ends / (1 - ends))) / states[
            :, 0
        ].mean().item()
    network.save_pretrained(path)
    return path


TAGGED = {  # language: names by kind, what a longer name goes on with, and plain words; two scripts
    "aa": (
        {"LOC": "tora miku sela vano", "PER": "anik belu doro fani"},
        "zu",
        "ka lo mi ne po ru se ti",
    ),
    "bb": (
        {"LOC": "москва тула омск сочи", "PER": "иван павел анна ольга"},
        "нов",
        "да но и у за под над при",
    ),
}


def tagged_rows(language: str, number: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """Sentences of a language with tags: a name of one or two words among plain words."""
    random, (names, more, plain) = (
        np.random.default_rng([seed, list(TAGGED).index(language)]),
        TAGGED[language],
    )
    rows = []
    for _ in range(number):
        tokens, tags = [], []
        for _ in range(random.integers(2, 5)):
            tokens += random.choice(plain.split(), random.integers(1, 4)).tolist()
            tags += ["O"] * (len(tokens) - len(tags))
            kind, longer = str(random.choice(list(names))), int(random.integers(2))
            tokens += [str(random.choice(names[kind].split())), *[more] * longer]
            tags += [f"B-{kind}", *[f"I-{kind}"] * longer]
        rows.append((tokens, tags))
    return rows


def tagged_corpus(path: Path, train: int = 120, test: int = 40) -> Path:
    """A folder of two languages with ``train.parquet`` and ``test.parquet``."""
    for language in TAGGED:
        (path / language).mkdir(parents=True, exist_ok=True)
        for seed, (split, number) in enumerate({"train": train, "test": test}.items()):
            table = pd.DataFrame(
                tagged_rows(language, number, seed), columns=["tokens", "ner_tags"]
            )
            table.to_parquet(path / language / f"{split}.parquet")
    return path


def tagger(path: Path) -> Path:
    """An untrained encoder that has the words of both languages as pieces, but for "vano" and
    "fani", which it spells.
    """
    words = [
        word
        for names, *others in TAGGED.values()
        for of in (*names.values(), *others)
        for word in of.split()
    ]
    return encoder(path, words=[word for word in words if word not in ("vano", "fani")])


def generation_knobs(folder: Path) -> dict[str, Any]:
    """Settings of study 1 that train in a second, with a corpus and networks made in ``folder``."""
    return dict(
        corpus=str(corpus(folder / "corpus", classes=3)),
        teacher=str(encoder(folder / "encoder")),
        generator=str(causal(folder / "causal", ends=0.4)),
        labels_per_class=10, transfer_size=50, teacher_epochs=1, teacher_least_steps=0,
        generator_epochs=1, generator_least_steps=0, generator_method="last-1",
        num_samples=20, max_new_tokens=16, sampling_batch=10,
    )  # fmt: skip

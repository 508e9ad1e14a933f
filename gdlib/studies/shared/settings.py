"""Parameters that studies share: one name and one default wherever they stand."""

from dataclasses import fields
from typing import Any, TypeVar

from gdlib.core.settings import knob, knobs, settings_class
from gdlib.learn.names import PAIR_LOSSES
from gdlib.networks.names import POOLINGS
from gdlib.studies.shared.knobs import COLDEST, SoftSettings

Part = TypeVar("Part")
RESOLVED = (
    "Paired intervals over the test items and over seeds; a difference is resolved only if zero "
    "lies outside the joint interval of both, with Holm's correction for all differences of a "
    "table, and never with one seed."
)
"""What every study does that its papers do not."""


def part_of(settings: Any, kind: type[Part], prefix: str = "", **given: Any) -> Part:
    """A dataclass filled from a study's knobs: a class of settings that they inherit, or the plan
    of a training. A field that no knob is named like keeps its default.

    Args:
        settings: of the study.
        kind: the dataclass.
        prefix: before the names of knobs, where there is one with it: ``teacher_`` reads the field
            ``lr`` from ``teacher_lr``, and ``seed`` from ``seed``.
        given: fields with other values than the study's own.
    """
    known, values = knobs(settings), {}
    for name in {field.name for field in fields(kind)} - given.keys():
        if knob_name := next((each for each in (prefix + name, name) if each in known), None):
            values[name] = getattr(settings, knob_name)
    return kind(**values, **given)


@settings_class
class TeachingSettings:
    """A corpus, its splits, and a teacher fine-tuned on the labelled part."""

    # corpus
    corpus: str = knob(
        "wordnet",
        "corpus",
        "bbc, movies, wordnet, a folder of parquet/CSV/TSV/JSONL files, or hub:NAME",
    )
    labels_per_class: int = knob(
        100, "corpus", "gold labels per class, the held-out part included", least=1
    )
    validation_share: float = knob(
        0.2, "corpus", "share of the labelled texts held out to choose by", least=0.01, most=0.99
    )
    transfer_size: int = knob(4000, "corpus", "real unlabelled texts at most (the ceiling arm)")
    test_size: int = knob(3000, "corpus", "test texts at most", least=1)
    seed: int = knob(
        0,
        "corpus",
        "seed of the split and of everything trained on it; the test part stays the same",
    )
    # teacher
    teacher: str = knob("minilm-l6", "teacher", "minilm-l6, mpnet-base, a folder, or hub:NAME")
    teacher_epochs: int = knob(
        6, "teacher", "passes over the labelled texts at most; the best held-out look is kept"
    )
    teacher_least_steps: int = knob(
        300, "teacher", "optimisation steps at least, with more passes over few texts"
    )
    teacher_lr: float = knob(1e-4, "teacher", "peak learning rate, linear warm-up and decay")
    teacher_batch: int = knob(16, "teacher", "texts per step", least=1)
    max_length: int = knob(128, "teacher", "word pieces per text, cut beyond", least=3)
    teacher_layers: tuple[int, ...] = knob(
        (), "teacher", "hidden layers whose state is kept beside the logits"
    )
    teacher_pooling: str = knob(
        "cls", "teacher", "a text's state: at [CLS], or the mean over its pieces", POOLINGS
    )


@settings_class
class WritingSettings(TeachingSettings):
    """A generator besides, fine-tuned on the same labelled part, and what it writes."""

    # generator
    generator: str = knob("smollm2-135m", "generator", "smollm2-135m, a folder, or hub:NAME")
    generator_method: str = knob(
        "lora", "generator", "what is trained: full, lora, or last-K layers"
    )
    generator_conditioned: bool = knob(
        False, "generator", "put the label's name before the text (the paper does not)"
    )
    generator_epochs: int = knob(
        2, "generator", "passes over the labelled texts at most; stops on held-out loss"
    )
    generator_least_steps: int = knob(
        100, "generator", "optimisation steps at least, with more passes over few texts"
    )
    generator_lr: float = knob(5e-4, "generator", "peak learning rate; full: about 1e-4")
    generator_batch: int = knob(16, "generator", "texts per step", least=1)
    max_new_tokens: int = knob(
        128,
        "generator",
        "tokens per text, in fine-tuning and in sampling; longer ones are cut off",
        least=1,
    )
    # samples
    num_samples: int = knob(1600, "samples", "texts to generate", least=1)
    sampling_temperature: float = knob(
        0.9, "samples", "1 with top_p 1 is ancestral sampling", least=COLDEST
    )
    top_p: float = knob(0.95, "samples", "nucleus; 1 keeps every token", most=1)
    top_k: int = knob(0, "samples", "most likely tokens kept; 0 keeps every token")
    prefix_tokens: int = knob(0, "samples", "first tokens taken over from a random labelled text")
    sampling_batch: int = knob(128, "samples", "texts generated side by side", least=1)
    near_duplicate: float = knob(
        0.8,
        "samples",
        "Jaccard similarity of word 3-grams from which two texts count as one",
        most=1,
    )
    overlap_words: int = knob(
        8, "samples", "a run of so many words shared with a test text drops it", least=1
    )
    min_confidence: float = knob(
        0.0, "samples", "drop samples whose teacher confidence is below", most=1
    )
    balance: bool = knob(True, "samples", "drop what a class has beyond an equal share")


@settings_class
class EncoderSettings:
    """An encoder trained on a dictionary's senses (:mod:`gdlib.networks.pairs`); with the defaults,
    the one that the lexical study trains.
    """

    # senses
    corpus: str = knob(
        "wordnet", "senses", "wordnet (its examples), or a folder with SemCor and the Raganato sets"
    )
    train_instances: int = knob(200, "senses", "words in sentences to train on at most; 0: all")
    held_out_instances: int = knob(
        120, "senses", "held-out instances at most, for choosing; 0: all"
    )
    seed: int = knob(
        0, "senses", "seed of the split and the draw; the embedded test lemmas stay the same"
    )
    # train
    encoder: str = knob("minilm-l6", "train", "minilm-l6, mpnet-base, a folder, or hub:NAME")
    negatives: int = knob(
        3, "train", "wrong glosses per instance in training at most; 0: all, as in the paper"
    )
    encoder_epochs: float = knob(1.0, "train", "passes over the training instances")
    encoder_lr: float = knob(1e-4, "train", "peak learning rate, linear warm-up and decay")
    encoder_batch: int = knob(32, "train", "pairs per step", least=1)
    encoder_dropout: float = knob(
        0.0, "train", "of hidden states, attention and head (the paper: 0.2)", most=0.99
    )
    max_length: int = knob(
        64,
        "train",
        "word pieces per pair; the sentence's ends are cut beyond (the paper: 160)",
        least=8,
    )
    gloss_text: str = knob(
        "definition",
        "train",
        "what a gloss says, each with what stands before it",
        ("definition", "synonyms", "examples"),
    )
    pair_pooling: str = knob(
        "parts",
        "train",
        "judged by: cls (the paper), its parts' states, or target's and gloss's",
        ("cls", "parts", "target"),
    )
    pair_loss: str = knob(
        "candidates",
        "train",
        "cross-entropy: of pairs (as in the paper), or over candidates",
        PAIR_LOSSES,
    )
    trained_layers: int = knob(0, "train", "the encoder's last layers that learn; 0: all of it")
    mask_share: float = knob(
        0.15, "train", "of the pieces, hidden for masked language modelling", most=1
    )
    mlm_weight: float = knob(
        1.0, "train", "of masked language modelling beside the senses (the paper: 1)"
    )
    mlm_head_steps: int = knob(
        200, "train", "steps for the new masked-language-model head alone, beforehand"
    )
    model_seeds: tuple[int, ...] = knob(
        (0, 1, 2), "train", "one model per arm each: heads, order, glosses, masks", some=True
    )


@settings_class
class ArmSettings(SoftSettings):
    """What the arms of the lexical study have besides; other studies take the defaults."""

    word_vector: str = knob(
        "sentence",
        "train",
        ("mean state of the target, or of the sentence with it in quotes"),
        ("target", "sentence"),
    )
    small_layers: int = knob(
        2, "train", "layers of the small student, evenly spaced from the encoder's", least=1
    )
    small_epochs: float = knob(1.0, "train", "passes of the small student")
    small_lr: float = knob(3e-4, "train", "its peak learning rate")
    distilled_from: str = knob(
        "LMGC", "train", "whose pair logits the student learns", ("LMGC", "LMGC-M")
    )


@settings_class
class HeadSettings:
    """Texts with hidden pieces, and the new heads of networks that guess them
    (:mod:`gdlib.studies.shared.masked`).
    """

    # corpus
    mlm_corpora: tuple[str, ...] = knob(
        ("bbc", "movies", "wordnet"),
        "corpus",
        "corpora whose texts, labels unread, are masked and read",
        some=True,
    )
    corpus_texts: int = knob(4000, "corpus", "texts of each at most")
    head_texts: int = knob(1000, "corpus", "of these texts, for the teachers' heads", least=1)
    choose_texts: int = knob(150, "corpus", "for stopping the heads and learning the gate", least=1)
    guessed_pieces: int = knob(
        4000, "corpus", "most frequent pieces, which alone are hidden and guessed; 0: all"
    )
    mask_share: float = knob(0.3, "corpus", "of these pieces, hidden", most=1)
    maskings: int = knob(
        1, "corpus", "times that every student text is masked anew, and labelled", least=1
    )
    test_size: int = knob(1000, "corpus", "test texts at most, which are never masked", least=1)
    seed: int = knob(0, "corpus", "seed of the draw, the masks and the heads")
    # teacher
    head_steps: int = knob(120, "teacher", "optimisation steps of a new head")
    head_lr: float = knob(5e-3, "teacher", "its peak learning rate")
    head_batch: int = knob(256, "teacher", "masked positions per step", least=1)
    body_steps: int = knob(80, "teacher", "optimisation steps of layers and head")
    body_lr: float = knob(5e-4, "teacher", "their peak learning rate")
    body_batch: int = knob(16, "teacher", "texts per step", least=1)
    max_length: int = knob(128, "teacher", "word pieces per text, cut beyond", least=3)

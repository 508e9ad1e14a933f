"""Study 2, tagging in many languages (XtremeDistil, arXiv 2004.05686): its parameters and its
stages, as data.
"""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.learn.strategies import STRATEGIES
from gdlib.studies.shared.knobs import Names, Numbers, StagedSettings, SweepSettings, items
from gdlib.studies.shared.settings import RESOLVED


@settings_class
class Settings(SweepSettings, StagedSettings):
    """Every parameter of the tagging part of study 2; the defaults are the ``quick`` profile."""

    # corpus
    corpus: str = knob(
        "silver",
        "corpus",
        "silver (of CLDR names), a folder of languages (parquet, CoNLL), or hub:NAME",
    )
    languages: Names = knob((), "corpus", "the languages to take; empty: all that the corpus has")
    labels_per_language: int = knob(
        100,
        "corpus",
        "tagged sentences per language, the held-out part included",
        least=1,
    )
    validation_share: float = knob(
        0.2,
        "corpus",
        "share of the tagged sentences held out for stopping and choosing",
        least=0.01,
        most=0.99,
    )
    transfer_per_language: int = knob(
        320, "corpus", "sentences per language used without their tags, at most"
    )
    test_per_language: int = knob(100, "corpus", "test sentences per language at most", least=1)
    seed: int = knob(
        0,
        "corpus",
        "seed of the split and of everything trained on it; the test part stays the same",
    )
    # teacher
    teacher: str = knob(
        "me5-small", "teacher", "me5-small, a folder, or hub:NAME; one for all languages together"
    )
    teacher_depth: int = knob(
        6, "teacher", "layers of the encoder that are kept, from the bottom; 0: all"
    )
    teacher_epochs: int = knob(
        4, "teacher", "passes over the tagged sentences at most; the best held-out look is kept"
    )
    teacher_lr: float = knob(4e-4, "teacher", "peak learning rate, linear warm-up and decay")
    teacher_batch: int = knob(16, "teacher", "sentences per step", least=1)
    max_length: int = knob(
        48, "teacher", "word pieces per sentence, cut beyond (and counted)", least=3
    )
    frozen_embeddings: bool = knob(
        True,
        "teacher",
        "leave the word-piece embeddings (most of its parameters) as they are",
    )
    teacher_layer: int = knob(
        4,
        "teacher",
        "hidden layer whose states the student learns to reproduce (the paper: 7 of 12)",
    )
    # students
    strategies: Names = knob(
        ("D0", "D1", "D2", "D3.1", "D3.2", "D4.1", "D4.2"),
        "students",
        "schedules of distillation",
        STRATEGIES,
        some=True,
    )
    main_strategy: str = knob(
        "D4.1",
        "students",
        "the strategy of the sweeps and of the figures by language",
        tuple(STRATEGIES),
    )
    hidden_dim: int = knob(
        96, "students", "H, width of a direction (the paper: 200 to 600)", least=1
    )
    student_pieces: int = knob(
        20_000, "students", "word pieces that students know at most: the most frequent seen ones"
    )
    student_steps: int = knob(
        300,
        "students",
        "optimisation steps of a stage at most; with unfreezing, of each layer's turn",
        least=1,
    )
    student_batch: int = knob(32, "students", "sentences per step", least=1)
    evaluate_every: int = knob(
        25, "students", "steps between two looks at the held-out score", least=1
    )
    transfer_divisors: Numbers = knob(
        (4, 16), "students", "the sweep: one in k of the transfer sentences", least=1
    )
    grid: Names = knob(
        ("16x24", "32x48", "64x192"),
        "students",
        "other sizes ExH of the main strategy, with the first seed",
    )
    # compare
    queries: int = knob(
        64,
        "compare",
        "queries of 32 pieces that latencies are measured with (the paper: 1,000)",
        least=1,
    )


NOTEBOOKS = "2_transfer_distillation/tagging"

PLAN = Plan(
    name="tagging",
    title="Tagging in many languages",
    settings=Settings,
    labels="labels_per_language",
    stages=(
        Stage(
            "corpus",
            f"{NOTEBOOKS}/1_corpus.ipynb",
            (),
            "run",
            "the sentences and their tags, by language",
        ),
        Stage(
            "teacher",
            f"{NOTEBOOKS}/2_teacher.ipynb",
            ("corpus",),
            "run",
            "fine-tune one encoder on all languages",
            gpus=1,
        ),
        Stage(
            "students",
            f"{NOTEBOOKS}/3_students.ipynb",
            ("teacher",),
            "run",
            "train every strategy and size",
            gpus=1,
        ),
        Stage(
            "compare",
            f"{NOTEBOOKS}/4_compare.ipynb",
            ("students",),
            "corpus",
            "students and teacher: with intervals",
        ),
    ),
    help=(
        "A BiLSTM learns to tag in many languages from a multilingual teacher and untagged "
        "sentences (XtremeDistil, arXiv 2004.05686)."
    ),
    ours=(
        *items(
            """
            - The teacher, the lower half of multilingual E5-small with its embeddings left as they
              are (the paper: mBERT): its upper layers were trained to blend words into one meaning
              of a sentence, and learn to tell them apart again only slowly.
            - The corpora; with `silver`, sentences made from CLDR names, which stand in for real
              tagged text and are no benchmark.
            - A bare mark of a word's beginning (SentencePiece), before a token that has more
              pieces, is taken out.
            - A token's tag is read and taught at its first word piece only; tokens cut off by
              max_length count as O.
            - The loss on states is the mean squared error (as in the paper's code), or KL between
              softmax-normalised states (our reading of its text).
            - Raw logits in the logit loss, where the paper has log(p / (1 - p)).
            - The SVD start takes out the mean of the embeddings and scales them; the students'
              sizes are smaller than the paper's.
            - Every turn ends after so many looks without a better held-out score, or after
              `student_steps`; strategies named `as long as` another take as many steps in all,
              without ending early.
            - The main strategy (D4.1) is the one that held-out texts of other corpora prefer in the
              classification part; the paper's own is D4.2.
            - A held-out part taken from the tagged sentences for all stopping and choosing.
            """
        ),
        RESOLVED,
    ),
)

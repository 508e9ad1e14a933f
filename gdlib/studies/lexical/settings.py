"""Lexical knowledge, part of study 3 (arXiv 2106.07967, 2301.08130): its parameters and its stages,
as data.
"""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.networks.lexical_arms import ARMS
from gdlib.studies.shared.knobs import Names, SweepSettings, items
from gdlib.studies.shared.settings import RESOLVED, ArmSettings, EncoderSettings


@settings_class
class Settings(SweepSettings, ArmSettings, EncoderSettings):
    """Every parameter of the study; the defaults are the ``quick`` profile."""

    # senses
    test_instances: int = knob(
        300, "senses", "instances asked per test set, and of the held-out part; 0: all"
    )
    # train
    arms: Names = knob(
        ("LMGC", "LMGC-M", "gloss vectors"),
        "train",
        "what is trained",
        {name: arm.help for name, arm in ARMS.items()},
        some=True,
    )


NOTEBOOKS = "3_cohesive_distillation/lexical"

PLAN = Plan(
    name="lexical",
    title="Lexical knowledge",
    settings=Settings,
    stages=(
        Stage(
            "senses",
            f"{NOTEBOOKS}/1_senses.ipynb",
            (),
            "run",
            "the dictionary, the data, and what needs no training",
            also=("train",),  # the encoder is a baseline before any training
        ),
        Stage("train", f"{NOTEBOOKS}/2_train.ipynb", ("senses",), "run", "train every arm", gpus=1),
        Stage(
            "compare",
            f"{NOTEBOOKS}/3_compare.ipynb",
            ("train",),
            "corpus",
            "F1 by set and part of speech, with intervals; speed",
        ),
    ),
    help=(
        "An encoder learns which gloss of a dictionary a word has in a sentence, with and "
        "without masked language modelling."
    ),
    ours=(
        *items(
            """
            - The default encoder (MiniLM-L6) and data (WordNet's example sentences, divided by
              lemma and synset); the paper has BERT-base and SemCor.
            - The labels of a pair are read from the mean states of its two parts, and start as
              their cosine (`pair_pooling = parts`): MiniLM-L6 was trained by mean states, its first
              piece says nothing yet. The paper reads the first piece (`cls`); the default encoder
              learns little that way from so few pairs.
            - Cross-entropy over an instance's candidates together (`pair_loss = candidates`), with
              them in one batch; the paper has it pair by pair (`pairs`).
            - gloss pairs is GlossBERT's plain Sent-CLS form (arXiv 1908.07245): no quotes, no
              target named. Its form with weak supervision is LMGC's pair.
            - The weights before training are a choice like any other: they stay if no later ones
              are better on the held-out part.
            - At most a few wrong glosses per instance in training, in the default profile; the
              paper takes all of them. All are asked at test.
            - A new masked-language-model head, tied to the embeddings, and its steps alone
              beforehand, on the states of the standing encoder: the default encoder comes without
              one. Its held-out loss before all else, and the gradients of both losses at the first
              step, are in the model's history.
            - LMGC-M reads senses from the whole pair, and guesses pieces in a copy with hidden ones
              (one per instance); the paper reads both from the hidden pair. Unweighted, as in the
              paper (`mlm_weight = 1`).
            - Gloss vectors: one pass per word over kept vectors of glosses or, where the word is
              not marked, one per sentence for all its words. The paper asks pair by pair.
            - Every model's scores are also weighed with how frequent the dictionary says each sense
              is, by a conditional logit fitted on the held-out part.
            - The small student, its start from layers of the pretrained encoder, and its losses.
            - Choosing on the held-out lemmas (or SemEval-2007) alone; SemEval-2007 is shown and not
              counted among ALL.
            """
        ),
        RESOLVED,
    ),
    labels="train_instances",
)

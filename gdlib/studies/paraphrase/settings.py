"""Detection of machine-made paraphrases, part of study 3 (arXiv 2103.11909, 2301.08130): parameters
and stages, as data.
"""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.networks.lexical_arms import HELP as ENCODERS
from gdlib.networks.names import BODIES, SPINNERS, STUDENTS
from gdlib.studies.shared.knobs import Names, SoftSettings, SweepSettings, items
from gdlib.studies.shared.settings import RESOLVED, EncoderSettings

TFIDF, STUDENT = "TF-IDF", "distilled student"
ENCODER_DETECTORS = ("plain", "LMGC", "LMGC-M")
DETECTORS = {
    TFIDF: "TF-IDF of words + logistic regression",
    **{name: f"fine-tuned: {ENCODERS[name]}" for name in ENCODER_DETECTORS},
    STUDENT: "a small convolutional network, from the encoder that does best on held-out texts",
}
TRAINED_ON = {
    "each": "the paraphrases of one spinner, of each in turn",
    "all but one": "those of all others together, as many in all; each is left out in turn",
}
TOGETHER = " + "  # between the names of spinners whose paraphrases are learnt from together
SIZES = "half of them paraphrased"


@settings_class
class Settings(SweepSettings, SoftSettings, EncoderSettings):
    """Every parameter of the study; the defaults are the ``quick`` profile.

    The encoders' own are those of study ``lexical``.
    """

    # texts
    corpus: str = knob(
        "bbc",
        "texts",
        "trained on: bbc, movies, wordnet, a folder of tables, or hub:NAME",
    )
    domains: Names = knob(("bbc", "movies", "wordnet"), "texts", "tested on, beside `corpus`")
    seed: int = knob(
        0,
        "texts",
        "seed of the training texts and of all that is trained; the test texts stay the same",
    )
    train_texts: int = knob(
        240,
        "texts",
        f"texts to train a detector on, {SIZES}; with the held-out part",
        least=1,
    )
    validation_share: float = knob(
        0.2, "texts", "share of them held out for stopping and choosing", most=1
    )
    transfer_size: int = knob(
        240, "texts", f"more texts for the student, {SIZES}; an encoder labels them"
    )
    test_size: int = knob(160, "texts", f"test texts per domain at most, {SIZES}", least=1)
    min_words: int = knob(8, "texts", "shorter texts are left out")
    max_words: int = knob(
        40, "texts", "of a longer text its first sentences, of so many words at most", least=1
    )
    spinners: Names = knob(tuple(SPINNERS), "texts", "what paraphrases", SPINNERS, some=True)
    synonym_every: int = knob(
        1,
        "texts",
        "dictionary: of the content words that have a synonym, every so manieth",
        least=1,
    )
    filled_share: float = knob(0.7, "texts", "masked-lm: share of the content words", most=1)
    filled_top: int = knob(
        5,
        "texts",
        "masked-lm: a word is drawn from the so many likeliest; 1: the likeliest",
        least=1,
    )
    filled_nearness: float = knob(
        12.0, "texts", "masked-lm: weight of a word's nearness to the hidden one; 0: blind"
    )
    infiller: str = knob(
        "mpnet-base", "texts", "masked-lm: mpnet-base, minilm-l6, a folder, or hub:NAME (WordPiece)"
    )
    infiller_depth: int = knob(
        6,
        "texts",
        "masked-lm: lowest layers used, under a new head; 0: all, and its own head",
    )
    infiller_body: str = knob(
        "frozen",
        "texts",
        "masked-lm: a new head is trained alone (frozen), or also with it (full)",
        BODIES,
    )
    mlm_corpora: Names = knob(
        ("bbc", "movies", "wordnet"),
        "texts",
        "masked-lm: whose unlabelled texts a missing head is trained on",
        some=True,
    )
    head_texts: int = knob(1200, "texts", "masked-lm: of these texts, for the head", least=1)
    choose_texts: int = knob(150, "texts", "masked-lm: for stopping it", least=1)
    head_steps: int = knob(120, "texts", "masked-lm: optimisation steps of a new head")
    head_lr: float = knob(5e-3, "texts", "masked-lm: its peak learning rate")
    # senses
    sense_corpus: str = knob(
        "wordnet",
        "senses",
        "wordnet (its examples), or a folder with SemCor and the Raganato sets",
    )
    # train
    detectors: Names = knob(
        (TFIDF, "plain", STUDENT),
        "train",
        "what tells paraphrases from originals",
        DETECTORS,
        some=True,
    )
    trained_on: Names = knob(("each",), "train", "what detectors learn from", TRAINED_ON, some=True)
    detector_epochs: int = knob(
        3,
        "train",
        "passes of an encoder over the texts at most; the best held-out look is kept",
    )
    detector_least_steps: int = knob(
        80, "train", "its optimisation steps at least, with more passes over few texts"
    )
    detector_lr: float = knob(1e-4, "train", "its peak learning rate, linear warm-up and decay")
    detector_batch: int = knob(8, "train", "texts per step", least=1)
    student: str = knob("KimCNN", "train", "architecture of the student", tuple(STUDENTS))
    student_parameters: int = knob(600_000, "train", "its parameter budget", least=1)
    student_steps: int = knob(200, "train", "its optimisation steps at most", least=1)
    student_lr: float = knob(4e-3, "train", "its peak learning rate")


NOTEBOOKS = "3_cohesive_distillation/paraphrase"

PLAN = Plan(
    name="paraphrase",
    title="Detection of machine-made paraphrases",
    settings=Settings,
    stages=(
        Stage(
            "texts",
            f"{NOTEBOOKS}/1_texts.ipynb",
            (),
            "run",
            "originals, and what the spinners make of them",
            also=("senses", "train"),  # the encoder measures how near a paraphrase is
            gpus=1,
        ),
        Stage(
            "train",
            f"{NOTEBOOKS}/2_detectors.ipynb",
            ("texts",),
            "run",
            "train every detector on every spinner",
            also=("senses",),
            gpus=1,
        ),
        Stage(
            "compare",
            f"{NOTEBOOKS}/3_compare.ipynb",
            ("train",),
            "corpus",
            "F1 in-tool and cross-tool, by domain, with intervals; cost",
        ),
    ),
    help=(
        "Detectors tell originals from machine-made paraphrases, made by the tool they were "
        "trained on or by another one."
    ),
    ours=(
        *items(
            """
            - The spinners: WordNet's synonyms, a masked language model, and rules that move
              sentences and clauses. The papers used SpinBot and SpinnerChief, which are closed
              services.
            - Corpora and sizes: the papers have about 200,000 paragraphs of Wikipedia, arXiv and
              theses.
            - F1 is the mean of both classes' F1, over test texts half of which are paraphrased.
            - Encoders: MiniLM-L6 and what a short lexical training leaves of it; the papers have
              BERT-base and others.
            - The student: a small convolutional network that learns the logits of the encoder with
              the fewest held-out errors.
            - Detectors are trained on every spinner in turn, or on all but one; the papers trained
              on SpinBot and tested on both.
            """
        ),
        RESOLVED,
    ),
    labels="train_texts",
)

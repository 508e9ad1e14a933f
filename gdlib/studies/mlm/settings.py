"""Masked-language-model distillation from several teachers, part of study 3 (arXiv 2301.08130):
parameters and stages, as data.
"""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.learn.names import RULES
from gdlib.networks.names import BODIES, PAIR_POOLINGS, STARTS
from gdlib.studies.shared.knobs import COLDEST, Names, Numbers, SweepSettings, items
from gdlib.studies.shared.settings import RESOLVED, HeadSettings, TeachingSettings

PLAIN_ARM, SINGLE, START_ARM = "no teacher", "single teachers", "start"
FREQUENCIES, TWO_HEADS, MORE_TEXTS = "frequencies", "two heads", "no teacher on more texts"
ARMS = {
    PLAIN_ARM: "the hidden pieces alone: plain masked language modelling",
    SINGLE: "each teacher alone, an arm by its name",
    **RULES.help,
    FREQUENCIES: "control: the pieces' frequencies for a teacher; the two weights change places",
    TWO_HEADS: "control: the last teacher alone under two heads of its own, weighted alike",
    MORE_TEXTS: "control: plain, on the texts of the teachers' heads too",
}
"""Name to line of help; every rule that combines teachers is an arm. The controls tell several
teachers from any soft target, from any two heads, and from more text.
"""


@settings_class
class Settings(SweepSettings, TeachingSettings, HeadSettings):
    """Every parameter of the study; the defaults are the ``quick`` profile.

    ``corpus`` is what students are fine-tuned on.
    """

    # corpus
    corpus: str = knob(
        "movies",
        "corpus",
        "fine-tuned on: bbc, movies, wordnet, a folder of tables, or hub:NAME",
    )
    test_size: int = knob(1000, "corpus", "test texts at most", least=1)
    student_texts: int = knob(
        800, "corpus", "of the masked texts, for the students; labelled", least=1
    )
    held_out_texts: int = knob(
        200, "corpus", "of the masked texts, for the students' curves", least=1
    )
    # teacher
    mlm_teachers: Names = knob(
        ("minilm-l6", "mpnet-base"),
        "teacher",
        "networks with the same word pieces; students start from the first",
        some=True,
    )
    teacher_least_steps: int = knob(
        100,
        "teacher",
        "steps at least of the encoder that is fine-tuned beside the students",
    )
    teacher_bodies: Names = knob(
        ("full", "frozen"),
        "teacher",
        "its new head, if any, is trained alone (frozen) or with it",
        BODIES,
    )
    teacher_depths: Numbers = knob(
        (3, 6),
        "teacher",
        "lowest layers of each that are used; 0: all, and its own head",
    )
    kept_pieces: int = knob(
        256,
        "teacher",
        "likeliest pieces kept a position; the rest of the probability is spread evenly",
        least=1,
    )
    # students
    arms: Names = knob(
        (PLAIN_ARM, SINGLE, "mean", "confidence", FREQUENCIES),
        "students",
        "whom a student learns from",
        ARMS,
        some=True,
    )
    starts: Names = knob(("teacher",), "students", "where it starts", STARTS, some=True)
    student_layers: int = knob(
        2, "students", "layers, the lowest of the first teacher's, or new", least=1
    )
    scratch_hidden: int = knob(128, "students", "width of a student from scratch", least=1)
    temperature: float = knob(1.0, "students", "T of the teachers' distribution", least=COLDEST)
    soft_weight: float = knob(0.8, "students", "weight of the teachers' distribution")
    hard_weight: float = knob(0.2, "students", "weight of the hidden piece beside it")
    student_steps: int = knob(40, "students", "optimisation steps, the same for every arm", least=1)
    student_lr: float = knob(1e-3, "students", "learning rate")
    scratch_lr: float = knob(3e-3, "students", "that of a student from scratch")
    student_decay: str = knob(
        "constant",
        "students",
        "after a tenth of the steps the rate stays, or falls to 0 in a decay",
        ("constant", "linear", "cosine"),
    )
    student_batch: int = knob(16, "students", "texts per step", least=1)
    evaluate_every: int = knob(
        10, "students", "steps between two looks at the held-out loss", least=1
    )
    student_seeds: Numbers = knob(
        (0, 1, 2, 3, 4),
        "students",
        "one student an arm each: order of texts, dropout, start from scratch",
        some=True,
    )
    tuned_arms: Names = knob(
        ("mean",),
        "students",
        "whose students are fine-tuned on the corpus, beside the start",
        ARMS,
    )
    tuned_epochs: int = knob(
        4, "students", "passes over the labelled texts at most; the best held-out look is kept"
    )
    tuned_least_steps: int = knob(
        100, "students", "optimisation steps at least, with more passes over few texts"
    )
    tuned_pooling: str = knob(
        "parts", "students", "what their head reads: cls, or parts (the mean state)", PAIR_POOLINGS
    )
    tuned_lr: float = knob(
        2e-4,
        "students",
        "peak learning rate of fine-tuning; as the next, chosen on AG News",
    )
    tuned_scratch_lr: float = knob(1e-3, "students", "that of a student from scratch")


NOTEBOOKS = "3_cohesive_distillation/mlm"

PLAN = Plan(
    name="mlm",
    title="Masked-language-model distillation from several teachers",
    settings=Settings,
    stages=(
        Stage(
            "corpus",
            f"{NOTEBOOKS}/1_corpus.ipynb",
            (),
            "run",
            "the texts, and what is hidden in them",
            also=("teacher",),
        ),
        Stage(
            "teacher",
            f"{NOTEBOOKS}/2_teachers.ipynb",
            ("corpus",),
            "run",
            "one vocabulary, heads, and rules that combine",
            gpus=1,
        ),
        Stage(
            "students",
            f"{NOTEBOOKS}/3_students.ipynb",
            ("teacher",),
            "run",
            "train every arm; fine-tune",
            gpus=1,
        ),
        Stage(
            "compare",
            f"{NOTEBOOKS}/4_compare.ipynb",
            ("students",),
            "corpus",
            "do several teachers converge faster? with intervals",
        ),
    ),
    help=(
        "Small encoders learn masked language modelling from one teacher or several, combined "
        "position by position."
    ),
    ours=(
        *items(
            """
            - Every rule that combines teachers: the paper weighs predictions by confidence, its
              formula is not known to us.
            - Teachers, corpora and sizes: lower layers of MiniLM-L6 and MPNet-base, made for
              sentence vectors, with heads trained here on few texts.
            - Only frequent pieces are hidden and guessed; of them 30%, drawn once, so that teachers
              label once.
            - Of a teacher's distribution the likeliest pieces are kept, the rest of the probability
              is spread evenly.
            - The loss: a fifth the hidden piece's cross-entropy, four fifths KL to the teachers'
              mixture at temperature 1.
            - Students: two layers of the first teacher under a head fitted to them, or two new
              narrow ones; all arms have the same steps and batches (one control reads more texts).
            - Controls: frequencies for a teacher, two heads of one teacher, more texts without one.
            """
        ),
        RESOLVED,
    ),
)

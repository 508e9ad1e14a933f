"""Study 1, generation-distillation (arXiv 2002.00733): its parameters and its stages, as data."""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.learn.names import SOFT_LOSSES
from gdlib.networks.arms import ARMS, MAIN_ARM
from gdlib.networks.names import EMBEDDINGS, STUDENTS
from gdlib.studies.shared.knobs import COLDEST
from gdlib.studies.shared.settings import RESOLVED, WritingSettings

KEPT = "explored.parquet"  # what the explorer shows, among what the stage students leaves


@settings_class
class Settings(WritingSettings):
    """Every parameter of study 1; the defaults are the ``quick`` profile."""

    # more texts than other studies take: what generated ones are worth shows from thousands on
    transfer_size: int = knob(6400, "corpus", "real unlabelled texts at most (the ceiling arm)")
    num_samples: int = knob(6400, "samples", "texts to generate", least=1)
    # students
    students: tuple[str, ...] = knob(("KimCNN",), "students", "architectures", STUDENTS, some=True)
    arms: tuple[str, ...] = knob(
        (
            *("labelled only", "distilled on labelled", MAIN_ARM, "hard labels"),
            *("real unlabelled", "scraps"),
        ),
        "students",
        "what a student learns from",
        {name: arm.help for name, arm in ARMS.items()},
        some=True,
    )
    sample_divisors: tuple[int, ...] = knob(
        (4, 16, 64), "students", "the sweep: arms with one in k of the generated texts", least=1
    )
    feedback_tokens: int = knob(
        8,
        "students",
        "arm feedback: first tokens taken over from a disputed text",
        least=1,
    )
    student_parameters: int = knob(
        1_100_000,
        "students",
        "parameter budget (the paper: about 1.1M; also try 360000)",
        least=1,
    )
    embedding: str = knob(
        "outputs",
        "students",
        "what the student's embedding starts from",
        EMBEDDINGS,
    )
    embedding_dim: int = knob(64, "students", "dimensions of the embeddings", least=1)
    soft_loss: str = knob("kl", "students", "kl (with temperature) or mse on logits", SOFT_LOSSES)
    temperature: float = knob(2.0, "students", "T of the kl loss", least=COLDEST)
    soft_weight: float = knob(1.0, "students", "weight of the teacher's logits")
    hard_weight: float = knob(0.5, "students", "weight of the gold labels beside them")
    student_steps: int = knob(
        600, "students", "optimisation steps, the same for every arm", least=1
    )
    student_lr: float = knob(2e-3, "students", "peak learning rate")
    student_batch: int = knob(64, "students", "texts per step", least=1)
    student_dropout: float = knob(0.3, "students", "before the readout", most=0.99)
    evaluate_every: int = knob(
        0,
        "students",
        "steps between two looks at the held-out loss; 0: the last weights are kept",
    )
    patience: int = knob(0, "students", "looks without a better loss before stopping; 0: all steps")
    student_seeds: tuple[int, ...] = knob(
        (0, 1, 2), "students", "one student each: start, order and dropout", some=True
    )
    setfit_steps: int = knob(
        0,
        "students",
        "steps of SetFit's recipe as a reference of the teacher's size; 0: without",
    )
    # compare
    corpora: tuple[str, ...] = knob((), "compare", "corpora to sweep over; empty: just `corpus`")
    seeds: tuple[int, ...] = knob((), "compare", "seeds to sweep over; empty: just `seed`")
    labels_sweep: tuple[int, ...] = knob(
        (), "compare", "other numbers of labels per class to run and compare"
    )


PLAN = Plan(
    name="generation",
    title="Generation-distillation",
    settings=Settings,
    stages=(
        Stage(
            "corpus",
            "1_generation_distillation/1_corpus.ipynb",
            (),
            "run",
            "what the data are, and how hard",
        ),
        Stage(
            "teacher",
            "1_generation_distillation/2_teacher.ipynb",
            ("corpus",),
            "run",
            "fine-tune the encoder that labels",
            gpus=1,
        ),
        Stage(
            "generator",
            "1_generation_distillation/3_generator.ipynb",
            ("corpus",),
            "run",
            "fine-tune the model that writes",
            also=("samples",),
            gpus=1,
        ),
        Stage(
            "samples",
            "1_generation_distillation/4_samples.ipynb",
            ("teacher", "generator"),
            "run",
            "write, filter and look at samples",
            gpus=1,
        ),
        Stage(
            "students",
            "1_generation_distillation/5_students.ipynb",
            ("samples",),
            "run",
            "train every arm",
            gpus=1,
        ),
        Stage(
            "compare",
            "1_generation_distillation/6_compare.ipynb",
            ("students",),
            "corpus",
            "students, teacher, baselines: with intervals",
        ),
    ),
    help=(
        "A language model writes texts, a teacher labels them, a small CNN learns from both "
        "(arXiv 2002.00733)."
    ),
    ours=(
        (
            "The networks of the default profile (MiniLM-L6, SmolLM2-135M) and its corpora; "
            "the paper has BERT-large, GPT-2 and AG News, DBpedia, Yahoo."
        ),
        (
            "Fine-tuning the generator by low-rank adapters (LoRA), and sampling at temperature "
            "0.9 from a nucleus of 0.95; no class keeps more than an equal share of the samples. "
            "Both were chosen on SST-2, which is no corpus of the reports: adapters by held-out "
            "perplexity, the equal share by the student's accuracy. The number of samples was "
            "raised from 1,600 to 6,400 after one split of WordNet had been seen."
        ),
        (
            "The form of the soft loss (KL at temperature 2): the paper's exact form is not "
            "known to us. MSE on logits is a setting. Gold labels count half beside it, on the "
            "labelled texts, which was chosen on SST-2 too."
        ),
        (
            "The students' widths (from a parameter budget), and their start (what the fine-tuned "
            "teacher puts out for each word piece alone)."
        ),
        (
            "A held-out part taken from the labelled budget for all stopping and choosing, and for "
            "the temperature that calibrates each student; a teacher is trained on the rest. A "
            "teacher takes 300 steps at least, a generator 100."
        ),
        (
            "A quarter of every student's batch are labelled texts, all arms take as many steps, "
            "and the last weights are kept."
        ),
        (
            "The arms with real unlabelled text, with scraps and with a second round of texts "
            "(feedback), the sweep over the number of samples, and the funnel. Near-duplicates "
            "of test texts are in no other part."
        ),
        (
            "One vocabulary for all arms, from labelled, generated and real unlabelled texts: "
            "which pieces occur in real text is known to every arm."
        ),
        RESOLVED,
    ),
)

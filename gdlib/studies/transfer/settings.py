"""Study 2, transfer distillation (arXiv 1910.01769, 2004.05686): its parameters, its arms and its
stages, as data.
"""

from dataclasses import dataclass, field, replace

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.learn.names import REPRESENTATION_LOSSES
from gdlib.learn.strategies import STRATEGIES, as_long
from gdlib.studies.shared.settings import RESOLVED, WritingSettings

EMBEDDINGS, POOLINGS, TEXTS = ("svd", "random"), ("max", "last"), ("real", "generated", "both")


@settings_class
class Settings(WritingSettings):
    """Every parameter of study 2; the defaults are the ``quick`` profile."""

    teacher_layers: tuple[int, ...] = knob(
        (4, 6), "teacher", "hidden layers whose state is kept beside the logits"
    )
    # students
    strategies: tuple[str, ...] = knob(
        tuple(STRATEGIES), "students", "what is compared first", STRATEGIES
    )
    strategy: str = knob(
        "D4.1", "students", "the one that all further arms vary", tuple(STRATEGIES)
    )
    transfer_texts: tuple[str, ...] = knob(
        ("real",), "students", "real, generated (as in study 1), both", TEXTS
    )
    transfer_divisors: tuple[int, ...] = knob(
        (8,), "students", "the sweep: arms with one in k of the real transfer texts"
    )
    teacher_layer: int = knob(
        6, "students", "hidden layer that students imitate (one of teacher_layers)"
    )
    representation: str = knob(
        "mse", "students", "loss on states: mse, or kl of their softmax", REPRESENTATION_LOSSES
    )
    embedding: str = knob(
        "svd",
        "students",
        "start: svd of the fine-tuned teacher's embeddings, or random",
        EMBEDDINGS,
    )
    pooling: str = knob("max", "students", "a text's state: max over time, or last", POOLINGS)
    embedding_dim: int = knob(
        64, "students", "E, dimensions of the embeddings (the paper: 50 to 300)"
    )
    hidden_dim: int = knob(100, "students", "H, width of a direction (the paper: 100 to 600)")
    student_dropout: float = knob(0.2, "students", "on the embeddings and on the states")
    hard_weight: float = knob(1.0, "students", "alpha: weight of the labels")
    representation_weight: float = knob(1.0, "students", "beta: weight of the teacher's states")
    soft_weight: float = knob(1.0, "students", "gamma: weight of the teacher's logits")
    student_steps: int = knob(
        480,
        "students",
        "optimisation steps of a stage at most; with unfreezing, of each layer's turn",
    )
    patience: int = knob(
        5,
        "students",
        ("looks without a better held-out score that end a turn (papers' code); 0: never"),
    )
    student_lr: float = knob(5e-3, "students", "peak learning rate, cosine decay")
    student_batch: int = knob(64, "students", "texts a step")
    evaluate_every: int = knob(20, "students", "steps between two looks at the held-out score")
    student_seeds: tuple[int, ...] = knob(
        (0, 1, 2), "students", "one student each: start, order and dropout"
    )
    same_steps: tuple[str, ...] = knob(
        (),
        "students",
        "strategies also run with as many steps in all as the longest",
        tuple(STRATEGIES),
    )
    layers_sweep: tuple[int, ...] = knob((4,), "students", "arms with another teacher_layer")
    embedding_sweep: tuple[str, ...] = knob(
        ("random",), "students", "arms with another embedding", EMBEDDINGS
    )
    pooling_sweep: tuple[str, ...] = knob(
        ("last",), "students", "arms with another pooling", POOLINGS
    )
    embedding_dims: tuple[int, ...] = knob((16,), "students", "the grid: arms with another E ...")
    hidden_dims: tuple[int, ...] = knob(
        (25, 50), "students", "... times another H, beside the default ones"
    )
    grid_seeds: tuple[int, ...] = knob((0,), "students", "student seeds of the grid")
    # compare
    corpora: tuple[str, ...] = knob((), "compare", "corpora to sweep over; empty: just `corpus`")
    seeds: tuple[int, ...] = knob((), "compare", "seeds to sweep over; empty: just `seed`")
    labels_sweep: tuple[int, ...] = knob(
        (), "compare", "other numbers of labels a class to run and compare"
    )
    queries: int = knob(
        1000,
        "compare",
        "queries of 32 pieces, on which teacher and students are timed (the paper: 1,000)",
    )


@dataclass(frozen=True)
class Arm:
    """What one student differs in from the others.

    Args:
        name: as it stands in every table and figure.
        family: the figure it belongs to; ``strategy``, ``steps``, ``text``, ``size``, ``layer``,
            ``embedding``, ``pooling``, ``grid``.
        strategy: of :data:`gdlib.learn.strategies.STRATEGIES`.
        steps: of a turn (a stage; with unfreezing, a layer's in it).
        text: the transfer texts: ``real``, ``generated``, ``as many real`` as generated ones, or
            ``both``.
        divisor: of the transfer texts only one in so many is used.
        teacher_layer, embedding, pooling, embedding_dim, hidden_dim: as the settings' knobs.
    """

    name: str = field(metadata={"label": True})
    family: str
    strategy: str
    steps: int
    text: str
    divisor: int
    teacher_layer: int
    embedding: str
    pooling: str
    embedding_dim: int
    hidden_dim: int

    @property
    def size(self) -> str:
        """As the grid's figures name it."""
        return f"E={self.embedding_dim}, H={self.hidden_dim}"


def arms(s: Settings) -> list[Arm]:
    """Every arm of a study; the strategies first, then what varies one thing of the main one."""
    same = {
        name: getattr(s, name)
        for name in ("teacher_layer", "embedding", "pooling", "embedding_dim", "hidden_dim")
    }
    first = "real" if "real" in s.transfer_texts else s.transfer_texts[0]
    main = Arm(s.strategy, "strategy", s.strategy, s.student_steps, first, 1, **same)
    found, more = (
        [
            replace(main, name=name, strategy=name)
            for name in dict.fromkeys((*s.strategies, s.strategy))
        ],
        [],
    )
    for name in s.same_steps:
        called, steps = as_long(name, [arm.strategy for arm in found], s.student_steps)
        more.append(replace(main, family="steps", name=called, strategy=name, steps=steps))

    def vary(family: str, name: str, **changes: object) -> None:
        more.append(replace(main, family=family, name=f"{s.strategy}, {name}", **changes))

    if {"real", "generated"} <= set(s.transfer_texts):
        vary("text", "as many real", text="as many real")
        vary("text", "generated", text="generated")
    if "both" in s.transfer_texts and first != "both":
        vary("text", "real + generated", text="both")
    for k in s.transfer_divisors:
        vary("size", f"1/{k} of the texts", divisor=k)
    for layer in s.layers_sweep:
        vary("layer", f"layer {layer}", teacher_layer=layer)
    for embedding in s.embedding_sweep:
        vary("embedding", f"{embedding} embedding", embedding=embedding)
    for pooling in s.pooling_sweep:
        vary("pooling", f"{pooling} state", pooling=pooling)
    for e in dict.fromkeys((*s.embedding_dims, s.embedding_dim)):
        for h in dict.fromkeys((*s.hidden_dims, s.hidden_dim)):
            if (e, h) != (s.embedding_dim, s.hidden_dim) and (s.embedding_dims or s.hidden_dims):
                vary("grid", f"E={e}, H={h}", embedding_dim=e, hidden_dim=h)
    return found + more


def trials(s: Settings) -> list[tuple[Arm, int]]:
    """Every student to train: an arm and a student seed."""
    return [
        (arm, seed)
        for arm in arms(s)
        for seed in (s.grid_seeds if arm.family == "grid" else s.student_seeds)
    ]


PLAN = Plan(
    name="transfer",
    title="Transfer distillation",
    settings=Settings,
    stages=(
        Stage("corpus", "2_transfer_distillation/1_corpus.ipynb", (), "run", "what the data are, and how much has no label"),
        Stage("teacher", "2_transfer_distillation/2_teacher.ipynb", ("corpus",), "run", "fine-tune the encoder; its logits and states", gpus=1),
        Stage(
            "students", "2_transfer_distillation/3_students.ipynb", ("teacher",), "run", "train a BiLSTM by every strategy",
            also=("generator", "samples"), gpus=1,
        ),
        Stage("compare", "2_transfer_distillation/4_compare.ipynb", ("students",), "corpus", "strategies, texts, sizes: with intervals"),
    ),
    help=(
        "A BiLSTM learns from a teacher's states, logits and labels, stage by stage, on "
        "unlabelled text (XtremeDistil)."
    ),
    ours=(
        (
            "The networks of the default profile (MiniLM-L6 as the teacher; E and H of the "
            "BiLSTM) and its corpora; the paper has BERT and AG News, IMDb, Elec, DBpedia."
        ),
        "Every turn ends after so many looks without a better held-out score, or after "
            "`student_steps`; strategies named `as long as` another take as many steps"
        " in all, without ending early: what the order of the stages is worth beside the steps.",
        "The strategy that further arms vary (D4.1) was chosen by a rule fixed beforehand: "
            "the lowest mean held-out errors on BBC, movies and AG News (two seeds"
        " each), of those within half a point the one of the fewest steps.",
        (
            "A stage may end with the weights it began with: one that helps nobody on the "
            "held-out texts does no harm."
        ),
        (
            "A quarter of each batch is labelled where a stage takes labelled and unlabelled "
            "texts together; the teacher's logits count on both."
        ),
        (
            "The held-out part comes out of the labelled budget; the released code of the "
            "papers stops on the test set."
        ),
        (
            "Raw logits as targets: log(p / (1 - p)) of the papers' code explodes where p is "
            "near 1. KL between states is that of their softmax."
        ),
        (
            "The layer that is imitated: the teacher's last; at [CLS] the middle layers of "
            "this teacher hardly differ between texts (the papers: 7 of 12)."
        ),
        (
            "A forget gate that starts open, gradient clipping, AdamW with a linear warm-up "
            "before the cosine."
        ),
        "The arm on hard pseudo-labels, and those on generated text (from study 1).",
        RESOLVED,
    ),
)  # fmt: skip

"""Does lexical knowledge help elsewhere? Part of study 3 (arXiv 2301.08130): its parameters and its
stages, as data.
"""

from gdlib.core.plans import Plan, Stage
from gdlib.core.settings import knob, settings_class
from gdlib.networks.lexical_arms import HELP, PLAIN
from gdlib.networks.names import PAIR_POOLINGS
from gdlib.sources.cards import WORD_IN_CONTEXT, cards
from gdlib.studies.shared.knobs import Names, Numbers, SweepSettings, items
from gdlib.studies.shared.settings import RESOLVED, EncoderSettings


@settings_class
class Settings(SweepSettings, EncoderSettings):
    """Every parameter of the study; the defaults are the ``quick`` profile.

    ``corpus`` is what the encoders learn senses from.
    """

    # tasks
    tasks: Names = knob(
        ("movies", "bbc", WORD_IN_CONTEXT),
        "tasks",
        "names, or folders (cola, sick, sick:relatedness ...)",
        some=True,
    )
    train_texts: int = knob(
        120,
        "tasks",
        "texts of a task to fine-tune on at most, held-out ones included; 0: all",
    )
    held_out_share: float = knob(
        0.2, "tasks", "of them, held out: what the weights are chosen by", most=1
    )
    test_texts: int = knob(200, "tasks", "test texts of a task at most; 0: all")
    # tune
    encoders: Names = knob((PLAIN, "LMGC-M"), "tune", "what is fine-tuned", HELP, some=True)
    tuning_epochs: int = knob(2, "tune", "passes over the texts; the best held-out look is kept")
    tuning_lr: float = knob(
        1e-4, "tune", "peak learning rate, linear warm-up and decay, the same for every encoder"
    )
    tuning_batch: int = knob(16, "tune", "texts per step", least=1)
    tuning_length: int = knob(64, "tune", "word pieces per text or pair, cut beyond", least=8)
    tuning_pooling: str = knob(
        "parts",
        "tune",
        "the head reads: cls (the first piece), or mean states of the parts",
        PAIR_POOLINGS,
    )
    tuned_layers: int = knob(0, "tune", "the encoder's last layers that learn; 0: all of it")
    tuning_seeds: Numbers = knob(
        (0, 1, 2), "tune", "one fine-tuning each; they take the model seeds in turn", some=True
    )
    mlm_corpora: Names = knob(
        ("bbc", "movies"),
        "tune",
        "hidden words of their texts show what an encoder forgot",
        some=True,
    )
    head_texts: int = knob(
        1000, "tune", "of these texts, for a new head on every frozen encoder", least=1
    )
    head_steps: int = knob(200, "tune", "optimisation steps of such a head")
    measured_texts: int = knob(600, "tune", "of these texts, to measure its loss on", least=2)
    # compare
    doses: Numbers = knob(
        (),
        "compare",
        "other numbers of train_instances whose encoders show what is forgotten",
    )


NOTEBOOKS = "3_cohesive_distillation/understanding"
LEXICAL = (
    "senses",
    "train",
)  # the stages of the lexical study whose knobs decide what an encoder is

PLAN = Plan(
    name="understanding",
    title="Language understanding",
    settings=Settings,
    stages=(
        Stage(
            "tasks",
            f"{NOTEBOOKS}/1_tasks.ipynb",
            (),
            "run",
            "the tasks, and what methods without an encoder reach",
            also=LEXICAL,
        ),
        Stage(
            "tune",
            f"{NOTEBOOKS}/2_fine_tune.ipynb",
            ("tasks",),
            "run",
            "fine-tune every encoder on every task",
            gpus=1,
        ),
        Stage(
            "compare",
            f"{NOTEBOOKS}/3_compare.ipynb",
            ("tune",),
            "corpus",
            "who forgets, who gains: with intervals; what it costs",
        ),
    ),
    choices={
        "tasks": {name: card.help for name, card in cards("texts", "task").items()},
    },
    help=(
        "Encoders with and without lexical knowledge are fine-tuned on other tasks: what is "
        "forgotten, what is gained?"
    ),
    ours=(
        *items(
            """
            - The default encoder (MiniLM-L6), its lexical training on WordNet's example sentences,
              and the embedded tasks; the paper has BERT-base, SemCor and GLUE.
            - The word-in-context task, made of WordNet's example sentences of lemmas that no
              encoder has been trained on.
            - About a hundred training texts per task in the default profile; the paper takes all of
              them.
            - Tested on the public test part, or else the validation part; what is chosen by is held
              out of the training texts, the same share for all.
            - What is forgotten is also measured without fine-tuning: by the loss of a new
              masked-language-model head on the frozen encoder.
            - SICK stands where the paper has STS-B: its relatedness by correlation, its entailment
              by accuracy.
            """
        ),
        RESOLVED,
    ),
    labels="train_texts",
)

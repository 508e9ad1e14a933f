"""Ways to learn which gloss is meant, as data, and how a model of theirs is trained."""

from dataclasses import dataclass, field

from gdlib.learn.loop import Regime
from gdlib.learn.losses import DistillationLoss

GOLD_ONLY = DistillationLoss(hard_weight=1.0, soft_weight=0.0)


@dataclass(frozen=True)
class Arm:
    """A way to learn which gloss is meant.

    Args:
        name: as it stands in every table and figure.
        form: ``pairs`` (one pass a candidate) or ``vectors`` (one pass a word,
            :mod:`gdlib.networks.gloss_vectors`).
        marked: with quotes around the target and its name before the gloss, as in LMGC.
        mlm: with masked language modelling beside it.
        target: ``gold`` labels, or the ``soft`` pair logits of the trained teacher.
        small: a student of few layers.
        help: one line.
    """

    name: str
    form: str
    marked: bool = True
    mlm: bool = False
    target: str = "gold"
    small: bool = False
    help: str = ""


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("LMGC", "pairs", help="the paper's: is this the right gloss, pair by pair"),
        Arm(
            "LMGC-M",
            "pairs",
            mlm=True,
            help="the paper's: the same beside masked language modelling",
        ),
        Arm(
            "gloss pairs",
            "pairs",
            marked=False,
            help="GlossBERT's plain form (Sent-CLS): sentence and gloss, the target not marked",
        ),
        Arm("gloss vectors", "vectors", help="ours: one pass a word, the glosses' vectors kept"),
        Arm("small, gold", "pairs", small=True, help="few layers, gold labels, no teacher"),
        Arm(
            "small, distilled",
            "pairs",
            target="soft",
            small=True,
            help="few layers, the pair logits of a trained model",
        ),
    )
}


@dataclass(frozen=True)
class LexicalPlan:
    """How a lexical model is trained.

    Args:
        epochs: passes over the training instances.
        lr: peak learning rate, linear warm-up and decay.
        batch: pairs a step.
        max_length: pieces a pair.
        dropout: of hidden states, attention and head.
        negatives: wrong glosses an instance at most; 0: all.
        trained_layers: the last so many layers of the encoder learn; 0: all of it.
        seed: of heads, order, masks and dropout.
        marked: the target in quotes, its name before the gloss.
        pooling: what the two labels are read from, see :class:`gdlib.networks.pairs.LexicalModel`.
        pair_loss: of :data:`gdlib.learn.sense_losses.PAIR_LOSSES`.
        mlm: train L_MLM beside L_WSD.
        mask_share: of the pieces, hidden for L_MLM.
        mlm_head_steps: steps for the new MLM head alone, before all else.
        layers: keep so many of the encoder's layers (a small student); 0: all.
        loss: of the pair logits; with a soft weight a teacher has to be given.
        word_vector: of gloss vectors, the mean over the ``target``'s pieces or over the whole
            ``sentence``.
        looks: looks at the held-out score.
    """

    epochs: float
    lr: float
    batch: int
    max_length: int
    dropout: float
    negatives: int
    trained_layers: int
    seed: int
    marked: bool = True
    pooling: str = "cls"
    pair_loss: str = "pairs"
    mlm: bool = False
    mask_share: float = 0.15
    mlm_head_steps: int = 0
    layers: int = 0
    loss: DistillationLoss = field(default=GOLD_ONLY)
    word_vector: str = "target"
    looks: int = 3

    def regime(self, per_epoch: int) -> Regime:
        steps = max(1, round(self.epochs * per_epoch))
        return Regime(
            steps=steps, lr=self.lr, evaluate_every=max(1, -(-steps // self.looks)), seed=self.seed
        )

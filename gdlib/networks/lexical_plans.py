"""How a model of one of the lexical arms is trained."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from gdlib.learn.loop import Regime
from gdlib.learn.losses import DistillationLoss
from gdlib.networks.fine_tune import Plan
from gdlib.networks.sense_coding import Coder

GOLD_ONLY = DistillationLoss(hard_weight=1.0, soft_weight=0.0)
EVALUATIONS = 3  # on the held-out set, beside the one before the first step


@dataclass(frozen=True, kw_only=True)
class LexicalPlan(Plan):
    """How a lexical model is trained.

    Args:
        epochs: passes over the training instances.
        batch: pairs per step.
        max_length: pieces of a pair.
        dropout: of hidden states, attention and head.
        negatives: wrong glosses of an instance at most; 0: all.
        trained_layers: the last so many layers of the encoder learn; 0: all of it.
        form: ``pairs`` or ``vectors``, see :class:`gdlib.networks.lexical_arms.Arm`.
        marked: the target in quotes, its name before the gloss.
        gloss_text: what a gloss says, see :func:`gdlib.sources.wordnet.gloss`.
        pooling: what the two labels are read from, see
            :class:`gdlib.networks.lexical_models.LexicalModel`.
        pair_loss: of :data:`gdlib.learn.names.PAIR_LOSSES`.
        mlm: train L_MLM beside L_WSD.
        mlm_weight: of L_MLM; the paper has 1.
        mask_share: of the pieces, hidden for L_MLM.
        mlm_head_steps: steps for the new MLM head alone, before all else.
        layers: keep so many of the encoder's layers (a small student); 0: all.
        loss: of the pair logits; with a soft weight a teacher has to be given.
        teacher: how the model was trained whose pair logits are learnt from.
        word_vector: of gloss vectors, the mean over the ``target``'s pieces or over the whole
            ``sentence``.
    """

    epochs: float
    max_length: int
    dropout: float
    negatives: int
    trained_layers: int
    form: str = "pairs"
    marked: bool = True
    gloss_text: str = "definition"
    pooling: str = "cls"
    pair_loss: str = "pairs"
    mlm: bool = False
    mlm_weight: float = 1.0
    mask_share: float = 0.15
    mlm_head_steps: int = 0
    layers: int = 0
    loss: DistillationLoss = GOLD_ONLY
    teacher: "LexicalPlan | None" = None
    word_vector: str = "target"

    def coder(self, tokenizer: PreTrainedTokenizerBase) -> Coder:
        """What makes the inputs of such a model."""
        target = self.pooling == "target"
        return Coder(tokenizer, self.max_length, self.marked, self.gloss_text, target)

    def regime(self, per_epoch: int) -> Regime:
        """The loop's settings, with so many steps per epoch."""
        steps = max(1, round(self.epochs * per_epoch))
        return Regime(
            steps=steps,
            lr=self.lr,
            evaluate_every=max(1, -(-steps // EVALUATIONS)),
            seed=self.seed,
        )

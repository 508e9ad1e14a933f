"""The encoders that lexical training leaves: studies that have them share them in one store."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from gdlib.core.artifacts import artifact, derived
from gdlib.core.errors import BadSetting
from gdlib.core.processes import together
from gdlib.core.store import Artifact
from gdlib.core.study import Study
from gdlib.learn.losses import DistillationLoss
from gdlib.networks import gloss_vectors, pairs
from gdlib.networks.lexical_arms import ARMS, ENCODERS, Arm
from gdlib.networks.lexical_plans import LexicalPlan
from gdlib.sources import senses as wsd
from gdlib.sources import zoo
from gdlib.sources.senses import SenseData
from gdlib.studies.shared.settings import ArmSettings, EncoderSettings, part_of


class LexicalEncoders(Study):
    """Trains an encoder on a dictionary's senses, by any of the arms of lexical training.

    What decides a model is its plan, the senses and the pretrained encoder: nothing of the study
    that asks for it.
    """

    settings: EncoderSettings

    @derived
    def encoder_settings(self) -> EncoderSettings:
        """What decides the encoders; for a study to override whose ``corpus`` is no sense data."""
        return part_of(self.settings, EncoderSettings)

    @derived
    def arm_settings(self) -> ArmSettings:
        """What decides single arms; for a study to override that has knobs for it."""
        return ArmSettings()

    @derived
    def pretrained(self) -> zoo.Network:
        """The encoder before lexical training."""
        return zoo.locate(self.encoder_settings.encoder)

    # ---- senses

    @derived
    def senses(self) -> SenseData:
        """All sense data of the corpus, divided by the seed."""
        return wsd.load(self.encoder_settings.corpus, self.encoder_settings.seed)

    @derived
    def sense_training(self) -> SenseData:
        """Draws of the senses of the sizes asked for: to train on, and to choose weights by."""
        s, whole = self.encoder_settings, self.senses
        teaching = [instance for instance in whole.train if instance.teaches]
        train = wsd.sample(teaching, s.train_instances, s.seed)
        held_out = wsd.sample(whole.held_out, s.held_out_instances, s.seed)
        return SenseData(whole.name, train, held_out, {})

    # ---- models

    def lexical_plan(self, arm: Arm, model_seed: int) -> LexicalPlan:
        """How an arm is trained.

        Raises:
            BadSetting: glosses with examples, on WordNet's example sentences.
        """
        s, more = self.encoder_settings, self.arm_settings
        if s.gloss_text == "examples" and s.corpus == wsd.EMBEDDED:
            raise BadSetting(
                f"gloss_text=examples would give the test sentences of {wsd.EMBEDDED} away: they "
                "are these examples; known here: definition, synonyms"
            )
        of_arm = {"form": arm.form, "marked": arm.marked, "mlm": arm.mlm}
        if not arm.mlm:
            of_arm |= {"mask_share": 0.0, "mlm_weight": 0.0, "mlm_head_steps": 0}
        if arm.form == "vectors":
            of_arm["word_vector"] = more.word_vector
        if arm.small:
            of_arm |= {"epochs": more.small_epochs, "lr": more.small_lr}
            of_arm |= {"layers": more.small_layers, "trained_layers": 0}
        if arm.target == "soft":
            of_arm["loss"] = part_of(more, DistillationLoss, soft=more.soft_loss)
            of_arm["teacher"] = self.lexical_plan(ARMS[more.distilled_from], model_seed)
        seed = int(np.random.SeedSequence([s.seed, model_seed]).generate_state(1)[0])
        shared = {"pooling": s.pair_pooling, "seed": seed}
        return part_of(s, LexicalPlan, "encoder_", **shared, **of_arm)

    @artifact(
        "train",
        needs=("pretrained", "sense_training"),
        given={"teacher": lambda study, plan: plan.teacher and study.lexical_model(plan.teacher)},
    )
    def lexical_model(self, folder: Path, plan: LexicalPlan) -> None:
        """A trained model: the encoder as a network of the zoo, its heads, its history."""
        parts = self.sense_training
        task = (self.pretrained, parts.train, parts.held_out, plan, folder)
        if plan.form == "vectors":
            together(gloss_vectors.fine_tune, *task)
        else:
            teacher = self.lexical_model(plan.teacher).path if plan.teacher else None
            together(pairs.fine_tune, *task, teacher)

    def make_models(self, plans: Sequence[LexicalPlan], title: str = "models") -> list[Artifact]:
        """The models of some plans; missing ones are trained several at a time, those that learn
        from another after it.
        """
        self.make_all("lexical_model", [(plan.teacher or plan,) for plan in plans], title)
        return self.make_all("lexical_model", [(plan,) for plan in plans], title)

    # ---- encoders, by name

    def make_encoders(self, names: Iterable[str], model_seeds: Iterable[int]) -> None:
        """Train the named encoders (of :data:`ENCODERS`) that are missing."""
        arms = [ENCODERS[name] for name in dict.fromkeys(names) if ENCODERS[name]]
        plans = [self.lexical_plan(arm, seed) for seed in model_seeds for arm in arms]
        self.make_models(plans, "encoders")

    def encoder_network(self, name: str, model_seed: int) -> zoo.Network:
        """The bare encoder of that name, trained now if it is missing; all names share one
        tokenizer. It counts in a recipe as the artifact that it is.
        """
        arm = ENCODERS[name]
        if arm is None:
            return self.pretrained
        model = self.lexical_model(self.lexical_plan(arm, model_seed))
        return dataclasses.replace(zoo.locate(str(model.path)), digest=model.key)

    def encoder_seconds(self, name: str, model_seed: int) -> float:
        """How long its lexical training took, on the machine that made it; 0 for the plain one."""
        arm = ENCODERS[name]
        return self.lexical_model(self.lexical_plan(arm, model_seed)).seconds if arm else 0.0

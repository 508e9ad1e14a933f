"""The encoders that lexical training leaves, by name: networks to fine-tune on other tasks."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from tqdm.auto import tqdm

from gdlib.core import settings as config
from gdlib.core.processes import in_processes
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS, Arm
from gdlib.sources import zoo
from gdlib.studies.lexical import settings as lexical_settings
from gdlib.studies.lexical.study import LexicalStudy
from gdlib.studies.shared.settings import EncoderSettings

PLAIN, DISTILLED = "plain", "distilled"
ENCODERS: dict[str, Arm | None] = {
    PLAIN: None,
    **{name: arm for name, arm in ARMS.items() if arm.form == "pairs" and not arm.small},
    DISTILLED: ARMS["small, distilled"],
}
"""Name to the way it was trained; None: the pretrained network as it is."""
HELP = {
    name: arm.help if arm else "the pretrained encoder as it is" for name, arm in ENCODERS.items()
}


class LexicalEncoders:
    """The encoders of some settings; what the lexical study made with the same ones in the same
    store is taken over.

    Args:
        settings: of the encoders; what else stands in them does not count.
        store: where artifacts are.
    """

    def __init__(self, settings: EncoderSettings, store: Store):
        shared = {name: getattr(settings, name) for name in config.knobs(EncoderSettings)}
        self.study = LexicalStudy(config.build(lexical_settings.Settings, shared), store)

    def network(self, name: str, model_seed: int) -> zoo.Network:
        """The bare encoder of that name (of :data:`ENCODERS`), trained now if it is not there; all
        names share one tokenizer.
        """
        arm = ENCODERS[name]
        return zoo.locate(
            str(self.study.model_artifact(arm, model_seed).path)
            if arm
            else self.study.settings.encoder
        )

    def seconds(self, name: str, model_seed: int) -> float:
        """How long its lexical training took, on the machine that made it; 0 for the plain one."""
        arm = ENCODERS[name]
        return self.study.model_artifact(arm, model_seed).seconds if arm else 0.0

    def make(self, names: Iterable[str], model_seeds: Iterable[int]) -> None:
        """Train what is missing, several at a time; distilled ones after those they may learn from."""
        wanted = [
            (name, seed) for seed in model_seeds for name in dict.fromkeys(names) if ENCODERS[name]
        ]
        jobs = self.study.store.missing(self.network, wanted)
        waves = [
            [job for job in jobs if (ENCODERS[job[0]].target == "soft") is soft]
            for soft in (False, True)
        ]
        with tqdm(
            total=len(jobs), desc="encoders", unit="encoder", mininterval=2.0, disable=not jobs
        ) as bar:
            for wave in waves:
                for _ in in_processes(
                    _make_one, [(self.study.settings, self.study.store.root, *job) for job in wave]
                ):
                    bar.update()


@lru_cache(maxsize=1)
def _encoders(settings: lexical_settings.Settings, root: Path) -> LexicalEncoders:
    return LexicalEncoders(settings, Store(root))


def _make_one(settings: lexical_settings.Settings, root: Path, name: str, model_seed: int) -> None:
    """Train one encoder in a process of its own; it is kept in the store."""
    _encoders(settings, root).network(name, model_seed)

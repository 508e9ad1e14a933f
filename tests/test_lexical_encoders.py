"""The encoders that lexical training leaves: found again in the store, as networks to fine-tune."""

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch

from gdlib.core import settings as config
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS
from gdlib.networks.pairs import LexicalModel
from gdlib.sources import zoo
from gdlib.studies.lexical import settings as lexical_settings
from gdlib.studies.lexical.study import LexicalStudy
from gdlib.studies.shared.encoders import DISTILLED, ENCODERS, PLAIN, LexicalEncoders
from gdlib.studies.shared.settings import EncoderSettings


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderSettings, Store]:
    folder = tmp_path_factory.mktemp("encoders")
    moved = {
        "encoder": str(tiny.encoder(folder / "encoder")),
        "train_instances": 24,
        "held_out_instances": 8,
        "mlm_head_steps": 1,
    }
    return config.build(EncoderSettings, moved), Store(folder / "store")


def test_the_names_are_the_pair_arms_and_their_defaults_those_of_the_lexical_study() -> None:
    assert {PLAIN, "LMGC", "LMGC-M", DISTILLED} <= set(ENCODERS) and "gloss vectors" not in ENCODERS
    shared, lexical = EncoderSettings(), lexical_settings.Settings()
    assert dataclasses.asdict(shared).items() <= dataclasses.asdict(lexical).items()


def test_an_encoder_is_the_lexical_study_s_and_a_network_like_any_other(
    small: tuple[EncoderSettings, Store],
) -> None:
    settings, store = small
    encoders = LexicalEncoders(settings, store)
    encoders.make(("LMGC", PLAIN, DISTILLED), (0,))
    study = LexicalStudy(lexical_settings.Settings(**dataclasses.asdict(settings)), store)
    made = sorted(path.name for path in (store.root / "lexical").iterdir())
    assert made == sorted(
        study.model_artifact(ARMS[name], 0).key for name in ("LMGC", "small, distilled")
    )
    plain, trained = encoders.network(PLAIN, 0), encoders.network("LMGC", 0)
    assert plain.location == settings.encoder and encoders.seconds(
        PLAIN, 0
    ) == 0 < encoders.seconds("LMGC", 0)
    inside = LexicalModel.load(Path(trained.location)).classifier.base_model.state_dict()
    for name, weight in zoo.encoder(trained).state_dict().items():
        assert torch.equal(weight, inside[name].cpu()), name
    assert any(
        not torch.equal(w, inside[name].cpu())
        for name, w in zoo.encoder(plain).state_dict().items()
    )
    assert zoo.tokenizer(plain).get_vocab() == zoo.tokenizer(trained).get_vocab()
    assert zoo.encoder(encoders.network(DISTILLED, 0)).config.num_hidden_layers == 2

"""The encoders that lexical training leaves: shared by studies, as networks to fine-tune."""

import dataclasses
from pathlib import Path

import pytest
import tiny
import torch

from gdlib.core import settings as config
from gdlib.core.store import Store
from gdlib.networks.lexical_arms import ARMS, DISTILLED, ENCODERS, PLAIN
from gdlib.networks.pairs import LexicalModel
from gdlib.sources import zoo
from gdlib.studies.lexical import settings as lexical_settings
from gdlib.studies.lexical.study import LexicalStudy
from gdlib.studies.shared.encoders import LexicalEncoders
from gdlib.studies.shared.settings import ArmSettings, EncoderSettings


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


def made(store: Store) -> set[str]:
    return {path.name for path in (store.root / "lexical-model").iterdir()}


def test_the_names_are_the_pair_arms_and_their_defaults_those_of_the_lexical_study() -> None:
    assert {PLAIN, "LMGC", "LMGC-M", DISTILLED} <= set(ENCODERS) and "gloss vectors" not in ENCODERS
    lexical = dataclasses.asdict(lexical_settings.Settings())
    for shared in (EncoderSettings(), ArmSettings()):
        assert dataclasses.asdict(shared).items() <= lexical.items()


def test_an_encoder_is_the_lexical_study_s_and_a_network_like_any_other(
    small: tuple[EncoderSettings, Store],
) -> None:
    settings, store = small
    encoders = LexicalEncoders(settings, store)
    encoders.make_encoders(("LMGC", PLAIN, DISTILLED), (0,))
    own = lexical_settings.Settings(**dataclasses.asdict(settings), test_instances=7)
    study = LexicalStudy(own, store)
    plans = [study.model_plan(name) for name in ("LMGC", "small (distilled)")]
    assert made(store) == {study.lexical_model(plan).key for plan in plans}
    plain, trained = encoders.encoder_network(PLAIN, 0), encoders.encoder_network("LMGC", 0)
    assert plain.location == settings.encoder and encoders.encoder_seconds(PLAIN, 0) == 0
    assert encoders.encoder_seconds("LMGC", 0) > 0
    inside = LexicalModel.load(Path(trained.location)).classifier.base_model.state_dict()
    for name, weight in zoo.encoder(trained).state_dict().items():
        assert torch.equal(weight, inside[name].cpu()), name
    assert any(
        not torch.equal(weight, inside[name].cpu())
        for name, weight in zoo.encoder(plain).state_dict().items()
    )
    assert zoo.tokenizer(plain).get_vocab() == zoo.tokenizer(trained).get_vocab()
    assert zoo.encoder(encoders.encoder_network(DISTILLED, 0)).config.num_hidden_layers == 2


def test_what_is_moved_trains_what_it_decides(small: tuple[EncoderSettings, Store]) -> None:
    settings, store = small
    encoders = LexicalEncoders(settings, store)
    encoders.make_encoders(("LMGC", DISTILLED), (0,))
    before = made(store)
    encoders.make_encoders(("LMGC",), (0, 1))
    assert len(made(store) - before) == 1, "one more seed trains one"
    own = lexical_settings.Settings(**dataclasses.asdict(settings), small_lr=1e-3)
    study, before = LexicalStudy(own, store), made(store)
    study.make_models([study.lexical_plan(arm, 0) for arm in (ARMS["LMGC"], ENCODERS[DISTILLED])])
    assert len(made(store) - before) == 1, "the small student's rate leaves its teacher alone"

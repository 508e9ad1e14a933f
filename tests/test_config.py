"""Parameters: what is refused and how it is said, overrides from the command line, the profiles of
every study.
"""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import gdlib.studies
from gdlib.core import settings as config
from gdlib.core.errors import BadSetting, GdlibError, UnknownName
from gdlib.core.plans import Plan, Stage, expand
from gdlib.core.settings import (
    build,
    choices_of,
    digest,
    from_notebook,
    jsonable,
    knob,
    knobs,
    parse,
    replace,
    settings_class,
)
from gdlib.run.studies import names, plan_of


@settings_class
class Settings:
    rate: float = knob(0.1, "cook", "a rate")
    count: int = knob(3, "cook", "a count")
    loss: str = knob("kl", "serve", "a loss", ("kl", "mse"))
    guests: tuple[str, ...] = knob(("ann",), "serve", "who comes")
    seeds: tuple[int, ...] = knob((), "serve", "seeds")
    warm: bool = knob(False, "serve", "whether it is warm")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"rat": 0.2},
            r'unknown setting "rat"; did you mean "rate"\? known: rate, count, loss, guests, ',
        ),
        ({"loss": "ce"}, 'unknown loss "ce"; known: kl, mse'),
        (
            {"count": 2.5},
            (
                r"setting count = 2.5: Input should be a valid integer, got a number with a "
                r"fractional part"
            ),
        ),
        ({"rate": "fast"}, r"setting rate = 'fast': Input should be a valid number"),
        ({"seeds": ["one"]}, r"setting seeds.0 = 'one': Input should be a valid integer"),
    ],
)
def test_a_bad_value_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(GdlibError, match=message) as error:
        build(Settings, values)
    assert "\n" not in str(error.value)


def test_settings_are_frozen_and_replace_checks_again() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().count = 4
    assert replace(Settings(count=5), rate=1.0) == Settings(count=5, rate=1.0)
    with pytest.raises(UnknownName, match='unknown loss "ce"'):
        replace(Settings(), loss="ce")


def test_a_notebook_s_variables_count_if_they_are_named_like_a_knob() -> None:
    assert from_notebook(
        Settings, {"count": 4, "seeds": [1, 2], "Path": object(), "store": "runs/store"}
    ) == Settings(count=4, seeds=(1, 2))


def test_a_stage_has_its_own_knobs() -> None:
    stages = (
        Stage("cook", "1.ipynb", (), "run", ""),
        Stage("serve", "2.ipynb", ("cook",), "run", ""),
    )
    plan = Plan("dinner", "Dinner", Settings, stages, "")
    assert plan.values("cook", Settings()) == {"rate": 0.1, "count": 3}
    served = plan.values("serve", Settings(guests=("a", "b")))
    assert served["guests"] == ["a", "b"] and served["count"] == 3
    meta = knobs(Settings)["loss"]
    assert (meta["stage"], meta["help"], meta["choices"]) == ("serve", "a loss", ("kl", "mse"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("count=4", 4),
        ("rate=2e-5", 2e-5),
        ("warm=true", True),
        ("loss=mse", "mse"),
        ('loss="mse"', "mse"),
        ("loss=a=b", "a=b"),
        ("loss=../data/mine", "../data/mine"),
        ("guests=ann,bob", ["ann", "bob"]),
        ('guests=["ann, the cook"]', ["ann, the cook"]),
        ("guests=ann", ["ann"]),
        ("seeds=1,2", [1, 2]),
        ("seeds=5", [5]),
        ("seeds=", []),
    ],
)
def test_overrides_from_the_command_line(text: str, value: object) -> None:
    assert parse(Settings, [text]) == {text.partition("=")[0]: value}


def test_overrides_that_are_none() -> None:
    with pytest.raises(
        BadSetting, match=r'"count" is no assignment; expected NAME=VALUE, e\.g\. seed=3'
    ):
        parse(Settings, ["count"])
    with pytest.raises(UnknownName, match=r'unknown setting "cont"; did you mean "count"\? known'):
        build(Settings, parse(Settings, ["cont=3"]))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_digest_knows_values_not_their_order(value: Any) -> None:
    assert digest(value) == digest(jsonable(value))
    assert (
        digest({"a": value, "b": 1}) == digest({"b": 1, "a": value}) != digest({"a": value, "b": 2})
    )


# ---- profiles


def test_every_study_has_the_four_profiles_each_with_a_help_line() -> None:
    assert len(names()) >= 7
    for study in names():
        assert list(config.profiles(study)) == ["smoke", "quick", "full", "paper"]
        assert all(values["help"] for values in config.profiles(study).values())
        assert config.profile(study, "quick") == {}, "the defaults are the quick profile"


@pytest.mark.parametrize(
    ("study", "name"), [(study, name) for study in names() for name in config.profiles(study)]
)
def test_every_profile_is_a_valid_sweep(study: str, name: str) -> None:
    plan = plan_of(study)
    settings = build(plan.settings, config.profile(study, name))
    assert expand(plan, settings)


def test_full_is_three_corpora_five_seeds_and_fewer_labels() -> None:
    plan = plan_of("generation")
    runs = {
        task.run
        for task in expand(plan, build(plan.settings, config.profile("generation", "full")))
        if task.stage.once_a == "run"
    }
    assert runs == {
        f"{c}-l{n}-s{s}"
        for c in ("bbc", "movies", "wordnet")
        for n in (10, 50, 100)
        for s in range(5)
    }


def test_a_study_without_a_file_of_profiles_has_its_defaults(tmp_path, monkeypatch) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").write_text("")
    monkeypatch.setattr(gdlib.studies, "__path__", [*gdlib.studies.__path__, str(tmp_path)])
    assert config.profiles("mine") == {"quick": {"help": "the default"}}
    (tmp_path / "mine" / "profiles.toml").write_text('[long]\nhelp = "hours"\nsteps = 9\n')
    config._profiles.cache_clear()
    assert config.profile("mine", "long") == {"steps": 9}


def test_unknown_profiles() -> None:
    with pytest.raises(
        UnknownName, match='unknown profile "fast"; known: smoke, quick, full, paper'
    ):
        config.profile("generation", "fast")


NUMBERS = [
    (study, name)
    for study in names()
    for name, meta in config.knobs(plan_of(study).settings).items()
    for value in [getattr(plan_of(study).settings(), name)]
    for first in [next(iter(value), 0) if isinstance(value, tuple) else value]
    if isinstance(first, (int, float)) and not isinstance(first, bool)
    if not (isinstance(value, tuple) and not value)
]


@pytest.mark.parametrize(("study", "name"), NUMBERS)
def test_every_number_has_a_range_that_is_checked_at_the_door(study: str, name: str) -> None:
    kind = plan_of(study).settings
    default, (least, most) = getattr(kind(), name), config.knobs(kind)[name]["range"]
    several = isinstance(default, tuple)
    made = config.build(kind, {name: default})
    assert getattr(made, name) == default, "a default is in its own range"
    whole = isinstance(default[0] if several else default, int)
    bad = [least - 1, 10**12] + ([] if whole else [float("nan"), float("inf"), most + 0.001])
    for value in bad:
        with pytest.raises(BadSetting) as error:
            config.build(kind, {name: (value,) if several else value})
        assert str(error.value) == (
            f"setting {name} = {value if whole else float(value)}: "
            f"expected a number from {least} to {most}"
        )
    with pytest.raises(BadSetting, match=f"^setting {name}"):
        config.build(kind, {name: ("many",) if several else "many"})


SEVERAL = [
    (study, name)
    for study in names()
    for name, meta in config.knobs(plan_of(study).settings).items()
    if meta["some"]
]


@pytest.mark.parametrize(("study", "name"), SEVERAL)
def test_what_has_to_be_one_or_more_is_never_empty_nor_said_twice(study: str, name: str) -> None:
    kind = plan_of(study).settings
    first = getattr(kind(), name)[0]
    for value in ((), (first, first)):
        with pytest.raises(BadSetting) as error:
            config.build(kind, {name: value})
        assert str(error.value) == f"setting {name} = {value}: expected one or more, each once"


ODD = [
    0, -1, 10**12, -(10**400), 1.5, float("nan"), float("inf"), True, None, "", "x\n\x1b[31my",
    b"x", [], [0], [-3], [float("nan")], [None], [[1]], {}, {"a": 1}, {1}, object(), range(3),
]  # fmt: skip


@pytest.mark.parametrize("study", names())
def test_every_knob_takes_a_value_or_refuses_it_in_one_line(study: str) -> None:
    kind = plan_of(study).settings
    default, refusals = kind(), dict.fromkeys(config.knobs(kind), 0)
    for name, meta in config.knobs(kind).items():
        for value in ODD:
            try:
                made = getattr(config.build(kind, {name: value}), name)
            except (BadSetting, UnknownName) as error:
                assert name in str(error) and str(error).isprintable() and len(str(error)) < 2_000
                refusals[name] += 1
                continue
            assert type(made) is type(getattr(default, name))
            for each in made if isinstance(made, tuple) else (made,):
                if choices_of(meta):
                    assert each in choices_of(meta)
                elif not isinstance(each, str):
                    assert meta["range"][0] <= each <= meta["range"][1]
    assert min(refusals.values()) >= 10


@pytest.mark.parametrize("text", ["7" * 5_000, "[" * 5_000, "\ud800", "{", "\x1b[31m"])
def test_whatever_is_typed_for_a_number_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(BadSetting, match="^setting count = ") as error:
        build(Settings, parse(Settings, [f"count={text}"]))
    assert str(error.value).isprintable() and len(str(error.value)) < 500

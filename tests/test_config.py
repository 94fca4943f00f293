"""Settings and the description in a model file: round trips, every check, and hostile descriptions."""

import dataclasses
import itertools
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stargan.config import Architecture, Config, recipes, schedules
from stargan.config.architecture import fitting_layers, fitting_size, parse_size
from stargan.config.recipes import RECIPES, recipe
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.presets import CELEBA_ATTRIBUTES
from stargan.errors import ConfigError, ModelError
from stargan.model.face_crop import CELEBA, FaceCrop
from stargan.model.info import ModelInfo

no_deadline = settings(deadline=None)  # slow examples on a busy machine are no failures
DOMAINS = Domains((LabelSet("faces", (Group(("Male",)), Group(("happy", "sad"), True, "expression"))),))


def config_error(settings: Any) -> str:
    """Returns the error message for invalid settings, which must be one line."""
    with pytest.raises(ConfigError) as caught:
        Config.from_json(settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- ranges


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"width": 0}, "--width 0: must be from 1 to 1024"),
        ({"width": 2000}, "--width 2000: must be from 1 to 1024"),
        ({"blocks": -1}, "--blocks -1: must be from 0 to 1000"),
        ({"blocks": 1001}, "--blocks 1001: must be from 0 to 1000"),
        ({"d_layers": 0}, "--d-layers 0: must be from 1 to 13"),
        ({"d_layers": 20_000}, "--d-layers 20000: must be from 1 to 13"),  # 2**20000 has too many digits to print
        ({"batch_size": 0}, "--batch-size 0: must be at least 1"),
        ({"steps": 0}, "--steps 0: must be at least 1"),
        ({"steps": 2**31}, "--steps 2147483648: must be at most 2147483647"),
        ({"n_critic": 0}, "--n-critic 0: must be at least 1"),
        ({"lambda_cls": -0.5}, "--lambda-cls -0.5: must be at least 0"),
        ({"lambda_rec": -1}, "--lambda-rec -1: must be at least 0"),
        ({"lambda_gp": math.nan}, "--lambda-gp nan: must be at least 0"),
        ({"lambda_gp": math.inf}, "--lambda-gp inf: must be a finite number"),
        ({"seed": -1}, "--seed -1: must be at least 0"),
        ({"seed": 2**63}, f"--seed {2**63}: must be at most {2**63 - 1}"),
        ({"log_every": 0}, "--log-every 0: must be at least 1"),
        ({"sample_every": 0}, "--sample-every 0: must be at least 1"),
        ({"checkpoint_every": 0}, "--checkpoint-every 0: must be at least 1"),
        ({"keep_checkpoints": 0}, "--keep-checkpoints 0: must be at least 1"),
        ({"workers": 0}, "--workers 0: must be at least 1"),
        ({"max_bad": -1}, "--max-bad -1: must be at least 0"),
        ({"lr": 0}, "--lr 0: must be above 0"),
        ({"lr": math.nan}, "--lr nan: must be a finite number"),
        ({"lr": math.inf}, "--lr inf: must be a finite number"),
        ({"beta1": 1.0}, "--beta1 1.0: must be at least 0 and below 1"),
        ({"beta2": 1.5}, "--beta2 1.5: must be at least 0 and below 1"),
        ({"ema": -0.1}, "--ema -0.1: must be at least 0 and below 1"),
        ({"decay_from": 1.1}, "--decay-from 1.1: must be between 0 and 1"),
        ({"final_lr": math.nan}, "--final-lr nan: must be between 0 and 1"),
        ({"final_cls": 1.5}, "--final-cls 1.5: must be between 0 and 1"),
        ({"objective": "wgan"}, "--objective wgan: must be one of wgan-gp, wgan-lp, dragan, gan, lsgan, hinge"),
        ({"targets": "random"}, "--targets random: must be one of permuted, balanced"),
        ({"precision": "fp16"}, "--precision fp16: must be one of auto, fp32, bf16"),
        ({"device": "tpu"}, "--device tpu: must be one of auto, cpu, cuda"),
        ({"crop": 0}, "--crop 0: must be a fraction up to 1, or a whole number of pixels up to 2147483647"),
        ({"crop": 1.5}, "--crop 1.5: must be a fraction up to 1, or a whole number of pixels"),
        ({"crop": 2**31}, "--crop 2147483648: must be a fraction up to 1, or a whole number of pixels"),
        ({"crop": math.nan}, "--crop nan: must be a fraction up to 1, or a whole number of pixels"),
        ({"crop": 200, "align": "faces"}, "--crop 200: must be left out with --align faces"),
        ({"align": "eyes"}, "--align eyes: must be one of none, faces"),
        ({"image_size": [130, 128]}, "--image-size 130x128: must be a multiple of 4 (G halves it twice)"),
        ({"image_size": [128, 0]}, "--image-size 128x0: must be a multiple of 4"),
        ({"image_size": [-64, 64]}, "--image-size -64x64: must be a multiple of 4"),
        (
            {"image_size": [128, 60]},
            "--image-size 128x60: must be at least 64 each way, since D halves it 6 times (or set fewer --d-layers)",
        ),
        ({"image_size": [16384, 128]}, "--image-size 16384x128: must be at most 8192 each way"),
        ({"exclusive": ["A"]}, "--exclusive A: must be two or more names, joined by commas"),
        ({"exclusive": ["A,B", "C,"]}, "must be two or more names"),
    ],
)
def test_ranges(settings: dict[str, Any], line: str) -> None:
    assert line in config_error(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 1, "blocks": 0, "d_layers": 1, "max_bad": 0, "lambda_gp": 0, "final_lr": 1, "decay_from": 0},
        {"image_size": [8192, 8192], "d_layers": 13},
        {"image_size": [4, 8], "d_layers": 2, "crop": 1, "beta1": 0, "seed": 2**63 - 1, "width": 1024},
    ],
)
def test_limits_of_the_ranges_are_valid(settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        actual = getattr(Config.from_json(settings), name)
        assert actual == (tuple(value) if isinstance(value, list) else value)


# ---------------------------------------------------------------- JSON


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ([], "a configuration must be a JSON object, not list"),
        (None, "not NoneType"),
        ({"witdh": 4}, "unknown setting 'witdh'; did you mean width?"),
        ({"batch-size ": 4}, "did you mean batch_size?"),
        ({"\n": 4}, "unknown setting '\\n'; known: data, attributes, "),
        ({"width": "64"}, "setting width: '64' has the wrong type"),
        ({"width": 64.0}, "setting width: 64.0 has the wrong type"),
        ({"width": True}, "setting width: True has the wrong type"),
        ({"width": None}, "setting width: None has the wrong type"),
        ({"lr": "1e-4"}, "setting lr: '1e-4' has the wrong type"),
        ({"lr": False}, "setting lr: False has the wrong type"),
        ({"lr": 10**400}, "setting lr: 1000"),
        ({"flip": 1}, "setting flip: 1 has the wrong type"),
        ({"crop": "178"}, "setting crop: '178' has the wrong type"),
        ({"crop": True}, "setting crop: True has the wrong type"),
        ({"objective": 3}, "setting objective: 3 has the wrong type"),
        ({"image_size": 128}, "setting image_size: 128 has the wrong type"),
        ({"image_size": [128]}, "setting image_size: [128] has the wrong type"),
        ({"image_size": [128, 128, 3]}, "setting image_size: [128, 128, 3] has the wrong type"),
        ({"image_size": [128, 128.0]}, "setting image_size: [128, 128.0] has the wrong type"),
        ({"image_size": [True, 128]}, "setting image_size: [True, 128] has the wrong type"),
        ({"attributes": "Male"}, "setting attributes: 'Male' has the wrong type"),
        ({"data": ["a", 3]}, "setting data: ['a', 3] has the wrong type"),
    ],
)
def test_invalid_json(settings: Any, line: str) -> None:
    assert line in config_error(settings)


configs = st.builds(
    Config,
    data=st.lists(st.text()).map(tuple),
    attributes=st.lists(st.text()).map(tuple),
    exclusive=st.lists(st.sampled_from(["A,B", "x y,z,w"])).map(tuple),
    image_size=st.tuples(*[st.integers(1, 8).map(lambda n: 64 * n)] * 2),
    crop=st.none() | st.integers(1, 500) | st.floats(0, 1, exclude_min=True),
    range=st.none() | st.tuples(st.integers(-2000, 0), st.floats(0.5, 65535)),
    width=st.integers(1, 1024),
    lr=st.floats(1e-9, 1),
    lambda_cls=st.floats(0, 1e9),
    beta1=st.floats(0, 0.99),
    flip=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    objective=st.sampled_from(["wgan-gp", "hinge"]),
)


@no_deadline
@given(configs)
def test_json_round_trip(config: Config) -> None:
    assert Config.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert Config.from_json(config.to_json()) == config


def test_missing_settings_have_their_defaults() -> None:
    assert Config.from_json({}) == Config()
    assert Config.from_json({"steps": 7}) == Config(steps=7)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**400, -(10**400)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@no_deadline
@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Config)]), json_values, max_size=3))
def test_any_json_is_a_configuration_or_a_config_error(settings: dict[str, Any]) -> None:
    try:
        config = Config.from_json(settings)
    except ConfigError as error:
        assert str(error).startswith(("--", "setting "))  # noqa: PT017  (either outcome is right)
    else:
        assert Config.from_json(config.to_json()) == config


# ---------------------------------------------------------------- sizes and recipes


@pytest.mark.parametrize(
    ("text", "size"), [("128", (128, 128)), ("160x128", (160, 128)), (" 64X32 ", (64, 32)), ("0", (0, 0))]
)
def test_parse_size(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "x", "128x", "x128", "12a", "-4", "1.5", "128x128x3", "128 x 128", "9" * 6, "1e3"]
)
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(ConfigError, match=r"must be N or WIDTHxHEIGHT, for example 128 or 160x128"):
        parse_size(text)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes(name: str) -> None:
    config = recipe(name)
    assert config.recipe == name  # so that a run records its recipe
    assert Config.from_json(config.to_json()) == config
    assert dataclasses.replace(config, seed=1).seed == 1  # this runs the checks again
    assert {attribute for group in config.exclusive for attribute in group.split(",")} <= set(config.attributes)


def test_recipes_have_the_settings_of_the_paper() -> None:
    celeba = recipe("celeba")
    assert celeba.attributes == CELEBA_ATTRIBUTES
    assert (celeba.image_size, celeba.crop, celeba.batch_size, celeba.n_critic) == ((128, 128), None, 16, 5)
    assert (celeba.lr, celeba.beta1, celeba.beta2, celeba.objective) == (1e-4, 0.5, 0.999, "wgan-gp")
    assert (celeba.lambda_cls, celeba.lambda_rec, celeba.lambda_gp) == (1, 10, 10)
    assert celeba.steps == 20 * (200_599 // 16)
    assert recipe("rafd").steps == 200 * (4_824 * 9 // 10 // 16)


@pytest.mark.parametrize(
    ("size", "method", "name", "layers"),
    [
        ((128, 128), None, "edit", 6),
        ((64, 64), "stargan", "edit", 5),
        ((32, 32), None, "modern", 4),
        ((96, 96), None, "modern", 5),
        ((128, 64), None, "modern", 5),
        ((512, 252), "stargan", "modern", 6),
        ((512, 255), "stargan", "modern-256", 6),  # which becomes 512x256
        ((256, 256), None, "edit", 6),
        ((256, 260), None, "modern-256", 6),
        ((512, 600), None, "modern-512", 6),
        ((512, 512), "cyclegan", "cyclegan", 3),
    ],
)
def test_recipes_by_image_size(size: tuple[int, int], method: str | None, name: str, layers: int) -> None:
    config = recipes.base(None, method, size)
    assert config.recipe == name
    assert recipes.layers_for(config, fitting_layers(size)) == layers
    assert recipes.base("paper", None, size) == recipe("paper")


def test_the_recipe_for_a_size_is_that_for_the_size_it_becomes() -> None:
    """The command chooses it before and after it has changed the size."""
    for size in ((63, 63), (62, 65), (127, 129), (1022, 1023)):
        nearest = fitting_size(size, "stargan")
        assert recipes.base(None, size=size) == recipes.base(None, size=nearest)
    assert recipes.base(None, size=(63, 63)).recipe == "edit"


def test_recipes_by_generator_and_number_of_data_sets() -> None:
    assert recipes.base(None, generator="edit").recipe == recipes.base(None, sets=1).recipe == "edit"
    assert recipes.base(None, size=(100, 100), generator="edit").recipe == "edit"
    assert recipes.base(None, discriminator="stargan").recipe == "modern"
    assert recipes.base(None, generator="stargan").recipe == recipes.base(None, sets=2).recipe == "modern"
    assert recipes.base(None, size=(256, 256), sets=2).recipe == "modern-256"


def test_unknown_recipe() -> None:
    with pytest.raises(ConfigError, match=r"--recipe celebb: unknown; did you mean celeba\?"):
        recipe("celebb")


# ---------------------------------------------------------------- learning rate


def test_learning_rate_is_constant_at_first_and_then_falls_to_zero() -> None:
    config = Config(steps=1000, lr=0.1)
    rates = [schedules.learning_rate(config, step) for step in (0, 1, 499, 500, 750, 900, 1000, 5000)]
    assert rates == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.02, 0, 0], abs=1e-12)


def test_learning_rate_ends_at_final_lr() -> None:
    config = Config(steps=100, lr=1.0, decay_from=0.0, final_lr=0.1)
    assert [schedules.learning_rate(config, step) for step in (0, 50, 100)] == pytest.approx([1, 0.55, 0.1])
    constant = Config(steps=100, lr=1.0, decay_from=1.0)
    assert {schedules.learning_rate(constant, step) for step in (0, 50, 100, 200)} == {1.0}


@no_deadline
@given(
    st.builds(Config, steps=st.integers(1, 200), decay_from=st.floats(0, 1), final_lr=st.floats(0, 1), lr=st.just(1.0))
)
def test_learning_rate_never_rises(config: Config) -> None:
    rates = [schedules.learning_rate(config, step) for step in range(config.steps + 3)]
    assert all(first >= second for first, second in itertools.pairwise(rates))
    assert rates[0] == 1
    falls = config.decay_from * config.steps < config.steps  # with a fraction close to 1 the product rounds to `steps`
    assert rates[-1] == (pytest.approx(config.final_lr) if falls else 1)


def test_the_classification_weight_falls_to_final_cls() -> None:
    config = Config(steps=100, lambda_cls=5.0, final_cls=0.2)
    assert [schedules.class_weight(config, step) for step in (0, 50, 100)] == pytest.approx([5, 3, 1])
    assert {schedules.class_weight(Config(lambda_cls=0.3), step) for step in range(0, 200_001, 1000)} == {0.3}


# ---------------------------------------------------------------- ModelInfo

INFO = ModelInfo(
    domains=DOMAINS,
    architecture=Architecture((160, 128), width=4, blocks=0, d_layers=2),
    crop=0.75,
    face_crop=FaceCrop((-0.1, 0.0), (0.1, 0.0), (-0.08, 0.2), (0.08, 0.2)),
    label_frequencies=(0.4, 0.25, 0.75),
    classifier=True,
    recipe="celeba",
    steps=12,
    data=({"name": "faces", "kind": "celeba", "training_images": 1000},),
    quality={"val/hit": 0.5, "images": 128},
    licence="für Forschung — “only”, 研究",
)


def model_error(plain: Any) -> str:
    """Returns the error message for an invalid description, which must be one short line."""
    with pytest.raises(ModelError) as caught:
        ModelInfo.loads(plain if isinstance(plain, str) else json.dumps(plain))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    return str(caught.value)


def changed(**settings: Any) -> dict[str, Any]:
    """Returns a valid description with some of its fields, or its architecture's, replaced."""
    plain = json.loads(INFO.dumps())
    architecture = plain["architecture"]
    for name, value in settings.items():
        (architecture if name in architecture else plain)[name] = value
    return plain


def test_info_round_trip() -> None:
    assert ModelInfo.loads(INFO.dumps()) == INFO
    plain = ModelInfo(domains=DOMAINS, architecture=Architecture((16, 16)))
    assert ModelInfo.loads(plain.dumps()) == plain
    assert json.loads(INFO.dumps())["format"] == "stargan-model-2"
    assert "研究" in INFO.dumps()  # not escaped, so that people can read it in the file


@no_deadline
@given(
    st.builds(
        ModelInfo,
        domains=st.just(DOMAINS),
        architecture=st.builds(
            Architecture,
            image_size=st.tuples(*[st.integers(1, 2048).map(lambda n: 4 * n)] * 2),
            width=st.integers(1, 1024),
            blocks=st.integers(0, 1000),
            d_layers=st.integers(1, 13),
            attention_mask=st.booleans(),
            resize_conv=st.booleans(),
        ),
        crop=st.none() | st.floats(0, 1, exclude_min=True) | st.integers(179, 2**31 - 1),
        label_frequencies=st.just(()) | st.tuples(*[st.floats(0, 1)] * 3),
        steps=st.integers(0, 2**31 - 1),
        recipe=st.text(),
        licence=st.text(),
        quality=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    )
)
def test_any_info_round_trip(info: ModelInfo) -> None:
    assert ModelInfo.loads(info.dumps()) == info


@pytest.mark.parametrize("config", RECIPES.values(), ids=RECIPES)
def test_info_round_trip_for_every_recipe(config: Config) -> None:
    info = ModelInfo(DOMAINS, config.architecture, config.crop, recipe=config.recipe, steps=config.steps)
    assert ModelInfo.loads(info.dumps()) == info


def test_the_crop_of_celeba_in_old_files_is_a_place() -> None:
    """Its 178 pixels are never looked for in an image of another size."""
    old = ModelInfo.loads(json.dumps(changed(crop=178, face_crop=None)))
    assert (old.crop, old.face_crop) == (None, CELEBA)
    assert ModelInfo.loads(json.dumps(changed(crop=200, face_crop=None))).crop == 200
    assert ModelInfo.loads(json.dumps(changed(crop=178))).face_crop == INFO.face_crop


HOSTILE = {
    "not json": "{",
    "empty": "",
    "not an object": "[]",
    "a text": '"format"',
    "a number": "1",
    "null": "null",
    "too deep": "[" * 100_000,
    "too deep inside": json.dumps(changed(quality="DEEP")).replace('"DEEP"', "[" * 50_000 + "]" * 50_000),
    "too many digits": json.dumps(changed(steps="N")).replace('"N"', "9" * 5000),
    "no format": "{}",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_unreadable_descriptions(name: str) -> None:
    assert model_error(HOSTILE[name]).startswith("its description cannot be read (")


def test_deeply_nested_values() -> None:
    nested: Any = []
    for _ in range(700):
        nested = [nested]
    for name in ("quality", "data", "domains", "label_frequencies", "recipe", "crop", "image_size", "width"):
        model_error(changed(**{name: nested}))
    model_error(changed(data=["x", nested]))


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(ModelInfo)])
def test_missing_keys(name: str) -> None:
    plain = changed()
    del plain[name]
    if name in ("domains", "architecture"):
        assert f"its description cannot be read (KeyError: '{name}')" in model_error(plain)
    else:  # a file from an older version, which did not have this field
        default = next(f for f in dataclasses.fields(ModelInfo) if f.name == name)
        expected = {} if default.default is dataclasses.MISSING else default.default
        assert getattr(ModelInfo.loads(json.dumps(plain)), name) == expected


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"format": "stargan-model-3"}, "not of the format stargan-model-2; written by a newer version of stargan?"),
        ({"format": None}, "not of the format"),
        ({"extra": 1}, "unknown field 'extra'; written by a newer version of stargan?"),
        ({"\n": 1}, "unknown field '\\n'"),
        ({"width": "4"}, "setting width: '4' has the wrong type"),
        ({"width": 0}, "its description cannot be read: width 0: must be from"),
        ({"width": True}, "setting width: True has the wrong type"),
        ({"width": 4.0}, "setting width: 4.0 has the wrong type"),
        ({"width": 10**30}, "must be from 1 to 1024"),
        ({"blocks": -1}, "its description cannot be read: blocks -1: must be from"),
        ({"blocks": 10**9}, "its description cannot be read: blocks 1000000000: must be from"),
        ({"d_layers": 0}, "its description cannot be read: d-layers 0: must be from"),
        ({"d_layers": 10**9}, "its description cannot be read: d-layers 1000000000: must be from"),
        ({"steps": -1}, "its description has steps -1, not a count"),
        ({"steps": None}, "its description has steps None, not a count"),
        ({"image_size": [128]}, "setting image_size: [128] has the wrong type"),
        ({"image_size": "12"}, "setting image_size: '12' has the wrong type"),
        ({"image_size": 128}, "setting image_size: 128 has the wrong type"),
        ({"image_size": [130, 128]}, "image-size 130x128: must be a multiple of 4"),
        ({"image_size": [0, 128]}, "must be a multiple of 4"),
        ({"image_size": [128, 16384]}, "must be at most 8192 each way"),
        ({"image_size": [128.0, 128]}, "has the wrong type"),
        ({"crop": "178"}, "its description has crop '178', not a fraction up to 1 or a number of pixels"),
        ({"crop": 0}, "its description has crop 0, not a fraction up to 1 or a number of pixels"),
        ({"crop": 10**400}, "not a fraction up to 1 or a number of pixels"),
        ({"crop": True}, "its description has crop True, not a fraction up to 1 or a number of pixels"),
        ({"label_frequencies": [0.5]}, "its description has 1 label frequencies for 3 classes"),
        ({"label_frequencies": ["a", "b", "c"]}, "not numbers in [0, 1]"),
        ({"label_frequencies": [0, 0.5, 1.5]}, "not numbers in [0, 1]"),
        ({"label_frequencies": [0, math.nan, 1]}, "not numbers in [0, 1]"),
        ({"label_frequencies": [0, True, 1]}, "not numbers in [0, 1]"),
        ({"label_frequencies": None}, "its description cannot be read (TypeError"),
        ({"attention_mask": 1}, "setting attention_mask: 1 has the wrong type"),
        ({"resize_conv": None}, "setting resize_conv: None has the wrong type"),
        ({"classifier": 1}, "its description has classifier 1, not true or false"),
        ({"classifier": "no"}, "its description has classifier 'no', not true or false"),
        ({"recipe": None}, "its description has recipe None, not text"),
        ({"licence": ["MIT"]}, "its description has licence ['MIT'], not text"),
        ({"licence": "\ud800"}, "its description cannot be read (UnicodeEncodeError"),
        ({"quality": []}, "its description has quality [], not figures by name"),
        ({"quality": {"hit": "high"}}, "not finite figures by name"),
        ({"quality": {"hit": 10**400}}, "not finite figures by name"),
        ({"data": ["faces"]}, "its description has data ('faces',), not one object per data set"),
        ({"data": 3}, "its description cannot be read (TypeError"),
        ({"data": [["x" * 1000]] * 1000}, "not one object per data set"),  # and the message stays short
        ({"domains": None}, "its description cannot be read: domains are not in the expected form"),
        ({"domains": []}, "its description cannot be read: a model needs at least one set of labels"),
        ({"domains": [{"name": "a", "groups": []}]}, "its description cannot be read: a: no labels"),
        ({"domains": [{"name": "a\n", "groups": []}]}, "'a\\n' contains characters that cannot be printed"),
    ],
)
def test_hostile_descriptions(settings: dict[str, Any], line: str) -> None:
    assert line in model_error(changed(**settings))


def test_many_classes_are_read_quickly() -> None:
    groups = [{"name": "", "names": [f"a{i}"], "categorical": False} for i in range(20_000)]
    info = ModelInfo.loads(json.dumps(changed(domains=[{"name": "x", "groups": groups}], label_frequencies=[])))
    assert info.domains.num_classes == 20_000


@no_deadline
@given(
    st.dictionaries(st.sampled_from([*json.loads(INFO.dumps()), "other"]), json_values, max_size=3),
    st.sets(st.sampled_from(list(json.loads(INFO.dumps())))),
)
def test_any_description_is_read_or_a_model_error(settings: dict[str, Any], missing: set[str]) -> None:
    plain = {name: value for name, value in changed(**settings).items() if name not in missing or name in settings}
    check(json.dumps(plain))


@no_deadline
@given(st.data())
def test_domains_of_any_form_are_read_or_a_model_error(data: st.DataObject) -> None:
    """Replaces one value anywhere in the domains."""
    plain = changed()
    parent: Any = plain["domains"]
    key: Any = 0
    while isinstance(parent[key], list | dict) and parent[key] and data.draw(st.booleans()):
        parent = parent[key]
        key = data.draw(st.sampled_from(list(parent) if isinstance(parent, dict) else list(range(len(parent)))))
    parent[key] = data.draw(json_values)
    check(json.dumps(plain))


@no_deadline
@given(
    st.integers(0, len(INFO.dumps())), st.integers(0, 30), st.text(alphabet='[]{}",:-0e9.ntrueNaInfiy\\ud8', max_size=6)
)
def test_any_text_is_read_or_a_model_error(start: int, length: int, text: str) -> None:
    whole = INFO.dumps()
    check(whole[:start] + text + whole[start + length :])


def check(text: str) -> None:
    """Reads a description. If it is valid, writing it and reading it again must give the same description."""
    try:
        info = ModelInfo.loads(text)
    except ModelError as error:
        assert "\n" not in str(error)  # noqa: PT017  (either outcome is right)
    else:
        assert ModelInfo.loads(info.dumps()).dumps() == info.dumps()


def test_learning_rates_of_recipes_follow_their_sources() -> None:
    # Official solver.py: from the middle on, the rate falls by 1e-4 / 100,000 every 1,000 updates, a hundred times.
    official = recipe("official")
    assert schedules.learning_rate(official, 100_999) == 1e-4
    assert schedules.learning_rate(official, 101_000) == pytest.approx(1e-4 - 1e-9, rel=1e-12)
    assert schedules.learning_rate(official, 199_999) == pytest.approx(1e-4 - 99e-9, rel=1e-12)
    # taki0112 StarGAN.py: lr * (20 - epoch) / 10 from epoch 10 on, with 10,000 updates per epoch.
    taki0112 = recipe("taki0112")
    for step in (0, 99_999, 100_000, 109_999, 110_000, 155_000, 199_999):
        epoch = step // 10_000
        assert schedules.learning_rate(taki0112, step) == pytest.approx(1e-4 * (1 if epoch < 10 else (20 - epoch) / 10))


# ---------------------------------------------------------------- sizes that fit


@pytest.mark.parametrize(
    ("size", "fitting", "layers"),
    [
        ((32, 32), (32, 32), 4),
        ((96, 96), (96, 96), 5),
        ((100, 100), (100, 100), 5),
        ((200, 200), (200, 200), 6),
        ((127, 130), (128, 132), 6),
        ((256, 256), (256, 256), 7),
        ((5, 4), (4, 4), 1),
        ((8191, 4), (8192, 4), 1),
    ],
)
def test_sizes_of_images_and_of_d(size: tuple[int, int], fitting: tuple[int, int], layers: int) -> None:
    assert fitting_size(size, "stargan") == fitting
    assert fitting_layers(fitting) == layers
    assert Config(image_size=fitting, d_layers=layers)


@pytest.mark.parametrize(
    ("size", "side"), [((32, 32), 64), ((96, 96), 128), ((100, 80), 64), ((200, 200), 256), ((1000, 1000), 512)]
)
def test_sizes_of_the_edit_generator(size: tuple[int, int], side: int) -> None:
    assert fitting_size(size, "edit") == (side, side)

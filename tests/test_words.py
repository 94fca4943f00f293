"""Words for people: synonyms and strengths."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from test_domains import CELEBA, RAFD, SEASONS, any_domains, calm, celeba, error_line, one, rafd

from stargan.domains import Domains, Group, LabelSet, presets, requests
from stargan.domains.names import key
from stargan.errors import DomainError, ModelError
from stargan.model.info import ModelInfo

CELEBA_40 = re.findall(
    r"\w+",
    """5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair
    Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male
    Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
    Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace
    Wearing_Necktie Young""",
)
everything = one(*(Group((name,)) for name in CELEBA_40), name="celeba")


def meaning(domains: Domains, word: str) -> str:
    """What one word means, as a request in names."""
    [(index, state)] = requests.parse(domains, [word]).items()
    return requests.word(domains, index, state)


# ---------------------------------------------------------------- synonyms


@pytest.mark.parametrize(
    ("word", "label"),
    [
        ("female", "Male=0"),
        ("Woman", "Male=0"),
        ("man", "Male"),
        ("-female", "Male"),
        ("female=0", "Male"),
        ("female=1", "Male=0"),
        ("not female", "Male"),
        ("not male", "Male=0"),
        ("old", "Young=0"),
        ("not-old", "Young"),
        ("black hair", "Black_Hair"),
        ("BLONDE", "Blond_Hair"),
        ("grey hair", "Gray_Hair"),
        ("no black hair", "Black_Hair=0"),
        ("glasses", "Eyeglasses"),
        ("no glasses", "Eyeglasses=0"),
        ("no_eyeglasses", "Eyeglasses=0"),
        ("without glasses", "Eyeglasses=0"),
        ("celeba/no glasses", "Eyeglasses=0"),
        ("smile", "Smiling"),
        ("no smile", "Smiling=0"),
        ("not smiling", "Smiling=0"),
        ("no beard", "No_Beard"),  # a label's own name goes first
        ("beard", "No_Beard=0"),
        ("without beard", "No_Beard"),
        ("not bald", "Bald=0"),
        ("hat", "Wearing_Hat"),
        ("without hat", "Wearing_Hat=0"),
        ("no oval face", "Oval_Face=0"),  # has no synonyms
        ("make up", "Heavy_Makeup"),
    ],
)
def test_words_for_celeba(word: str, label: str) -> None:
    assert meaning(everything, word) == label


def test_presets_apply_to_the_labels_that_are_there() -> None:
    assert {label.removesuffix("=0") for _, label in CELEBA.synonyms} == set(celeba.names)
    assert meaning(one(Group(("gray hair",)), Group(("young",))), "grey hair") == "gray hair"
    assert meaning(one(Group(("MALE",))), "female") == "MALE=0"
    assert RAFD.synonyms == SEASONS.synonyms == ()
    beard = one(Group(("Beard",)), Group(("No_Beard",)))
    assert (meaning(beard, "beard"), meaning(beard, "no beard")) == ("Beard", "No_Beard")


def test_presets_do_not_replace_names() -> None:
    domains = one(Group(("male", "female"), True), Group(("tie", "Wearing_Necktie"), True, "hat"), Group(("Blond",)))
    assert meaning(domains, "female") == "female"
    assert meaning(domains, "man") == "male"
    assert meaning(domains, "tie") == "tie"
    assert "woman" in error_line(one(Group(("male", "other"), True)), ["woman"])  # not a matter of two values


def test_presets_fit_together() -> None:
    """Each word has one meaning among all of CelebA's labels, and none is a label's name."""
    named = [word for name in CELEBA_40 for side in presets.synonyms(name) for word in side]
    assert len(set(map(key, named))) == len(named)
    assert not set(map(key, named)) & (set(map(key, CELEBA_40)) - {"no_beard"})
    assert len(everything.sets[0].synonyms) == len(named)
    for word, label in everything.sets[0].synonyms:
        assert meaning(everything, word) == label


def test_synonyms_of_several_sets() -> None:
    domains = Domains((CELEBA, LabelSet("other", (Group(("Male",)), Group(("old", "new"), True)))))
    assert error_line(domains, ["female"]) == "female is in several data sets; name one of celeba/Male=0, other/Male=0"
    assert meaning(domains, "other/female") == "other/Male=0"
    assert meaning(domains, "celeba/not female") == "celeba/Male"
    assert meaning(domains, "old") == "old"  # a name goes before another set's synonym
    assert meaning(domains, "celeba/old") == "Young=0"


def test_errors_suggest_synonyms() -> None:
    assert error_line(celeba, ["femal"]) == "unknown domain 'femal'; did you mean female?"
    assert error_line(everything, ["no glases"]).endswith("did you mean no glasses?")
    assert error_line(rafd, ["no zzz"]).endswith("known: " + ", ".join((*rafd.names, "expression")))  # not synonyms


def test_synonyms_do_not_affect_equality() -> None:
    bare = Domains((replace(CELEBA, synonyms=()),))
    assert bare == celeba
    assert hash(bare) == hash(celeba)
    assert bare.same_layout(celeba)
    assert bare.layout == celeba.layout
    assert "unknown domain 'female'" in error_line(bare, ["female"])  # also after the other has been used
    assert meaning(celeba, "female") == "Male=0"


def test_synonyms_in_json() -> None:
    own = Domains((LabelSet("faces", (Group(("Male",)), Group(("a", "b"), True, "g")), (("lady", "Male=0"),)),))
    (plain,) = json.loads(json.dumps(own.to_json()))
    assert plain["synonyms"] == {"lady": "Male=0"}
    read = Domains.from_json([plain])
    assert (meaning(read, "lady"), read.sets) == ("Male=0", own.sets)
    assert read.sets[0].synonyms == own.sets[0].synonyms
    assert meaning(Domains.from_json([{**plain, "synonyms": {"first": "g = a", "2nd": "b=1"}}]), "2nd") == "b"
    del plain["synonyms"]  # as in files of earlier versions
    assert meaning(Domains.from_json([plain]), "woman") == "Male=0"
    assert "unknown" in error_line(Domains.from_json([{**plain, "synonyms": {}}]), ["woman"])


@pytest.mark.parametrize(
    ("synonyms", "line"),
    [
        (
            {"lady": "Female"},
            "faces: the synonym 'lady' stands for 'Female', which is not a label; must be one of Male, a",
        ),
        ({"lady": "Male=2"}, "which is not a label"),
        ({"lady": ""}, "which is not a label"),
        ({"lady": "=0"}, "which is not a label"),
        ({"MALE": "Male=0"}, "the synonym 'MALE' is also a label's own name"),
        ({"g": "Male"}, "the synonym 'g' is also a label's own name"),
        ({"big boy": "Male", "Big-Boy": "a"}, "the synonym 'Big-Boy' has two meanings"),
        ({"a=b": "Male"}, "cannot name a domain"),
        ({"": "Male"}, "cannot name a domain"),
        ({"-x": "Male"}, "cannot name a domain"),
        ({"a\nb": "Male"}, "cannot name a domain"),
        ({"lady": 0}, "int where str is expected"),
        ({"lady": None}, "NoneType where str is expected"),
        ([], "list where dict is expected"),
        (None, "NoneType where dict is expected"),
    ],
)
def test_synonyms_that_cannot_be(synonyms: Any, line: str) -> None:
    groups = [
        {"names": ["Male"], "categorical": False, "name": ""},
        {"names": ["a", "b"], "categorical": True, "name": "g"},
    ]
    plain = [{"name": "faces", "groups": groups, "synonyms": synonyms}]
    with pytest.raises(DomainError) as caught:
        Domains.from_json(plain)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)
    description = {"format": "stargan-model-2", "domains": plain, "architecture": {"image_size": [16, 16]}}
    with pytest.raises(ModelError, match="its description cannot be read"):
        ModelInfo.loads(json.dumps(description))


def test_what_can_be_requested_is_listed() -> None:
    assert repr(celeba).splitlines()[2:4] == ["Brown_Hair: brunette, brunet, brown haired", "Male: man, masculine"]
    assert [line.partition(":")[0] for line in str(celeba).splitlines()] == list(requests.every_word(celeba))
    assert repr(rafd).splitlines() == list(rafd.names)
    two = one(Group(("a", "b")))
    assert list(two.words()) == ["a", "b"]
    own = Domains((replace(two.sets[0], synonyms=(("not that", "b=0"),)),))
    assert own.words() == {"a": (), "b": (), "b=0": ("not that",)}


@calm
@given(any_domains())
def test_listed_words_are_understood(domains: Domains) -> None:
    for word, also in domains.words().items():
        assert all(requests.parse(domains, [other]) == requests.parse(domains, [word]) for other in also)


# ---------------------------------------------------------------- strengths


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["Blond_Hair", "Male=0"], [(1.0, {"Blond_Hair": 1, "Male": 0})]),
        ({"Blond_Hair": 0.6, "Male": 0}, [(1.0, {"Male": 0}), (0.6, {"Blond_Hair": 1})]),
        (["Blond_Hair=0.6", "-Male"], [(1.0, {"Male": 0}), (0.6, {"Blond_Hair": 1})]),
        ("Male=-0.6", [(0.6, {"Male": 0})]),
        ({"Male": -1}, [(1.0, {"Male": 0})]),
        ({"Male": 1.5, "Young": 0.2, "blonde": 0.2}, [(1.5, {"Male": 1}), (0.2, {"Blond_Hair": 1, "Young": 1})]),
        ({"female": 0.6}, [(0.6, {"Male": 0})]),
        ({"female": -0.6}, [(0.6, {"Male": 1})]),
        ({"female": 0}, [(1.0, {"Male": 1})]),
        (["no black hair=0.5"], [(0.5, {"Black_Hair": 0})]),
        ({"Blond_Hair": 0.6, "Black_Hair": 0}, [(0.6, {"Black_Hair": 0, "Blond_Hair": 1})]),  # one group, one part
        ({"Blond_Hair": 0.6, "Black_Hair": -1}, [(0.6, {"Black_Hair": 0, "Blond_Hair": 1})]),
        ({"Young": np.float32(0.5)}, [(0.5, {"Young": 1})]),
        ({"Young": "0.5"}, [(0.5, {"Young": 1})]),
        (["Male=0.6", "man=0.6"], [(0.6, {"Male": 1})]),
        (["Male=-0.0"], [(1.0, {"Male": 0})]),
    ],
)
def test_requests_with_strengths(words: Any, parts: Any) -> None:
    assert requests.steps(celeba, words) == parts
    together = {name: state for _, part in parts for name, state in part.items()}
    assert requests.parse(celeba, words) == requests.parse(celeba, together)


def test_strengths_of_group_values() -> None:
    assert requests.steps(rafd, ["expression=happy=0.6"]) == [(0.6, {"happy": 1})]
    assert requests.steps(rafd, ["expression=happy"]) == [(1.0, {"happy": 1})]
    sizes = one(Group(("0", "0.5", "1.5"), True, "size"))
    assert requests.steps(sizes, ["size=0.5"]) == [(1.0, {"0.5": 1})]
    assert requests.steps(sizes, ["0.5=0.5", "1.5=0"]) == [(0.5, {"0.5": 1, "1.5": 0})]


@pytest.mark.parametrize("strength", [1.51, -1.51, 1e300, -2, float("nan"), float("inf"), float("-inf"), 10**400])
def test_strengths_out_of_range(strength: float) -> None:
    expected = "must be 1 (on), 0 (off) or a strength from -1.5 to 1.5; negative ones turn off"
    assert expected in error_line(celeba, {"Male": strength})
    if isinstance(strength, float):
        assert expected in error_line(celeba, [f"Male={strength}"])


def test_strengths_that_contradict_each_other() -> None:
    expected = "Black_Hair and Blond_Hair exclude each other; request them at the same strength"
    assert error_line(celeba, {"Black_Hair": 0.6, "Blond_Hair": -0.3}) == expected
    assert error_line(celeba, {"Male": 0.6, "man": 0.7}) == "Male is requested at two strengths; choose one of them"
    assert "both on and off" in error_line(celeba, {"Male": 0.6, "man": -0.6})


@calm
@given(any_domains(), st.data())
def test_steps_are_plain_requests_for_all_changes(domains: Domains, data: st.DataObject) -> None:
    strengths = st.floats(-1.5, 1.5).filter(lambda number: number != 0)
    words = data.draw(st.dictionaries(st.sampled_from(domains.names), strengths, min_size=1))
    try:
        parts = requests.steps(domains, words)
    except DomainError as error:
        assume("exclude each other" not in str(error) and "must stay on" not in str(error))
        raise
    found = list(dict.fromkeys(strength for strength, _ in parts))  # several of one strength: of several data sets
    expected = set[float]()
    for _, columns, _ in domains.groups():
        own = [words[name] for name in (domains.names[index] for index in columns) if name in words]
        if own:  # what is turned off at full strength takes the strength of the rest of its group
            expected |= {abs(strength) for strength in own if strength != -1} or {1.0}
    assert found == sorted(expected, reverse=True)
    together = {name: state for _, part in parts for name, state in part.items()}
    assert together == {name: int(strength > 0) for name, strength in words.items()}
    for _, part in parts:
        assert requests.steps(domains, part) == [(1.0, part)]


def test_labels_of_an_image_have_no_strength() -> None:
    requests.check_plain(celeba, ["black hair", "female"])
    with pytest.raises(DomainError, match=r"^Male=-0\.6: must be 0 or 1 here, without a strength$"):
        requests.check_plain(celeba, {"female": 0.6})

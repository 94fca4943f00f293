"""Requests to label vectors and domain masks, for any domains and for those of the paper."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from stargan.domains import Domains, Group, Head, LabelSet, requests
from stargan.domains.names import suggest
from stargan.errors import DomainError

HAIR = Group(("Black_Hair", "Blond_Hair", "Brown_Hair"))
CELEBA = LabelSet("celeba", (HAIR, Group(("Male",)), Group(("Young",))))
FACES = ("angry", "contemptuous", "disgusted", "fearful", "happy", "neutral", "sad", "surprised")
RAFD = LabelSet("rafd", (Group(FACES, categorical=True, name="expression"),))
SEASONS = LabelSet("yosemite", (Group(("winter", "summer"), categorical=True, name="season"),))


def one(*groups: Group, name: str = "set") -> Domains:
    return Domains((LabelSet(name, groups),))


def values_of(domains: Domains, *on: str) -> np.ndarray:
    return np.array([float(name in on) for name in domains.names], np.float32)


def error_line(domains: Domains, words: Any, values: np.ndarray | None = None) -> str:
    """The error line of a request."""
    with pytest.raises(DomainError) as caught:
        requests.target(domains, np.zeros(domains.num_classes) if values is None else values, words)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- CelebA's five

celeba = Domains((CELEBA,))


def test_celeba_layout() -> None:
    assert celeba.names == ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
    assert (celeba.num_classes, celeba.num_labels) == (5, 5)  # one data set has no domain mask
    assert celeba.heads(0) == (Head(0, 5, False),)
    assert celeba.heads(0)[0].columns == slice(0, 5)


@pytest.mark.parametrize("words", [["Brown_Hair", "Male=0", "Young"], dict.fromkeys(celeba.names, 0)])
def test_requests_that_specify_everything(words: Any) -> None:
    assert requests.fully_specified(celeba, words)
    least, most = np.zeros(5, np.float32), np.ones(5, np.float32)
    assert np.array_equal(requests.apply(celeba, least, words)[0], requests.apply(celeba, most, words)[0])


@pytest.mark.parametrize("words", [["Black_Hair", "Male"], ["Black_Hair=0", "Blond_Hair=0", "Male", "Young"]])
def test_requests_that_leave_something_open(words: Any) -> None:
    assert not requests.fully_specified(celeba, words)


def test_celeba_requests() -> None:
    values = values_of(celeba, "Black_Hair", "Male", "Young")
    assert requests.target(celeba, values, ["Blond_Hair"]).tolist() == [0, 1, 0, 1, 1]
    assert requests.target(celeba, values, {"Blond_Hair": 1, "Male": 0}).tolist() == [0, 1, 0, 0, 1]
    assert requests.target(celeba, values, ["-Black_Hair"]).tolist() == [0, 0, 0, 1, 1]  # hair of no named colour
    assert requests.target(celeba, values, "Young=0").tolist() == [1, 0, 0, 1, 0]  # one word needs no list
    assert requests.target(celeba, values, ["Black_Hair"]).dtype == np.float32
    assert values.tolist() == [1, 0, 0, 1, 1]  # the values of the image stay as they are


def test_celeba_every_and_changes() -> None:
    values = values_of(celeba, "Black_Hair", "Male")
    every = {word: labels.tolist() for word, labels in requests.every_target(celeba, values)}
    assert every == {
        "Black_Hair": [1, 0, 0, 1, 0],
        "Blond_Hair": [0, 1, 0, 1, 0],
        "Brown_Hair": [0, 0, 1, 1, 0],
        "Male=0": [1, 0, 0, 0, 0],
        "Young": [1, 0, 0, 1, 1],
    }
    assert [word for word, _, _ in requests.single_changes(celeba, values)] == [
        "Blond_Hair",
        "Brown_Hair",
        "Male=0",
        "Young",
    ]


def test_celeba_decisions() -> None:
    probabilities = np.array([[0.6, 0.9, 0.7, 0.5, 0.51], [0.1, 0.4, 0.2, 1, 0]], np.float32)
    assert celeba.decide(probabilities).tolist() == [[0, 1, 0, 0, 1], [0, 0, 0, 1, 0]]


def test_celeba_probabilities() -> None:
    logits = np.array([[0, np.log(3), -np.log(3), 1000, -1000]], np.float32)
    assert celeba.probabilities(logits)[0] == pytest.approx([0.5, 0.75, 0.25, 1, 0], abs=1e-6)


# ---------------------------------------------------------------- RaFD's eight

rafd = Domains((RAFD,))


def test_rafd_layout() -> None:
    assert rafd.names == FACES
    assert (rafd.num_classes, rafd.num_labels) == (8, 8)
    assert rafd.heads(0) == (Head(0, 8, True),)


@pytest.mark.parametrize("words", [["happy"], ["expression=happy"], ["Expression = HAPPY"], {"expression": "happy"}])
def test_rafd_requests(words: Any) -> None:
    assert requests.target(rafd, values_of(rafd, "neutral"), words).tolist() == values_of(rafd, "happy").tolist()


def test_rafd_keeps_one_expression() -> None:
    neutral = values_of(rafd, "neutral")
    assert "sad=0 does not say" not in str(requests.target(rafd, neutral, ["sad=0"]))  # it was off: nothing changes
    assert (requests.target(rafd, neutral, ["sad=0"]) == neutral).all()
    line = error_line(rafd, ["-neutral"], neutral)
    assert line.startswith("neutral=0 does not say which value comes instead; name one of angry, ")
    assert "neutral" not in line.partition("name one of")[2]
    assert error_line(rafd, [f"-{name}" for name in FACES], neutral) == f"one of {', '.join(FACES)} must stay on"


def test_turning_one_of_two_off_turns_the_other_on() -> None:
    domains = Domains((SEASONS,))
    assert requests.target(domains, values_of(domains, "winter"), ["-winter"]).tolist() == [0, 1]
    all_but_one = [f"{name}=0" for name in FACES if name != "sad"]
    assert requests.target(rafd, values_of(rafd, "happy"), all_but_one).tolist() == values_of(rafd, "sad").tolist()


def test_rafd_probabilities_and_decisions() -> None:
    logits = np.zeros((1, 8), np.float32)
    logits[0, 4] = np.log(9)
    assert rafd.probabilities(logits)[0] == pytest.approx([1 / 16] * 4 + [9 / 16] + [1 / 16] * 3)
    assert rafd.decide(np.full((1, 8), 0.1)).sum() == 1  # none is likelier than one half, and still one is on
    huge = np.array([[1e4, -1e4, 0, 0, 0, 0, 0, 0]], np.float32)
    assert rafd.probabilities(huge)[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


# ---------------------------------------------------------------- joint

joint = Domains((CELEBA, RAFD))


def test_joint_layout() -> None:
    assert joint.num_classes == 13
    assert joint.num_labels == 15  # with the domain mask
    assert [joint.columns(index).tolist() for index in (0, 1)] == [[*range(5)], [*range(5, 13)]]
    assert joint.heads(0) == (Head(0, 5, False),)
    assert joint.heads(1) == (Head(5, 13, True),)


def test_joint_requests() -> None:
    values = values_of(joint, "Black_Hair", "Young", "neutral")
    happy = requests.target(joint, values, ["happy"])
    assert happy.tolist() == [0] * 5 + values_of(rafd, "happy").tolist() + [0, 1]
    assert requests.target(joint, values, ["Male"]).tolist() == [1, 0, 0, 1, 1] + [0] * 8 + [1, 0]
    assert "Male, happy: these come from different data sets" in error_line(joint, ["happy", "Male"], values)
    assert [part for _, part in requests.steps(joint, ["happy", "Male"])] == [{"Male": 1}, {"happy": 1}]


def test_joint_labels_of_mixed_rows() -> None:
    labels = joint.labels(np.ones((3, 13)), np.array([1, 0, 1]))
    assert labels[:, :5].sum(1).tolist() == [0, 5, 0]
    assert labels[:, 5:13].sum(1).tolist() == [8, 0, 8]
    assert labels[:, 13:].tolist() == [[0, 1], [1, 0], [0, 1]]


def test_joint_changes_of_one_set() -> None:
    values = values_of(joint, "Male", "sad")
    assert [word for word, _, _ in requests.single_changes(joint, values, 0)] == [*HAIR.names, "Male=0", "Young"]
    found = requests.single_changes(joint, values, 1)
    assert [word for word, _, _ in found] == [name for name in FACES if name != "sad"]
    assert {owner for _, _, owner in found} == {1}


def test_a_shared_name_is_qualified() -> None:
    domains = Domains((LabelSet("a", (Group(("Smiling",)), Group(("Male",)))), LabelSet("b", (Group(("smiling",)),))))
    assert domains.names == ("a/Smiling", "Male", "b/smiling")
    assert error_line(domains, ["Smiling"]) == "Smiling is in several data sets; name one of a/Smiling, b/smiling"
    assert requests.parse(domains, ["B / Smiling"]) == {2: 1}
    assert requests.parse(domains, ["a/Male=0"]) == {1: 0}  # allowed even if it is not needed


def test_two_sets_with_a_group_of_one_name() -> None:
    sets = (("a", ("happy", "sad")), ("b", ("sad", "angry")))
    domains = Domains(tuple(LabelSet(name, (Group(values, True, "expression"),)) for name, values in sets))
    assert requests.parse(domains, ["expression=happy"]) == {0: 1}
    assert requests.parse(domains, ["expression=angry"]) == {3: 1}
    assert requests.parse(domains, ["b/expression=sad"]) == {2: 1}
    assert "several data sets; name one of a/sad, b/sad" in error_line(domains, ["expression=sad"])


def test_a_class_goes_before_a_group_of_its_name() -> None:
    domains = one(Group(("male", "female"), True, "male"))
    spellings: list[Any] = [["male"], ["male=1"], ["+male"], ["male=male"], {"male": 1}, {"male": "1"}]
    assert all(requests.parse(domains, words) == {0: 1} for words in spellings)
    assert requests.parse(domains, ["male=0"]) == requests.parse(domains, ["-male"]) == {0: 0}


def test_values_that_are_digits() -> None:
    domains = one(Group(("0", "1", "2"), True, "digit"))
    assert requests.parse(domains, ["digit=0"]) == {0: 1}
    assert requests.parse(domains, ["1=0", "2"]) == {1: 0, 2: 1}


# ---------------------------------------------------------------- error lines


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["Blonde_Hare"], "unknown domain 'Blonde_Hare'; did you mean blonde hair?"),
        (["blond hiar"], "did you mean Blond_Hair?"),
        (["expresion=happy"], "did you mean expression?"),
        (["zzz"], f"unknown domain 'zzz'; known: {', '.join(joint.names)}, expression"),
        ([""], "unknown domain ''"),
        (["=1"], "unknown domain ''"),
        ([], "the request is empty; name one or more of Black_Hair, "),
        ({}, "the request is empty"),
        (["Male", "-Male"], "Male is requested both on and off"),
        (["male=0", "+MALE"], "Male is requested both on and off"),
        (["Black_Hair", "Blond_Hair"], "Black_Hair and Blond_Hair exclude each other"),
        (["happy", "expression=sad"], "happy and sad exclude each other"),
        (["Male=2"], "Male=2: must be 1 (on), 0 (off) or a strength from -1.5 to 1.5"),
        (["Male="], "Male=: must be 1 (on)"),
        (["Male=yes"], "Male=yes: must be 1 (on)"),
        ({"Male": -1.6}, "Male=-1.6: must be 1 (on)"),
        ({"Male": None}, "Male=None: must be 1 (on)"),
        (["expression"], "expression is a group; name one of its values, for example expression=angry"),
        (["-expression"], "expression is a group"),
        (["expression=hapy"], "expression=hapy: expression is one of angry, "),
        (["rafd/expression=1"], "rafd/expression=1: expression is one of angry, "),
        (["expression=Male"], "expression is one of angry, "),
    ],
)
def test_error_lines(words: Any, line: str) -> None:
    assert line in error_line(joint, words)


def test_suggestions() -> None:
    assert suggest("BLOND-HAIR", ["Blond_Hair"]) == "; did you mean Blond_Hair?"
    assert suggest("x", ["alpha", "beta"]) == "; known: alpha, beta"


@pytest.mark.parametrize("name", ["", " ", "a=b", "a/b", "a,b", "+a", "-a", " -a", "a\nb", "a\ud800"])
def test_names_that_cannot_be_part_of_a_request(name: str) -> None:
    with pytest.raises(DomainError, match="cannot name a domain"):
        Group((name,))


@pytest.mark.parametrize("name", ["", "a=b", "a,b", "-a", "+a"])
def test_names_of_sets_are_checked_if_requests_need_them(name: str) -> None:
    assert requests.parse(one(HAIR, name=name), ["black hair"]) == {0: 1}
    with pytest.raises(DomainError, match="cannot name a domain"):
        Domains((LabelSet(name, (HAIR,)), LabelSet("other", (HAIR,))))


def test_domains_that_cannot_be() -> None:
    with pytest.raises(DomainError, match="at least one name"):
        Group(())
    with pytest.raises(DomainError, match="at least two values"):
        Group(("a",), categorical=True)
    with pytest.raises(DomainError, match="no labels"):
        LabelSet("a", ())
    with pytest.raises(DomainError, match="at least one set"):
        Domains(())
    with pytest.raises(DomainError, match="named twice"):
        one(Group(("Big Nose",)), Group(("big-nose",)))
    with pytest.raises(DomainError, match="the same name"):
        Domains((LabelSet("A", (HAIR,)), LabelSet("a", (HAIR,))))
    for unprintable in ("a\udcff", "a\x00"):
        with pytest.raises(DomainError, match="cannot be printed"):
            one(HAIR, name=unprintable)
        with pytest.raises(DomainError, match="cannot be printed"):
            one(Group(("a", "b"), True, unprintable))


# ---------------------------------------------------------------- any domains

calm = settings(deadline=None)  # a busy machine is not a failure
names = st.sampled_from(["x", "Y", "big nose", "Big-Hair", "ß", "表情", "0", "a b-c_d", "o'k", "a_b", "x1"])
set_names = st.sampled_from(["celeba", "RaFD", "my data", "set-2"])


@st.composite
def label_sets(draw: st.DrawFn, name: str) -> LabelSet:
    """One to four groups of each kind, with names of which sets may share some."""
    pool = draw(st.lists(names, min_size=1, max_size=7, unique_by=str.casefold))
    groups = []
    while pool:
        size = draw(st.integers(1, len(pool)))
        categorical = size > 1 and draw(st.booleans())
        groups.append(Group(tuple(pool[:size]), categorical, draw(st.sampled_from(["", "style", "kind", "x"]))))
        pool = pool[size:]
    return LabelSet(name, tuple(groups))


@st.composite
def any_domains(draw: st.DrawFn) -> Domains:
    chosen = draw(st.lists(set_names, min_size=1, max_size=3, unique=True))
    return Domains(tuple(draw(label_sets(name)) for name in chosen))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Domains, np.ndarray]:
    """Domains and the values of an image: 0 and 1, at most one class on in a group."""
    domains = draw(any_domains())
    values = np.zeros(domains.num_classes, np.float32)
    for _, columns, group in domains.groups():
        on = draw(st.integers(0 if group.categorical else -1, len(group.names) - 1))
        if on >= 0:
            values[columns[on]] = 1
    return domains, values


def whole(domains: Domains, values: np.ndarray, datasets: set[int] | None = None) -> bool:
    """Whether values are 0 and 1 and no group is broken."""
    for owner, columns, group in domains.groups():
        on = values[columns].sum()
        if datasets is None or owner in datasets:
            if on > 1 or (group.categorical and on != 1):
                return False
        elif on:
            return False
    return bool(np.isin(values, (0, 1)).all())


@calm
@given(any_domains())
def test_layout_is_a_partition(domains: Domains) -> None:
    count, sets = domains.num_classes, len(domains.sets)
    assert len(domains.names) == len(set(domains.names)) == count
    assert domains.num_labels == count + (sets if sets > 1 else 0)
    owners = np.concatenate([domains.columns(index) for index in range(sets)])
    assert owners.tolist() == list(range(count))
    for index in range(sets):
        covered = [column for head in domains.heads(index) for column in range(head.start, head.stop)]
        assert covered == domains.columns(index).tolist()
        kinds = [head.categorical for head in domains.heads(index)]
        assert all(first or second for first, second in itertools.pairwise(kinds))  # binary ones are joined


@calm
@given(any_domains())
def test_json_round_trip(domains: Domains) -> None:
    assert Domains.from_json(json.loads(json.dumps(domains.to_json()))) == domains
    assert Domains.from_json(domains.to_json()) == domains


@calm
@given(situations())
def test_every_word_gives_its_labels(situation: tuple[Domains, np.ndarray]) -> None:
    domains, values = situation
    found = requests.every_target(domains, values)
    assert len({word for word, _ in found}) == domains.num_classes == len(found)
    for word, labels in found:
        assert (requests.target(domains, values, [word]) == labels).all()
        [(index, state)] = requests.parse(domains, [word]).items()
        assert labels[index] == state


@calm
@given(situations(), st.data())
def test_a_target_follows_the_request_and_keeps_the_rest(
    situation: tuple[Domains, np.ndarray], data: st.DataObject
) -> None:
    domains, values = situation
    dataset = data.draw(st.integers(0, len(domains.sets) - 1))
    request = data.draw(
        st.dictionaries(st.sampled_from(domains.columns(dataset).tolist()), st.integers(0, 1), min_size=1)
    )
    words = {domains.names[index]: state for index, state in request.items()}
    try:
        labels = requests.target(domains, values, words)
    except DomainError as error:
        assume("exclude" not in str(error) and "does not say" not in str(error) and "must stay" not in str(error))
        raise
    classes, mask = labels[: domains.num_classes], labels[domains.num_classes :]
    assert labels.shape == (domains.num_labels,)
    assert labels.dtype == np.float32
    assert all(classes[index] == state for index, state in request.items())
    assert whole(domains, classes, {dataset})  # and the other sets' classes are zero
    if len(domains.sets) > 1:
        assert mask.tolist() == np.eye(len(domains.sets))[dataset].tolist()
    for owner, columns, _ in domains.groups():
        if owner == dataset and not set(columns) & request.keys():
            assert classes[columns.start : columns.stop].tolist() == values[columns.start : columns.stop].tolist()


@calm
@given(situations())
def test_changes_change_and_stay_within_their_set(situation: tuple[Domains, np.ndarray]) -> None:
    domains, values = situation
    found = requests.single_changes(domains, values)
    for word, target_values, owner in found:
        assert (target_values != values).any()
        assert whole(domains, target_values)
        block = domains.columns(owner)
        assert set(np.flatnonzero(target_values != values)) <= set(block)
        assert (requests.target(domains, values, [word]) == domains.labels(target_values[None], owner)[0]).all()
    of_sets = [requests.single_changes(domains, values, index) for index in range(len(domains.sets))]
    assert [word for part in of_sets for word, _, _ in part] == [word for word, _, _ in found]
    unchanged = [
        word for word, _ in requests.every_target(domains, values) if word not in {word for word, _, _ in found}
    ]
    assert len(unchanged) == sum(len(columns) > 1 and bool(values[columns].any()) for _, columns, _ in domains.groups())


@calm
@given(any_domains(), st.data())
def test_case_spaces_and_hyphens_do_not_matter(domains: Domains, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, domains.num_classes - 1))
    name = domains.names[index]
    other = name.translate({ord(" "): "-", ord("-"): "_", ord("_"): " "})
    for spelled in (name, name.upper(), name.lower(), other, f"  {name} "):
        assert requests.parse(domains, [spelled]) == {index: 1}
        assert requests.parse(domains, {spelled: 1}) == {index: 1}


@calm
@given(any_domains(), st.data())
def test_all_forms_agree(domains: Domains, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, domains.num_classes - 1))
    name = domains.names[index]
    on: list[Any] = [[name], [f"+{name}"], [f"{name}=1"], [f" {name} = 1 "], {name: 1}, {name: True}, {name: "1"}, name]
    off: list[Any] = [
        [f"-{name}"],
        [f"{name}=0"],
        {name: 0},
        {name: False},
        {name: "0"},
        {name: np.int64(0)},
        f"-{name}",
    ]
    assert all(requests.parse(domains, words) == {index: 1} for words in on)
    assert all(requests.parse(domains, words) == {index: 0} for words in off)
    with pytest.raises(DomainError, match="both on and off"):
        requests.parse(domains, [f"+{name}", f"{name}=0"])


@calm
@given(any_domains())
def test_group_words_pick_their_value(domains: Domains) -> None:
    for dataset, columns, group in domains.groups():
        for index, name in zip(columns, group.names, strict=True):
            taken = name in "01" and group.name in (*domains.names, *domains.sets[dataset].names)
            if group.name and not taken:
                assert requests.parse(domains, [f"{domains.sets[dataset].name}/{group.name}={name}"]) == {index: 1}


@calm
@given(any_domains(), st.lists(st.text("xXyYzZbig noseßk01=+-/,_", max_size=12), max_size=3))
def test_any_words_are_understood_or_refused_in_one_line(domains: Domains, words: list[str]) -> None:
    line, request = "", {}
    try:
        request = requests.parse(domains, words)
    except DomainError as error:
        line = str(error)
    assert bool(line) != bool(request)
    assert "\n" not in line
    assert set(request) <= set(range(domains.num_classes))
    assert set(request.values()) <= {0, 1}


def draws(domains: Domains, seed: int, count: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 3, (count, domains.num_classes)).astype(np.float32)


@calm
@given(any_domains(), st.integers(0, 9))
def test_probabilities_and_decisions(domains: Domains, seed: int) -> None:
    logits = draws(domains, seed)
    probabilities = domains.probabilities(logits)
    assert probabilities.dtype == np.float32
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    values = domains.decide(probabilities)
    for row, logit, chance in zip(values, logits, probabilities, strict=True):
        assert whole(domains, row)
        for _, part, group in domains.groups():
            best = int(logit[part].argmax())
            if group.categorical:
                assert chance[part].sum() == pytest.approx(1, abs=1e-5)
                assert row[part][best] == 1
            else:
                assert chance[part] == pytest.approx(1 / (1 + np.exp(-logit[part].astype(float))), abs=1e-6)
                assert row[part][best] == (chance[part][best] > 0.5)


@calm
@given(any_domains(), st.integers(0, 9), st.data())
def test_labels_and_padding(domains: Domains, seed: int, data: st.DataObject) -> None:
    values = draws(domains, seed, 4)
    datasets = np.array(data.draw(st.lists(st.integers(0, len(domains.sets) - 1), min_size=4, max_size=4)))
    labels = domains.labels(values, datasets)
    assert labels.shape == (4, domains.num_labels)
    assert labels.dtype == np.float32
    for row, dataset in enumerate(datasets):
        block = domains.columns(dataset)
        placed = domains.pad(values[row : row + 1, block], dataset)
        assert placed.shape == (1, domains.num_classes)
        assert (placed[0, block] == values[row, block]).all()
        assert (labels[row, : domains.num_classes] == placed[0]).all()
        assert np.delete(placed[0], block).sum() == 0
        assert (labels[row] == domains.labels(values, int(dataset))[row]).all()
        mask = labels[row, domains.num_classes :]
        assert mask.tolist() == (np.eye(len(domains.sets))[dataset].tolist() if len(domains.sets) > 1 else [])


@calm
@given(any_domains(), st.integers(0, 9))
def test_random_values_break_no_group(domains: Domains, seed: int) -> None:
    values = domains.random_values(np.random.default_rng(seed), 40)
    assert values.shape == (40, domains.num_classes)
    assert all(whole(domains, row) for row in values)
    again = domains.random_values(np.random.default_rng(seed), 40)
    assert (values == again).all()


def test_random_values_are_even() -> None:
    drawn = joint.random_values(np.random.default_rng(0), 4000).mean(axis=0)
    assert drawn[:3] == pytest.approx([1 / 3] * 3, abs=0.03)
    assert drawn[3:5] == pytest.approx([0.5] * 2, abs=0.03)
    assert drawn[5:] == pytest.approx([1 / 8] * 8, abs=0.03)


def test_agree_counts_groups() -> None:
    first = np.stack([values_of(joint, "Black_Hair", "Male", "sad")] * 3)
    second = np.stack(
        [values_of(joint, *on) for on in (["Black_Hair", "Male", "sad"], ["Male", "sad"], ["Black_Hair"])]
    )
    assert joint.agree(first, second).tolist() == [[True] * 4, [False, True, True, True], [True, False, True, False]]


# ---------------------------------------------------------------- groups as arrays


def test_groups_as_arrays() -> None:
    assert joint.group_names == (", ".join(HAIR.names), "Male", "Young", ", ".join(FACES))
    assert joint.group_datasets.tolist() == [0, 0, 0, 1]
    assert joint.labelled_groups(np.array([1, 0])).tolist() == [[False] * 3 + [True], [True] * 3 + [False]]
    assert (
        joint.group_columns(np.array([True, False, True, False])).tolist() == [True] * 3 + [False, True] + [False] * 8
    )


def test_valid_values_have_one_class_of_each_one_of_n_group() -> None:
    rows = np.stack([values_of(joint, *on) for on in (["sad"], [], ["Black_Hair", "Blond_Hair"], ["sad", "happy"])])
    assert joint.valid(rows, (0, 1)).tolist() == [True, False, False, False]
    assert joint.valid(rows, [1]).tolist() == [True, False, False, False]
    assert joint.valid(rows, [0]).tolist() == [True] * 4  # hair is not one-of-n


def test_match_finds_the_classes_among_other_labels() -> None:
    labels = np.array([[1, 0, 0, 1, 1], [0, 1, 1, 0, 0]])
    datasets, values = celeba.match(["young", "Bald", "Black Hair", "Male", "Brown-Hair"], labels)
    assert datasets == ()  # no Blond_Hair
    assert not values.any()
    other = Domains((SEASONS, LabelSet("faces", (Group(("Male",)), Group(("Young",))))))
    datasets, values = other.match(["young", "Bald", "Black Hair", "Male", "Brown-Hair"], labels)
    assert datasets == (1,)
    assert values.dtype == np.float32
    assert values.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_frequencies_are_those_of_each_data_set() -> None:
    first = joint.pad(np.array([[1, 0, 0, 1, 0], [0, 0, 0, 1, 1]]), 0)
    second = joint.pad(np.eye(8)[[2, 2, 2, 5]], 1)
    assert joint.frequencies([first, second]) == (0.5, 0, 0, 1, 0.5, 0, 0, 0.75, 0, 0, 0.25, 0, 0)


def test_same_layout_ignores_the_names_of_sets_and_groups() -> None:
    assert rafd.same_layout(one(Group(FACES, categorical=True, name="mood"), name="other"))
    assert not rafd.same_layout(one(Group(FACES), name="rafd"))
    assert not rafd.same_layout(joint)


@calm
@given(situations())
def test_every_word_covers_all_targets(situation: tuple[Domains, np.ndarray]) -> None:
    domains, values = situation
    words = requests.every_word(domains)
    assert len(set(words)) == len(words)
    for row in (values, 1 - values):
        found = [words.index(word) for word, _ in requests.every_target(domains, row)]
        assert found == sorted(found)


# ---------------------------------------------------------------- JSON in another form


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        [],
        "celeba",
        [None],
        [[]],
        [{"name": "a"}],
        [{"name": 3, "groups": []}],
        [{"name": "a", "groups": "x"}],
        [{"name": "a", "groups": [{"name": "", "names": "abc", "categorical": False}]}],
        [{"name": "a", "groups": [{"name": "", "names": [1], "categorical": False}]}],
        [{"name": "a", "groups": [{"name": "", "names": ["x", "y"], "categorical": "false"}]}],
        [{"name": "a", "groups": [{"name": None, "names": ["x"], "categorical": False}]}],
        [{"name": "a", "groups": [{"names": ["x"], "categorical": False}]}],
        [{"name": "a", "groups": [{"name": "", "names": ["x", "X"], "categorical": False}]}],
        [{"name": "a", "groups": [{"name": "", "names": ["-x"], "categorical": False}]}],
    ],
)
def test_json_of_another_form(data: Any) -> None:
    with pytest.raises(DomainError):
        Domains.from_json(data)

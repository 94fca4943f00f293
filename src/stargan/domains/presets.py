"""The labels of well-known data sets, and the words that people use for them."""

from stargan.domains.names import key

CELEBA_HAIR = ("Black_Hair", "Blond_Hair", "Brown_Hair")
"""CelebA's hair colours that both original codes learn; they exclude each other."""

CELEBA_GENDER, CELEBA_AGE = "Male", "Young"
"""CelebA's attributes of gender and age."""

CELEBA_ATTRIBUTES = (*CELEBA_HAIR, CELEBA_GENDER, CELEBA_AGE)
"""CelebA's attributes that both original codes learn by default (official main.py, line 83)."""

Synonyms = tuple[tuple[str, ...], tuple[str, ...]]
"""Words that turn a label on, and words that turn it off."""

_SYNONYMS: dict[str, Synonyms] = {
    # Of CelebA's 40 attributes. Their own names need no entry: `black hair` is `Black_Hair`.
    "5_o_Clock_Shadow": (("stubble", "5 o'clock shadow", "five o'clock shadow"), ("no stubble",)),
    "Arched_Eyebrows": (("arched brows",), ()),
    "Bags_Under_Eyes": (("eye bags", "bags under the eyes"), ("no eye bags",)),
    "Bald": (("no hair", "bald head"), ("not bald",)),
    "Bangs": (("fringe",), ("no bangs", "no fringe")),
    "Big_Lips": (("full lips", "large lips"), ()),
    "Big_Nose": (("large nose",), ()),
    "Black_Hair": (("black haired",), ()),
    "Blond_Hair": (("blond", "blonde", "blonde hair", "blond haired", "fair hair"), ()),
    "Blurry": (("blurred", "out of focus"), ("sharp", "in focus")),
    "Brown_Hair": (("brunette", "brunet", "brown haired"), ()),
    "Bushy_Eyebrows": (("thick eyebrows", "bushy brows"), ()),
    "Chubby": (("plump",), ()),
    "Double_Chin": ((), ("no double chin",)),
    "Eyeglasses": (("glasses", "spectacles", "wearing glasses"), ("no glasses", "without glasses")),
    "Goatee": ((), ("no goatee",)),
    "Gray_Hair": (("grey hair", "gray haired", "grey haired", "white hair"), ()),
    "Heavy_Makeup": (("makeup", "make-up"), ("no makeup", "no make-up")),
    "Male": (("man", "masculine"), ("female", "woman", "feminine")),
    "Mouth_Slightly_Open": (("open mouth", "mouth open"), ("closed mouth", "mouth closed")),
    "Mustache": (("moustache",), ("no mustache", "no moustache")),
    "No_Beard": (("clean shaven", "shaven"), ("beard", "bearded", "full beard")),
    "Pale_Skin": (("pale", "fair skin"), ()),
    "Pointy_Nose": (("pointed nose",), ()),
    "Receding_Hairline": (("receding hair",), ()),
    "Rosy_Cheeks": (("red cheeks",), ()),
    "Sideburns": (("side whiskers",), ("no sideburns",)),
    "Smiling": (("smile",), ("no smile", "not smiling", "unsmiling")),
    "Wavy_Hair": (("curly hair", "wavy"), ()),
    "Wearing_Earrings": (("earrings",), ("no earrings",)),
    "Wearing_Hat": (("hat", "with a hat"), ("no hat", "without a hat")),
    "Wearing_Lipstick": (("lipstick",), ("no lipstick",)),
    "Wearing_Necklace": (("necklace",), ("no necklace",)),
    "Wearing_Necktie": (("necktie", "tie"), ("no tie", "no necktie")),
    "Young": (("younger", "youthful"), ("old", "older", "elderly")),
    # The other labels of the faces that `stargan cartoons` draws.
    "Beard": (("bearded",), ("no beard", "clean shaven")),
    "Long_Hair": ((), ("short hair",)),
}
_BY_KEY = {key(name): words for name, words in _SYNONYMS.items()}


def synonyms(name: str) -> Synonyms:
    """The usual words for a label, found by its name in any spelling; none for an unknown label."""
    return _BY_KEY.get(key(name), ((), ()))

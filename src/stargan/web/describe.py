"""A model in the words of the API: what can be requested, and what is known of it."""

from stargan.domains import requests
from stargan.domains.estimates import none_of
from stargan.inference.translator import Translator
from stargan.model.card_markdown import markdown
from stargan.web.messages import Group, ModelAbout, Value

PORTRAIT, CARTOON = "portrait.jpg", "cartoon.png"


def describe(name: str, model: Translator) -> ModelAbout:
    """Describes a model."""
    info = model.info
    return ModelAbout(
        name=name,
        about="faces" if info.face_crop else "images",
        width=info.image_size[0],
        height=info.image_size[1],
        groups=groups(model),
        sample=PORTRAIT if info.face_crop else CARTOON if "cartoons" in name else "",
        card=markdown(name, info, info.card) if info.card else "",
        limits=info.card.limits if info.card else "",
        licence=info.licence,
        trained_on=", ".join(
            f"{part['shards']} shards of {part.get('name', '?')}"
            if "shards" in part
            else f"{part.get('training_images', '?')} x {part.get('name', '?')}"
            for part in info.data
        ),
    )


def groups(model: Translator) -> list[Group]:
    """The groups of a model's labels, in the order of its estimates."""
    domains = model.domains
    words = domains.words()
    tasks = model.info.card.tasks if model.info.card else {}

    def value(word: str, request: list[str] | None = None) -> Value:
        error = tasks.get(word, {}).get("error")
        success = 1 - error.value if error else None
        return Value(word=word, request=request or [word], synonyms=list(words.get(word, ())), success=success)

    found = []
    for _, columns, group in domains.groups():
        options, none = [domains.names[column] for column in columns], None
        if len(options) > 1 and not group.categorical:
            none = value(none_of(group), [domains.word(column, 0) for column in columns])
        elif len(options) == 1:
            off = requests.word(domains, columns.start, 0)
            if group.one_way:  # nobody can request it
                none = value(off)
            else:
                options.append(off)
        found.append(Group(name=group.name, values=[value(word) for word in options], none=none))
    return found

"""What requests and answers of the API contain."""

from typing import Annotated, Literal

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field

from stargan.inference.steps import STRONGEST

Words = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=64)]
FaceNumber = Annotated[int, Field(ge=1, le=10_000)]
Faces = Literal["all", "largest"] | Annotated[list[FaceNumber], Field(min_length=1, max_length=1000)]
Strength = Annotated[float, Field(ge=0, le=STRONGEST, allow_inf_nan=False)]
Pixels = Annotated[int, Field(ge=16, le=8192)]
Name = Annotated[str, Field(max_length=200)]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Edit(_Message):
    """A change of some faces, or of the whole photo if the model is not about faces."""

    target: Words = Field(default=[], description="What to change, for example ['Blond_Hair', 'Male=0'].")
    strength: Strength = Field(default=1.0, description="A factor for the change.")
    faces: Faces = Field(default="all", description="Which faces: all, largest, or numbers from left to right.")
    known: Words = Field(default=[], description="The labels of these faces, as far as you know them.")


class Source(_Message):
    """A photo and the model that looks at it: either an image, or the name of a photo that was sent before."""

    image: Base64Bytes | None = Field(default=None, description="An image file in base64.")
    photo: Name | None = Field(default=None, description="The name of a photo, from /v1/faces.")
    model: Name | None = Field(default=None, description="One of /v1/models; by default the first.")
    align: bool = Field(default=True, description="False if the photo is one face, cut and aligned already.")


class Translation(Source, Edit):
    """A photo and what to change in it."""

    edits: list[Edit] = Field(default=[], max_length=64, description="Instead of one target: one for some faces each.")
    crop: bool = Field(default=False, description="Return the aligned face at the model's size, not the whole photo.")
    longest: Pixels | None = Field(default=None, description="Scale the result down to this longer side, as a JPEG.")
    format: Literal["jpeg", "png", "webp"] | None = Field(default=None, description="By default, that of the photo.")


class SheetRequest(Source):
    """A photo to translate to every domain."""

    faces: Faces = "all"
    known: Words = []
    side: Pixels = Field(default=256, description="Side of each image, in pixels.")


class Estimate(_Message):
    """What the model sees: the most probable label of one group."""

    word: str
    probability: float
    uncertain: bool


class SeenFace(_Message):
    """A face in a photo. All places are in pixels of the upright photo."""

    number: int
    box: tuple[float, float, float, float]
    corners: list[tuple[float, float]] = Field(description="Of the square that the model gets, clockwise.")
    landmarks: list[tuple[float, float]]
    labels: list[Estimate]
    warnings: list[str]


class Seen(_Message):
    """A photo as a model sees it."""

    photo: str = Field(description="Its name, for further requests; valid for a while.")
    width: int
    height: int
    faces: list[SeenFace]
    labels: list[Estimate] = Field(description="Of the whole photo, if the model is not about faces.")


class Made(_Message):
    """A translated image in JSON, for requests that accept nothing else."""

    image: str = Field(description="The image file in base64.")
    format: str
    width: int
    height: int


class Tile(_Message):
    """One image of a sheet."""

    word: str
    image: str = Field(description="A JPEG file in base64.")


class Sheet(_Message):
    """A photo translated to every domain; the first is the photo itself, with an empty word."""

    tiles: list[Tile]


class Value(_Message):
    """A label that can be requested."""

    word: str
    request: list[str] = Field(description="The words of a request that set it.")
    synonyms: list[str]
    success: float | None = Field(description="How often the change succeeds, if that was measured.")


class Group(_Message):
    """Labels of which an image has one, or none."""

    name: str
    values: list[Value]
    none: Value | None = Field(description="What the model says of an image with none of the labels.")


class ModelAbout(_Message):
    """A model."""

    name: str
    about: Literal["faces", "images"]
    width: int
    height: int
    groups: list[Group]
    sample: str = Field(description="The file of a picture to try the model with; may be empty.")
    card: str = Field(description="Its card as Markdown; may be empty.")
    limits: str
    licence: str
    trained_on: str


class Models(_Message):
    """The models of this server."""

    models: list[ModelAbout]
    runs: int = Field(description="How many training runs `/runs` shows.")


class Health(_Message):
    """The server works."""

    status: Literal["ok"] = "ok"
    version: str


class Problem(_Message):
    """Why a request was not fulfilled."""

    code: str
    message: str


class CurveSeen(_Message):
    """A logged figure over the steps; of long runs, some points are left out."""

    steps: list[float]
    values: list[float]


class SheetLayout(_Message):
    """Where the images are in a file of samples. All sizes are (width, height) in pixels."""

    titles: list[str] = Field(description="Of the columns; the first has the images before.")
    rows: int
    top: int = Field(description="Pixels above the first row.")
    gap: int = Field(description="Pixels between images and around them.")
    sheet: tuple[int, int]
    image: tuple[int, int]


class RunSeen(_Message):
    """A training run, as its folder shows it now."""

    name: str
    state: Literal["training", "finished", "stopped"] = "stopped"
    problem: str = Field(default="", description="What cannot be read.")
    step: int = Field(description="The last step that was logged.")
    steps: int = 0
    minutes: float | None = Field(default=None, description="The time that the run may take, if it has such a limit.")
    progress: float = Field(default=0.0, description="How much is done, 0 to 1.")
    seconds: float | None = Field(default=None, description="How long it has trained.")
    rate: float | None = Field(default=None, description="Steps per second, lately.")
    left: float | None = Field(default=None, description="Seconds left.")
    recipe: str = ""
    size: tuple[int, int] | None = Field(default=None, description="Of its images.")
    data: list[str] = []
    samples: list[int] = Field(description="Steps that have a file of samples.")
    sheet: SheetLayout | None = None
    curves: dict[str, CurveSeen]


class Runs(_Message):
    """The training runs of this server."""

    runs: list[RunSeen]

"""`stargan import` and `stargan export --official`: checkpoints of other codes."""

import io
import pickle
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stargan.domains import Domains, Group, LabelSet
from stargan.domains.presets import CELEBA_ATTRIBUTES, CELEBA_HAIR
from stargan.errors import ModelError, require
from stargan.interop.export import WRITERS, read_model
from stargan.interop.official import Sizes, from_official, to_official
from stargan.interop.tensorflow1 import from_tensorflow1
from stargan.model import safetensors_file
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays


def import_model(
    source: Path,
    out: Path,
    *,
    discriminator: Path | None = None,
    attributes: Sequence[str] = (),
    one_of_n: Sequence[str] = (),
    image_size: tuple[int, int] | None = None,
    crop: int | None = None,
    overwrite: bool = False,
) -> ModelInfo:
    """Writes a checkpoint of another code as a model file of ours.

    Args:
        source: The official code's `N-G.ckpt`, or taki0112's checkpoint: its prefix, or the folder it lies in.
        out: The model file to write, of a kind that `export` knows.
        discriminator: The official code's D; by default `N-D.ckpt` beside `N-G.ckpt`, if it is there.
        attributes: Names of the binary labels, in order; by default, where there are five, the sources' own five.
        one_of_n: Names of one-of-n labels, in order. With `attributes` as well, the two are two data sets of joint
            training, in this order, as in the official code.
        image_size: (width, height); by default what the discriminator was made for, else 128.
        crop: As `Config.crop`.
        overwrite: Whether `out` may exist.

    Returns:
        What the model says about itself.

    Raises:
        ModelError: A file is missing, damaged or hostile, a tensor is missing, left over or of the wrong shape, or the
            names do not fit the number of labels. Nothing is written then.
        MissingExtraError: PyTorch, or for taki0112's checkpoints TensorFlow, is not installed.
    """
    if out.suffix not in WRITERS:
        raise ModelError(f"{out}: cannot write this kind of model; known: {', '.join(WRITERS)}")
    if out.exists() and not overwrite:
        raise ModelError(f"{out}: exists; say --overwrite to replace it")
    prefix = _tensorflow_prefix(source)
    if prefix is not None:
        recipe, tensors, others = "taki0112", _read_tensorflow(prefix), None
    else:
        beside = discriminator or _beside(source)
        recipe, tensors, others = "official", _read_pytorch(source), _read_pytorch(beside) if beside else None
    try:
        arrays, sizes = from_tensorflow1(tensors) if prefix is not None else from_official(tensors, others)
        domains = _domains(sizes, attributes, one_of_n)
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    info = ModelInfo(
        domains=domains,
        architecture=replace(sizes.architecture, image_size=_image_size(source, sizes, image_size)),
        crop=crop,
        recipe=recipe,
    )
    WRITERS[out.suffix](out, info, arrays, False, False)
    return info


def export_official(source: Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Writes a model as a pair of checkpoints that the official code loads: `N-G.ckpt` and `N-D.ckpt`.

    Args:
        source: As for `export`.
        folder: Where to; N is the number of steps.
        overwrite: Whether the files may exist.

    Returns:
        The files; without D where the model has none.

    Raises:
        ModelError: The source cannot be read, a file exists, or G has what that code lacks: a mask, resizing.
    """
    info, arrays = read_model(source)
    for has, what in (
        (info.architecture.attention_mask, "an output mask"),
        (info.architecture.resize_conv, "no transposed convolutions"),
    ):
        if has:
            raise ModelError(f"{source}: its generator has {what}, which the official code does not know")
    torch = require("torch", "train", "write .ckpt files")
    contents: dict[Path, bytes] = {}
    networks = {letter: safetensors_file.under(to_official(_paper_only(arrays)), letter) for letter in ("G", "D")}
    for letter, tensors in networks.items():
        if tensors:
            state = {name: torch.from_numpy(np.array(array)) for name, array in _with_buffers(tensors).items()}
            buffer = io.BytesIO()
            torch.save(state, buffer)
            contents[folder / f"{info.steps}-{letter}.ckpt"] = buffer.getvalue()
    for path in contents:
        if path.exists() and not overwrite:
            raise ModelError(f"{path}: exists; say --overwrite to replace it")
    for path, content in contents.items():
        safetensors_file.write_bytes(path, content)
    return list(contents)


def _paper_only(arrays: Arrays) -> Arrays:
    return {name: array for name, array in arrays.items() if name.startswith(("generator/", "discriminator/"))}


def _with_buffers(tensors: Arrays) -> Arrays:
    """Adds the running statistics that the official code's instance norms keep and never use."""
    full: Arrays = {}
    for name, array in tensors.items():
        full[name] = array
        norm, _, kind = name.rpartition(".")
        if kind == "bias" and tensors[f"{norm}.weight"].ndim == 1:  # not the bias of a convolution
            full[f"{norm}.running_mean"] = np.zeros_like(array)
            full[f"{norm}.running_var"] = np.ones_like(array)
            full[f"{norm}.num_batches_tracked"] = np.array(0, np.int64)
    return full


# ---------------------------------------------------------------- reading


def _beside(source: Path) -> Path | None:
    found = re.fullmatch(r"(\d+)-G(\.\w+)", source.name)
    other = source.with_name(f"{found[1]}-D{found[2]}") if found else None
    return other if other is not None and other.is_file() else None


def _read_pytorch(path: Path) -> Arrays:
    """The tensors of a PyTorch checkpoint. Only tensors: a pickle that would run code is refused."""
    torch = require("torch", "train", "import PyTorch checkpoints")
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    try:
        with warnings.catch_warnings():  # of pickles that it then refuses
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path}: refused: it holds more than tensors, or is no PyTorch checkpoint") from error
    except Exception as error:  # torch.load raises nearly anything on damaged files
        raise ModelError(f"{path}: damaged or not a PyTorch checkpoint ({str(error).splitlines()[0][:100]})") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ModelError(f"{path}: not a state dict of tensors by name")
    return {str(name): tensor.detach().numpy() for name, tensor in state.items()}


def _tensorflow_prefix(source: Path) -> Path | None:
    """The prefix of a TensorFlow checkpoint, from itself, one of its files or its folder; None for other things."""
    if source.is_dir():
        indices = sorted(source.glob("*.index"))
        if len(indices) != 1:
            raise ModelError(f"{source}: {len(indices)} TensorFlow checkpoints in this folder; give one by its prefix")
        return indices[0].with_suffix("")
    prefix = source.with_suffix("") if source.suffix in (".index", ".meta") else source
    return prefix if Path(f"{prefix}.index").is_file() else None


def _read_tensorflow(prefix: Path) -> Arrays:
    tensorflow = require("tensorflow", "tensorflow", "read TensorFlow checkpoints")
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # its errors share no base class
        raise ModelError(f"{prefix}: damaged TensorFlow checkpoint ({str(error).splitlines()[0][:100]})") from error


# ---------------------------------------------------------------- what tensors do not tell


def _domains(sizes: Sizes, attributes: Sequence[str], one_of_n: Sequence[str]) -> Domains:
    if not attributes and not one_of_n and sizes.num_labels == len(CELEBA_ATTRIBUTES):
        attributes = CELEBA_ATTRIBUTES
    sets = []
    if attributes:
        sets.append(LabelSet("attributes", _binary(attributes)))
    if one_of_n:
        sets.append(LabelSet("one_of_n", (Group(tuple(one_of_n), categorical=True),)))
    domains = Domains(tuple(sets)) if sets else None
    if domains is None or domains.num_labels != sizes.num_labels:
        named = f"{domains.num_labels} with the mask" if domains and len(sets) > 1 else len(attributes or one_of_n)
        raise ModelError(
            f"the generator takes {sizes.num_labels} labels, {named} are named; name them in order with --attributes "
            "(on or off), --one-of-n (exactly one), or both for joint training"
        )
    if sizes.num_classes is not None and domains.num_classes != sizes.num_classes:
        raise ModelError(f"the discriminator tells {sizes.num_classes} classes, {domains.num_classes} are named")
    return domains


def _binary(attributes: Sequence[str]) -> tuple[Group, ...]:
    """Attributes, CELEBA's hair colours as an exclusive group where they stand side by side."""
    names = tuple(attributes)
    start = next((i for i in range(len(names)) if names[i : i + len(CELEBA_HAIR)] == CELEBA_HAIR), None)
    if start is None:
        return tuple(Group((name,)) for name in names)
    before, after = names[:start], names[start + len(CELEBA_HAIR) :]
    return (*(Group((name,)) for name in before), Group(CELEBA_HAIR), *(Group((name,)) for name in after))


def _image_size(source: Path, sizes: Sizes, wished: tuple[int, int] | None) -> tuple[int, int]:
    own, layers = sizes.architecture.image_size, sizes.architecture.d_layers
    size = wished or own
    if sizes.num_classes is not None and [side >> layers for side in size] != [side >> layers for side in own]:
        raise ModelError(f"{source}: its discriminator is for {'x'.join(map(str, own))} images")
    if any(side % 4 for side in size):
        raise ModelError(f"--image-size {size[0]}x{size[1]}: must be multiples of 4")
    return size

"""Checkpoints of other codes (`stargan import` and `stargan export --official`)."""

import glob
import io
import math
import pickle
import re
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stargan.config import Architecture
from stargan.config.checks import CELEBA_CROP
from stargan.domains import Domains, Group, LabelSet
from stargan.domains.presets import CELEBA_ATTRIBUTES, CELEBA_HAIR
from stargan.errors import ConfigError, ModelError, require
from stargan.interop import junyanz
from stargan.interop.export import check_new, check_output, read_model, write
from stargan.interop.form import Form
from stargan.interop.official import Sizes, covering, from_official, to_official
from stargan.interop.tensorflow1 import from_tensorflow1
from stargan.model import safetensors_file
from stargan.model.face_crop import CELEBA, FaceCrop
from stargan.model.info import ModelInfo
from stargan.model.safetensors_file import Arrays
from stargan.storage import open_regular, write_bytes

FaceCropName = Literal["celeba", "none"]


def import_model(
    source: Path,
    out: Path,
    *,
    discriminator: Path | None = None,
    attributes: Sequence[str] = (),
    one_of_n: Sequence[str] = (),
    image_size: tuple[int, int] | None = None,
    crop: float | None = None,
    face_crop: FaceCropName | None = None,
    overwrite: bool = False,
) -> ModelInfo:
    """Converts a checkpoint of another code to a model file.

    Args:
        source: The official code's `N-G.ckpt`, or taki0112's checkpoint, given by its prefix or its folder; or
            CycleGAN's `latest_net_G_A.pth`, with `latest_net_G_B.pth` next to it.
        out: The model file to write, of a kind that `export` knows.
        discriminator: The official code's D; by default `N-D.ckpt` next to `N-G.ckpt`, if it exists.
        attributes: Names of the binary labels, in order; by default, if there are five labels, the five attributes
            that both codes use.
        one_of_n: Names of the one-of-n labels, in order; of CycleGAN's two domains, by default A and B. If `attributes`
            is given as well, these are the two data sets of joint training, attributes first, as in the official code.
        image_size: (width, height); by default the size that the discriminator was made for, else 128.
        crop: As in `DataSettings`; pixels are those of CelebA's images if the model was trained on them.
        face_crop: `celeba` for a model trained on CelebA's aligned images or on faces cut in the same way, `none` for
            any other; by default the names of the attributes decide, or a crop of 178.
        overwrite: Whether to replace an existing file.

    Returns:
        The description of the model.

    Raises:
        ModelError: A file is missing, damaged or malicious, a tensor is missing, unexpected or of the wrong shape, or
            the names do not fit the number of labels. In these cases nothing is written.
        ConfigError, DomainError: An option is out of range, or a name cannot name a domain.
        MissingExtraError: PyTorch (or TensorFlow for taki0112's checkpoints) is not installed.
    """
    check_output(out, overwrite)
    _check_options(attributes, one_of_n, image_size)
    recipe, networks = _read(source, discriminator)
    try:
        arrays, sizes = _converted(recipe, networks)
        domains = _domains(sizes, attributes, one_of_n)
    except ConfigError as error:  # the sizes that its tensors have
        raise ModelError(f"{source}: its networks are too large or too small: {error}") from error
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    crop, faces = _cut(domains, crop, face_crop)
    info = ModelInfo(
        domains=domains,
        architecture=replace(sizes.architecture, image_size=_image_size(source, sizes, image_size)),
        crop=crop,
        face_crop=faces,
        recipe=recipe,
    )
    write(out, info, arrays, Form())
    return info


def export_official(source: Path, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Writes a model as the pair of checkpoints that the official code loads: `N-G.ckpt` and `N-D.ckpt`.

    Args:
        source: As for `export`.
        folder: The folder to write to. N is the number of steps.
        overwrite: Whether to replace existing files.

    Returns:
        The files written; without D if the model has none.

    Raises:
        ModelError: The source cannot be read, a file exists, or G has an attention mask, resize convolutions or
            the form of an edit generator or of another method, which the official code does not support.
    """
    info, arrays = read_model(source)
    for has, what in (
        (info.architecture.attention_mask, "an attention mask"),
        (info.architecture.resize_conv, "resize convolutions"),
        (info.architecture.generator == "edit", "the form of an edit generator"),
        (info.architecture.method != "stargan", f"the form of {info.architecture.method}'s"),
    ):
        if has:
            raise ModelError(f"{source}: its generator has {what}, which the official code does not support")
    arrays = {name: array for name, array in arrays.items() if name.startswith(("generator/", "discriminator/"))}
    head, (width, height) = "discriminator/cls.weight", info.image_size
    if info.architecture.cls_pooling and head in arrays:
        layers = info.architecture.d_layers
        arrays[head] = covering(arrays[head], (height >> layers, width >> layers))
    networks = {letter: safetensors_file.under(to_official(arrays), letter) for letter in ("G", "D")}
    contents = {
        folder / f"{info.steps}-{letter}.ckpt": _pytorch_checkpoint(tensors)
        for letter, tensors in networks.items()
        if tensors
    }
    for path in contents:
        check_new(path, overwrite)
    for path, content in contents.items():
        write_bytes(path, content)
    return list(contents)


def _pytorch_checkpoint(tensors: Arrays) -> bytes:
    """Serialises tensors as a state dict for the official code."""
    torch = require("torch", "train", "write .ckpt files")
    buffer = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in _with_buffers(tensors).items()}, buffer)
    return buffer.getvalue()


def _with_buffers(tensors: Arrays) -> Arrays:
    """Adds the running statistics that the official code's instance norms store but never use."""
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


def _converted(recipe: str, networks: dict[str, Arrays]) -> tuple[Arrays, Sizes]:
    """Converts what `_read` returned to our names; the errors are those of `rename`."""
    if recipe == "taki0112":
        return from_tensorflow1(networks["G"])
    if recipe == "cyclegan":
        return junyanz.from_resnet(networks["G"]) if "G" in networks else junyanz.from_cyclegan(networks)
    if recipe == "pix2pix":
        return junyanz.from_pix2pix(networks)
    return from_official(networks["G"], networks.get("D"))


def _read(source: Path, discriminator: Path | None) -> tuple[str, dict[str, Arrays]]:
    """Reads a checkpoint of any supported code.

    Returns:
        The recipe named after the code, and the tensors of each network by its name there. taki0112's code stores all
        networks as one.
    """
    prefix = _tensorflow_prefix(source)
    if prefix is not None:
        return "taki0112", {"G": _read_tensorflow(prefix)}
    state = _read_pytorch(source)
    if junyanz.is_resnet(state):
        if discriminator:
            raise ConfigError(f"--discriminator {discriminator}: CycleGAN's are found beside G; leave it out")
        return "cyclegan", {name: _read_pytorch(path) for name, path in _of_cyclegan(source).items()} or {"G": state}
    discriminator = discriminator or _matching_discriminator(source)
    networks = {"G": state} | ({"D": _read_pytorch(discriminator)} if discriminator else {})
    return "pix2pix" if junyanz.is_unet(state) else "official", networks


def _of_cyclegan(source: Path) -> dict[str, Path]:
    """Returns the files of both generators, given one of them, and of both discriminators, if they exist.

    There are none if its name is not that of one of two generators, as that of the published ones: latest_net_G.pth.
    """
    match = re.fullmatch(r"(.+)_net_G_[AB](\.\w+)", source.name)
    if not match:
        return {}
    paths = {name: source.with_name(f"{match[1]}_net_{name}{match[2]}") for name in junyanz.NETWORKS.values()}
    complete = all(path.is_file() for path in paths.values())
    return paths if complete else {name: path for name, path in paths.items() if name.startswith("G")}


def _matching_discriminator(source: Path) -> Path | None:
    """Returns the `N-D.ckpt` next to an `N-G.ckpt`, or the `N_net_D.pth` next to an `N_net_G.pth`, if it exists."""
    match = re.fullmatch(r"(\d+-|.+_net_)G(\.\w+)", source.name)
    path = source.with_name(f"{match[1]}D{match[2]}") if match else None
    return path if path is not None and path.is_file() else None


def _read_pytorch(path: Path) -> Arrays:
    """Reads the tensors of a PyTorch checkpoint; refuses pickles with other objects, which could run code."""
    torch = require("torch", "train", "import PyTorch checkpoints")
    size = _check_file(path)
    try:
        with warnings.catch_warnings():  # PyTorch warns about pickles before it refuses them
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(f"{path}: refused: contains more than tensors, or is not a PyTorch checkpoint") from error
    except Exception as error:  # torch.load raises nearly anything on damaged files
        raise ModelError(f"{path}: damaged or not a PyTorch checkpoint ({_first_line(error)})") from error
    if not isinstance(state, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in state.values()):
        raise ModelError(f"{path}: not a state dict of tensors by name")
    # Views can make gigabytes of a few stored numbers.
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > size:
        raise ModelError(f"{path}: its tensors take {total} bytes, but the file has only {size}")
    return {str(name): _array(path, str(name), tensor) for name, tensor in state.items()}


def _check_file(path: Path) -> int:
    """Checks that a checkpoint can be read and is not compressed, as PyTorch writes it; returns its size in bytes."""
    try:
        with open_regular(path) as file:
            size = file.seek(0, io.SEEK_END)
            parts = zipfile.ZipFile(file).infolist() if zipfile.is_zipfile(file) else []  # old ones are no archives
            packed = sum(part.file_size for part in parts)
    except FileNotFoundError as error:
        raise ModelError(f"{path}: no such checkpoint") from error
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except Exception as error:  # zipfile raises nearly anything on damaged files
        raise ModelError(f"{path}: damaged or not a PyTorch checkpoint ({_first_line(error)})") from error
    if packed > size:
        raise ModelError(f"{path}: its parts are compressed, from {packed} bytes to {size}, which PyTorch never does")
    return size


def _array(path: Path, name: str, tensor: Any) -> np.ndarray:
    """Converts a tensor; only plain ones of real numbers, since a checkpoint of StarGAN has no others."""
    plain = str(tensor.layout) == "torch.strided" and not tensor.is_quantized and tensor.device.type == "cpu"
    if not plain or tensor.is_conj() or tensor.is_neg():
        raise ModelError(f"{path}: {name} is not stored as a plain tensor (sparse, quantised, empty or a view)")
    try:
        array: np.ndarray = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).detach().numpy()
    except (TypeError, RuntimeError) as error:  # float8 and other types that NumPy does not have
        raise ModelError(f"{path}: {name} contains {tensor.dtype}; must be float32, float16 or bfloat16") from error
    return array


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:100]


def _tensorflow_prefix(source: Path) -> Path | None:
    """Returns the prefix of a TensorFlow checkpoint, given as prefix, file or folder; None for any other source."""
    if source.is_dir():
        indices = sorted(path for path in source.iterdir() if path.suffix == ".index")
        if len(indices) != 1:
            raise ModelError(f"{source}: {len(indices)} TensorFlow checkpoints in this folder; name one by its prefix")
        return indices[0].with_suffix("")
    prefix = source.with_suffix("") if source.suffix in (".index", ".meta") else source
    return prefix if Path(f"{prefix}.index").is_file() else None


def _read_tensorflow(prefix: Path) -> Arrays:
    tensorflow = require("tensorflow", "tensorflow", "read TensorFlow checkpoints")
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        shapes, types = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
        total = sum(math.prod(shape) * types[name].size for name, shape in shapes.items())
        size = sum(file.stat().st_size for file in prefix.parent.glob(f"{glob.escape(prefix.name)}.data-*"))
        if total > size:
            raise ModelError(f"{prefix}: its variables take {total} bytes, but its files have only {size}")
        return {name: reader.get_tensor(name) for name in shapes}
    except ModelError:
        raise
    except Exception as error:  # its errors share no base class
        raise ModelError(f"{prefix}: damaged TensorFlow checkpoint ({_first_line(error)})") from error


# ---------------------------------------------------------------- what the tensors do not contain


def _check_options(attributes: Sequence[str], one_of_n: Sequence[str], image_size: tuple[int, int] | None) -> None:
    """Checks, before any work, what does not depend on the checkpoint."""
    _label_sets(attributes, one_of_n)
    if image_size is not None:
        Architecture(image_size)


def _label_sets(attributes: Sequence[str], one_of_n: Sequence[str]) -> list[LabelSet]:
    sets = []
    if attributes:
        sets.append(LabelSet("attributes", _binary(attributes)))
    if one_of_n:
        sets.append(LabelSet("one_of_n", (Group(tuple(one_of_n), categorical=True),)))
    return sets


def _domains(sizes: Sizes, attributes: Sequence[str], one_of_n: Sequence[str]) -> Domains:
    """Builds the label layout from names and checks it against the sizes of the networks."""
    if not attributes and not one_of_n and sizes.num_labels == len(CELEBA_ATTRIBUTES):
        attributes = CELEBA_ATTRIBUTES
    if not attributes and not one_of_n and sizes.architecture.method == "cyclegan":
        one_of_n = ("A", "B")
    if sizes.architecture.method == "pix2pix":
        return _one_way(attributes or ("B",), one_of_n)
    sets = _label_sets(attributes, one_of_n)
    domains = Domains(tuple(sets)) if sets else None
    if domains is None or domains.num_labels != sizes.num_labels:
        mask = " (with the domain mask)" if domains and len(sets) > 1 else ""
        raise ModelError(
            f"the generator takes {sizes.num_labels} labels, not {domains.num_labels if domains else 0}{mask}; name "
            "them in order with --attributes (on or off), --one-of-n (exactly one), or both for joint training"
        )
    if sizes.num_classes is not None and domains.num_classes != sizes.num_classes:
        raise ModelError(f"the discriminator predicts {sizes.num_classes} classes, not {domains.num_classes}")
    return domains


def _one_way(attributes: Sequence[str], one_of_n: Sequence[str]) -> Domains:
    """Builds the label layout of a model whose translations lead to one domain."""
    if one_of_n or len(attributes) > 1:
        raise ModelError("has one direction, to one domain; name that with --attributes NAME")
    return Domains((LabelSet("attributes", (Group(tuple(attributes), one_way=True),)),))


def _binary(attributes: Sequence[str]) -> tuple[Group, ...]:
    """Returns groups for attributes; CelebA's hair colours, if they are adjacent, form one exclusive group."""
    names = tuple(attributes)
    start = next((i for i in range(len(names)) if names[i : i + len(CELEBA_HAIR)] == CELEBA_HAIR), None)
    if start is None:
        return tuple(Group((name,)) for name in names)
    before, after = names[:start], names[start + len(CELEBA_HAIR) :]
    return (*(Group((name,)) for name in before), Group(CELEBA_HAIR), *(Group((name,)) for name in after))


def _cut(domains: Domains, crop: float | None, face_crop: FaceCropName | None) -> tuple[float | None, FaceCrop | None]:
    """Returns how the training images were cut: the crop and, if they were CelebA's, where the face lies in it."""
    if face_crop is None:
        of_celeba = any(set(CELEBA_ATTRIBUTES) >= set(labels.names) for labels in domains.sets)
        face_crop = "celeba" if of_celeba or crop == CELEBA_CROP else "none"
    if face_crop == "none":
        return (None if crop == CELEBA_CROP else crop), None
    share = 1 if crop is None else min(1, crop / CELEBA_CROP) if crop > 1 else crop
    return (None, CELEBA) if share == 1 else (share, CELEBA.within(share))


def _image_size(source: Path, sizes: Sizes, requested: tuple[int, int] | None) -> tuple[int, int]:
    """Returns the requested image size, else the inferred one, after checking that the networks support it."""
    inferred, layers = sizes.architecture.image_size, sizes.architecture.d_layers
    size = requested or inferred
    whole = sizes.num_classes is not None and sizes.architecture.method == "stargan"  # D has a score for all of it
    if whole and [side >> layers for side in size] != [side >> layers for side in inferred]:
        raise ModelError(f"{source}: its discriminator is for {'x'.join(map(str, inferred))} images")
    return size

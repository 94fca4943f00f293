"""The official code (github.com/yunjey/stargan), imported at run time from a checkout of the user's.

As a script this runs that code's own main.py: python benchmarks/reference.py CHECKOUT --mode test ...
The official code imports torchvision. If torchvision is not installed, the few functions needed are replaced by
equivalents in Pillow, which import faster than torchvision, to the official code's advantage.
"""

import contextlib
import importlib
import io
import runpy
import sys
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from stargan.errors import ConfigError

FILES = ("model.py", "solver.py", "main.py", "data_loader.py")
NEVER = 10**9  # steps


def checked(path: Path) -> Path:
    """Checks that a path is a checkout of the official code and returns it."""
    for name in FILES:
        if not (path / name).is_file():
            raise ConfigError(f"--reference {path}: no {name} there; must be a checkout of github.com/yunjey/stargan")
    return path.resolve()


def load(path: Path, module: str) -> ModuleType:
    """One module of the official code."""
    with importable(path):
        found = importlib.import_module(module)
    if Path(found.__file__ or "").parent != path:  # the names are common ones
        raise ConfigError(f"--reference {path}: {found.__file__} is imported instead of its {module}.py")
    return found


def solver(path: Path, loader: Any, **settings: Any) -> Any:
    """A Solver of the official code without logs, samples and checkpoints; defaults are those of its main.py."""
    options = {
        "c_dim": 5, "c2_dim": 8, "image_size": 128, "g_conv_dim": 64, "d_conv_dim": 64, "g_repeat_num": 6,
        "d_repeat_num": 6, "lambda_cls": 1, "lambda_rec": 10, "lambda_gp": 10, "dataset": "CelebA", "batch_size": 16,
        "num_iters": 5, "num_iters_decay": 100_000, "g_lr": 1e-4, "d_lr": 1e-4, "n_critic": 5, "beta1": 0.5,
        "beta2": 0.999, "resume_iters": None, "selected_attrs": [], "test_iters": 0, "use_tensorboard": False,
        "log_dir": "", "sample_dir": "", "model_save_dir": "", "result_dir": "", "log_step": NEVER,
        "sample_step": NEVER, "model_save_step": NEVER, "lr_update_step": NEVER,
    }  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its networks
        return load(path, "solver").Solver(loader, None, Namespace(**{**options, **settings}))


def generator(path: Path, checkpoint: Path, *, labels: int, width: int, blocks: int) -> Callable[..., Any]:
    """The official generator, used as in its test mode: without gradients and never in `.eval()` mode."""
    import torch

    network = load(path, "model").Generator(width, labels, blocks)
    network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True))

    def generate(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = network(torch.from_numpy(images), torch.from_numpy(targets)).numpy()
        return out

    return generate


@contextlib.contextmanager
def importable(path: Path) -> Iterator[None]:
    """Makes the modules of the official code importable."""
    warnings.filterwarnings("ignore", message="size_average")  # deprecated since PyTorch 1.0, still works
    replacements = {}
    try:
        importlib.import_module("torchvision")
    except Exception:  # missing, or built for another PyTorch, which raises errors of all kinds
        replacements = torchvision()
    sys.modules.update(replacements)
    sys.path.insert(0, str(path))
    try:
        yield
    finally:
        sys.path.remove(str(path))
        for name in replacements:  # other code may check whether torchvision is installed
            del sys.modules[name]


# ---------------------------------------------------------------- replacement of torchvision


def torchvision() -> dict[str, ModuleType]:
    """Modules with the parts of torchvision that the official test needs."""
    contents: dict[str, dict[str, Any]] = {
        "torchvision": {},
        "torchvision.transforms": {
            "Compose": _compose, "CenterCrop": _center_crop, "Resize": _resize, "ToTensor": lambda: _to_tensor,
            "Normalize": _normalize,
        },
        "torchvision.datasets": {"ImageFolder": None},  # for its other data set, which is not used here
        "torchvision.utils": {"save_image": _save_image},
    }  # fmt: skip
    modules = {}
    for name, members in contents.items():
        modules[name] = ModuleType(name)
        vars(modules[name]).update(members)
        if "." in name:
            setattr(modules["torchvision"], name.rpartition(".")[2], modules[name])
    return modules


def _compose(steps: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    def apply(value: Any) -> Any:
        for step in steps:
            value = step(value)
        return value

    return apply


def _center_crop(side: int) -> Callable[[Image.Image], Image.Image]:
    def crop(image: Image.Image) -> Image.Image:
        left, top = round((image.width - side) / 2), round((image.height - side) / 2)
        return image.crop((left, top, left + side, top + side))

    return crop


def _resize(side: int) -> Callable[[Image.Image], Image.Image]:
    """For square images, as the crop returns them."""
    return lambda image: image.resize((side, side), Image.Resampling.BILINEAR)


def _to_tensor(image: Image.Image) -> Any:
    import torch

    return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)


def _normalize(mean: Sequence[float], std: Sequence[float]) -> Callable[[Any], Any]:
    import torch

    shift, scale = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
    return lambda image: (image - shift) / scale


def _save_image(images: Any, path: str, *, nrow: int, padding: int) -> None:
    """Writes the images below each other without margins: nrow 1 and padding 0."""
    rows = images.mul(255).add(0.5).clamp(0, 255).byte().permute(0, 2, 3, 1).flatten(0, 1)
    Image.fromarray(rows.numpy()).save(path)


if __name__ == "__main__":
    checkout = Path(sys.argv[1])
    sys.argv = [str(checkout / "main.py"), *sys.argv[2:]]
    with importable(checkout):
        runpy.run_path(sys.argv[0], run_name="__main__")

"""The rules of the house: who may import whom, where a framework may stand, how long a module may be.

Imports are read with `ast`, wherever in a module they stand, so that a rule also holds for what is imported late.
"""

import ast
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import stargan
from stargan import errors

PACKAGE = Path(stargan.__file__).parent

# ---------------------------------------------------------------- the rules

_HALL = ("errors", "old_names", "storage", "progress", "images")
_LOWER = (*_HALL, "domains", "config", "data", "model", "faces", "engine")
_UPPER = (*_LOWER, "training", "inference", "evaluation", "interop")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "old_names": (),
    "storage": (),
    "progress": ("errors",),
    "images": ("errors", "storage"),
    "domains": ("errors",),
    "config": ("errors", "old_names", "domains"),
    "model": ("errors", "old_names", "storage", "domains", "config"),
    "data": (*_HALL, "domains", "config", "faces"),
    "faces": ("errors", "storage", "progress", "images"),  # it knows images and nothing of models
    "engine": ("errors", "images", "domains", "config", "model"),
    "training": _LOWER,
    "inference": _LOWER,
    "interop": _LOWER,
    "evaluation": (*_LOWER, "inference"),  # it measures what a Translator gives
    "web": (*_LOWER, "inference", "evaluation", "interop"),
    "demo": _UPPER,
    "cli": (*_UPPER, "web", "demo", ""),
    "__main__": ("cli",),
    "": ("errors", "domains", "inference"),  # stargan/__init__.py
}
"""Which parts of the package a part may import; a part is a module or a folder right below `stargan`."""

# A framework and where it may be imported; `engine/pytorch` stands for all below it.
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "torch": ("engine/pytorch", "evaluation", "interop"),
    "torchvision": (),  # does not import beside the CPU build of PyTorch
    "tensorflow": ("engine/tensorflow", "interop"),
    "keras": ("engine/tensorflow", "interop"),
    "jax": (),
    "onnx": ("engine/pytorch", "model/onnx_file"),
    "onnxscript": ("engine/pytorch",),
    "onnxruntime": ("engine/pytorch", "inference", "evaluation", "faces"),
    "openvino": ("inference",),
    "fastapi": ("web",),
    "uvicorn": ("web",),
}
# At the top of a module, hence loaded with it, only where nothing else is done: all else must start without them.
AT_THE_TOP = ("engine/pytorch", "engine/tensorflow", "evaluation", "interop", "web")

LINES = 400
# Longer all the same, each with its reason; one that has become short must leave the list.
LONG = {
    "data/cartoons.py": "one drawing, of many small parts",
}

# ---------------------------------------------------------------- reading imports


@dataclass(frozen=True)
class Import:
    """One import: of which module, in which line, whether it runs with the module, and whether `require` does it."""

    module: str
    line: int
    at_the_top: bool
    required: bool = False


def modules() -> list[str]:
    """The modules that exist, as paths below the package."""
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """`data/cache.py` -> `data`; `stargan.data.cache` -> `data`; the package itself -> an empty name."""
    if module.endswith(".py"):
        return "" if module == "__init__.py" else module.split("/")[0].removesuffix(".py")
    return module.split(".")[1] if "." in module else ""


def imports(path: str, source: str | None = None) -> list[Import]:
    """All imports of a module, those within functions too; `source` in the place of what the file holds."""
    tree = ast.parse((PACKAGE / path).read_text("utf-8") if source is None else source)
    package = ["stargan", *Path(path).parent.parts]
    return list(_imports(tree, package, at_the_top=True))


def _imports(node: ast.AST, package: list[str], *, at_the_top: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for name in node.names:
            yield Import(name.name, node.lineno, at_the_top)
    elif isinstance(node, ast.ImportFrom):
        start = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*start, *([node.module] if node.module else [])])
        if module == "stargan":  # `from stargan import images` is of a part, `from stargan import load` of the package
            for name in node.names:
                known = (PACKAGE / f"{name.name}.py").exists() or (PACKAGE / name.name).is_dir()
                yield Import(f"stargan.{name.name}" if known else "stargan", node.lineno, at_the_top)
        else:
            yield Import(module, node.lineno, at_the_top)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("require", "import_module", "__import__"):
            yield Import(str(node.args[0].value), node.lineno, at_the_top, required=called == "require")
    # What only a type checker reads does not run.
    typing_only = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    late = typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, package, at_the_top=at_the_top and not late)


def within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == f"{place}.py" or path.startswith(f"{place}/") for place in places)


def broken(path: str, source: str | None = None) -> list[str]:
    """Which rules a module breaks, one line each."""
    found = []
    own = part(path)
    for item in imports(path, source):
        top, where = item.module.split(".")[0], f"{path}:{item.line} imports {item.module}"
        if top == "stargan" and part(item.module) not in (own, *MAY_IMPORT.get(own, ())):
            found.append(f"{where}; {own or 'the package'} may not")
        elif top in FRAMEWORKS:
            # `require` in engine/__init__.py only asks whether PyTorch is there; data and training may not even ask.
            asks = item.required and own in ("engine", "model", "evaluation", "interop", "inference")
            if not asks and not within(path, FRAMEWORKS[top]):
                found.append(f"{where}; it belongs into {' or '.join(FRAMEWORKS[top]) or 'no module'}")
            elif item.at_the_top and not within(path, AT_THE_TOP):
                found.append(f"{where} at its top; import it in the function that needs it")
    return found


def reached(start: str) -> set[str]:
    """The parts that a part leads to, through all that it imports at any time."""
    seen: set[str] = set()
    ahead = {start}
    while ahead:
        own = ahead.pop()
        seen.add(own)
        found = [item.module for path in modules() if part(path) == own for item in imports(path)]
        ahead |= {part(module) for module in found if module.split(".")[0] == "stargan"} - seen
    return seen - {start}


# ---------------------------------------------------------------- who may import whom


@pytest.mark.parametrize("path", modules())
def test_imports(path: str) -> None:
    assert part(path) in MAY_IMPORT, f"{path}: say in MAY_IMPORT what it may import"
    assert broken(path) == []


def test_the_rules_have_no_way_round() -> None:
    """Sorted from the base up, each part imports only what comes before it."""
    order: list[str] = []
    while len(order) < len(MAY_IMPORT):
        ready = [name for name, allowed in MAY_IMPORT.items() if name not in order and set(allowed) <= set(order)]
        assert ready, f"these import each other: {sorted(set(MAY_IMPORT) - set(order))}"
        order += ready


def test_no_way_leads_to_training() -> None:
    for start in ("inference", ""):
        assert "training" not in reached(start)
    assert {"errors", "images"} <= reached("inference")  # ways are found
    assert "training" in reached("cli")


BREAKS = {
    "upwards": ("errors.py", "from stargan.domains.names import suggest"),
    "upwards, late": ("domains/space.py", "def f():\n    from stargan import config"),
    "sideways": ("data/cache.py", "import stargan.engine"),
    "sideways, relative": ("data/cache.py", "from ..engine import Engine"),
    "the package": ("images.py", "from stargan import load"),
    "training from inference": ("inference/load.py", "from stargan.training.loop import train"),
    "training from web": ("web/app.py", "def f():\n    from stargan import training"),
    "a new part": ("utils.py", "import stargan.errors"),
    "torch in training": ("training/loop.py", "def f():\n    import torch"),
    "torch in data, required": ("data/batches.py", "library = errors.require('torch', 'train', 'draw')"),
    "torch in data, by name": ("data/batches.py", "import importlib\nimportlib.import_module('torch.nn')"),
    "torch in config": ("config/training.py", "from torch import Tensor"),
    "torch in engine": ("engine/__init__.py", "import torch"),
    "torch in inference": ("inference/load.py", "def f():\n    import torch"),
    "torch in cli": ("cli/train.py", "def f():\n    import torch"),
    "torchvision anywhere": ("engine/pytorch/updates.py", "import torchvision"),
    "onnxruntime at the top of inference": ("inference/onnx.py", "import onnxruntime as ort"),
    "onnxruntime at the top, in a try": (
        "inference/onnx.py",
        "try:\n    import onnxruntime\nexcept ImportError:\n    pass",
    ),
    "onnxruntime in a class of inference": ("inference/onnx.py", "class A:\n    import onnxruntime"),
    "fastapi in cli": ("cli/train.py", "def f():\n    import fastapi"),
}
HOLDS = {
    "downwards": ("config/training.py", "from stargan.domains import Domains\nfrom stargan import errors"),
    "its own": ("data/cache.py", "from . import sources\nfrom .sources import find\nimport stargan.data.batches"),
    "torch in its engine": ("engine/pytorch/updates.py", "import torch\nfrom torch import nn"),
    "onnxruntime late in inference": ("inference/onnx.py", "class A:\n    def f(self):\n        import onnxruntime"),
    "asking for torch": ("engine/__init__.py", "def f():\n    require('torch', 'train', 'train')"),
    "a type only": ("inference/onnx.py", "if TYPE_CHECKING:\n    import onnxruntime"),
    "another torch": ("cli/train.py", "import torchlike"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_rule_is_seen(case: str) -> None:
    path, source = BREAKS[case]
    assert broken(path, source) if part(path) in MAY_IMPORT else part(path) not in MAY_IMPORT


@pytest.mark.parametrize("case", HOLDS)
def test_a_rule_that_holds_is_not_seen(case: str) -> None:
    assert broken(*HOLDS[case]) == []


# ---------------------------------------------------------------- what is loaded


def loaded(names: list[str]) -> set[str]:
    """What a fresh interpreter has loaded after importing modules, warnings being errors."""
    code = "import importlib, json, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    code += "print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *names], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_importing_the_package_loads_no_framework() -> None:
    large = FRAMEWORKS.keys() | {"tensorboard", "safetensors", "pandas", "numpy", "PIL"}
    assert not loaded(["stargan", "stargan.cli"]) & large


def test_public_names() -> None:
    assert {*stargan._HOMES, "__version__"} == {*stargan.__all__} <= {*dir(stargan)}
    for name, home in stargan._HOMES.items():
        assert getattr(stargan, name) is getattr(importlib.import_module(f"stargan.{home}"), name)
    with pytest.raises(AttributeError, match="module 'stargan' has no attribute 'lode'"):
        _ = stargan.lode


def test_importing_all_but_the_engines_loads_no_framework() -> None:
    """Every module that the command line imports for one command or another."""
    names = [
        ".".join(["stargan", *Path(path).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if not within(path, (*AT_THE_TOP, "__main__"))
    ]
    assert "stargan.training.loop" in names
    assert not loaded(names) & FRAMEWORKS.keys()


# ---------------------------------------------------------------- modules


def test_no_module_is_long() -> None:
    lines = {path: len((PACKAGE / path).read_text("utf-8").splitlines()) for path in modules()}
    assert {path for path, count in lines.items() if count > LINES} == {path for path in LONG if path in lines}


def test_no_module_is_a_drawer_for_anything() -> None:
    names = {Path(path).stem for path in modules()}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_the_tree_of_errors_is_whole() -> None:
    """The docstring draws every error, each beneath its base."""
    drawn: dict[str, int] = {}
    for row in (errors.__doc__ or "").splitlines():
        words = [word for word in row.replace("│", " ").replace("├──", " ").replace("└──", " ").split() if word]
        if words and words[0].endswith("Error"):
            drawn[words[0]] = row.index(words[0])
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert {kind.__name__ for kind in kinds} == set(drawn)
    for kind in kinds:
        base = kind.__base__
        assert base is not None
        assert base is Exception or drawn[kind.__name__] == drawn[base.__name__] + 4


def test_a_missing_extra_says_how_to_get_it() -> None:
    with pytest.raises(errors.MissingExtraError) as caught:
        errors.require("no_such_library.part", "train", "do this")
    assert str(caught.value) == "no_such_library is needed to do this: pip install 'stargan[train]'"
    assert errors.require("json", "train", "do this") is json

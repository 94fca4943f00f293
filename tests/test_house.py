"""The house rules: which parts may import each other, where frameworks may be imported, and the length of modules.

Imports are found with `ast`, anywhere in a module, so that the rules also apply to late imports.
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

_BASE = ("errors", "old_names", "storage", "machine", "progress", "images")
_LOWER = (*_BASE, "domains", "config", "data", "model", "photos", "faces", "engine")
_UPPER = (*_LOWER, "training", "inference", "evaluation", "interop")
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "errors": (),
    "old_names": (),
    "storage": (),
    "machine": (),
    "progress": ("errors",),
    "images": ("errors", "storage"),
    "domains": ("errors",),
    "config": ("errors", "old_names", "domains"),
    "model": ("errors", "old_names", "storage", "machine", "domains", "config"),
    "photos": ("images",),
    "faces": ("images", "model", "photos"),  # of `model`, sessions and `FaceCrop`
    "data": (*_BASE, "domains", "config", "faces"),
    "engine": ("errors", "machine", "images", "domains", "config", "model"),
    "training": _LOWER,
    "inference": _LOWER,
    "interop": _LOWER,
    "evaluation": (*_LOWER, "inference"),  # it measures the results of a Translator
    "web": (*_LOWER, "inference", ""),  # the package itself for its version
    "runs": (*_LOWER, "training", "inference", "interop"),
    "demo": _UPPER,
    "cli": (*_UPPER, "web", "runs", "demo", ""),
    "__main__": ("cli",),
    "": ("errors", "progress", "domains", "inference", "evaluation", "runs"),  # stargan/__init__.py, late
}
"""The parts of the package that each part may import. A part is a module or folder directly below `stargan`."""

# Where each framework may be imported; `engine/pytorch` includes everything below it.
FRAMEWORKS: dict[str, tuple[str, ...]] = {
    "torch": ("engine/pytorch", "evaluation", "interop"),
    "torchvision": (),  # cannot be imported together with the CPU build of PyTorch
    "tensorflow": ("engine/tensorflow", "interop"),
    "keras": ("engine/tensorflow", "interop"),
    "ai_edge_litert": ("engine/tensorflow",),
    "jax": (),
    "onnx": ("engine/pytorch", "engine/tensorflow", "model/onnx_file", "interop"),
    "onnxscript": ("engine/pytorch",),
    "onnxruntime": ("model/onnx_session", "interop/onnx_int8"),  # sessions; the tools that write int8
    "openvino": ("inference",),
    "ray": ("inference/bulk",),
    "pyspark": ("inference/bulk",),
    "fastapi": ("web",),
    "uvicorn": ("web",),
}
# Only these may import a framework at the top of a module; everything else must start without loading one.
AT_THE_TOP = ("engine/pytorch", "engine/tensorflow", "evaluation", "interop", "web")

MODULE_LINES = 400
FUNCTION_LINES = 60

# ---------------------------------------------------------------- reading imports


@dataclass(frozen=True)
class Import:
    """One import of a module.

    Attributes:
        module: The imported module.
        line: The line of the import.
        at_the_top: Whether it runs when the importing module is loaded.
        required: Whether `require` imports it.
    """

    module: str
    line: int
    at_the_top: bool
    required: bool = False


def modules() -> list[str]:
    """Returns all modules as paths relative to the package."""
    return sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def part(module: str) -> str:
    """Returns the part of a module: `data` for `data/cache.py` and `stargan.data.cache`, "" for the package itself."""
    if module.endswith(".py"):
        return "" if module == "__init__.py" else module.split("/")[0].removesuffix(".py")
    return module.split(".")[1] if "." in module else ""


def imports(path: str, source: str | None = None) -> list[Import]:
    """Returns all imports of a module, also those inside functions; `source` replaces the file's content."""
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
        if module == "stargan":  # `from stargan import images` imports a part, `from stargan import load` the package
            for name in node.names:
                known = (PACKAGE / f"{name.name}.py").exists() or (PACKAGE / name.name).is_dir()
                yield Import(f"stargan.{name.name}" if known else "stargan", node.lineno, at_the_top)
        else:
            yield Import(module, node.lineno, at_the_top)
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called in ("require", "import_module", "__import__"):
            yield Import(str(node.args[0].value), node.lineno, at_the_top, required=called == "require")
    # Code for type checkers does not run.
    typing_only = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    late = typing_only or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, package, at_the_top=at_the_top and not late)


def within(path: str, places: tuple[str, ...]) -> bool:
    return any(path == f"{place}.py" or path.startswith(f"{place}/") for place in places)


def broken(path: str, source: str | None = None) -> list[str]:
    """Returns one line for each rule that a module breaks."""
    violations = []
    own = part(path)
    for item in imports(path, source):
        top, where = item.module.split(".")[0], f"{path}:{item.line} imports {item.module}"
        if top == "stargan" and part(item.module) not in (own, *MAY_IMPORT.get(own, ())):
            violations.append(f"{where}; {own or 'the package'} may not")
        elif top in FRAMEWORKS:
            # Some parts may use `require` to check whether a framework is installed; data and training may not.
            checks = item.required and own in ("engine", "model", "evaluation", "interop", "inference")
            if not checks and not within(path, FRAMEWORKS[top]):
                violations.append(f"{where}; only {' or '.join(FRAMEWORKS[top]) or 'no module'} may")
            elif item.at_the_top and not within(path, AT_THE_TOP):
                violations.append(f"{where} at its top; import it in the function that needs it")
    return violations


def reachable(start: str) -> set[str]:
    """Returns all parts that a part imports, directly or through other parts."""
    seen: set[str] = set()
    pending = {start}
    while pending:
        own = pending.pop()
        seen.add(own)
        imported = [item.module for path in modules() if part(path) == own for item in imports(path)]
        pending |= {part(module) for module in imported if module.split(".")[0] == "stargan"} - seen
    return seen - {start}


# ---------------------------------------------------------------- imports


@pytest.mark.parametrize("path", modules())
def test_imports(path: str) -> None:
    assert part(path) in MAY_IMPORT, f"{path}: add its part to MAY_IMPORT"
    assert broken(path) == []


def test_the_rules_allow_no_cycles() -> None:
    """The parts can be ordered so that each one imports only earlier ones."""
    order: list[str] = []
    while len(order) < len(MAY_IMPORT):
        ready = [name for name, allowed in MAY_IMPORT.items() if name not in order and set(allowed) <= set(order)]
        assert ready, f"these import each other: {sorted(set(MAY_IMPORT) - set(order))}"
        order += ready


def test_faces_know_nothing_of_models() -> None:
    """Of `model`, they import what makes ONNX Runtime sessions and `FaceCrop`, and nothing else."""
    allowed = {"stargan.model.onnx_session", "stargan.model.face_crop"}
    found = {item.module for path in modules() if part(path) == "faces" for item in imports(path)}
    assert {module for module in found if module.startswith("stargan.model")} == allowed


def test_inference_never_imports_training() -> None:
    assert "training" not in reachable("inference")
    assert {"errors", "images"} <= reachable("inference")  # so that the search is known to work
    assert "training" in reachable("cli")


BREAKS = {
    "upwards": ("errors.py", "from stargan.domains.names import suggest"),
    "upwards, late": ("domains/space.py", "def f():\n    from stargan import config"),
    "sideways": ("data/cache.py", "import stargan.engine"),
    "sideways, relative": ("data/cache.py", "from ..engine import Engine"),
    "the package": ("images/arrays.py", "from stargan import load"),
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
    "onnxruntime at the top": ("model/onnx_session.py", "import onnxruntime as ort"),
    "onnxruntime at the top, in a try": (
        "model/onnx_session.py",
        "try:\n    import onnxruntime\nexcept ImportError:\n    pass",
    ),
    "onnxruntime in a class": ("model/onnx_session.py", "class A:\n    import onnxruntime"),
    "onnxruntime in inference": ("inference/onnx.py", "def f():\n    import onnxruntime"),
    "fastapi in cli": ("cli/train.py", "def f():\n    import fastapi"),
}
HOLDS = {
    "downwards": ("config/training.py", "from stargan.domains import Domains\nfrom stargan import errors"),
    "its own": ("data/cache.py", "from . import sources\nfrom .sources import find\nimport stargan.data.batches"),
    "torch in its engine": ("engine/pytorch/updates.py", "import torch\nfrom torch import nn"),
    "onnxruntime late": ("model/onnx_session.py", "class A:\n    def f(self):\n        import onnxruntime"),
    "asking for torch": ("engine/__init__.py", "def f():\n    require('torch', 'train', 'train')"),
    "a type only": ("model/onnx_session.py", "if TYPE_CHECKING:\n    import onnxruntime"),
    "another torch": ("cli/train.py", "import torchlike"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_violations_are_detected(case: str) -> None:
    path, source = BREAKS[case]
    assert broken(path, source) if part(path) in MAY_IMPORT else part(path) not in MAY_IMPORT


@pytest.mark.parametrize("case", HOLDS)
def test_valid_imports_are_accepted(case: str) -> None:
    assert broken(*HOLDS[case]) == []


# ---------------------------------------------------------------- loaded modules


def loaded(names: list[str]) -> set[str]:
    """Returns the top-level modules that a new interpreter loads when it imports the names; warnings are errors."""
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


def test_only_the_engines_load_a_framework() -> None:
    """Imports every other module, which includes all that the commands import."""
    names = [
        ".".join(["stargan", *Path(path).with_suffix("").parts]).removesuffix(".__init__")
        for path in modules()
        if not within(path, (*AT_THE_TOP, "__main__"))
    ]
    assert "stargan.training.loop" in names
    assert not loaded(names) & FRAMEWORKS.keys()


# ---------------------------------------------------------------- modules


def test_length_of_modules() -> None:
    lines = {path: len((PACKAGE / path).read_text("utf-8").splitlines()) for path in modules()}
    assert [path for path, count in lines.items() if count > MODULE_LINES] == []


def test_no_function_is_long() -> None:
    lines = {
        f"{path}: {node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in modules()
        for node in ast.walk(ast.parse((PACKAGE / path).read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert [name for name, count in lines.items() if count > FUNCTION_LINES] == []


def test_no_module_has_a_vague_name() -> None:
    names = {Path(path).stem for path in modules()}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_the_tree_of_errors_is_complete() -> None:
    """The docstring of `errors` draws every error class below its base class."""
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


def test_the_error_for_a_missing_extra_says_how_to_install_it() -> None:
    with pytest.raises(errors.MissingExtraError) as caught:
        errors.require("no_such_library.part", "train", "do this")
    assert str(caught.value) == "no_such_library is needed to do this: pip install 'stargan[train]'"
    assert errors.require("json", "train", "do this") is json

"""What MkDocs does beside its configuration: the page's own icon is the icon of the site."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ICON = Path(__file__).parents[2] / "src" / "stargan" / "web" / "page" / "icon.svg"


def on_files(files: Files, config: Any) -> Files:
    """Adds files that are not below docs/."""
    files.append(File.generated(config, "site/icon.svg", abs_src_path=str(ICON)))
    return files

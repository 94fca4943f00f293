"""Lists what stargan and its extras need, with licences, and asks pip-audit for known faults.

python .ci/dependencies.py            the exit code is 1 for a known fault; ? is a dependency that states no licence
"""

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NOT_SHIPPED = {"dev", "docs"}  # extras that only this repository needs


def needed() -> dict[str, importlib.metadata.Distribution]:
    """The installed distributions that stargan needs, directly or not, by name."""
    everything = frozenset(importlib.metadata.metadata("stargan").get_all("Provides-Extra") or ()) - NOT_SHIPPED
    waiting, seen = [("stargan", everything)], set()
    found = {}
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = distribution
        for line in distribution.requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras or {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return {name: found[name] for name in sorted(found.keys() - {"stargan"})}


def licence(distribution: importlib.metadata.Distribution) -> str:
    """The licence that a distribution states, in a few words; empty if it states none."""
    data = distribution.metadata
    classified = [line.split(" :: ")[-1] for line in data.get_all("Classifier") or () if line.startswith("License ::")]
    written = [text for name in ("License-Expression", "License") for text in data.get_all(name) or ()]
    stated = next(filter(None, [*written[:1], "; ".join(classified), *written]), "")
    files = [path for path in distribution.files or () if re.search(r"licen[cs]e|copying", path.name, re.IGNORECASE)]
    stated = stated.strip().removeprefix("UNKNOWN")
    return stated.split("\n")[0][:60] or (f"see {files[0]}" if files else "")


def audit(found: dict[str, importlib.metadata.Distribution]) -> list[str]:
    """What pip-audit finds; nothing, with one line, if it cannot ask."""
    with tempfile.TemporaryDirectory() as folder:
        list_, result = Path(folder) / "requirements.txt", Path(folder) / "result.json"
        public = {name: distribution.version.partition("+")[0] for name, distribution in found.items()}
        list_.write_text("".join(f"{name}=={version}\n" for name, version in public.items()))
        options = ["--no-deps", "--disable-pip", "--progress-spinner=off", "-f", "json", "-o", str(result)]
        command = [sys.executable, "-m", "pip_audit", *options, "-r", str(list_)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not result.exists():
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            print(f"pip-audit cannot ask for known faults ({reason[:120]})")
            return []
        checked = json.loads(result.read_text())["dependencies"]
    print(f"pip-audit: {len(checked)} packages")
    return [f"{one['name']} {one['version']}: {fault['id']}" for one in checked for fault in one.get("vulns", ())]


def main() -> int:
    """Prints the list and what is wrong with it."""
    found = needed()
    for name, distribution in found.items():
        print(f"{name:32} {distribution.version:16} {licence(distribution) or '?'}")
    wrong = audit(found)
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

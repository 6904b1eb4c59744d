"""`catts serve`: what it prints, what it starts, what it refuses."""

import json
import os
from pathlib import Path

import pytest

from catts import cli
from catts.agents.engines.vllm import installation


@pytest.fixture
def serve(capsys, monkeypatch):
    """`serve(...)`: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(["serve", *arguments])
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def python(tmp_path: Path) -> str:
    """One with vLLM for GPUs, beside a `vllm` that tells how it was started, and exits with 7."""
    said = {"vllm": "0.32.0", "catts": "0.1.0"}
    for name, script in (
        ("python", f"echo '{json.dumps(said)}'"),
        ("vllm", 'echo "$VLLM_USE_V2_MODEL_RUNNER $@"; exit 7'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n", "utf-8")
        (tmp_path / name).chmod(0o755)
    return str(tmp_path / "python")


def test_a_shipped_model_is_served_by_its_name(serve, python) -> None:
    code, out, err = serve("embedded", "--python", python, "--port", "8123")
    assert code == 0
    assert len(out.splitlines()) == 1
    assert "--served-model-name embedded --host 127.0.0.1 --port 8123" in out
    assert "models/base " in out
    assert "--base 'vllm:http://127.0.0.1:8123/v1#embedded'" in err


def test_json_holds_the_command_as_a_list(serve, python, tiny_checkpoint) -> None:
    code, out, _ = serve(
        str(tiny_checkpoint), "--python", python, "--tensor-parallel-size", "2", "--json",
        "--", "--seed", "3",
    )  # fmt: skip
    assert code == 0
    told = json.loads(out)
    assert told["command"][2] == str(tiny_checkpoint)
    assert told["command"][-2:] == ["--seed", "3"]
    assert told["environment"] == {"VLLM_USE_V2_MODEL_RUNNER": "0"}
    assert told["base"].endswith(f"#{tiny_checkpoint.name}")


def test_run_is_vllm_itself(capfd, python) -> None:
    """In a child, since the process is replaced."""
    child = os.fork()
    if child == 0:
        try:
            cli.main(["serve", "org/name", "--run", "--python", python])
        finally:
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert "0 serve org/name --served-model-name org/name" in capfd.readouterr().out


def test_a_script_that_is_not_there_is_told_in_one_line(serve, python, tmp_path) -> None:
    (tmp_path / "vllm").unlink()
    code, _, err = serve("org/name", "--run", "--python", python)
    assert code == 2
    assert f"{tmp_path}/vllm cannot be started (No such file or directory): install" in err
    assert "Traceback" not in err


def test_what_is_not_there_is_refused(serve, python, tmp_path, monkeypatch) -> None:
    for spec, said in (
        ("./nowhere", "no model at './nowhere'"),
        ("", "the name of the model is empty"),
        ("vllm:http://a", "is served already"),
        (str(tmp_path), "holds no checkpoint"),
    ):
        code, out, err = serve(spec, "--python", python)
        assert (code, out) == (2, "")
        assert said in err
    code, _, err = serve("org/name", "--run", "--python", "/nowhere/python")
    assert code == 2
    assert "has no vLLM" in err
    monkeypatch.setattr(installation, "_look", lambda python: None)
    code, _, err = serve("org/name", "--run")
    assert code == 2
    assert "there is no vLLM" in err and "--python" in err


def test_without_any_vllm_the_command_is_one_for_a_gpu(serve, monkeypatch) -> None:
    monkeypatch.setattr(installation, "_look", lambda python: None)
    code, out, err = serve("org/name")
    assert code == 0
    assert "vllm serve org/name" in out
    assert "no vLLM here" in err


def test_a_plugin_that_is_missing_or_may_not_fit_is_told(serve, monkeypatch) -> None:
    found = installation.Installed("/x/python", "0.33.0", cpu=False, plugin=False)
    monkeypatch.setattr(installation, "_look", lambda python: found)
    code, _, err = serve("org/name")
    assert code == 2
    assert "pip install --no-deps catts there, or give --no-lock-step" in err
    assert serve("org/name", "--no-lock-step")[0] == 0
    monkeypatch.setattr(installation, "_look", lambda python: found._replace(plugin=True))
    code, _, err = serve("org/name")
    assert code == 0
    assert "made for vLLM 0.32, and this is 0.33.0" in err

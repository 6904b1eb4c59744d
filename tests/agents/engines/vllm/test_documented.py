"""Every server that docs/engines.md starts is one that vLLM's own parser takes."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from serving import ENVIRONMENT, PYTHON, ROOT

from catts import cli
from catts.agents.engines.vllm import installation

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not PYTHON.exists(), reason="there is no vLLM: make vllm-env"),
]
PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
for command in json.load(sys.stdin):
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(command[2:])
    validate_parsed_serve_args(parsed)
    print("PARSED", json.dumps({name: repr(value) for name, value in vars(parsed).items()}))
"""


def documented() -> list[list[str]]:
    """The lines of the page that start a server, without variables that stand before them."""
    page = (ROOT / "docs" / "engines.md").read_text("utf-8")
    blocks = re.findall(r"^```\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    words = [[w for w in shlex.split(line) if not re.match("[A-Z0-9_]+=", w)] for line in lines]
    return [line for line in words if line[:2] in (["catts", "serve"], ["vllm", "serve"])]


@pytest.fixture
def commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> list[list[str]]:
    """What vLLM is started with, on a machine with GPUs."""
    monkeypatch.setattr(installation, "_look", lambda python: None)
    made = []
    for line in documented():
        if line[0] == "vllm":
            made.append(line)
            continue
        further = line.index("--") if "--" in line else len(line)
        ours = [word for word in line[1:further] if word != "--run"]
        with pytest.raises(SystemExit) as ended:
            cli.main([*ours, "--json", *line[further:]])
        assert not ended.value.code, line
        made.append(json.loads(capsys.readouterr().out)["command"])
    return made


def test_the_parser_takes_them(commands: list[list[str]], tmp_path: Path) -> None:
    assert len(commands) > 8
    done = subprocess.run(
        [str(PYTHON), "-c", PARSE], input=json.dumps(commands), capture_output=True, text=True,
        env=os.environ | ENVIRONMENT, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    told = [line[7:] for line in done.stdout.splitlines() if line.startswith("PARSED ")]
    parsed = [json.loads(line) for line in told]
    assert len(parsed) == len(commands)
    for each in parsed:
        assert each["max_logprobs"] == "21"
        assert each["generation_config"] == "'vllm'"
        assert each["enable_scale_out"] == "True"
    assert {each["tensor_parallel_size"] for each in parsed} == {"1", "4", "8"}
    assert {each["data_parallel_size"] for each in parsed} == {"1", "8", "16"}
    assert {each["distributed_executor_backend"] for each in parsed} == {"None", "'ray'"}
    with_plugin = [each for each in parsed if "PairScheduler" in each["scheduler_cls"]]
    assert {each["async_scheduling"] for each in with_plugin} == {"False"}
    assert len(with_plugin) == len(parsed) - 2

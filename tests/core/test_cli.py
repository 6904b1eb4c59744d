"""The command line in this process: bad input, JSON, stored traces."""

import json
import math
from pathlib import Path

import pytest
from PIL import Image

from catts import cli, options
from catts.question import Question


@pytest.fixture
def run(capsys, monkeypatch):
    """`run("ask", ...)`: exit code, stdout, stderr of the command line."""
    for key in ("OPENAI_API_KEY", "GOOGLE_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(key, raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            cli.main(arguments)
        out, err = capsys.readouterr()
        return ended.value.code or 0, out, err

    return call


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    Image.linear_gradient("L").resize((112, 112)).convert("RGB").save(path)
    return str(path)


def _refused(result: tuple[int, str, str], *words: str) -> None:
    code, out, err = result
    assert code == 2
    assert out == ""
    assert len(err.strip().splitlines()) == 1, err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_missing_file(run, tmp_path):
    _refused(run("ask", str(tmp_path / "none.png"), "What?"), "no file", "check the path")


@pytest.mark.parametrize("image", ["http://a.example/b.png", "data:image/png;base64,AAAA"])
def test_a_url_is_not_fetched(run, image):
    _refused(run("ask", image, "What?"), image, "is a URL", "download it first")


def test_an_empty_path(run):
    _refused(run("ask", "", "What?"), "the path of the image is empty")


def test_a_folder_is_no_image(run, tmp_path):
    _refused(run("ask", str(tmp_path), "What?"), "folder")


def test_not_an_image(run, tmp_path):
    path = tmp_path / "text.png"
    path.write_text("no picture")
    _refused(run("ask", str(path), "What?"), "not an image")


def test_truncated_image(run, tmp_path, picture):
    path = tmp_path / "half.png"
    whole = Path(picture).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    _refused(run("ask", str(path), "What?"), "truncated")


def test_twenty_thousand_pixels_square(run, tmp_path):
    path = tmp_path / "huge.png"
    Image.new("1", (20_000, 20_000)).save(path)
    _refused(run("ask", str(path), "What?"), "too large", "make it smaller")


@pytest.mark.parametrize("text", ["", "  "])
def test_blank_question(run, picture, text):
    _refused(run("ask", picture, text), "question: it is blank; write a question")


def test_a_question_knows_how_many_choices_it_may_have():
    with pytest.raises(ValueError, match="up to 26"):
        Question(text="Which?", choices=tuple(map(str, range(27))))


def test_too_many_choices(run, picture):
    choices = [part for i in range(27) for part in ("--choice", str(i))]
    _refused(run("ask", picture, "What?", *choices), "up to 26")


def test_unknown_base(run, picture):
    _refused(run("ask", picture, "What?", "--base", "./nowhere"), "./nowhere", "give")


def test_an_empty_base(run, picture):
    _refused(run("ask", picture, "What?", "--base", ""), "the name of the model is empty")


@pytest.mark.parametrize("command", [("bench", "sampler"), ("embedded", "train", "base")])
@pytest.mark.parametrize("device", ["foo", "mps"])
def test_a_device_that_is_not_there(run, command, device, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _refused(run(*command, "--device", device), repr(device), "give `cpu`")


def test_unknown_provider(run, picture, tiny_checkpoint):
    base = str(tiny_checkpoint)
    _refused(
        run("ask", picture, "What?", "--base", base, "--expert", "nobody:model"),
        "no provider 'nobody'",
    )


def test_missing_key(run, picture, tiny_checkpoint):
    base = str(tiny_checkpoint)
    _refused(
        run("ask", picture, "What?", "--base", base, "--expert", "google_genai:gemini-x"),
        "GOOGLE_API_KEY",
    )


@pytest.mark.parametrize("option", [("--samples", "0"), ("--routing", "none"), ("--seed", "-1")])
def test_options_out_of_range(run, picture, option):
    code, out, err = run("ask", picture, "What?", *option)
    assert (code, out) == (2, "")
    assert option[0] in err
    assert "Traceback" not in err


@pytest.mark.parametrize("expert", ["embedded", "base"])
def test_a_local_expert_takes_no_key(run, picture, monkeypatch, expert):
    monkeypatch.setenv("MY_KEY", "sk-fake-0123456789")
    _refused(
        run("ask", picture, "What?", "--expert", expert, "--expert-key-env", "MY_KEY"),
        f"the expert {expert} takes no key",
    )


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--expert-limits", "euros=2", "euros: "),
        ("--expert-limits", "calls", "'calls' is no limit: give NAME=NUMBER"),
        ("--expert-settings", "{}", "the expert embedded takes no settings"),
        ("--expert-settings", "thinking_budget=3", "--expert-settings takes a JSON object"),
        ("--prices", "nowhere.toml", "cannot read nowhere.toml"),
    ],
)
def test_what_an_expert_does_not_take_is_told(run, picture, option, value, says):
    _refused(run("ask", picture, "What?", option, value), says)


def test_no_trace_file(run, tmp_path):
    _refused(run("trace", str(tmp_path / "none.jsonl")), "cannot read")


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_traces(run, tmp_path, text):
    path = tmp_path / "empty.jsonl"
    path.write_text(text)
    _refused(run("trace", str(path)), "holds no traces")


def test_broken_trace_file(run, tmp_path):
    path = tmp_path / "broken.jsonl"
    path.write_text('{"version": 99}\n')
    _refused(run("trace", str(path)), "version")


def test_routings_are_the_graph_s():
    from catts.graph.context import Routing

    assert options.Routing == Routing


def test_regions_are_the_graph_s():
    from catts.tuning import Region

    assert options.Region == Region


@pytest.mark.parametrize("json", [(), ("--json",)])
def test_no_answer_is_no_success_and_says_why(run, picture, tiny_checkpoint, json):
    base = str(tiny_checkpoint)
    code, out, err = run(
        "ask", picture, "Which?", "--base", base, "--expert", "base", "--max-new-tokens", "1",
        "--samples", "1", "--choice", "left", "--choice", "right", *json,
    )  # fmt: skip
    assert code == 1, err
    assert ('"no_answer":"no_readable_answer"' if json else "no sample holds an answer") in out


def test_ask_json_has_everything_and_votes_are_the_ballots_sum(run, picture, tiny_checkpoint):
    base = str(tiny_checkpoint)
    arguments = ("ask", picture, "Which?", "--json", "--base", base, "--expert", "base",
                 "--samples", "2", "--routing", "paper", "--max-new-tokens", "1",
    )  # fmt: skip
    code, out, _ = run(*arguments)
    assert code == 0
    assert len(out.splitlines()) == 1
    result = json.loads(out)
    wanted = {"answer", "votes", "ballots", "samples", "plan", "route", "critique", "usage",
              "failed_nodes"}  # fmt: skip
    assert wanted <= result.keys()
    assert len(result["samples"]) == 2
    assert {"text", "answer", "confidence", "confidence_kind"} <= result["samples"][0].keys()
    cast: dict[str, list[float]] = {}
    for ballot in result["ballots"]:
        assert ballot.keys() == {"source", "answer", "weight", "reason"}
        cast.setdefault(ballot["answer"], []).append(ballot["weight"])
    assert cast, "a word is an answer"
    assert result["votes"] == {answer: math.fsum(weights) for answer, weights in cast.items()}
    again = json.loads(run(*arguments)[1])
    del result["usage"], again["usage"]  # the only part that holds times
    assert again == result


def test_what_base_and_expert_see_of_a_picture_are_settings(run, picture, tiny_checkpoint):
    base = str(tiny_checkpoint)
    arguments = ("ask", picture, "Which?", "--json", "--base", base, "--expert", "base",
                 "--samples", "1", "--max-new-tokens", "1",
    )  # fmt: skip
    whole = json.loads(run(*arguments)[1])
    less = json.loads(run(*arguments, "--max-pixels", "3136", "--expert-max-side", "64")[1])

    def read(trace):
        return trace["usage"]["nodes"][0]["usage"]["prompt_tokens"]

    assert read(whole) - read(less) == 16 - 4, "112 x 112 and 56 x 56 pixels, 28 x 28 a token"
    assert (whole["policy"]["expert_max_side"], less["policy"]["expert_max_side"]) == (2048, 64)
    assert whole["context_fingerprint"] != less["context_fingerprint"]
    _refused(run(*arguments, "--max-pixels", "700"), "max_pixels", "at least 784")

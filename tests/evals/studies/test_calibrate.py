"""What a card recommends, from models that follow a script; expectations by hand."""

import io
import json
import math
import shutil
import warnings
from collections.abc import Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console
from scripted_models import ONE_CALL, ScriptedEngine, ScriptedExpert, completion

from catts import cli
from catts.agents.card import ModelCard, read_card
from catts.agents.engines.loading import load_model
from catts.agents.protocol import Contrast, Generation
from catts.agents.spec import embedded_folder
from catts.errors import CalibrationError, EngineError, RoleError
from catts.evals.asking import Asking
from catts.evals.benchmarks.digest import data_digest, overlap, question_digest
from catts.evals.benchmarks.item import Item
from catts.evals.benchmarks.loading import Loaded
from catts.evals.studies import lab as lab_module
from catts.evals.studies.calibrate import OverlapWarning, calibrate
from catts.evals.studies.calibrate_show import describe
from catts.evals.studies.lab import Lab
from catts.evals.studies.setting import Setting
from catts.graph.context import Context
from catts.graph.nodes import render
from catts.graph.records import NoisedImage
from catts.images import image_digest
from catts.perception.noise import noise_seed
from catts.store import Store

TRUTH, UNTRUTH = "3", "4"
CARD = ModelCard(prompt_set="embedded", max_new_tokens=77, contrast_beta=0.2, noise_t=300)
CHECKED = {(500, 0.5): 4, (500, 1.0): 6, (800, 0.5): 8, (800, 1.0): 2}
"""Of eight questions, how many the self-check gets right at a step and a strength."""


def png(place: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (24, 16), (place, 90, 120)).save(file, format="PNG")
    return file.getvalue()


ITEMS = [
    Item(str(i), f"How many at {i}?", (), (png(i),), TRUTH, "free-form", origin=str(i))
    for i in range(8)
]


def hard(place: int) -> bool:
    return place // 2 % 2 == 1  # so that even and odd places know both


class Engine(ScriptedEngine):
    """Easy: six sure right samples, two wrong ones. Hard: one right of eight unsure ones.

    Under the critique it turns every leader over.
    """

    def __init__(self, **options) -> None:
        super().__init__(kind="min_logprob", **options)
        self.card = CARD
        self.lengths: set[int] = set()

    def told(self, place: int) -> Sequence[tuple[str, float]]:
        if hard(place):
            return [(TRUTH, -3.0)] + [(UNTRUTH, -3.0)] * 7
        return [(TRUTH, -1.0)] * 6 + [(UNTRUTH, -2.0)] * 2

    async def sample(self, question, images, params):
        await self._act("sample")
        self.lengths.add(params.max_new_tokens)
        told = self.told(images[0].getpixel((0, 0))[0])
        return Generation(
            samples=tuple(completion(s, self._kind) for s in told[: params.n]), usage=ONE_CALL
        )

    async def reanswer(self, question, images, **asked):
        await self._act("reanswer")
        said = TRUTH if hard(images[0].getpixel((0, 0))[0]) else UNTRUTH
        return Generation(samples=(completion((said, -1.0), self._kind),), usage=ONE_CALL)

    async def contrast(self, question, images, noised, params, **asked):
        await self._act("contrast")
        assert params.beta == CARD.contrast_beta, "the self-check is chosen as it will run"
        (clean,), (shown,) = images, noised
        (t,) = (t for t in (300, 500, 800) if at(clean, t).tobytes() == shown.tobytes())
        right = clean.getpixel((0, 0))[0] < CHECKED[t, params.alpha]
        sample = completion((TRUTH if right else UNTRUTH, -1.0), self._kind)
        return Contrast(sample=sample, method="lock_step", usage=ONE_CALL)


def at(image: Image.Image, t: int) -> Image.Image:
    digest = image_digest(image)
    noised = NoisedImage(
        digest=digest, t=t, size=image.size, region=None, seed=noise_seed(digest, t)
    )
    return render(noised, image)


def expert(**options) -> ScriptedExpert:
    """Its voter is always right."""
    return ScriptedExpert(votes={TRUTH: 1.0, UNTRUTH: 0.0}, **options)


def laboratory(folder: Path, engine: ScriptedEngine, asked: ScriptedExpert, **setting) -> Lab:
    made = Setting(
        **({"store": folder / "said.sqlite", "split": "validation", "quiet": True} | setting)
    )
    context = Context.of(engine, asked, routing="paper", attempts=1)
    store = Store(made.store)
    asking = Asking.stored(ITEMS, context, store, quiet=True)
    return Lab(made, Loaded(tuple(ITEMS)), context, asking, store, data_digest(ITEMS))


@pytest.fixture
async def fitted(tmp_path):
    lab = laboratory(tmp_path, Engine(), expert())
    return await calibrate(lab), lab


async def test_the_mapping_is_how_often_a_confidence_was_right(fitted):
    found, lab = fitted
    mapping = found.card.confidence_map
    assert (mapping.kind, mapping.x) == ("min_logprob", (-3.0, -2.0, -1.0))
    # right: 4 of 32 at -3, none of 8 at -2, which is pooled with it: 4 of 40
    assert mapping.y == (0.1, 0.1, 0.99)
    assert mapping.method == "isotonic"
    assert found.brier["isotonic"] < found.brier["platt"]
    questions, answers = mapping.fitted_on.split(", ", 1)
    assert questions == f"embedded/validation (questions sha256 {lab.data[:12]})"
    assert answers.startswith("8 questions x 8 samples, sha256 ")


async def test_what_is_chosen_and_from_what(fitted):
    found, _ = fitted
    assert [kind.kind for kind in found.kinds] == ["min_logprob"]
    assert found.kinds[0].within == (1.0 + 0.5) / 2
    assert found.vote_accuracy == {"raw": 0.5, "mapped": 0.5}
    assert found.card.vote_weight == "raw", "the paper's where nothing is gained"
    assert found.contrast_accuracy == {
        "t 500, alpha 0.5": 0.5,
        "t 500, alpha 1": 0.75,
        "t 800, alpha 0.5": 1.0,
        "t 800, alpha 1": 0.25,
    }
    assert (found.card.noise_t, found.card.contrast_alpha) == (800, 0.5)


async def test_the_thresholds_lie_where_the_modules_start_to_help(fitted):
    found, _ = fitted
    # the critique turns the hard leaders (0.1) right and the easy ones (0.99) wrong
    assert found.card.reflect_below == 0.99
    # easy leaders hold 0.8907 and are right; hard ones hold 7/8 and are wrong until modules vote
    assert 6 / math.e / (6 / math.e + 2 / math.e**2) == pytest.approx(0.8907, abs=1e-4)
    assert found.card.accept == 0.9


async def test_the_rest_of_the_card_is_kept_and_obeyed(fitted):
    found, lab = fitted
    chosen = {"confidence_kind", "confidence_map", "vote_weight", "noise_t", "contrast_alpha",
              "reflect_below", "accept", "name", "chosen_on"}  # fmt: skip
    assert found.card.model_dump(exclude=chosen) == CARD.model_dump(exclude=chosen)
    assert found.card.name == "scripted"
    assert lab.context.engine.lengths == {77}
    assert ModelCard.model_validate_json(found.card.model_dump_json()) == found.card


async def test_the_confidence_is_measured_with_mappings_of_other_questions(fitted):
    found, _ = fitted
    brier = next(m for m in found.metrics if m.metric == "brier")
    assert brier.value == found.brier["isotonic"]
    assert brier.mapping.startswith("isotonic, cross-fitted on embedded/validation")
    assert (brier.n, brier.answers, brier.confidence) == (8, 64, "min_logprob")


async def test_each_model_is_asked_once_and_a_second_run_asks_none(fitted):
    found, lab = fitted
    engine, asked = lab.context.engine, lab.context.expert
    calls = {name: engine.calls.count(name) for name in ("sample", "reanswer", "contrast")}
    assert calls == {"sample": 8, "reanswer": 8, "contrast": 8 * 4}
    assert {name: asked.calls.count(name) for name in ("planner", "voter", "critic")} == {
        "planner": 0, "voter": 8, "critic": 8,
    }  # fmt: skip
    before = len(engine.calls), len(asked.calls)
    assert (await calibrate(lab)).card == found.card
    assert (len(engine.calls), len(asked.calls)) == before


async def test_a_mapping_that_wins_more_votes_weighs_them(tmp_path):
    class Telling(Engine):
        """Hard: two right samples that are surer than six wrong ones."""

        def told(self, place):
            return [(TRUTH, -2.0)] * 2 + [(UNTRUTH, -3.0)] * 6 if hard(place) else super().told(0)

    found = await calibrate(laboratory(tmp_path, Telling(), expert()))
    assert found.vote_accuracy == {"raw": 0.5, "mapped": 1.0}
    assert found.card.vote_weight == "mapped"


@pytest.mark.parametrize(
    ("engine", "asked", "words"),
    [
        ({"contrast": EngineError("cannot")}, {}, r"\(self_check 8\).*EngineError: cannot"),
        ({}, {"critic": RoleError("critic", "no")}, r"\(critic 8\).*RoleError: no"),
    ],
)
async def test_nothing_is_chosen_without_a_node_that_got_no_reply(tmp_path, engine, asked, words):
    lab = laboratory(tmp_path, Engine(fail=engine), expert(fail=asked))
    with pytest.raises(CalibrationError, match=f"nodes failed {words}"):
        await calibrate(lab)
    again = laboratory(tmp_path, Engine(), expert())
    found = await calibrate(again)
    assert found.card.accept == 0.9
    assert again.context.engine.calls.count("sample") == 0, "what did not fail is stored"


async def test_a_lab_that_failed_once_may_calibrate_later(tmp_path):
    down = expert(fail={"critic": RoleError("critic", "no")})
    lab = laboratory(tmp_path, Engine(), down)
    with pytest.raises(CalibrationError):
        await calibrate(lab)
    down._fail.clear()
    assert (await calibrate(lab)).card.accept == 0.9


async def test_replies_of_no_use_are_a_result_and_told(tmp_path):
    asked = expert(fail={"critic": RoleError("critic", "malformed", cause="ReplyError")})
    found = await calibrate(laboratory(tmp_path, Engine(), asked))
    assert found.unusable == {"critic": 8}
    assert found.card.reflect_below == 0.0, "a critic of no use never helps"


async def test_the_card_tells_on_what_it_was_chosen(fitted):
    found, _ = fitted
    on = found.card.chosen_on
    assert (on.task, on.split, on.expert) == ("embedded", "validation", "scripted-expert")
    assert on.questions == tuple(question_digest(item) for item in ITEMS)
    assert overlap(found.card, ITEMS[:3]) == 3


async def test_questions_that_the_base_cannot_answer_are_left_out_and_told(tmp_path):
    class Short(Engine):
        async def sample(self, question, images, params):
            if question.text == "How many at 3?":
                raise EngineError("the prompt has 9000 tokens")
            return await super().sample(question, images, params)

    found = await calibrate(laboratory(tmp_path, Short(), expert()))
    assert found.left_out == {"3": "3 (3): the prompt has 9000 tokens"}
    assert found.made.questions == 7
    assert len(found.card.chosen_on.questions) == 7


async def test_names_and_errors_with_brackets_are_shown_as_they_are(fitted):
    found, _ = fitted
    made = found.made.model_copy(update={"base": "a[/INST]b", "expert": "[red]x"})
    told = found.model_copy(update={"made": made, "left_out": {"3": "3: near [/INST]"}})
    console = Console(file=io.StringIO(), width=100)
    console.print(*describe(told))
    for words in ("Calibrated a[/INST]b on", "[red]x", "3: near [/INST]"):
        assert words in console.file.getvalue()


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ([(TRUTH, -1.0)] * 8, "all 64 answers to 8 questions are right"),
        ([("", -1.0)] * 8, "all 64 answers to 8 questions are wrong"),
    ],
)
async def test_answers_of_one_sort_calibrate_nothing(tmp_path, told, words):
    engine = Engine()
    engine.told = lambda place: told
    with pytest.raises(CalibrationError, match=words):
        await calibrate(laboratory(tmp_path, engine, expert()))


async def test_a_model_that_fails_is_told_with_its_reason(tmp_path):
    engine = Engine(fail={"sample": EngineError("out of memory")})
    with pytest.raises(CalibrationError, match=r"no answer to any question.*out of memory"):
        await calibrate(laboratory(tmp_path, engine, expert()))


async def test_a_model_without_confidence_is_told_of(tmp_path):
    class Silent(Engine):
        async def sample(self, question, images, params):
            drawn = await super().sample(question, images, params)
            bare = tuple(s.model_copy(update={"confidence": {}}) for s in drawn.samples)
            return drawn.model_copy(update={"samples": bare})

    with pytest.raises(CalibrationError, match="no answer has a confidence"):
        await calibrate(laboratory(tmp_path, Silent(), expert()))


@pytest.mark.parametrize("data", [None, "AI4Math/MathVista", "."])
async def test_questions_that_are_reported_too_are_warned_of(tmp_path, data):
    lab = laboratory(tmp_path, Engine(), expert(), task="mathvista", split="testmini", data=data)
    with pytest.warns(OverlapWarning, match="testmini is what MathVista reports"):
        await calibrate(lab)


async def test_a_file_of_one_s_own_is_named_and_not_warned_of(tmp_path):
    (tmp_path / "mine.jsonl").touch()
    lab = laboratory(
        tmp_path, Engine(), expert(), task="mathvista", split="testmini",
        data=str(tmp_path / "mine.jsonl"),
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = await calibrate(lab)
    assert found.card.confidence_map.fitted_on.startswith("mathvista/mine.jsonl (questions sha256")


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
    """`catts calibrate` with scripted models; returns exit code, stdout and stderr."""
    monkeypatch.setenv("CATTS_CARDS", str(tmp_path / "cards"))
    given: list[Setting] = []

    @asynccontextmanager
    async def opened(setting):
        fail = {"voter": RoleError("voter", "down")} if setting.expert == "a:down" else {}
        given.append(setting)
        yield laboratory(tmp_path, Engine(fingerprint="f1"), expert(fail=fail), split=setting.split)

    monkeypatch.setattr(lab_module, "open_lab", opened)

    def call(*arguments):
        code = 0
        try:
            cli.main(["calibrate", "--task", "embedded", *arguments])
        except SystemExit as ended:
            code = ended.code or 0
        out, err = capsys.readouterr()
        return code, out, err

    call.given = given
    return call


def test_no_card_is_written_when_the_expert_is_down(command, tmp_path):
    code, out, err = command("--base", "org/name", "--expert", "a:down")
    assert (code, out) == (2, "")
    assert "nodes failed (voter 8)" in err.replace("\n", " ")
    assert not list((tmp_path / "cards").rglob("catts.json"))


def test_an_expert_may_be_on_a_server(command):
    address = "http://localhost:8000/v1"
    assert command("--base", "org/name", "--expert", "mine", "--expert-url", address)[0] == 0
    assert (command.given[0].expert, command.given[0].expert_url) == ("mine", address)


def test_a_hub_model_s_card_lies_under_its_fingerprint(command, tmp_path):
    code, out, _ = command("--base", "org/name")
    assert code == 0
    card = read_card(tmp_path / "cards" / "f1")
    assert (card.confidence_kind, card.accept) == ("min_logprob", 0.9)
    assert "asked below 0.990" in out
    assert f"card: {tmp_path / 'cards' / 'f1' / 'catts.json'}" in out.replace("\n", "")


def test_a_local_model_s_card_lies_beside_it(command, tmp_path):
    (tmp_path / "model").mkdir()
    code, out, err = command("--base", str(tmp_path / "model"), "--json")
    assert code == 0
    assert read_card(tmp_path / "model").accept == 0.9
    assert json.loads(out)["card"]["accept"] == 0.9
    assert "catts.json" in err
    assert not (tmp_path / "cards").exists()


def test_another_folder_of_cards(command, tmp_path):
    code, *_ = command("--base", "embedded", "--out", str(tmp_path / "other"))
    assert code == 0
    assert read_card(tmp_path / "other" / "f1").accept == 0.9


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--base", "embedded"), "ships with its card, which always counts: give --out"),
        (("--base", "./nowhere"), "no model at './nowhere'"),
        (("--base", "org/name", "--out", "/dev/null"), "cannot write into /dev/null"),
        (("--base", "org/name", "--task", "none"), "task: Input should be 'embedded'"),
        (("--base", "org/name", "--samples", "1"), "--samples"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_asked(command, tmp_path, arguments, words):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "said.sqlite").exists()


@pytest.mark.models
@pytest.mark.slow
def test_a_checkpoint_is_calibrated_and_read_with_its_new_card(tmp_path):
    """A copy of the shipped base: the weights stay the same model, the card is a new one."""
    base = Path(shutil.copytree(embedded_folder("base"), tmp_path / "base"))
    before = load_model(base, device="cpu")
    arguments = ["--base", str(base), "--task", "embedded", "--limit", "10", "--samples", "3"]
    with pytest.raises(SystemExit) as ended:
        cli.main(["calibrate", *arguments, "--store", str(tmp_path / "said"), "--json"])
    assert not ended.value.code
    after = load_model(base, device="cpu")
    assert after.fingerprint == before.fingerprint
    assert "embedded/validation" in after.card.confidence_map.fitted_on
    assert "10 questions x 3 samples" in after.card.confidence_map.fitted_on
    assert after.card.prompt_hash == before.card.prompt_hash

import hashlib
import json
import math

import pytest
from pydantic import ValidationError
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.card import ChosenOn, ModelCard
from catts.calibration import ConfidenceMap
from catts.errors import InputError
from catts.graph.context import Context, Policy
from catts.tuning import Tuning

FITTED = ConfidenceMap(kind="mean_logprob", x=(-1.0, 0.0), y=(0.2, 0.8), fitted_on="test")
CARD = ModelCard(
    max_new_tokens=77,
    confidence_kind="mean_logprob",
    vote_weight="mapped",
    confidence_map=FITTED,
    noise_t=640,
    accept=0.7,
    reflect_below=0.4,
)


class Carded(ScriptedEngine):
    card = CARD


def test_the_engines_card_gives_the_defaults_and_settings_win() -> None:
    policy = Context.of(Carded(), ScriptedExpert(), noise_t=100).policy
    assert policy.noise_t == 100
    assert (policy.max_new_tokens, policy.accept, policy.reflect_below) == (77, 0.7, 0.4)
    assert policy.weight(-0.5) == pytest.approx(0.5)
    assert policy.certainty(-0.5) == pytest.approx(0.5)


def test_what_a_card_was_chosen_on_changes_no_policy() -> None:
    on = ChosenOn(task="t", split="s", expert="e", questions=("0123456789ab",))
    assert Policy.from_card(CARD.model_copy(update={"chosen_on": on})) == Policy.from_card(CARD)


def test_another_kind_drops_everything_that_was_fitted_to_the_card_s() -> None:
    policy = Policy.from_card(CARD, confidence_kind="top_k_mean")
    assert (policy.vote_weight, policy.confidence_map) == ("raw", None)
    assert (policy.accept, policy.reflect_below) == (Policy().accept, None)
    assert policy.noise_t == 640, "which has nothing to do with confidence"
    assert policy.weight(2.5) == 2.5
    assert policy.certainty(2.5) is None


def test_a_card_s_mapping_can_be_left_out() -> None:
    policy = Policy.from_card(CARD, confidence_map=None)
    assert (policy.confidence_map, policy.vote_weight, policy.reflect_below) == (None, "raw", None)
    assert (policy.confidence_kind, policy.accept) == ("mean_logprob", 0.7)


def test_never_survives_json() -> None:
    policy = Policy(accept=math.inf)
    assert Policy.model_validate_json(policy.model_dump_json()) == policy
    card = ModelCard(accept=math.inf)
    assert ModelCard.model_validate_json(card.model_dump_json()) == card


def test_an_engine_without_a_card_gets_the_papers_numbers() -> None:
    policy = Context.of(ScriptedEngine(), ScriptedExpert()).policy
    assert (policy.tau1, policy.tau2, policy.tau3) == (0.5, 0.5, 0.5)
    assert (policy.temperature, policy.samples) == (1.0, 8)
    assert policy.reanswering.n == 1
    assert policy.reanswering.temperature == 0


def test_mixed_kinds_of_confidence_are_refused() -> None:
    with pytest.raises(ValidationError, match="was fitted on mean_logprob"):
        Policy(confidence_kind="top_k_mean", confidence_map=FITTED)
    with pytest.raises(ValidationError, match="needs a confidence_map"):
        Policy(vote_weight="mapped")
    with pytest.raises(ValidationError, match="the critic is then always asked"):
        Policy(reflect_below=0.5)
    with pytest.raises(InputError, match="sample"):
        Context.of(ScriptedEngine(), ScriptedExpert(), sample=3)


def test_the_fingerprint_covers_models_and_policy_and_nothing_else() -> None:
    def fingerprint(**options: object) -> str:
        engine = ScriptedEngine(fingerprint=str(options.pop("engine", "e")))
        expert = ScriptedExpert(critique=str(options.pop("critique", "c")))
        return Context.of(engine, expert, **options).fingerprint  # type: ignore[arg-type]

    assert fingerprint() == fingerprint()
    variants = [
        fingerprint(),
        fingerprint(engine="other"),
        fingerprint(critique="other"),
        fingerprint(seed=1),
        fingerprint(routing="paper"),
    ]
    assert len(set(variants)) == len(variants)


def test_the_fingerprint_is_the_hash_of_sorted_json_so_stored_threads_can_go_on() -> None:
    context = Context.of(ScriptedEngine(fingerprint="e"), ScriptedExpert(), seed=3)
    policy = json.loads(context.policy.model_dump_json())
    parts = {"policy": dict(reversed(policy.items())), "expert": context.expert.fingerprint}
    text = json.dumps(parts | {"engine": "e"}, sort_keys=True)
    assert context.fingerprint == hashlib.sha256(text.encode()).hexdigest()


async def test_closing_closes_the_models() -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    await Context.of(engine, expert).aclose()
    assert (engine.closed, expert.closed) == (1, 1)


def test_the_scripts_are_what_the_protocols_ask_for() -> None:
    from catts.agents.expert import Expert
    from catts.agents.protocol import Engine

    assert isinstance(ScriptedEngine(), Engine)
    assert isinstance(ScriptedExpert(), Expert)


def test_a_policy_s_own_numbers_are_these() -> None:
    own = Policy().model_dump(exclude=set(Tuning.model_fields))
    assert own == {
        "routing": "planned",
        "samples": 8,
        "temperature": 1.0,
        "top_p": 1.0,
        "reanswer_temperature": 0.0,
        "seed": 0,
        "expert_max_side": 2048,
        "tau1": 0.5,
        "tau2": 0.5,
        "tau3": 0.5,
    }


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("samples", (1, 64), (0,)),
        ("temperature", (0.0, 2.0), (-0.01, math.inf, math.nan)),
        ("top_p", (0.01, 1.0), (0.0, 1.01)),
        ("reanswer_temperature", (0.0, 2.0), (-0.01, math.inf)),
        ("seed", (0, 7), (-1,)),
        ("expert_max_side", (32,), (31,)),
        ("tau1", (0.0, 2.0), (-0.01, math.inf)),
        ("tau2", (0.0, 2.0), (-0.01, math.inf)),
        ("tau3", (0.0, 2.0), (-0.01, math.inf)),
    ],
)
def test_ranges(name: str, allowed: tuple[float, ...], refused: tuple[float, ...]) -> None:
    for value in allowed:
        assert getattr(Policy(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(ValidationError, match=name):
            Policy(**{name: value})


def test_what_the_models_are_asked_follows_the_policy() -> None:
    policy = Policy(
        samples=3, temperature=0.7, top_p=0.9, seed=5, max_new_tokens=40, contrast_alpha=0.3,
        contrast_beta=0.2, reanswer_temperature=0.4,
    )  # fmt: skip
    assert policy.sampling.model_dump() == {
        "n": 3, "temperature": 0.7, "top_p": 0.9, "max_new_tokens": 40, "seed": 5,
    }  # fmt: skip
    assert policy.reanswering.model_dump() == {
        "n": 1, "temperature": 0.4, "top_p": 1.0, "max_new_tokens": 40, "seed": 5,
    }  # fmt: skip
    assert policy.contrast.model_dump() == {"alpha": 0.3, "beta": 0.2, "max_new_tokens": 40}


@pytest.mark.parametrize("limits", [{"attempts": 0}, {"node_timeout": 0}, {"node_timeout": -1.0}])
def test_limits_that_allow_nothing_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(limits))):
        Context.of(ScriptedEngine(), ScriptedExpert(), **limits)


def test_limits_have_defaults_and_may_be_lifted() -> None:
    context = Context.of(ScriptedEngine(), ScriptedExpert())
    assert (context.node_timeout, context.attempts) == (600.0, 3)
    lifted = Context.of(ScriptedEngine(), ScriptedExpert(), node_timeout=None, attempts=1)
    assert (lifted.node_timeout, lifted.attempts) == (None, 1)

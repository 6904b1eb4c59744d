import math

import pytest
from pydantic import ValidationError
from scripted_models import ScriptedEngine, ScriptedExpert

from catts.agents.card import ModelCard
from catts.calibration import ConfidenceMap
from catts.graph.context import Context, Policy

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
    with pytest.raises(ValidationError):
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


async def test_closing_closes_the_models() -> None:
    engine, expert = ScriptedEngine(), ScriptedExpert()
    await Context.of(engine, expert).aclose()
    assert (engine.closed, expert.closed) == (1, 1)


def test_the_scripts_are_what_the_protocols_ask_for() -> None:
    from catts.agents.expert import Expert
    from catts.agents.protocol import Engine

    assert isinstance(ScriptedEngine(), Engine)
    assert isinstance(ScriptedExpert(), Expert)

"""Models whose logits are more than hidden states times a head are refused."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft.utils.other import ModulesToSaveWrapper

from catts.errors import InputError
from catts.training.checks import check_head


def model(head: torch.nn.Module, **text: Any) -> Any:
    config = SimpleNamespace(get_text_config=lambda: SimpleNamespace(**text))
    return SimpleNamespace(get_output_embeddings=lambda: head, config=config)


PLAIN = torch.nn.Linear(4, 8, bias=False)


@pytest.mark.parametrize("text", [{}, {"final_logit_softcapping": None}, {"logit_scale": 1.0}])
def test_a_plain_head_passes(text: dict[str, Any]) -> None:
    check_head(model(PLAIN, **text))


def test_a_capped_or_scaled_head_is_refused() -> None:
    for name in ("final_logit_softcapping", "logit_scale", "logits_scaling"):
        with pytest.raises(InputError, match=f"a model with {name} cannot be trained"):
            check_head(model(PLAIN, **{name: 30.0}))


def test_a_bias_or_an_adapter_is_refused() -> None:
    with pytest.raises(InputError, match="a bias of the output head"):
        check_head(model(torch.nn.Linear(4, 8)))
    adapted = torch.nn.Linear(4, 8, bias=False)
    adapted.base_layer = PLAIN
    with pytest.raises(InputError, match="an adapter on the output head"):
        check_head(model(adapted))
    beside = ModulesToSaveWrapper(torch.nn.Linear(4, 8, bias=False), "default")
    with pytest.raises(InputError, match="a trained copy of the output head"):
        check_head(model(beside))

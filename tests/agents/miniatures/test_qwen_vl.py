"""What the shipped checkpoints and the random ones share is what the shipped files hold."""

import json

import pytest

from catts.agents.miniatures.qwen_vl import (
    CHAT_TEMPLATE,
    END_OF_TURN,
    PAD,
    SPECIAL_TOKENS,
    VISION_TOKENS,
    mrope_sections,
)
from catts.agents.spec import embedded_folder


@pytest.mark.parametrize("which", ["base", "cdrl", "expert"])
def test_the_shipped_files_hold_the_shared_words(which):
    folder = embedded_folder(which)
    assert (folder / "chat_template.jinja").read_text("utf-8") == CHAT_TEMPLATE
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    ids = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    assert [ids[text] for text in SPECIAL_TOKENS] == list(range(7))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    text = config["text_config"]
    assert (text["eos_token_id"], text["pad_token_id"]) == (ids[END_OF_TURN], ids[PAD])
    for name, token in VISION_TOKENS.items():
        assert config[f"{name}_token_id"] == ids[token]
    sections = text["rope_parameters"]["mrope_section"]
    assert sections == mrope_sections(text["hidden_size"] // text["num_attention_heads"])


@pytest.mark.parametrize(
    ("head", "sections"), [(8, [2, 1, 1]), (40, [6, 7, 7]), (64, [8, 12, 12]), (128, [16, 24, 24])]
)
def test_the_rotary_pairs_are_shared_out(head, sections):
    assert mrope_sections(head) == sections
    assert sum(sections) == head // 2

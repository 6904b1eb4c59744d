"""The embedded models' processor: Qwen2.5-VL's own class around a small byte-level tokenizer."""

import random
from typing import Any, get_args

from catts.agents.miniatures.qwen_vl import CHAT_TEMPLATE, END_OF_TURN, PAD, SPECIAL_TOKENS
from catts.embedded.lessons import Task, lesson
from catts.embedded.questions import place_name
from catts.embedded.scene import CELLS
from catts.embedded.world import example
from catts.prompts import PromptSet

VOCABULARY = 1024
"""Tokens of the vocabulary: enough that the top-20 mean is not only the flatness of the tail."""

_WORDS = r" ?\p{L}{3,}(?=s\b)|s\b| ?[\p{L}\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""Words for the byte-pair encoding.

Letters and digits stay together, so `b3` can be one token; the s of a plural stands apart, so that
the stars that a question asks for and the star that was seen are the same token.
"""


def build_processor(prompts: PromptSet, lessons: int = 6000) -> Any:
    """Train the tokenizer on the text of lessons and wrap it into a `Qwen2_5_VLProcessor`.

    Byte-level, so that any text a user types can be read; the world's own words are one token each.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import Qwen2VLVideoProcessor

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    rng = random.Random(0)
    tasks = get_args(Task)
    texts = []
    for index in range(lessons):
        taught = lesson(tasks[index % len(tasks)], example("train", index), prompts, rng)
        texts.append(f"user{taught.prompt}assistant")
        texts.append(taught.completion.replace("<think>", "").replace("</think>", " "))
    texts += [f" {place_name(cell)}" * 200 for cell in CELLS]
    backend.train_from_iterator(texts, trainer)
    thinking = [AddedToken(t, normalized=False, special=False) for t in ("<think>", "</think>")]
    backend.add_tokens(thinking)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END_OF_TURN,
        pad_token=PAD,
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t.startswith("<|v") or "im" in t],
        model_max_length=512,
    )
    shape = {
        "patch_size": 14,
        "merge_size": 2,
        "temporal_patch_size": 1,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "size": {"shortest_edge": 56 * 56, "longest_edge": 448 * 448},
    }
    return Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(**shape),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(**shape),
        chat_template=CHAT_TEMPLATE,
    )

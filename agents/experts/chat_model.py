"""A LangChain chat model over a local engine, so that a local model is an expert like any other."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from PIL import Image
from pydantic import Field, SkipValidation

from catts.agents.blocks import picture_in, text_in
from catts.agents.protocol import Generation, SamplingParams
from catts.errors import EngineError, ImageError
from catts.images import load_image


class TextCompleter(Protocol):
    """What is asked of an engine here: complete one user turn, pictures first, then text."""

    @property
    def name(self) -> str:
        """A short name for people."""

    @property
    def fingerprint(self) -> str:
        """Hex digest of everything that decides the output."""

    async def complete(
        self, text: str, images: Sequence[Image.Image], params: SamplingParams
    ) -> Generation:
        """Complete without blocking the event loop."""

    def complete_sync(
        self, text: str, images: Sequence[Image.Image], params: SamplingParams
    ) -> Generation:
        """Complete in the calling thread."""


class EngineChatModel(BaseChatModel):
    """A chat model over `engine`; greedy unless told otherwise, so that replies repeat.

    The engines complete a single user turn. A conversation is flattened into one: all pictures in
    order, then the texts of all messages, a blank line between them. That is how a retry reads:
    the request, the reply that was refused, what was wrong with it.
    """

    engine: Annotated[TextCompleter, SkipValidation] = Field(repr=False, exclude=True)
    max_new_tokens: int = Field(default=512, ge=1)
    """Longest reply, in tokens."""
    temperature: float = Field(default=0.0, ge=0)
    """0 is greedy decoding."""
    seed: int = Field(default=0, ge=0)
    remote: bool = Field(default=False, exclude=True)
    """Whether the engine only speaks to a server: what fails there may pass."""

    @property
    def _llm_type(self) -> str:
        return "catts-engine"

    @property
    def model_name(self) -> str:
        """The engine's name, as LangChain's tracing shows it."""
        return self.engine.name

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        return {
            "engine": self.engine.fingerprint,
            "max_new_tokens": self.max_new_tokens,
            "temperature": self.temperature,
            "seed": self.seed,
        }

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text, images = flatten(messages)
        return self._result(self.engine.complete_sync(text, images, self._params()), stop)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text, images = flatten(messages)
        return self._result(await self.engine.complete(text, images, self._params()), stop)

    def _params(self) -> SamplingParams:
        return SamplingParams(
            n=1,
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            seed=self.seed,
        )

    def _result(self, generation: Generation, stop: list[str] | None) -> ChatResult:
        sample, usage = generation.samples[0], generation.usage
        cuts = [mark for mark in stop or () if mark in sample.text]
        message = AIMessage(
            content=sample.text[: min(map(sample.text.find, cuts))] if cuts else sample.text,
            response_metadata={
                "finish_reason": sample.finish_reason,
                "model_name": self.engine.name,
            },
            usage_metadata=UsageMetadata(
                input_tokens=usage.prompt_tokens,
                output_tokens=usage.completion_tokens,
                total_tokens=usage.prompt_tokens + usage.completion_tokens,
            ),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


def flatten(messages: Sequence[BaseMessage]) -> tuple[str, list[Image.Image]]:
    """The messages as one user turn: their texts, a blank line between, and their pictures.

    Raises:
        EngineError: a message holds something else than text and pictures, or a picture cannot be
            read; an address is never fetched.
    """
    texts: list[str] = []
    images: list[Image.Image] = []
    for message in messages:
        for block in message.content_blocks:
            if (said := text_in(block)) is not None:
                texts.append(said)
            elif (image := _picture(block)) is not None:
                images.append(image)
            else:
                raise EngineError(
                    f"a local model reads text and pictures, not a {block['type']!r} block"
                )
    # a single text stays as it is, to the byte: the model may have been trained on it
    text = texts[0] if len(texts) == 1 else "\n\n".join(text.strip() for text in texts)
    return text, images


def _picture(block: Mapping[str, Any]) -> Image.Image | None:
    try:
        file = picture_in(block)
        return None if file is None else load_image(file)
    except ImageError as error:
        raise EngineError(f"a picture in the conversation cannot be read: {error}") from error

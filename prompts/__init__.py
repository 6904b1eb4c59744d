"""Every prompt as a text template in its own file, in named sets, and the loader of them."""

import hashlib
import re
import string
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, get_args

from catts.errors import PromptError

PromptName = Literal["answer", "reanswer", "planner", "voter", "critic", "retry"]
"""The templates that a set consists of: `answer` and `reanswer` are the base model's, `planner`,
`voter` and `critic` the expert's roles, and `retry` is sent after a malformed reply."""

PROMPT_NAMES: tuple[PromptName, ...] = get_args(PromptName)

_ASKED = ("question", "choices")
FIELDS: dict[PromptName, tuple[str, ...]] = {
    "answer": _ASKED,
    "reanswer": (*_ASKED, "previous", "critique"),
    "planner": (*_ASKED, "candidates"),
    "voter": (*_ASKED, "candidates"),
    "critic": (*_ASKED, "answer", "reasoning"),
    "retry": ("error",),
}
"""What each template is filled with; a set's own template may leave some of it out."""

_ENCLOSED = re.compile(r"<(\w+)>\n\$(\w+)\n</\1>")
"""A field between tags of its own: what is filled in must not close them."""


class PromptSet:
    """A named, immutable set of prompts, one file a template.

    `$field` marks a field (`string.Template`); what is filled in is never expanded again, so model
    output cannot smuggle in a field of its own. Nor can it leave the tags around its field, or fake
    another's: within it they get a space, `< /critique>`.
    """

    def __init__(self, name: str, templates: dict[PromptName, str]) -> None:
        missing = [n for n in PROMPT_NAMES if n not in templates]
        if missing:
            raise PromptError(f"prompt set {name!r} lacks {', '.join(missing)}")
        self.name = name
        self._templates = {n: string.Template(text) for n, text in templates.items()}
        for prompt, template in self._templates.items():
            unknown = sorted({*template.get_identifiers()} - {*FIELDS[prompt]})
            if unknown:
                raise PromptError(
                    f"prompt {prompt!r} of set {name!r} asks for {', '.join(unknown)}; "
                    f"it can have {', '.join(FIELDS[prompt])}"
                )
        self._enclosed = {n: _enclosed(t.template) for n, t in self._templates.items()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over names and wordings; a model card records the one it was trained on."""
        digest = hashlib.sha256()
        for name in PROMPT_NAMES:
            digest.update(f"{name}\0{self._templates[name].template}\0".encode())
        return digest.hexdigest()

    def render(self, prompt: PromptName, /, **fields: str) -> str:
        """Fill in a template with all of its `FIELDS`.

        Raises:
            PromptError: a field is missing, or one was given that the prompt does not have.
        """
        if set(fields) != set(FIELDS[prompt]):
            raise PromptError(
                f"prompt {prompt!r} takes {', '.join(FIELDS[prompt])}, got {sorted(fields)}"
            )
        within, tag = self._enclosed[prompt]
        fields |= {name: tag.sub("< ", fields[name]) for name in within}
        return self._templates[prompt].substitute(fields)

    def ask(
        self, prompt: PromptName, question: str, choices: tuple[str, ...], /, **more: str
    ) -> str:
        """`render` a template that is about a question and its choices.

        Raises:
            PromptError: as `render`.
        """
        return self.render(prompt, question=question, choices=format_choices(choices), **more)


def available_sets() -> tuple[str, ...]:
    """Names of the shipped prompt sets."""
    return tuple(sorted(d.name for d in files(__name__).iterdir() if _is_set(d)))


def load_prompts(name: str) -> PromptSet:
    """Load a shipped prompt set.

    Raises:
        PromptError: there is no set of that name.
    """
    if name not in available_sets():
        raise PromptError(f"no prompt set {name!r}; there are {', '.join(available_sets())}")
    folder = files(__name__) / name
    return PromptSet(name, {n: (folder / f"{n}.txt").read_text("utf-8") for n in PROMPT_NAMES})


def format_choices(choices: tuple[str, ...]) -> str:
    """The choices as prompts show them: `(A) red (B) blue`, empty for a free answer."""
    return " ".join(f"({chr(ord('A') + i)}) {text}" for i, text in enumerate(choices))


def _enclosed(template: str) -> tuple[tuple[str, ...], re.Pattern[str]]:
    """The fields that stand between tags of their own, and how any of these tags begins."""
    found = _ENCLOSED.findall(template)
    tags = "|".join(tag for tag, _ in found)
    return tuple(field for _, field in found), re.compile(rf"<(?=/?(?:{tags})\b)", re.IGNORECASE)


def _is_set(folder: Traversable) -> bool:
    return folder.is_dir() and (folder / "answer.txt").is_file()

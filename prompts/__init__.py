"""Every prompt as a text template in its own file, in named sets, and the loader of them."""

import hashlib
import string
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Literal, get_args

from catts.errors import PromptError

PromptName = Literal["answer", "reanswer", "planner", "voter", "critic", "retry"]
"""The templates that a set consists of.

- `answer` ($question, $choices) and `reanswer` ($question, $choices, $previous, $critique): base.
- `planner` ($question, $choices, $candidates), `voter` ($question, $choices, $candidates) and
  `critic` ($question, $choices, $answer, $reasoning): the expert's roles.
- `retry` ($error): sent after a malformed reply.
"""

PROMPT_NAMES: tuple[PromptName, ...] = get_args(PromptName)


class PromptSet:
    """A named, immutable set of prompts, one file a template.

    `$field` marks a field (`string.Template`); what is filled in is never expanded again, so model
    output cannot smuggle in a field of its own.
    """

    def __init__(self, name: str, templates: dict[PromptName, str]) -> None:
        missing = [n for n in PROMPT_NAMES if n not in templates]
        if missing:
            raise PromptError(f"prompt set {name!r} lacks {', '.join(missing)}")
        self.name = name
        self._templates = {n: string.Template(text) for n, text in templates.items()}

    @cached_property
    def hash(self) -> str:
        """SHA-256 (hex) over names and wordings; a model card records the one it was trained on."""
        digest = hashlib.sha256()
        for name in PROMPT_NAMES:
            digest.update(f"{name}\0{self._templates[name].template}\0".encode())
        return digest.hexdigest()

    def render(self, prompt: PromptName, /, **fields: str) -> str:
        """Fill in a template.

        Raises:
            PromptError: a field of the template is missing, or one was given that it lacks.
        """
        template = self._templates[prompt]
        wanted = set(template.get_identifiers())
        if wanted != set(fields):
            raise PromptError(
                f"prompt {prompt!r} of set {self.name!r} takes {sorted(wanted)}, "
                f"got {sorted(fields)}"
            )
        return template.substitute(fields)


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


def _is_set(folder: Traversable) -> bool:
    return folder.is_dir() and (folder / "answer.txt").is_file()

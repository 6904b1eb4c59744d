"""Every error that CA-TTS raises on purpose: each says what went wrong and what to do next."""


class CattsError(Exception):
    """Base of all errors raised by this package."""


class InputError(CattsError):
    """What the user gave cannot be used; the command line shows it as one line and exits with 2."""


class ImageError(InputError):
    """A file is missing, not an image, truncated, or larger than the pixel limit."""


class ModelSpecError(InputError):
    """A `--base` or `--expert` names no model to load, or a provider or key is missing."""


class PromptError(InputError):
    """A prompt set or template is missing, or a template was rendered with the wrong fields."""


class TraceError(InputError):
    """A trace file cannot be read, or is of a version this package does not know."""


class StoreError(InputError):
    """A store of model outputs cannot be read or written."""


class BenchmarkError(InputError):
    """A benchmark's data are not there, cannot be read, hold a malformed row, or have no labels."""


class SaliencyError(InputError):
    """A saliency model is not there, or is of a kind that tells nothing of where it looks."""


class CalibrationError(InputError):
    """Validation answers that nothing can be fitted on, or a card that has no place to lie."""


class ReportError(InputError):
    """What a report is to show cannot be read, or its page not be written."""


class AnswerTimeoutError(CattsError):
    """Comparing two answers took longer than its limit; they count as different."""


class EngineError(CattsError):
    """The base model could not produce what was asked of it."""


class RoleError(CattsError):
    """An expert role failed: no reply, or a reply that was malformed twice.

    `cause` is the name of the error's type for people and traces; `usage` is what the failed
    attempts cost (a `catts.agents.protocol.Usage`, or None when nothing was sent); `transient` is
    whether asking again may help, as after a rate limit, a lost connection or a time limit;
    `retry_after` is for how many seconds the provider asked not to, None where it did not say;
    `attempts` is how often the request was sent that failed last.
    """

    def __init__(
        self,
        role: str,
        message: str,
        *,
        cause: str = "",
        usage: object = None,
        transient: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{role}: {message}")
        self.role = role
        self.message = message
        self.cause = cause
        self.usage = usage
        self.transient = transient
        self.retry_after = retry_after
        self.attempts = 1


class ContextMismatchError(CattsError):
    """A checkpoint was made under another context (models, prompts, policy) than the one given."""


class MissingContextError(CattsError):
    """The graph was called without a context, or with something that is none."""


class NodeTimeoutError(CattsError):
    """A node of the graph took longer than its limit; it has failed, and the run goes on."""


class NodeFailedError(CattsError):
    """A node of the graph failed in a way that nobody foresaw; `__cause__` is what was raised."""

"""What training needs beyond the package's own dependencies."""

from importlib.util import find_spec

from catts.errors import InputError


def need_training() -> None:
    """Check that the extra `train` is installed.

    Raises:
        InputError: it is not.
    """
    if any(find_spec(name) is None for name in ("trl", "datasets", "sklearn")):
        raise InputError("training needs TRL: pip install 'catts[train]'")


def need_settings(*, vllm: bool, lora: bool) -> None:
    """Check that what two settings use is installed.

    Args:
        vllm: whether completions are drawn by vLLM.
        lora: whether an adapter is trained.

    Raises:
        InputError: it is not.
    """
    if vllm and find_spec("vllm") is None:
        raise InputError("use_vllm needs vLLM: pip install 'trl[vllm]', or give --use_vllm false")
    if lora and find_spec("peft") is None:
        raise InputError("use_peft needs PEFT: pip install 'catts[lora]'")

"""Whether the libraries of the extras are there."""

from importlib.util import find_spec

from catts.errors import InputError


def need_evals(*further: str) -> None:
    """Raises: InputError, before hours of sampling rather than behind them."""
    if missing := [name for name in ("sklearn", "matplotlib", *further) if find_spec(name) is None]:
        raise InputError(f"{' and '.join(missing)} is missing: pip install 'catts[evals]'")


def need_saliency() -> None:
    """Raises: InputError, where open_clip is missing."""
    if find_spec("open_clip") is None:
        raise InputError("open_clip is missing: pip install 'catts[saliency]'")

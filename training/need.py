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

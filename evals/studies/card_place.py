"""Where a fitted card lies, so that every command finds it."""

import tempfile
from pathlib import Path

from catts.agents.card import CARD_NAME, CARDS_VARIABLE, cards_folder, has_card
from catts.agents.local_spec import checkpoint_folder
from catts.agents.protocol import Engine
from catts.agents.spec import SHIPPED
from catts.errors import CalibrationError

_GIVE_OUT = "give --out FOLDER to write the card there"


def check_place(base: str, out: Path | None) -> None:
    """Check, before anything is asked, that the card of `base` will have a place.

    Args:
        base: the base model's name, folder or hub id.
        out: a folder of cards; None for the usual place.

    Raises:
        CalibrationError: the folder cannot be written, or the shipped model's card is meant, which
            stays as it is.
        ModelSpecError: `base` names no model.
    """
    if out is not None:
        _writable(out)
    elif base in SHIPPED:
        raise CalibrationError(
            f"the model {base} ships with its card, which always counts: {_GIVE_OUT}, or "
            "calibrate a copy of its folder"
        )
    else:
        _writable(checkpoint_folder(base) or cards_folder())


def card_folder(base: str, out: Path | None, engine: Engine) -> Path:
    """The folder that the card of `engine` is written into.

    `out`/FINGERPRINT where that is given; the folder of a local checkpoint; else FINGERPRINT in the
    user's folder of cards.

    Raises:
        CalibrationError: the card would not be found there, because one lies beside the weights
            that came from the hub.
        ModelSpecError: `base` names no model.
    """
    if out is not None:
        return out / engine.fingerprint
    local = checkpoint_folder(base)
    if local is not None:
        return local
    # imported here: it brings transformers, which telling of a bad folder need not wait for
    from catts.agents.engines.transformers_engine import TransformersEngine

    if isinstance(engine, TransformersEngine) and has_card(engine.loaded.folders):
        raise CalibrationError(
            f"{base} comes with a {CARD_NAME} of its own, which always counts: {_GIVE_OUT}, or "
            "calibrate a local copy of the model"
        )
    return cards_folder() / engine.fingerprint


def _writable(folder: Path) -> None:
    """Make the folder, and a file in it: rights alone do not tell of a disk that takes nothing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CalibrationError(
            f"cannot write into {folder} ({error.strerror}): {_GIVE_OUT}, or set {CARDS_VARIABLE} "
            "to a folder of yours"
        ) from error

"""Where cards lie, and what is read of them."""

from pathlib import Path

import pytest

from catts.agents.card import (
    ModelCard,
    cards_folder,
    fitted_card,
    has_card,
    read_card,
    write_card,
)
from catts.errors import ModelSpecError


def test_the_folder_of_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CATTS_CARDS", raising=False)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert cards_folder() == tmp_path / ".local" / "share" / "catts" / "cards"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert cards_folder() == tmp_path / "data" / "catts" / "cards"
    monkeypatch.setenv("CATTS_CARDS", "~/mine")
    assert cards_folder() == tmp_path / "mine"


def test_a_card_is_found_by_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CATTS_CARDS", str(tmp_path))
    card = ModelCard(name="fitted", accept=float("inf"))
    write_card(tmp_path / "abc", card)
    assert fitted_card("abc") == card
    assert fitted_card("abd") == ModelCard()
    assert not list(tmp_path.rglob("*.part"))


def test_a_card_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "catts.json").write_text("{")
    with pytest.raises(ModelSpecError, match=r"catts\.json is not a readable model card"):
        read_card(tmp_path)


def test_a_card_beside_either_of_two_folders(tmp_path: Path) -> None:
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    assert not has_card([base, adapter])
    write_card(adapter, ModelCard())
    assert has_card([base, adapter])

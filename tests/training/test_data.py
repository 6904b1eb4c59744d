"""Rows of a training: made when asked for, and kept for as long as they are asked for again."""

from catts.prompts import load_prompts
from catts.training.data import Noise, twins
from catts.training.embedded_source import EmbeddedSource


class Counted(EmbeddedSource):
    """Tells which questions were made."""

    def __init__(self) -> None:
        super().__init__(8)
        self.asked: list[int] = []

    def __getitem__(self, index: int):
        self.asked.append(index)
        return super().__getitem__(index)


def rows(source: Counted, keep: int):
    return twins(source, load_prompts("embedded"), str, Noise(), keep=keep)


def test_a_row_is_made_once_for_as_long_as_it_is_asked_for() -> None:
    source = Counted()
    data = rows(source, keep=2)
    batch = data[[0, 0, 1, 1, 2, 3, 0, 1, 2, 3]]
    assert source.asked == [0, 0, 1, 1], "each question once clean and once for its twin"
    assert batch["image"][0] is batch["image"][6]
    assert batch["image"][0] is not batch["image"][2]
    data[[4, 5]], data[[2, 3]], data[[0]]
    assert source.asked == [0, 0, 1, 1, 2, 2, 0], "the latest two questions are kept"


def test_rows_are_the_same_whatever_is_kept() -> None:
    few, many = rows(Counted(), keep=1), rows(Counted(), keep=8)
    for place in (3, 0, 7, 3, 2):
        one, other = few[place], many[place]
        assert one["image"].tobytes() == other["image"].tobytes()
        assert (one["prompt"], one["answer"]) == (other["prompt"], other["answer"])

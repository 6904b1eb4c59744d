"""What a reader of any study has to know beside its numbers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from catts.agents.card import ModelCard
from catts.evals.benchmarks.digest import overlap
from catts.evals.benchmarks.item import Item
from catts.graph.context import Context


def card_of(context: Context) -> ModelCard:
    """The base model's card; the defaults for one that has none."""
    card = getattr(context.engine, "card", None)
    return card if isinstance(card, ModelCard) else ModelCard()


def seen(cards: Iterable[ModelCard], items: Sequence[Item]) -> int:
    """Of how many questions the card that has seen most was chosen; see `overlap`."""
    return max((overlap(card, items) for card in cards), default=0)


def of_rows(skipped: int) -> Iterator[str]:
    """What was left out before anything was asked."""
    if skipped:
        yield f"{skipped} malformed rows were left out."


def of_cards(cards: Mapping[str, ModelCard], items: Sequence[Item], expert: str) -> Iterator[str]:
    """Choices that were made on these very questions, or beside another expert.

    Args:
        cards: name of a base model to its card.
        items: the questions of the study; their pictures are decoded for a card that tells.
        expert: name of the expert that was asked.
    """
    for name, card in cards.items():
        on = card.chosen_on
        if on is None:
            continue
        if known := overlap(card, items):
            yield (
                f"The card of {name} was chosen on {known} of these {len(items)} questions "
                f"({on.task}/{on.split}): the kind of confidence, its mapping, the vote weight, "
                "the self-check's noise and strength, and the thresholds. What rests on them is "
                "better here than on new questions."
            )
        if on.expert != expert:
            yield (
                f"The thresholds in the card of {name} (accept, reflect_below: routing `planned`) "
                f"were chosen beside the expert {on.expert}, not beside {expert}."
            )


def of_nodes(unusable: Mapping[str, int], failed: Mapping[str, int]) -> Iterator[str]:
    """Nodes whose model gave nothing of use, and nodes that got no reply."""
    if unusable:
        yield (
            f"Replies that were malformed twice, or refusals: {counts(unusable)}. Runs went on "
            "without those nodes, as a user's would."
        )
    if failed:
        yield (
            f"NOT COMPLETE: nodes failed ({counts(failed)}), and runs went on without them. What "
            "failed is not stored: the same command asks it again, and only it."
        )


def of_left_out(left_out: Mapping[str, str]) -> Iterator[str]:
    """Questions that the base model could not answer."""
    if left_out:
        yield (
            f"NOT COMPLETE: the base model could not answer {len(left_out)} questions, which are "
            "left out of every line (the same command asks them again, and only them): "
            + "; ".join(left_out.values())
        )


def counts(nodes: Mapping[str, int]) -> str:
    """Nodes and their counts, by name."""
    return ", ".join(f"{node} {count}" for node, count in sorted(nodes.items()))

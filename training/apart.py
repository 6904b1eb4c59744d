"""In what a folder's settings differ from those that are asked for now."""

from collections.abc import Mapping


def apart(
    begun: Mapping[str, object], asked: Mapping[str, object], digests: Mapping[str, str]
) -> str:
    """What the first settings have that the second have not; empty where they are the same.

    Args:
        begun: the folder's, by name.
        asked: those of now.
        digests: names of settings whose values say nothing to people, to what a difference means.
    """
    names = dict.fromkeys((*begun, *asked))
    pairs = [(name, begun.get(name), asked.get(name)) for name in names]
    return ", ".join(
        digests.get(name, f"{name} {old} (now {new})") for name, old, new in pairs if old != new
    )

"""Label sets, and the selectors that name exactly one of them."""

from collections.abc import Iterable, Mapping

from flameplane.wire.pyroscope_pb2 import LabelPair

Labels = tuple[tuple[str, str], ...]  # sorted by name; a label without a value is none


def labels_of(pairs: Iterable[LabelPair]) -> Labels:
    """Labels of a series as it came."""
    return tuple(sorted((pair.name, pair.value) for pair in pairs if pair.value))


def matching(wanted: Mapping[str, str], other_than: Iterable[tuple[str, str]] = ()) -> str:
    """A selector of series with these values; an empty one matches series that lack the label, as in Prometheus."""
    matchers = [f"{name}={quoted(value)}" for name, value in wanted.items()]
    matchers += [f"{name}!={quoted(value)}" for name, value in other_than]
    return "{" + ",".join(matchers) + "}"


def quoted(value: str) -> str:
    """A value as PromQL writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'

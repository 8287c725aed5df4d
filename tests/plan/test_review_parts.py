"""What a cell of a comment holds of a long message."""

from flameplane.review.parts import brief

LONG = "Pyroscope runs a build that nothing here makes, and waits for it for as long as it takes"


def test_a_cell_never_ends_inside_of_brackets() -> None:
    """Nor at a dot that ends no sentence."""
    text = brief(f"{LONG}: nothing builds registry/pyroscope (Pyroscope 2.2. with the patch {'of ours ' * 20})")
    assert text == f"{LONG}: nothing builds registry/pyroscope …"
    assert brief("(Pyroscope " + "of ours " * 40).endswith(" …)")


def test_a_cell_ends_with_a_sentence_where_one_ends() -> None:
    assert brief(f"{LONG}. {'More of it ' * 30}") == f"{LONG}."
    assert brief("short (2.2. x)") == "short (2.2. x)"

"""Checks a tree against a model: pydantic's errors become findings, one per mistake, at the place of the mistake."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from flameplane.catalog import shape, standin, unknown
from flameplane.catalog.mistake import Known, Mistake
from flameplane.catalog.report import Report
from flameplane.catalog.tree import Node, Path, lost, unsure

M = TypeVar("M", bound=BaseModel)
PASSES = 16  # a pass settles the unknown keys of one level, and the models are 6 deep


@dataclass(frozen=True)
class Checked(Generic[M]):
    """The model, or None when not even stand-ins could mend it.

    ``tree`` is what was written, with misspelt keys read as what was meant and without stand-ins; ``guessed`` are the
    paths that hold stand-ins, ``unsure`` those of maps with keys that nobody understands.
    """

    model: M | None
    tree: Node
    guessed: tuple[Path, ...] = ()
    unsure: frozenset[Path] = frozenset()

    def knows(self, *path: str | int) -> bool:
        """Whether what stands at ``path`` was written so, or is a default, and no stand-in."""
        return not standin.covered(path, self.guessed) and not standin.hidden(self.tree, path, self.unsure)


def check(model: type[M], root: Node, report: Report, only: str | None = None) -> M | None:
    """The tree as a model, or None if a value is wrong; every mistake is told in ``report``.

    With ``only`` (a file), what lies in other files is not repeated, since those files are checked by themselves;
    conflicts between files are told all the same.
    """
    checked = examine(model, root, report, only)
    return None if checked.guessed else checked.model


def examine(
    model: type[M], root: Node, report: Report, only: str | None = None, hints: standin.Hints = MappingProxyType({})
) -> Checked[M]:
    """As `check`, and the model all the same where stand-ins mend it, so that other checks can go on.

    Unknown keys are told first, then read as what was meant or left out: so neither the absence of the key that was
    meant nor what is wrong below it gets lost or told twice. Then what is wrong by itself, then, with stand-ins in its
    place, what does not agree. ``hints`` are better stand-ins than defaults and examples.
    """
    guessed: list[Path] = []
    unclear = set(unsure(root))
    settled: Node | None = None
    for _ in range(PASSES):
        found, errors = _validated(model, root)
        if strays := list(_strays(model, errors, root)):
            for path in strays:
                root, clear = unknown.key(model, path, root, report, only)
                unclear |= set() if clear else {path[:-1]}
            continue
        before = root
        settled = settled or root
        if unread := [standin.whole(model, path) for path in lost(root)]:
            root = standin.put(model, root, unread, (), guessed=guessed, hints=hints)
            if root is not before:
                continue
        if found:
            return Checked(found, settled, tuple(guessed), frozenset(unclear))
        known = Known(only, tuple(guessed), frozenset(unclear))
        mistakes = [Mistake(model, e, root, report, known) for e in errors]
        for mistake in mistakes:
            mistake.tell()
        if not any(mistake.path for mistake in mistakes):
            guessed += [path for mistake in mistakes for path in mistake.wrong]
            break  # all that is left is between fields of the whole file, and told
        for mistake in mistakes:
            unclear |= mistake.empties
            root = standin.put(model, root, mistake.wrong, mistake.path, guessed=guessed, hints=hints)
        if root is before:
            break
    return Checked(None, settled or root, tuple(guessed) or ((),), frozenset(unclear))


def _validated(model: type[M], root: Node) -> tuple[M | None, list[ErrorDetails]]:
    try:
        return model.model_validate(root.data(), by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _strays(model: type[BaseModel], errors: list[ErrorDetails], root: Node) -> Iterator[Path]:
    """Paths of the keys that the model does not have, but for those inside of what is lost."""
    gone = list(lost(root))
    for error in errors:
        path, _ = shape.resolve(model, error["loc"])
        found = [path] if error["type"] == "extra_forbidden" else []
        if error["type"] == "union_tag_not_found":
            found = unknown.strangers(model, path, root)
        yield from (path for path in found if not standin.covered(path[:-1], gone))

"""A review for a terminal."""

from collections import Counter
from collections.abc import Iterator

from flameplane.cost import Estimate
from flameplane.review.costs import rows
from flameplane.review.declarations import Declared
from flameplane.review.objects import ObjectChange
from flameplane.review.review import Review

PLATFORM = "platform"
_FIELDS = 12  # of one object that are shown


def as_lines(found: Review) -> Iterator[str]:
    """What changes against the base."""
    yield f"Changes against {found.ref} ({found.commit})"
    if found.problem:
        what = "not everything could be compared" if found.recorded else "no object could be compared"
        yield f"  {what}: {found.problem}"
    if found.nothing and not found.problem:
        yield "  none in this environment"
    if found.openings:
        yield from ("  look at these first", *(f"    {line}" for line in found.openings))
    for team, items in by_team(found):
        yield f"  {team}"
        yield from (f"    {i.words}{f'  {i.where}' if i.where else ''}" for i in items)
    if found.images:
        yield from ("  images", *(f"    {image.words}" for image in found.images))
    if found.waivers:
        yield from ("  waivers", *(f"    {w.state}: {w.words}" for w in found.waivers))
    for layer, changes in by_layer(found):
        yield f"  objects, {layer}: {counted(changes)}"
        for change in changes:
            yield f"    {change.state} {change.title}"
            yield from (f"      {field.words()}" for field in change.fields[:_FIELDS])
            if len(change.fields) > _FIELDS:
                yield f"      and {len(change.fields) - _FIELDS} more fields"
    yield f"  findings: {findings_words(found)}"
    yield from (f"    fixed: {f.message} [{f.id}]" for f in found.fixed)


def cost_lines(after: Estimate, before: Estimate | None) -> Iterator[str]:
    """The estimate, as aligned columns."""
    yield "Cost, a first estimate: USD a month (of the ceiling), stored GB"
    table = [(row.name, row.usd_words(), row.gb_words()) for row in rows(after, before)]
    widths = [max(len(line[i]) for line in table) for i in range(3)]
    yield from (f"  {a:<{widths[0]}}  {b:>{widths[1]}}  {c:>{widths[2]}}" for a, b, c in table)
    yield from (f"  {line}" for line in after.assumptions)


def by_team(found: Review) -> list[tuple[str, list[Declared]]]:
    """Declared changes by team, the platform's own last."""
    teams: dict[str, list[Declared]] = {}
    for item in found.declared:
        teams.setdefault(item.team, []).append(item)
    return [(team or PLATFORM, teams[team]) for team in sorted(teams, key=lambda t: (not t, t))]


def by_layer(found: Review) -> list[tuple[str, list[ObjectChange]]]:
    """Changed objects by layer."""
    layers: dict[str, list[ObjectChange]] = {}
    for change in found.objects:
        layers.setdefault(change.layer, []).append(change)
    return list(layers.items())


def counted(changes: list[ObjectChange]) -> str:
    """``1 added, 2 changed``."""
    count = Counter(change.state for change in changes)
    return ", ".join(f"{count[state]} {state}" for state in ("added", "changed", "removed") if count[state])


def findings_words(found: Review) -> str:
    """``1 new, 14 there before, 2 fixed, 1 waived``."""
    waived = sum(1 for f in (*found.new, *found.before, *found.uncompared) if f.waived)
    new, before = (sum(1 for f in side if not f.waived) for side in (found.new, found.before))
    words = f"{new} new, {before} there before, {len(found.fixed)} fixed"
    if not found.judged:
        words = f"{len(found.uncompared) - waived} of this state, not compared"
    return f"{words}, {waived} waived" if waived else words

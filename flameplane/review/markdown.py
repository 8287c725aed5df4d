"""A review as the comment of a pull request: what a reviewer needs in a minute, everything else folded below it."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from flameplane.cost import Estimate
from flameplane.findings import Finding
from flameplane.findings import markdown_cell as md
from flameplane.plan.summary import Summary
from flameplane.review.costs import Row, rows
from flameplane.review.declarations import Declared
from flameplane.review.objects import ObjectChange
from flameplane.review.parts import FINDINGS, LINK, address, at, brief, folded, guarded, link, many, rule, table
from flameplane.review.post import MARKER
from flameplane.review.redact import Redactor
from flameplane.review.review import Review
from flameplane.review.text import by_layer, by_team, counted

LIMIT: Final = 64_000  # characters; GitHub takes 65,536
_CUT: Final = "\n\n… cut here: the whole plan is in the output of the job, and of `flameplane plan` on your machine.\n"
_CHANGES, _OPENINGS, _FIELDS = 15, 15, 8  # that are shown of each list


@dataclass(frozen=True)
class Page:
    """What a comment is made from. ``source``: the address that files are linked below, without a slash at its end."""

    stack: str
    findings: Sequence[Finding]
    summary: Summary | None
    review: Review | None
    cost: Estimate | None
    source: str
    redactor: Redactor


def as_markdown(page: Page) -> str:
    """The comment: at most ``LIMIT`` characters, without secrets, account ids and bucket names."""
    head = "\n\n".join(part for part in _parts(page) if part)
    plan = "\n".join(_plan(page))
    whole = f"{MARKER}\n{head}\n\n{folded('The whole plan', plan)}\n" if plan else f"{MARKER}\n{head}\n"
    whole = page.redactor.text(whole).replace(LINK, page.source)
    return whole if len(whole) <= LIMIT else _shortened(whole)


def _shortened(text: str) -> str:
    """Cut at the end of a line; what is folded is closed."""
    end = "\n</details>\n" if "<details>" in text[:LIMIT] else "\n"
    room = LIMIT - len(_CUT) - len(end) - 10
    kept = text[: text.rfind("\n", 0, room)]
    open_code = "\n```" if kept.count("\n```") % 2 else ""
    closed = kept.count("<details>") == kept.count("</details>")
    return kept + open_code + _CUT + ("" if closed else end)


def _parts(page: Page) -> Iterator[str]:
    yield f"## Flameplane · {page.stack}: {verdict(page)}"
    yield _headline(page)
    if page.review and page.review.problem and page.review.recorded:
        yield f"> Not everything could be compared: {md(page.review.problem)}"
    yield _findings(page)
    if page.review:
        yield _openings(page.review)
        yield _changes(page.review)
        yield _waivers(page.review)
    yield _cost(page)


def verdict(page: Page) -> str:
    """Whether it passes, in the words of `plan`."""
    errors = sum(f.severity == "error" for f in page.findings)
    if errors:
        return f"❌ does not pass, {errors} error{'' if errors == 1 else 's'}"
    return "✅ passes"


def _headline(page: Page) -> str:
    """One line of figures."""
    found = page.review
    if found is None:
        return f"{page.summary.objects} objects, {len(page.findings)} findings." if page.summary else ""
    if found.nothing and not found.problem:
        return f"Nothing changes here against `{found.ref}`."
    teams = [name for name, _ in by_team(found)]
    why = ""
    if not found.recorded:
        why = f"**Nothing could be compared** of what the program declares: {md(found.problem)}<br>"
        parts = ["objects, and what they open: not compared"]
    else:
        parts = [f"{counted(list(found.objects)) or 'no'} objects"] if found.objects else ["no object changes"]
    if teams:
        parts.append(f"declared by {', '.join(teams)}")
    if found.judged:
        new = sum(1 for f in found.new if not f.waived)
        parts.append(f"{new or 'no'} new finding{'' if new == 1 else 's'}")
    else:
        parts.append(f"{many(sum(1 for f in found.uncompared if not f.waived))} of this state, old or new")
    if found.cost_before and found.cost_after:
        parts.append(f"{found.cost_after.usd - found.cost_before.usd:+.2f} USD a month")
    if found.waivers:
        states = Counter(w.state for w in found.waivers)
        parts.append(f"waivers: {', '.join(f'{count} {state}' for state, count in states.items())}")
    if found.openings:
        parts.append(f"**{len(found.openings)} to look at first**")
    return why + " · ".join(parts) + f"<br>against `{found.ref}` ({found.commit})"


def _findings(page: Page) -> str:
    found = page.review
    compared = found is not None and found.judged
    first = [f for f in (found.new if found and compared else page.findings) if not f.waived]
    waived = [f for f in page.findings if f.waived]
    parts = []
    if first:
        title = "New findings" if compared else "Findings of this state, not compared" if found else "Findings"
        parts.append(f"### {title}\n\n{table(first)}")
    if found and (before := [f for f in found.before if not f.waived]):
        parts.append(folded(f"{many(len(before))} there before", table(before)))
    if found and found.fixed:
        lines = "\n".join(f"- {f.id}: {md(brief(f.message))}" for f in found.fixed[:FINDINGS])
        parts.append(folded(f"{many(len(found.fixed))} fixed", lines))
    if waived:
        lines = "\n".join(
            f"- {rule(f)}: {md(brief(f.message))}{at(f)}<br>waived {md(f.waived)}" for f in waived[:FINDINGS]
        )
        parts.append(folded(f"{many(len(waived))} waived", lines))
    return "\n\n".join(parts)


def _openings(found: Review) -> str:
    if not found.openings:
        return ""
    lines = [f"- {md(line)}" for line in found.openings[:_OPENINGS]]
    if len(found.openings) > _OPENINGS:
        lines.append(f"- … and {len(found.openings) - _OPENINGS} more, in the output of the job.")
    return "### Look at these first\n\n" + "\n".join(lines)


def _changes(found: Review) -> str:
    lines: list[str] = []
    for team, items in by_team(found):
        lines.append(f"**{team}**")
        lines += [f"- {_declared(item)}" for item in items[:_CHANGES]]
        if len(items) > _CHANGES:
            lines.append(f"- … and {len(items) - _CHANGES} more, in the output of the job.")
        lines.append("")
    if found.images:
        lines += ["**images**\n", *(f"- {md(image.words)}" for image in found.images[:_CHANGES]), ""]
    return ("### What changes\n\n" + "\n".join(lines)).rstrip() if lines else ""


def _declared(item: Declared) -> str:
    if item.kind == "settings" and item.field is not None:
        text = f"{item.name}: {guarded(item.field)}"
    else:
        text = md(item.words.replace(" -> ", " → "))
    mark = " — **retention**" if item.field and "retention" in item.field.path else ""
    return f"{text}{mark}{f' · {link(item.where)}' if item.where else ''}"


def _waivers(found: Review) -> str:
    if not found.waivers:
        return ""
    lines = [
        "### Waivers\n",
        "| | rule | target | until | owner, approver | why |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for w in found.waivers[:FINDINGS]:
        d = w.details
        who = f"{md(d.get('owner', '–'))}, {md(d.get('approver', '–'))}"
        state = f"[{w.state}]({address(w.where)})" if w.where else w.state
        cells = (
            state,
            w.rule,
            md(w.target),
            md(d.get("expires", "–")),
            who,
            md(d.get("reason", "–")),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cost(page: Page) -> str:
    if page.cost is None:
        return ""
    before = page.review.cost_before if page.review else None
    table = rows(page.cost, before)
    listed = [row for row in table if row.name == "platform" or row.changes]
    lines = ["### Cost, a first estimate\n", "| | USD a month | stored GB |", "| --- | ---: | ---: |"]
    lines += [_cost_row(row) for row in listed[: FINDINGS + 1]]
    if before is None or len(listed) == 1:
        lines = lines[:4]
    lines += ["", f"<sub>{md('; '.join(page.cost.assumptions))}.</sub>"]
    return "\n".join(lines)


def _cost_row(row: Row) -> str:
    name = f"**{row.name}**" if row.name == "platform" else row.name
    return f"| {name} | {row.usd_words()} | {row.gb_words()} |"


def _plan(page: Page) -> Iterator[str]:
    """Everything, folded: objects by layer, then every changed object with its fields."""
    if page.summary:
        for name, kinds in page.summary.layers.items():
            yield f"- {name}: {', '.join(f'{kind} {count}' for kind, count in kinds.items())}"
        for image in page.summary.open_images:
            yield f"- image still open: {image.name}, needed by {', '.join(image.objects)}"
    for layer, changes in by_layer(page.review) if page.review else ():
        yield f"\n**{layer}**: {counted(changes)}\n"
        for change in changes:
            yield from _object(change)


def _object(change: ObjectChange) -> Iterator[str]:
    team = f" ({change.team})" if change.team else ""
    yield f"- {change.state} {md(change.title)}{team}"
    for field in change.fields[:_FIELDS]:
        yield f"  - {guarded(field)}"
    if len(change.fields) > _FIELDS:
        yield f"  - and {len(change.fields) - _FIELDS} more fields"

"""Policy documents as they were reviewed, statement by statement: who may do what, where, and when."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from policies.cloud import breaks, clouds
from policies.iam import NotUnderstood, Statement, account_of, listed, principals, statements
from policies.objects import at
from policies.rule import Manifest, Rule, Violation
from policies.rules.cloud_table import KINDS, Difference, Pair, left, pairs
from schemas.reviewed.cloud_forms import Document

VERSION: Final = "2012-10-17"
SHOWN: Final = 5  # of a list in a message
_TEXTS: Final = ("Bool", "Null")  # operators whose values are true and false, in any case
# What a statement says, element by element: what it is compared by, and how it is shown. Neither order nor whether it
# is one text or a list means anything.
Normal = dict[str, dict[str, str]]


def _documents(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for pair in pairs(cloud, manifests):
            for key, form in pair.forms.items():
                if isinstance(form, Document) and pair.declared is not None and pair.reviewed is not None:
                    for difference in left(_filled(pair), _differences(pair, key, form.statements), manifests):
                        yield breaks(pair.declared, difference.how)


def _filled(pair: Pair) -> Pair:
    """With every document that was reviewed."""
    assert pair.reviewed is not None
    texts = {key: _text(form.statements) for key, form in pair.forms.items() if isinstance(form, Document)}
    reviewed = {**pair.reviewed, "spec": {**pair.reviewed["spec"], **texts}}
    return Pair(pair.kind, pair.name, pair.declared, reviewed, pair.forms)


def _differences(pair: Pair, key: str, reviewed: Sequence[Statement]) -> Iterator[Difference]:
    filled = _filled(pair).reviewed
    assert filled is not None and pair.declared is not None
    found = at(pair.declared, "spec", key)

    def alone(text: str | None) -> Manifest:
        spec = {k: v for k, v in {**filled["spec"], key: text}.items() if v is not None}
        return {**filled, "spec": spec}

    if not found:
        yield Difference(f"has no {key}: who may do what is left to others", alone(None))
        return
    try:
        declared = statements(str(found))
        odd = _odd(str(found))
    except NotUnderstood as error:
        yield Difference(f"has a {key} that cannot be read: {error}", alone(str(found)))
        return
    if not declared:
        yield Difference(f"has a {key} without statements", alone(_text([])))
        return
    if odd:
        yield Difference(f"{key} {odd}", alone(json.dumps({**json.loads(str(found)), "Statement": list(reviewed)})))
    yield from (
        Difference(how, alone(_text([*(s for s in reviewed if s is not instead), *new])))
        for how, instead, new in _unlike(declared, reviewed)
    )


def _odd(text: str) -> str | None:
    """What else than statements is not as it should be."""
    document = json.loads(text)
    if document.get("Version") != VERSION:
        return f"is of version {document.get('Version')}; valid: {VERSION}"
    more = sorted(document.keys() - {"Version", "Id", "Statement"})
    return f"has {', '.join(more)}, which no policy has" if more else None


def _unlike(
    declared: Sequence[Statement], reviewed: Sequence[Statement]
) -> Iterator[tuple[str, Statement | None, list[Statement]]]:
    """Statements that differ: how, which reviewed one is affected, what stands in its place."""
    right = [_keys(s) for s in reviewed]
    there = [_keys(s) for s in declared]
    wrong = [s for s, n in zip(declared, there, strict=True) if n not in right]
    missing = [s for s, n in zip(reviewed, right, strict=True) if n not in there]
    for statement in wrong:
        called = statement.get("Sid", "?")
        meant = next((s for s in missing if s["Sid"] == called), None)
        if meant is None:
            yield f"has a statement {called} that was not reviewed: {_told(normal(statement))}", None, [statement]
        else:
            missing = [s for s in missing if s is not meant]
            yield f"statement {called} {_changed(normal(statement), normal(meant))}", meant, [statement]
    for statement in missing:
        yield f"lacks the statement {statement['Sid']}: {_told(normal(statement))}", statement, []


def normal(statement: Statement) -> Normal:
    """A statement in the one form in which equal ones are equal; its Sid is only a name."""
    found: Normal = {}
    for element, value in statement.items():
        if element in ("Principal", "NotPrincipal"):
            found[element] = {_who(kind, who): who for kind, who in principals(statement, element)}
        elif element in ("Action", "NotAction"):
            found[element] = {action.lower(): action for action in listed(value)}
        elif element == "Condition":
            found[element] = dict(_conditions(value))
        elif element != "Sid":
            found[element] = {text: text for text in listed(value)}
    return found


def _keys(statement: Statement) -> dict[str, set[str]]:
    return {element: set(texts) for element, texts in normal(statement).items()}


def _who(kind: str, who: str) -> str:
    """The account's number and the ARN of its root are the same principal."""
    return f"arn:aws:iam::{who}:root" if kind == "AWS" and who.isdigit() and account_of(who) else who


def _conditions(value: Any) -> Iterator[tuple[str, str]]:
    """One text for each operator and key."""
    if not isinstance(value, Mapping) or not all(isinstance(keys, Mapping) for keys in value.values()):
        yield json.dumps(value), json.dumps(value)
        return
    for operator, keys in value.items():
        for key, values in keys.items():
            texts = sorted(v.lower() if operator.startswith(_TEXTS) else v for v in listed(values))
            yield f"{operator} {key.lower()} {', '.join(texts)}", f"{operator} {key} {', '.join(texts)}"


def _told(one: Normal) -> str:
    return "; ".join(f"{element} {_some(one[element].values())}" for element in sorted(one, reverse=True))


def _changed(one: Normal, meant: Normal) -> str:
    """The elements that differ, by what is in one and not in the other."""
    said = []
    for element in sorted(one.keys() | meant.keys()):
        now, then = one.get(element, {}), meant.get(element, {})
        if more := [shown for key, shown in now.items() if key not in then]:
            said.append(f"has {element} {_some(more)}, which was not reviewed")
        if less := [shown for key, shown in then.items() if key not in now]:
            said.append(f"lacks {element} {_some(less)}")
    return "; ".join(said) or "has an element that is empty"


def _some(texts: Iterable[str]) -> str:
    """A few of them, so that a message can be read."""
    every = sorted(texts)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return f"{', '.join(every[:SHOWN]) or 'nothing'}{more}"


def _text(reviewed: Sequence[Statement]) -> str:
    return json.dumps({"Version": VERSION, "Statement": list(reviewed)}, sort_keys=True)


RULES: Final = (
    Rule(
        id="FP046",
        name="reviewed-cloud-policies",
        why="One word of a policy opens it: an action too many, a condition that holds for everybody, an exemption "
        "that nobody asked for. What a policy lets through by another word is seen by nobody who only looks for "
        "known mistakes.",
        remediation="Each statement as in schemas/reviewed/cloud_documents.py (buckets, keys, topic, endpoint) or "
        "cloud_jobs.py (roles); what has to be otherwise is changed there as well, and reviewed.",
        kinds=KINDS,
        check=_documents,
        scope="stack",
        waivable=False,
    ),
)

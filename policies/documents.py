"""What rules about the files of one ConfigMap share: each is compared with the one that was reviewed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from policies.backstop import unblamed
from policies.compare import differences, lines, shown
from policies.context import Platform
from policies.objects import breaks, documents
from policies.rule import Manifest, Rule, Violation

Files = Mapping[str, Any]  # name of the file -> the document; a str is compared line by line, as text


def compared(platform: Platform, where: tuple[str, str], wanted: Files) -> Iterator[Violation]:
    """What differs in a ConfigMap, which has to be there."""
    manifest = platform.find("ConfigMap", *where)
    if manifest is None:
        yield Violation(f"no ConfigMap {where[1]} in {where[0]}: it holds {', '.join(wanted)}")
        return
    yield from in_files(manifest, wanted)


def in_files(manifest: Manifest, wanted: Files) -> Iterator[Violation]:
    """What differs in the files of a ConfigMap: those that lack, those that are too many, and what is in them."""
    data = manifest.get("data") or {}
    for key, document in wanted.items():
        if key not in data:
            yield breaks(manifest, f"lacks {key}")
        elif isinstance(document, str):
            found = (how for how in lines(_lines(data[key]), _lines(document), key))
            yield from (breaks(manifest, how) for how in found)
        else:
            parsed = documents({"data": {key: data[key]}}).get(key)
            yield from (breaks(manifest, f"{how} (in {key})") for how in differences(parsed, document))
    if manifest.get("immutable"):
        yield breaks(manifest, "is immutable: no later change of the declarations would reach it")
    for field in ("data", "binaryData"):
        for key, value in (manifest.get(field) or {}).items():
            if field != "data" or key not in wanted:
                yield breaks(manifest, f"has {key} {shown(str(value))}, which was never reviewed; leave it out")


def _lines(text: Any) -> Sequence[str]:
    """Lines that say something."""
    return [line.strip() for line in str(text).splitlines() if line.strip() and not line.strip().startswith("#")]


def standing_back(
    found: Iterable[Violation], manifests: Sequence[Manifest], rules: Iterable[Rule]
) -> Iterator[Violation]:
    """What was found in objects in which none of ``rules`` finds an error; these are asked only if there is any."""
    broken, rules = list(found), [rule for rule in rules if rule.severity == "error"]
    about = {id(v.manifest): v.manifest for v in broken if v.manifest is not None}
    clear = {id(m) for m in unblamed(about.values(), manifests, rules)} if about else set()
    yield from (v for v in broken if v.manifest is None or id(v.manifest) in clear)


def undisputed(found: Iterable[Violation], services: Iterable[str]) -> list[Violation]:
    """What is not about one of these services, of which it has been said that declaration and platform differ."""
    marks = [mark for name in services for mark in (f"[{name}]", f"service={name},", f"-{name} in ", f" of {name}: ")]
    return [v for v in found if not any(mark in v.message for mark in marks)]


def missing_said(manifests: Sequence[Manifest], rules: Iterable[Rule]) -> bool:
    """Whether any of ``rules``, which judge the whole stack, finds an error: then what is missing has been said."""
    errors = [rule for rule in rules if rule.severity == "error"]
    return any(True for rule in errors for _ in rule.check(rule.applicable(manifests)))

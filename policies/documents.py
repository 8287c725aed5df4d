"""What rules about the files of one ConfigMap share: each is compared with the one that was reviewed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import yaml

from policies.backstop import Suspect
from policies.compare import differences, lines, put, shown
from policies.context import Platform
from policies.objects import breaks, documents, plain
from policies.rule import Manifest, Rule, Violation
from schemas.reviewed.forms import NOTHING, example

_DUMPER: Final = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

Files = Mapping[str, Any]  # name of the file -> the document; a str is compared line by line, as text


def compared(platform: Platform, where: tuple[str, str], wanted: Files) -> Iterator[Suspect]:
    """What differs in a ConfigMap, which has to be there."""
    manifest = platform.find("ConfigMap", *where)
    if manifest is None:
        data = {
            key: document if isinstance(document, str) else _text(example(document)) for key, document in wanted.items()
        }
        mended = {"kind": "ConfigMap", "metadata": {"namespace": where[0], "name": where[1]}, "data": data}
        holds = f": it holds {', '.join(wanted)}" if wanted else ""
        yield Suspect(Violation(f"no ConfigMap {where[1]} in {where[0]}{holds}"), None, mended)
        return
    yield from in_files(manifest, wanted)


def in_files(manifest: Manifest, wanted: Files) -> Iterator[Suspect]:
    """What differs in the files of a ConfigMap: those that lack, those that are too many, and what is in them."""
    data = manifest.get("data") or {}

    def suspect(how: str, field: str, value: Any) -> Suspect:
        return Suspect(breaks(manifest, how), manifest, put(manifest, field.split("/"), value))

    for key, document in wanted.items():
        if key not in data:
            yield suspect(
                f"lacks {key}", f"data/{key}", document if isinstance(document, str) else _text(example(document))
            )
        elif isinstance(document, str):
            for one in lines(_lines(data[key]), _lines(document), key):
                yield suspect(str(one), f"data/{key}", "\n".join(one.mended))
        else:
            parsed = documents({"data": {key: data[key]}}).get(key)
            for one in differences(parsed, document):
                yield from parts(manifest, key, parsed, [(f"{one} (in {key})", one.mended)])
    for field in ("data", "binaryData"):
        for key, value in (manifest.get(field) or {}).items():
            if field != "data" or key not in wanted:
                how = f"has {key} {shown(str(value))}, which was never reviewed; leave it out"
                yield suspect(how, f"{field}/{key}", NOTHING)


def parts(manifest: Manifest, key: str, found: Any, broken: Iterable[tuple[str, Any]]) -> Iterator[Suspect]:
    """Violations about the document in one file of a ConfigMap, each with that document as it should be."""
    same = put(manifest, ("data", key), _text(found))
    for how, mended in broken:
        yield Suspect(breaks(manifest, how), manifest, put(manifest, ("data", key), _text(mended)), same)


def _text(document: Any) -> str:
    """A document as a file, line by line: rules also look for words in it."""
    dumped = yaml.dump(plain(document), Dumper=_DUMPER, default_flow_style=False, sort_keys=False, width=10**6)
    return str(dumped)


def _lines(text: Any) -> Sequence[str]:
    """Lines that say something."""
    return [line.strip() for line in str(text).splitlines() if line.strip() and not line.strip().startswith("#")]


def undisputed(found: Iterable[Suspect], services: Iterable[str]) -> list[Suspect]:
    """What is not about one of these services, of which it has been said that declaration and platform differ."""
    marks = [mark for name in services for mark in (f"[{name}]", f"service={name},", f"-{name} in ", f" of {name}: ")]
    return [one for one in found if not any(mark in one.violation.message for mark in marks)]


def missing_said(manifests: Sequence[Manifest], rules: Iterable[Rule]) -> bool:
    """Whether any of ``rules``, which judge the whole stack, finds an error: then what is missing has been said."""
    errors = [rule for rule in rules if rule.severity == "error"]
    return any(True for rule in errors for _ in rule.check(rule.applicable(manifests)))

"""Configuration files as text inside ConfigMaps."""

import hashlib

import yaml


# libyaml's emitter where the wheel has it: a fleet's declarations are half of what the program does.
class _Plain(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a value that occurs twice out twice: whoever reads the file should not have to look up an anchor."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def as_yaml(document: object) -> str:
    """YAML in the order in which the document was built, one value a line however long, so that a diff stays small."""
    return yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000)


def digest(text: str) -> str:
    """Of what a program reads once: as an annotation of its pods, another text is another pod."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]

"""Guesses at what was meant: did-you-mean for names, and a corrected form for text."""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from rapidfuzz import process
from rapidfuzz.distance import JaroWinkler

# Names people use for what is declared under another name.
_ALSO_CALLED = {
    "golang": "go", "nodejs": "node", "node.js": "node", "javascript": "node", "typescript": "node", "kotlin": "java",
    "scala": "java", "jvm": "java", "py": "python", "rust": "native", "c": "native", "c++": "native", "cpp": "native",
    "memory": "alloc", "heap": "alloc", "lock": "mutex", "off-cpu": "offcpu", "walltime": "wall", "block": "enforce",
}  # fmt: skip
_CLOSE = 0.84  # of 1: catches a slip in short keys (`nmae`) and a cut one (`repo`), but not another word
NOT_FILLED_IN = "Write the value itself: nothing is filled in here, as a template engine or a shell would."
# A time in UTC, or of no zone, as people and other programs write it.
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(:[0-9]{2})?(?:\.[0-9]+)?(?: ?(?:Z|UTC|\+00:00))?"
)
MAX_LENGTH = 300  # no name or URL is longer; regular expressions can get slow on what is


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``word`` looks like, if one does."""
    known = list(candidates)
    if (alias := _ALSO_CALLED.get(word.lower())) in known:
        return alias
    found = process.extractOne(
        word, known, scorer=JaroWinkler.normalized_similarity, processor=_plain, score_cutoff=_CLOSE
    )
    return found[0] if found else None


def _plain(word: str) -> str:
    return re.sub(r"[-_. ]", "", word.lower())


def lookalike(text: str) -> str:
    """The first character that is no ASCII, if the rest is: usually one that looks like another."""
    strange = [c for c in text if not c.isascii()]
    return strange[0] if len(strange) == 1 and strange[0].isprintable() else ""


def placeholder(text: str) -> bool:
    """Whether something is left to be filled in: `${X}`, `$(x)`, `$X`, `{{ x }}`, `<% x %>`."""
    return bool(re.search(r"\$\{|\$\(|\{\{|<%|^\$[A-Za-z_]+$", text))


def reformed(text: str, pattern: str) -> str | None:
    """``text`` changed a little, so that it has the form ``pattern``, if a usual slip explains why it has not."""
    if len(text) > MAX_LENGTH or not text.strip():
        return None
    return next((t for t in _variants(text, pattern) if t != text and re.fullmatch(pattern, t)), None)


def _variants(text: str, pattern: str) -> Iterator[str]:
    for base in dict.fromkeys((text.strip(), text.strip().lower())):
        yield base
        if pattern[:2] in ("^#", "^@"):
            yield f"{pattern[1]}{base}"
        if "://" in base or "/" in base.rstrip("/"):  # `acme.example.com/` lacks its name, it has no slash too many
            yield base.rstrip("/")
        yield re.sub(r"^http://", "https://", base)
        yield re.sub(r"^(?:ssh://)?git@([^:/]+)[:/](.*?)(?:\.git)?$", r"https://\1/\2", base)
        yield re.sub(r"^(https?://)[^@/]*@", r"\1", base)
        yield f"https://{base}"
        yield re.sub(r"^https?://", "", base).rstrip("/")
        yield re.sub(r"^https?://([^/]*).*$", r"\1", base)
        yield re.sub(r"^([0-9]+) ?([MGT])i?[bB]?$", r"\1\2i", base)  # a size in GB as one in Gi
        yield re.sub(r"^([0-9]+)$", r"\1Gi", base)  # and one without its unit
        yield re.sub(r"^v?(1\.[0-9]+)\..*$", r"\1", base)  # a version of Kubernetes without its patch
        if time := _TIME.fullmatch(base):
            yield f"{time[1]}T{time[2]}{time[3] or ':00'}Z"
        if "://" not in base:  # a folder
            yield "/".join(step for step in base.split("/") if step not in ("", "."))
    # Full-width forms and accents have plain letters; any other letter than ASCII's may be anything.
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    if plain.isascii():
        yield plain
        if not re.search(r"[/.:\n]", plain):
            yield re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")

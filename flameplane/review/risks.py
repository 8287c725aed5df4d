"""What a change of declared files risks, in plain words: who may read, what is deleted, what is trusted, what it costs.

Objects tell what a change opens in the cluster (`openings`); these are the decisions behind them, and those that no
object shows: owners, groups, retention, budgets, limits, images, waivers.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from flameplane.catalog.tree import Path
from flameplane.review.declarations import GONE, Declared, ImageChange
from flameplane.review.fields import ABSENT, GETS, LOSES, FieldChange, shown
from flameplane.review.settings_risks import of_settings
from flameplane.review.waivers import WaiverChange
from schemas.allowed import EBPF_TYPES, INJECTED_LANGUAGES
from schemas.catalog import Catalog

Look = Callable[[FieldChange], str]


def risks(
    declared: Sequence[Declared],
    images: Sequence[ImageChange],
    waivers: Sequence[WaiverChange],
    catalogs: tuple[Catalog | None, Catalog | None],
) -> list[str]:
    """One line per risk, with the line that decides; ``catalogs`` are those before and after."""
    lines = [line for item in declared for line in _declared(item)]
    lines += _agents(*catalogs)
    lines += [line for image in images if (line := _image(image))]
    lines += [line for waiver in waivers if (line := _waiver(waiver))]
    return list(dict.fromkeys(lines))


def _declared(item: Declared) -> Iterator[str]:
    if item.was:
        yield (
            f"service {item.name}: renamed from {item.was}; what is stored stays under the old name until its "
            "retention ends, and links, alerts and the gate's baseline begin anew"
        )
        return
    if item.field is None:
        if item.kind == "service" and item.state == GONE:
            yield f"service {item.name}: no longer profiled; what is stored stays until its retention ends"
        return
    look = of_settings(item.field) if item.kind == "settings" else _words(item)
    if look:
        subject = f"{item.kind} {item.name}" if item.kind != "settings" else f"settings of {item.name}"
        reached = f" (for {', '.join(item.reaches)})" if item.reaches else ""
        where = f" ({item.where.file}:{item.where.line})" if item.where else ""
        yield f"{subject}: {look}{reached}{where}"


def _words(item: Declared) -> str:
    assert item.field
    path = tuple(s for s in item.field.path if s not in ("spec", "metadata", "defaults", "profiling"))
    for start, look in _LOOKS:
        if path[: len(start)] == start:
            return look(item.field)
    return ""


def _from_to(change: FieldChange) -> str:
    before, after = ("none" if v is ABSENT or v is None else shown(v) for v in (change.before, change.after))
    return f"{before} → {after}"


def _rises(change: FieldChange) -> bool:
    before, after = change.before, change.after
    if not isinstance(after, int | float):
        return True  # no value is no ceiling
    return isinstance(before, int | float) and after > before


def _lowered(change: FieldChange) -> bool:
    return not isinstance(change.after, int | float) or not _rises(change)


def _entry(change: FieldChange) -> tuple[str, str, str]:
    """What an entry list gets, what it loses, or that it changes."""
    step = change.path[-1]
    came = shown(change.after) if change.after is not ABSENT and step != LOSES else ""
    gone = shown(change.before) if change.before is not ABSENT and step != GETS else ""
    return came, gone, str(step)


def _people(gets: str, loses: str = "") -> Look:
    def look(change: FieldChange) -> str:
        came, gone, _ = _entry(change)
        words = [gets.format(came)] if came else []
        words += [loses.format(gone)] if gone and loses else []
        return "; ".join(words)

    return look


def _when(test: Callable[[FieldChange], bool], words: str) -> Look:
    return lambda change: f"{change.path[-1]} {_from_to(change)}: {words}" if test(change) else ""


def _days(change: FieldChange) -> str:
    what = "fine profiles" if change.path[-1] == "fineDays" else "hourly profiles"
    less = "what is older is deleted for good"
    return f"{what} are kept {_from_to(change)} days: {'kept longer, and costs more' if _rises(change) else less}"


def _erase(change: FieldChange) -> str:
    return "every profile of the team is deleted for good, and its groups read none meanwhile" if change.after else ""


def _rate(change: FieldChange) -> str:
    if change.after == 0:
        return f"sampleRateHz {_from_to(change)}: profiling is switched off"
    return f"sampleRateHz {_from_to(change)}: costs more CPU and storage" if _rises(change) else ""


def _types(change: FieldChange) -> str:
    came, gone, _ = _entry(change)
    words = [f"gets {came} profiles, which are taken inside the process"] if came and came not in EBPF_TYPES else []
    words += [f"has no {gone} profiles any more"] if gone else []
    return "; ".join(words)


def _gate(change: FieldChange) -> str:
    order = ("enforce", "warn", "off")
    weaker = change.before in order and change.after in order and order.index(change.after) > order.index(change.before)
    return f"the gate's mode {_from_to(change)}: a regression no longer fails a deploy" if weaker else ""


def _limit(change: FieldChange) -> str:
    key = str(next(s for s in reversed(change.path) if isinstance(s, str) and s not in (GETS, LOSES)))
    looser = _rises(change) if key.startswith("max") else _lowered(change)
    if key in ("types", "gateModes"):
        came, _, _ = _entry(change)
        return f"the limit {key} gets {came}: every team and service may use it" if came else ""
    return f"the limit {key} {_from_to(change)}: every team and service may go further" if looser else ""


def _always(words: str) -> Look:
    return lambda change: f"{_last(change.path)} {_from_to(change)}: {words}"


def _last(path: Path) -> str:
    return ".".join(str(step) for step in path[-2:] if step not in ("spec", "metadata"))


_LOOKS: Final[tuple[tuple[Path, Look], ...]] = (
    (("owners",), _people("{} reviews its files from now on", "{} is no longer asked for a review")),
    (("groups",), _people("members of {} may read the team's profiles", "members of {} no longer read them")),
    (("platformGroups",), _people("members of {} run the platform, and read what every team has", "{} no longer does")),
    (("team",), _always("its profiles go to another tenant, which other people read")),
    (("retention",), _days),
    (("erase",), _erase),
    (("limits",), _limit),
    (("sampleRateHz",), _rate),
    (("types",), _types),
    (("gate", "mode"), _gate),
    (("gate", "topN"), _when(_lowered, "a new function below it passes unseen")),
    (("gate", "windowMinutes"), _when(_lowered, "a verdict rests on fewer samples")),
    (("monthlyUsd",), _when(_rises, "more may be spent before anybody is told")),
    (("budget",), _when(_rises, "more may be spent before anybody is told")),
    (("repository",), _always("CI jobs of that repository may ask the gate, and blame reads it")),
    (("repositoryHosts",), _people("services may name repositories on {}")),
    (
        ("excludedNamespaces",),
        _people("processes in {} are not sampled any more", "processes in {} are sampled now"),
    ),
    (("undeclared", "sampleRateHz"), _rate),
    (("undeclared",), _always("whose pods no service declares, their profiles go there")),
    (("workload",), _always("other pods are profiled as this service")),
)


def _agents(before: Catalog | None, after: Catalog | None) -> Iterator[str]:
    """Services whose pods get an agent that they did not have."""
    if before is None or after is None:
        return
    had = {service.name: service.injected for service in before.services}
    for service in after.services:
        if service.injected and not had.get(service.name) and service.spec.language.name in INJECTED_LANGUAGES:
            language = service.spec.language.name
            yield f"service {service.name}: an agent for {language} goes into its pods when they are next started"


def _image(image: ImageChange) -> str:
    if image.after is ABSENT:
        return f"image {image.name}: no longer in images.lock"
    if image.before is ABSENT or image.before is None:
        return f"image {image.name}: locked to a digest, so that it runs" if image.after else ""
    if not image.after:
        return f"image {image.name}: its digest is taken out, so that it no longer runs"
    return f"image {image.name}: another digest, so that other code runs"


def _waiver(waiver: WaiverChange) -> str:
    expires = waiver.details.get("expires", "no day")
    where = f" ({waiver.where.file}:{waiver.where.line})" if waiver.where else ""
    if waiver.state == "added":
        return f"waiver: {waiver.rule} is waived at {waiver.target} until {expires}{where}"
    if waiver.state == "changed":
        longer = f"extended from {waiver.expired} to {expires}" if waiver.expired != expires else "changed"
        return f"waiver: {waiver.rule} at {waiver.target} is {longer}{where}"
    return ""

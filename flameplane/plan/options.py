"""Options that Pulumi's protocol shows to no policy (AnalyzerResourceOptions lacks them), judged on the recording.

So they are judged by `flameplane plan` alone: `pulumi preview` and `up` of a program that nobody planned say nothing.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flameplane.findings import Finding
from flameplane.plan.manifests import manifest, title
from flameplane.plan.places import python_line
from flameplane.plan.recording import Recording, Resource

# What stays in the account when it leaves the program: what holds data, and tags by which other environments count.
_RETAINED: Final = ("aws:s3/", "aws:kms/", "aws:costexplorer/")
_OURS: Final = "flameplane:"


def check_options(recording: Recording, root: Path) -> list[Finding]:
    """A finding (PLN013) per option of a part of the platform; what else a program declares is its own."""
    return [
        Finding("PLN013", "error", f"{_called(r)} {how}", python_line(r, root), fix=fix, subject=r.urn)
        for r in recording.resources
        if r.custom and any(parent.type.startswith(_OURS) for parent in recording.ancestors(r))
        for how, fix in _wrong(r)
    ]


def _wrong(resource: Resource) -> Iterator[tuple[str, str]]:
    retained = resource.type.startswith(_RETAINED)
    if resource.retain_on_delete and not retained:
        yield "stays when it is declared no more (retain_on_delete)", "Leave retain_on_delete out."
    elif retained and not resource.retain_on_delete:
        yield "is deleted when it is declared no more (no retain_on_delete)", "Set retain_on_delete=True."
    if resource.deleted_with:
        with_ = resource.deleted_with.rpartition("::")[2]
        yield f"is taken for deleted when {with_} is (deleted_with): it would stay", "Leave deleted_with out."
    if resource.replace_on_changes:
        fields = ", ".join(resource.replace_on_changes)
        yield f"is made anew when {fields} changes (replace_on_changes)", "Leave replace_on_changes out."
    if resource.replace_with:
        others = ", ".join(urn.rpartition("::")[2] for urn in resource.replace_with)
        yield f"is made anew when {others} is (replace_with)", "Leave replace_with out."
    if resource.hide_diffs:
        fields = ", ".join(resource.hide_diffs)
        yield f"hides in previews how {fields} changes (hide_diffs)", "Leave hide_diffs out."


def _called(resource: Resource) -> str:
    obj = manifest(resource)
    return title(obj) if obj else f"{resource.type} {resource.name!r}"

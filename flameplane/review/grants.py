"""Grants to export that a change adds or alters: who may take what out of the platform, until when, and who agreed."""

from collections.abc import Iterator

from flameplane.catalog import LoadedGrants
from schemas.grant import Grant


def grants_changed(before: LoadedGrants, after: LoadedGrants) -> Iterator[str]:
    """One line per grant that was not there, or was another; one that goes opens nothing."""
    known = {grant.name: grant for grant in before.grants}
    for grant in after.grants:
        if grant != known.get(grant.name):
            state = " is changed" if grant.name in known else ""
            at = after.places[grant.name]
            yield f"export {grant.name}{state}: {words(grant)} ({at.file}:{at.line})"


def words(grant: Grant) -> str:
    """All that a grant says. Mail addresses are hidden in reviews, so the requester's name stands alone."""
    spec = grant.spec
    requester = spec.requester.partition("@")[0]
    return (
        f"{requester} may take one {spec.format} of {spec.service} ({spec.team}) out of the platform, "
        f"{spec.window.from_} to {spec.window.to}, until {spec.expires}; {spec.approver} answers for it: {spec.purpose}"
    )

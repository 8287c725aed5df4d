"""What a change of an environment's settings risks. Values are not shown: a comment can be public."""

from typing import Final

from flameplane.review.fields import ABSENT, GETS, LOSES, FieldChange, shown

# By the setting or what it lies in, the longest first: what a change of it means.
_MEANS: Final = {
    "cluster": "another cluster, or another way to it",
    "cluster.apiServer": "pods that call the API server may reach another range",
    "cluster.kubernetesVersion": "the program relies on another version of Kubernetes",
    "images": "every image comes from another registry",
    "injection.enabled": "whether agents go into the pods of services",
    "backend.architecture": "how Pyroscope runs, and what survives the loss of a node",
    "backend.objectStorage": "where profiles are kept: what is there already is not moved",
    "backend.objectStorage.egress": "the backend may reach another range",
    "backend.objectStorage.kmsKey": "profiles are encrypted with another key",
    "backend.objectStorage.credentialsSecret": "other credentials reach the profiles",
    "backend.tls": "how the gateway and the backend know each other, or whether they do",
    "backend.volumes": "disks of the backend: a smaller or another one loses what is there",
    "backend.writes.segmentDuration": "how much is lost when a writer stops, and how many requests are paid for",
    "access": "whose tokens the gateway accepts",
    "access.egress": "the gateway may reach another range",
    "access.ingressNamespace": "from where outside the cluster the gateway is reached",
    "correlation.grafana": "which Grafana people read profiles in, and how they sign in",
    "correlation.grafana.database": "where Grafana keeps sessions and dashboards",
    "correlation.tracesUrl": "where traces are read",
    "correlation.prometheusUrl": "where request rates come from",
    "regression.trustedIssuers": "whose CI jobs may ask for a verdict",
    "regression.ciAudience": "which tokens of CI count",
    "regression.slackSecret": "where alerts go",
    "regression.egressHosts": "which hosts of the internet the platform talks to",
    "regression.egress": "the proxy may reach another range",
    "alerts.rules": "how alert rules reach Prometheus",
    "alerts.prometheusNamespace": "which namespace may scrape the platform",
    "cloud": "the cloud account, or whether there is one",
    "cloud.accountId": "everything is declared in another account",
    "cloud.organizationId": "principals of another organisation pass the perimeter",
    "cloud.region": "profiles lie in another region",
    "cloud.vpc": "from which network profiles and audit records are read",
    "cloud.vpc.s3Endpoint.readableBuckets": "buckets of others that may be read through the endpoint",
    "cloud.buckets": "another bucket: what is in the old one stays there",
    "cloud.audit": "how long, and how firmly, audit records are locked",
    "cloud.budget": "who hears about the bill, and from which sum on",
    "cloud.adminRoleArns": "who configures buckets and keys",
    "cloud.auditorRoleArns": "who reads audit records",
    "cloud.breakGlassRoleArns": "who reads profiles past the gateway",
    "cloud.tags": "",  # of the bill alone
    "demo": "demo workloads run",
}
# Numbers whose fall costs availability, or whose rise costs money; others are decided by _MEANS.
_LOWERED: Final = "fewer: one of them may be all there is while a node is drained"
_NUMBERS: Final = {
    "access.replicas": _LOWERED,
    "correlation.grafana.replicas": _LOWERED,
    "backend.writes.writers": _LOWERED,
    "backend.podsPerService": "the backend is sized for less",
}


def of_settings(change: FieldChange) -> str:
    """The risk of one changed setting, without its values; empty for what risks nothing."""
    steps = [str(step) for step in change.path if not isinstance(step, int) and step not in (GETS, LOSES)]
    name = ".".join(steps)
    if name in _NUMBERS:
        before, after = change.before, change.after
        falls = isinstance(before, int) and isinstance(after, int) and after < before
        return f"{name} {before} → {after}: {_NUMBERS[name]}" if falls else ""
    words = next(
        (_MEANS[key] for length in range(len(steps), 0, -1) if (key := ".".join(steps[:length])) in _MEANS), ""
    )
    return f"{name} {_happens(change)}: {words}" if words else ""


def _happens(change: FieldChange) -> str:
    """Numbers and switches as they are, anything else as what happens to it."""
    if change.path[-1:] in ((GETS,), (LOSES,)):
        return "gets an entry" if change.path[-1] == GETS else "loses an entry"
    before, after = change.before, change.after
    if before is ABSENT or before is None:
        return "is set"
    if after is ABSENT or after is None:
        return "is taken out"
    if all(isinstance(value, bool | int | float) for value in (before, after)):
        return f"{shown(before)} → {shown(after)}"
    return "changes"

"""What a change opens: permissions, network paths, privileges, and data that would go. Reviewers look here first."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

import yaml

from flameplane.review.fields import shown
from flameplane.review.objects import ObjectChange

# Kinds whose removal loses what is stored in them.
_STATEFUL: Final = ("Namespace", "PersistentVolumeClaim", "PersistentVolume", "StatefulSet")
_STATEFUL_CLOUD: Final = ("aws:s3/bucket:", "aws:kms/key:")
_DOORS: Final = ("Ingress", "HTTPRoute", "Gateway", "ReferenceGrant")
_HOST: Final = ("hostNetwork", "hostPID", "hostIPC", "hostUsers")
_LIMITS: Final = "overrides.yaml"  # of the ConfigMap with the backend's limits per tenant
_LONGTERM: Final = "-longterm"  # suffix of the tenant with a team's hourly profiles


def openings(changes: Sequence[ObjectChange]) -> list[str]:
    """One line per opening, the gravest first (`_LOOKS`), and among its equals in the order of the changes."""
    return list(dict.fromkeys(line for look in _LOOKS for change in changes for line in look(change)))


def _permissions(change: ObjectChange) -> Iterator[str]:
    """Rules of a Role that were not there before."""
    if change.kind not in ("Role", "ClusterRole"):
        return
    new = sorted(_grants(change.after) - _grants(change.before))
    by_resource: dict[str, list[str]] = {}
    for resource, verb in new:
        by_resource.setdefault(resource, []).append(verb)
    for resource, verbs in by_resource.items():
        yield f"{change.title}: may now {', '.join(verbs)} {resource}"


def _grants(role: Mapping[str, Any] | None) -> set[tuple[str, str]]:
    found = set()
    for rule in (role or {}).get("rules") or []:
        names = [f"{group}/{r}" if group else r for group, r in product(rule.get("apiGroups") or [""], _things(rule))]
        only = rule.get("resourceNames")
        for name, verb in product(names, rule.get("verbs") or []):
            found.add((f"{name} ({', '.join(only)})" if only else name, verb))
    return found


def _things(rule: Mapping[str, Any]) -> list[str]:
    return [*(rule.get("resources") or []), *(rule.get("nonResourceURLs") or [])]


def _bindings(change: ObjectChange) -> Iterator[str]:
    if change.kind not in ("RoleBinding", "ClusterRoleBinding"):
        return
    for subject in sorted(_subjects(change.after) - _subjects(change.before)):
        role = ((change.after or {}).get("roleRef") or {}).get("name", "")
        yield f"{change.title}: gives {role} to {subject}"


def _subjects(binding: Mapping[str, Any] | None) -> set[str]:
    return {
        f"{s.get('kind')} {s['namespace'] + '/' if s.get('namespace') else ''}{s.get('name')}"
        for s in (binding or {}).get("subjects") or []
    }


def _network(change: ObjectChange) -> Iterator[str]:
    """Paths that were closed; without a policy, pods that it selected take and send what they like."""
    if change.kind in _DOORS and change.state == "added":
        yield f"{change.title}: a way into the cluster"
    if change.kind == "Service":
        before, after = (_field(side, "spec", "type") or "ClusterIP" for side in (change.before, change.after))
        if after not in (before, "ClusterIP"):
            yield f"{change.title}: type {after}, not of this cluster alone"
    if change.kind != "NetworkPolicy":
        return
    if change.state == "removed":
        yield f"{change.title}: removed, so that what it closed is open unless another policy closes it"
        return
    for direction, peer, port in sorted(_paths(change.after) - _paths(change.before)):
        yield f"{change.title}: {direction} {peer} on {port}"


def _paths(policy: Mapping[str, Any] | None) -> set[tuple[str, str, str]]:
    found = set()
    for direction, peers, word in (("ingress", "from", "lets in"), ("egress", "to", "lets out to")):
        for rule in _field(policy, "spec", direction) or []:
            ports = [f"{p.get('protocol', 'TCP')} {p.get('port', 'any')}" for p in rule.get("ports") or []]
            named = [_peer(p) for p in rule.get(peers) or []]
            found |= {(word, peer, port) for peer in named or ["everybody"] for port in ports or ["every port"]}
    return found


def _peer(peer: Mapping[str, Any]) -> str:
    if block := peer.get("ipBlock"):
        without = f" without {', '.join(block['except'])}" if block.get("except") else ""
        return f"{block.get('cidr')}{without}"
    parts = []
    for key, word in (("podSelector", "pods"), ("namespaceSelector", "namespaces")):
        if key in peer:
            labels = (peer[key] or {}).get("matchLabels") or {}
            chosen = ", ".join(f"{k.rpartition('/')[2]}={v}" for k, v in labels.items())
            more = " and further conditions" if (peer[key] or {}).get("matchExpressions") else ""
            parts.append(f"{word} {chosen or 'of any label'}{more}")
    return " in ".join(parts)


def _privileges(change: ObjectChange) -> Iterator[str]:
    """What containers may do that they could not do before, on the node or as themselves."""
    for privilege in sorted(_held(change.after) - _held(change.before)):
        yield f"{change.title}: {privilege}"


def _held(obj: Any) -> set[str]:
    pod = _pod(obj) or {}
    found = {f"{key} of the node" for key in _HOST if pod.get(key) and key != "hostUsers"}
    found |= {f"mounts {v['hostPath'].get('path')} of the node" for v in pod.get("volumes") or [] if v.get("hostPath")}
    for container in [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]:
        context = container.get("securityContext") or {}
        name = f"container {container.get('name')}"
        found |= {f"{name} gets capability {c}" for c in (context.get("capabilities") or {}).get("add") or []}
        if context.get("privileged"):
            found.add(f"{name} is privileged")
        if context.get("allowPrivilegeEscalation") is not False:
            found.add(f"{name} may gain privileges")
        if not context.get("readOnlyRootFilesystem"):
            found.add(f"{name} may write to its root")
    return found


def _pod(obj: Any) -> Mapping[str, Any] | None:
    """The pod's spec inside a workload."""
    for path in (("spec", "jobTemplate", "spec", "template", "spec"), ("spec", "template", "spec")):
        if (found := _field(obj, *path)) is not None:
            return found if isinstance(found, Mapping) else None
    return _field(obj, "spec") if _field(obj, "kind") == "Pod" else None


def _cloud_policies(change: ObjectChange) -> Iterator[str]:
    """Statements of IAM, bucket, key and endpoint policies that were not there before."""
    for field in ("policy", "assumeRolePolicy"):
        before, after = (_statements((side or {}).get(field)) for side in (change.before, change.after))
        for statement in after:
            if statement not in before and statement.get("Effect") == "Allow":
                actions = statement.get("Action") or statement.get("NotAction") or []
                text = ", ".join([actions] if isinstance(actions, str) else actions)
                limited = " under conditions" if statement.get("Condition") else " without conditions"
                yield f"{change.title}: allows {shown(text)}{limited}"
        if any(s.get("Effect") == "Deny" and s not in after for s in before):
            yield f"{change.title}: a denial is gone or changed"


def _statements(text: Any) -> list[dict[str, Any]]:
    if not isinstance(text, str):
        return []
    try:
        found = json.loads(text).get("Statement") or []
    except (ValueError, AttributeError):
        return []
    return [found] if isinstance(found, dict) else found


def _lost(change: ObjectChange) -> Iterator[str]:
    if change.state == "removed" and (change.kind in _STATEFUL or change.kind.startswith(_STATEFUL_CLOUD)):
        yield f"{change.title}: removed, with everything that is stored in it"
    if any(f.field in ('["(protect)"]', '["(retain_on_delete)"]') and f.before for f in change.fields):
        yield f"{change.title}: no longer protected from being destroyed"


def _tenants(change: ObjectChange) -> Iterator[str]:
    """Tenants that no team owns any more: the backend's default retention holds for what they stored."""
    before, after = _limits(change.before), _limits(change.after)
    for team in sorted(before.keys() - after.keys()):
        if team.endswith(_LONGTERM) and team.removesuffix(_LONGTERM) in before.keys() - after.keys():
            continue  # told with its team
        sides = (("profiles", team), ("hourly profiles", f"{team}{_LONGTERM}"))
        kept = [(what, _field(before, name, "retention_period")) for what, name in sides if name not in after]
        told = " and ".join(f"{what} (kept {period})" for what, period in kept if period)
        yield (
            f"{change.title}: {team} is gone; its {told or 'profiles'} fall back to the default retention, "
            "and what is older is deleted"
        )


def _limits(obj: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Limits by tenant, of the ConfigMap that holds them."""
    text = _field(obj, "data", _LIMITS)
    if not isinstance(text, str):
        return {}
    try:
        found = _field(yaml.safe_load(text), "overrides")
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _admission(change: ObjectChange) -> Iterator[str]:
    if change.kind.startswith(("ValidatingAdmissionPolicy", "MutatingAdmissionPolicy")) and change.state != "added":
        yield f"{change.title}: {change.state}; it decides what the API server admits"


# Who may do more, then who is reached by more, then what is lost.
_LOOKS: Final[tuple[Callable[[ObjectChange], Iterator[str]], ...]] = (
    _privileges,
    _permissions,
    _bindings,
    _admission,
    _network,
    _cloud_policies,
    _lost,
    _tenants,
)


def _field(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value

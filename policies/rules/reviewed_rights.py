"""Every role and binding of the platform against the table of rights that were reviewed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from policies import volumes
from policies.backstop import Backstop, Suspect
from policies.cloud import POD_IDENTITY
from policies.compare import put
from policies.objects import WORKLOADS, at, breaks, items, label, name, namespace, pod, texts
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import access, agent, images, limits, secrets, workloads
from policies.rules.access import BINDINGS, RBAC_GROUP, ROLES
from schemas.allowed import NAMESPACES, OBJECT_LABELS
from schemas.reviewed import rights as reviewed
from schemas.reviewed import volumes as reviewed_volumes
from schemas.reviewed.forms import NOTHING
from schemas.reviewed.network import PROGRAMS
from schemas.reviewed.rights import Granted, Holder, Right
from schemas.reviewed.volumes import Volumes

# It names what is bad anywhere; where it speaks, this rule does not.
SPECIFIC: Final = tuple(rule for rule in access.RULES if rule.id == "FP017")
# Of pods, the same.
ABOUT_PODS: Final = tuple(
    rule
    for module in (access, agent, images, limits, secrets, workloads)
    for rule in module.RULES
    if rule.scope == "object" and rule.id != "FP017" and set(WORKLOADS) & set(rule.kinds)
)
ROLE_KEYS: Final = ("apiVersion", "kind", "metadata", "rules")
BINDING_KEYS: Final = ("apiVersion", "kind", "metadata", "roleRef", "subjects")
RULE_KEYS: Final = ("apiGroups", "resources", "verbs", "resourceNames")


def _rights(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    roles = [m for m in manifests if m.get("kind") in ROLES]
    bindings = [m for m in manifests if m.get("kind") in BINDINGS]
    held = {_role_of(b) for b in bindings if any(_holder(s).namespace in NAMESPACES for s in items(b.get("subjects")))}
    ours = [m for m in roles if _is_ours(m) or _key(m) in held]
    ours += [m for m in bindings if _is_ours(m) or _role_of(m) in held or _role_of(m) in reviewed.ROLES]
    yield from Backstop(manifests, SPECIFIC).left(suspect for manifest in ours for suspect in _given(manifest))
    settings = next((m["spec"] for m in manifests if m.get("kind") == SETTINGS and at(m, "spec", "environment")), None)
    if settings is not None:
        yield from _missing(manifests)
        yield from _mounted(manifests, reviewed_volumes.volumes(settings))


def _given(manifest: Manifest) -> Iterator[Suspect]:
    granted = reviewed.ROLES.get(_key(manifest))
    if granted is None:
        how = "is not among the rights that were reviewed (schemas/reviewed/rights.py)"
        yield Suspect(breaks(manifest, how), manifest, None)
        return
    yield from _surroundings(manifest)
    yield from _role(manifest, granted) if manifest.get("kind") in ROLES else _binding(manifest, granted)


def _is_ours(manifest: Manifest) -> bool:
    """Whether a role or binding is the platform's: by where it is, by its label, or by its name."""
    key, value = reviewed.PART_OF
    ours = (at(manifest, "metadata", "labels") or {}).get(key) == value
    return ours or _key(manifest) in reviewed.ROLES or _key(manifest)[0] in NAMESPACES


def _key(manifest: Manifest) -> tuple[str, str]:
    """Where a role or binding holds, and what it is called."""
    everywhere = str(manifest.get("kind")).startswith("Cluster")
    return "" if everywhere else namespace(manifest), name(manifest)


def _role_of(binding: Manifest) -> tuple[str, str]:
    """The key of the role that a binding gives."""
    everywhere = at(binding, "roleRef", "kind") == "ClusterRole"
    return "" if everywhere else namespace(binding), str(at(binding, "roleRef", "name"))


def _holder(subject: Mapping[str, Any]) -> Holder:
    return Holder(str(subject.get("namespace")), str(subject.get("name")))


def _surroundings(manifest: Manifest) -> Iterator[Suspect]:
    """Nothing beside the rights: a label may make a role part of another one."""

    def has(how: str, *steps: str) -> Suspect:
        return Suspect(breaks(manifest, how), manifest, put(manifest, steps, NOTHING))

    known = ROLE_KEYS if manifest.get("kind") in ROLES else BINDING_KEYS
    for key in manifest:
        if key not in known:
            yield has(f"has {key}, which was not reviewed", key)
    for key in at(manifest, "metadata", "labels") or {}:
        if key not in OBJECT_LABELS:
            yield has(f"has the label {key}, which may make it part of another role", "metadata", "labels", key)
    for key in at(manifest, "metadata", "annotations") or {}:
        yield has(f"has the annotation {key}, which was not reviewed", "metadata", "annotations", key)


def _role(manifest: Manifest, granted: Granted) -> Iterator[Suspect]:
    rules = list(items(manifest.get("rules")))
    # What a rule gives in place of a reviewed one is one mistake: the first is told, and what it lacks only if it
    # gives nothing else.
    lacking = [right for right in granted.rights if right not in map(_right, rules)]
    for index, rule in enumerate(rules):
        right, unknown = _right(rule), [key for key in rule if key not in RULE_KEYS]
        left = put(manifest, ("rules",), [*rules[:index], *rules[index + 1 :]])
        if right not in granted.rights:
            how = f"allows {right}; reviewed for {granted.holder}: {_listed(granted.rights)}"
            yield Suspect(breaks(manifest, how), manifest, left)
            lacking = lacking[1:]
        elif unknown:
            how = f"has a rule with {', '.join(unknown)}, which was not reviewed"
            yield Suspect(breaks(manifest, how), manifest, left)
    for right in lacking:
        how = f"does not allow {right}, which {granted.holder} needs"
        yield Suspect(breaks(manifest, how), manifest, manifest)


def _right(rule: Mapping[str, Any]) -> Right:
    fields = ("apiGroups", "resources", "verbs", "resourceNames")
    groups, resources, verbs, names = (tuple(sorted(texts(rule.get(field)))) for field in fields)
    return Right(groups, resources, verbs, names)


def _listed(rights: Sequence[Right]) -> str:
    return "; ".join(str(right) for right in rights)


def _binding(manifest: Manifest, granted: Granted) -> Iterator[Suspect]:
    ref, kind = manifest.get("roleRef") or {}, str(manifest.get("kind")).removesuffix("Binding")
    if (ref.get("apiGroup"), ref.get("kind"), ref.get("name")) != (RBAC_GROUP, kind, name(manifest)):
        right = {"apiGroup": RBAC_GROUP, "kind": kind, "name": name(manifest)}
        how = f"gives {ref.get('kind')} {ref.get('name')}; it must give {kind} {name(manifest)}"
        yield Suspect(breaks(manifest, how), manifest, put(manifest, ("roleRef",), right))
    subjects = list(items(manifest.get("subjects")))
    found = [_holder(s) for s in subjects]
    for index, holder in enumerate(found):
        if holder != granted.holder:
            left = put(manifest, ("subjects",), [*subjects[:index], *subjects[index + 1 :]])
            how = f"gives rights to {holder}; they were reviewed for {granted.holder}"
            yield Suspect(breaks(manifest, how), manifest, left)
    if granted.holder not in found and (not found or found == [granted.holder]):
        how = f"does not give {granted.holder} its rights"
        yield Suspect(breaks(manifest, how), manifest, manifest)


def _missing(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    """What was reviewed and is not declared: the program would be refused by the API server."""
    declared = {(str(m.get("kind")), *_key(m)) for m in manifests if m.get("kind") in (*ROLES, *BINDINGS)}
    accounts = {Holder(namespace(m), name(m)): m for m in manifests if m.get("kind") == "ServiceAccount"}
    for (where, called), granted in reviewed.ROLES.items():
        kind = "Role" if where else "ClusterRole"
        for missing in (kind, f"{kind}Binding"):
            if (missing, where, called) not in declared:
                account = accounts.get(granted.holder)
                what = f"{missing} {called} is not declared: {granted.holder} may not {_listed(granted.rights)}"
                yield Violation(f"{label(account)}: {what}" if account else what, account)
    with_role = {  # rule FP030 misses these
        Holder(str(at(m, "spec", "namespace")), str(at(m, "spec", "serviceAccount")))
        for m in manifests
        if m.get("kind") == POD_IDENTITY
    }
    for workload in (m for m in manifests if m.get("kind") in WORKLOADS and namespace(m) in NAMESPACES):
        holder = Holder(namespace(workload), str(pod(workload).get("serviceAccountName")))
        known = holder in accounts or holder in with_role or holder.account == "default"
        if not known and f"{namespace(workload)}/{name(workload)}" in PROGRAMS and holder.account == name(workload):
            yield breaks(workload, f"runs as the service account {holder}, which is not declared: no pod would start")


def _mounted(manifests: Sequence[Manifest], table: Mapping[str, Volumes]) -> Iterator[Violation]:
    """What is mounted is read, whatever the API server would say."""
    known = [m for m in manifests if m.get("kind") in WORKLOADS and f"{namespace(m)}/{name(m)}" in table]
    specific = Backstop(manifests, ABOUT_PODS)
    for workload in known:
        program = f"{namespace(workload)}/{name(workload)}"
        yield from specific.left(volumes.unlike(workload, program, table[program]))


RULES: Final = (
    Rule(
        id="FP049",
        name="reviewed-rights",
        why="A right that nobody looked at is the one that leads past the gateway: to make pods, to change the guards, "
        "to read what others hold. A Secret that is mounted is read, too.",
        remediation="Give with `allow` and `allow_everywhere` of components/base.py exactly what "
        "schemas/reviewed/rights.py lists, and mount what schemas/reviewed/volumes.py lists; what is needed is added "
        "there first, with its reason.",
        kinds=(*ROLES, *BINDINGS, "ServiceAccount", *WORKLOADS, POD_IDENTITY, SETTINGS),
        check=_rights,
        scope="stack",
    ),
)

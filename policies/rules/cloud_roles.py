"""Roles of pods in the cloud: one per service account, for named actions on our own buckets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from policies.cloud import (
    POD_IDENTITY,
    PURPOSES,
    ROLE,
    ROLE_POLICY,
    Cloud,
    breaks,
    clouds,
    policy,
)
from policies.iam import Statement, listed, principals, statements
from policies.objects import at, items, name, namespace
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from schemas.allowed import AUDIT_ACTIONS, NAMESPACES, PROFILE_ACTIONS

AGENT: Final = "pods.eks.amazonaws.com"
TRUST_ACTIONS: Final = ("sts:assumerole", "sts:tagsession")
SESSION_SECONDS: Final = 3600
TAG: Final = "aws:requesttag/"


def _roles(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    for cloud in clouds(manifests):
        for role in cloud.of(ROLE):
            if items(at(role, "spec", "managedPolicyArns")):
                yield breaks(role, "sets managedPolicyArns: a role has one RolePolicy, which is judged")
            if (seconds := at(role, "spec", "maxSessionDuration") or SESSION_SECONDS) > SESSION_SECONDS:
                yield breaks(role, f"lets a session last {seconds:g} s; at most {SESSION_SECONDS}")
            yield from _trusted(cloud, role)
        for resource in filter(cloud.readable, cloud.of(ROLE_POLICY)):
            for statement in statements(policy(resource)):
                for how in _allowed(cloud, statement):
                    yield breaks(resource, f"statement {statement.get('Sid', '?')} {how}")
        accounts = {(namespace(m), name(m)) for m in manifests if m.get("kind") == "ServiceAccount"}
        yield from _associations(cloud, accounts)


def _trusted(cloud: Cloud, role: Manifest) -> Iterator[Violation]:
    """Only the service accounts that are associated with the role get it, in our cluster."""
    text = str(at(role, "spec", "assumeRolePolicy") or "")
    if not text:
        yield breaks(role, "has no trust policy")
        return
    if not cloud.readable(role, "assumeRolePolicy"):
        return
    for statement in statements(text):
        other = [a for a in listed(statement.get("Action")) if a.lower() not in TRUST_ACTIONS]
        if statement.get("Effect") == "Allow" and (other or "NotAction" in statement):
            yield breaks(
                role, f"can be assumed by {', '.join(other) or 'NotAction'}; valid: sts:AssumeRole, sts:TagSession"
            )
    mine = [a for a in cloud.of(POD_IDENTITY) if str(at(a, "spec", "roleArn")).endswith(f"/{at(role, 'spec', 'name')}")]
    if not mine:
        yield breaks(role, "belongs to no service account: a PodIdentityAssociation is missing")
    for association in mine:
        spec = association.get("spec") or {}
        cluster = f"arn:aws:eks:{cloud.said('cloud.region')}:{cloud.account}:cluster/{cloud.said('cloud.eksCluster')}"
        own = {
            "aws:sourceaccount": cloud.account,
            f"{TAG}eks-cluster-arn": cluster,
            f"{TAG}kubernetes-namespace": str(spec.get("namespace")),
            f"{TAG}kubernetes-service-account": str(spec.get("serviceAccount")),
        }
        for statement in statements(text):
            if statement.get("Effect") == "Allow":
                yield from (breaks(role, how) for how in _wider(statement, own))


def _wider(statement: Statement, own: Mapping[str, str]) -> Iterator[str]:
    """What a trust statement gives beyond one service account. Compared as a whole: a second principal, another
    operator (`StringLike`, `...IfExists`, `ForAllValues:`) or a second value each open it further."""
    who = list(principals(statement))
    if who != [("Service", AGENT)]:
        named = ", ".join(value for _, value in who) or "whoever NotPrincipal leaves"
        yield f"can be assumed by {named}; valid: the service {AGENT} alone"
    conditions = statement.get("Condition") or {}
    asked = {key.lower(): listed(value) for key, value in (conditions.get("StringEquals") or {}).items()}
    for key, value in own.items():
        if asked.get(key) != [value]:
            yield f"is given whatever {key.removeprefix(TAG)} asks: StringEquals of {value} on {key} is missing"


def _allowed(cloud: Cloud, statement: Statement) -> Iterator[str]:
    if statement.get("Effect") == "Deny":
        return
    for element in ("NotAction", "NotResource", "NotPrincipal", "Principal"):
        if element in statement:
            yield f"has {element}: name what is allowed"
    purposes = set()
    for resource in listed(statement.get("Resource")):
        purpose = cloud.purpose(resource.partition("/")[0].removeprefix("arn:aws:s3:::"))
        if purpose not in PURPOSES:
            yield f"allows {resource}, which is none of the platform's buckets"
        purposes.add(purpose)
    allowed = AUDIT_ACTIONS if "audit" in purposes else PROFILE_ACTIONS
    if "state" in purposes:
        yield "reaches the state of Pulumi, which no pod has to do with"
    for action in listed(statement.get("Action")):
        if action not in allowed:
            yield f"allows {action}; valid: {', '.join(allowed)}"


def _associations(cloud: Cloud, accounts: set[tuple[str, str]]) -> Iterator[Violation]:
    roles = {f"arn:aws:iam::{cloud.account}:role/{at(r, 'spec', 'name')}" for r in cloud.of(ROLE)}
    seen: set[tuple[str, str]] = set()
    taken: set[str] = set()
    for association in cloud.of(POD_IDENTITY):
        spec = association.get("spec") or {}
        who, arn = (str(spec.get("namespace")), str(spec.get("serviceAccount"))), str(spec.get("roleArn"))
        if who[0] not in NAMESPACES or (accounts and who not in accounts):
            yield breaks(association, f"gives a role to {'/'.join(who)}, which is no service account of the platform")
        if arn not in roles:
            yield breaks(association, f"gives the role {arn}, which is not declared here")
        if spec.get("clusterName") != cloud.said("cloud.eksCluster"):
            yield breaks(association, f"is about the cluster {spec.get('clusterName')}")
        if spec.get("targetRoleArn"):
            yield breaks(association, "leads on to another role (targetRoleArn)")
        if spec.get("disableSessionTags"):
            yield breaks(association, "sends no session tags, which the role's trust policy asks for")
        if who in seen or arn in taken:
            yield breaks(association, f"shares a role: {'/'.join(who)} and another have {arn}")
        seen.add(who)
        taken.add(arn)


RULES: Final = (
    Rule(
        id="FP030",
        name="least-privilege-roles",
        why="A role is what an attacker in a pod has: with a wildcard it is the account's.",
        remediation="One Role, one RolePolicy and one PodIdentityAssociation per service account, with actions of "
        "`PROFILE_ACTIONS` or `AUDIT_ACTIONS` (schemas/allowed.py) on the platform's own buckets.",
        kinds=("ServiceAccount", ROLE, ROLE_POLICY, POD_IDENTITY, SETTINGS),
        check=_roles,
        scope="stack",
    ),
)

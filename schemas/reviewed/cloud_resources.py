"""Every resource of an environment's cloud account, with the values that it may have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from schemas.allowed import NAMESPACES
from schemas.reviewed.cloud import AUDIT, BUCKETS, KEYS, NOTICES, STATE, Site
from schemas.reviewed.cloud_documents import bucket_policy, endpoint_policy, key_policy, topic_policy
from schemas.reviewed.cloud_forms import COMPONENT, Amount, Document, Forms, Is, Later, One, Tags, Text, Unordered
from schemas.reviewed.cloud_jobs import Job, jobs, role_policy, trust
from schemas.reviewed.cloud_lifecycle import lifecycle

THRESHOLDS: Final = (80, 100)  # per cent of the ceiling at which people are told
SESSION_SECONDS: Final = 3600  # the shortest that a role may have
DELETION_DAYS: Final = 30  # the longest that AWS waits before a key is gone
ROTATION_DAYS: Final = (90, 180, 365)  # 90 is the least that AWS takes
_SECURE: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


@dataclass(frozen=True)
class Resource:
    """One resource by its name in the program. ``kept``: it outlives its stack (`protect`)."""

    kind: str
    name: str
    inputs: Forms
    kept: bool = False


def resources(site: Site, longest: tuple[float, float]) -> Iterator[Resource]:
    """All of them. ``longest``: days of the longest retention of any tenant, at least and at most."""
    for purpose in BUCKETS:
        yield from _bucket(site, purpose, longest)
    for purpose in KEYS:
        yield from _key(site, purpose)
    for account, job in jobs(site).items():
        yield from _identity(site, account, job)
    if site.cloud.vpc.s3_endpoint.kind != "existing":
        yield _endpoint(site)
    yield from _notices(site)
    yield _spending(site)
    yield from _cluster_audit(site)
    if site.cloud.budget.payer_role_arn:
        for key in (COMPONENT, "flameplane:environment", *site.cloud.tags):
            tag: Forms = {"tagKey": Is(key), "status": Is("Active")}
            yield Resource("aws:costexplorer/costAllocationTag:CostAllocationTag", key, tag)


def _tags(site: Site, component: str) -> Tags:
    return Tags(component, {**site.cloud.tags, "flameplane:environment": site.environment})


def _bucket(site: Site, purpose: str, longest: tuple[float, float]) -> Iterator[Resource]:
    def one(kind: str, inputs: Forms) -> Resource:
        name = f"{kind[0].lower()}{kind[1:]}"
        forms = {"bucket": Is(site.bucket(purpose)), "skipDestroy": Is(False, optional=True), **inputs}
        return Resource(f"aws:s3/{name}:{kind}", purpose, forms, kept=True)

    audit = site.cloud.audit
    locked = purpose == AUDIT
    yield one(
        "Bucket",
        {
            "forceDestroy": Is(False, optional=True),
            "objectLockEnabled": Is(locked, optional=not locked),
            "tags": _tags(site, purpose),
        },
    )
    yield one("BucketPublicAccessBlock", {field: Is(True) for field in _SECURE})
    yield one("BucketOwnershipControls", {"rule": {"objectOwnership": Is("BucketOwnerEnforced")}})
    by_default = {"sseAlgorithm": Is("aws:kms"), "kmsMasterKeyId": Is(*site.alias(purpose))}
    encryption: Forms = {
        "applyServerSideEncryptionByDefault": by_default,
        "bucketKeyEnabled": Is(True),  # each of millions of objects would be a call to KMS
        "blockedEncryptionTypes": Is(["SSE-C"]),  # keys that only the client has
    }
    yield one("BucketServerSideEncryptionConfiguration", {"rules": One(encryption)})
    yield one("BucketPolicy", {"policy": Document(bucket_policy(site, purpose))})
    yield one("BucketLifecycleConfiguration", {"rules": lifecycle(site, purpose, longest)})
    if purpose in (AUDIT, STATE):
        # Not the profiles: what Pyroscope deletes would stay.
        yield one("BucketVersioning", {"versioningConfiguration": {"status": Is("Enabled")}})
    if locked:
        years, rest = divmod(audit.days, 365)
        periods = [{"days": audit.days}, *([] if rest else [{"years": years}])]
        lock = Is(*({"mode": audit.mode.upper(), **period} for period in periods))
        yield one("BucketObjectLockConfiguration", {"rule": {"defaultRetention": lock}})


def _key(site: Site, purpose: str) -> Iterator[Resource]:
    name = f"{purpose}-key"
    inputs: Forms = {
        "description": Text(),
        "keyUsage": Is("ENCRYPT_DECRYPT", optional=True),
        "customerMasterKeySpec": Is("SYMMETRIC_DEFAULT", optional=True),
        "policy": Document(key_policy(site, purpose)),
        "bypassPolicyLockoutSafetyCheck": Is(False, optional=True),
        "enableKeyRotation": Is(True),
        "rotationPeriodInDays": Is(*sorted(ROTATION_DAYS, reverse=True), optional=True),
        "deletionWindowInDays": Is(DELETION_DAYS, optional=True),
        "tags": _tags(site, purpose),
    }
    yield Resource("aws:kms/key:Key", name, inputs, kept=True)
    alias: Forms = {"name": Is(site.alias(purpose)[1]), "targetKeyId": Later()}
    yield Resource("aws:kms/alias:Alias", name, alias, kept=True)


def _identity(site: Site, account: str, job: Job) -> Iterator[Resource]:
    # No managed or inline policies, no boundary (cloud_inputs.py): the one RolePolicy says all that the role may do.
    role: Forms = {
        "name": Is(site.role(account)),
        "description": Text(),
        "assumeRolePolicy": Document(trust(site, account)),
        "maxSessionDuration": Is(SESSION_SECONDS, optional=True),
        "path": Is("/", optional=True),
        "forceDetachPolicies": Is(False, optional=True),
        "tags": _tags(site, "identity"),
    }
    yield Resource("aws:iam/role:Role", account, role)
    policy: Forms = {
        "name": Is(job.bucket),
        "role": Is(site.role(account)),
        "policy": Document(role_policy(site, account)),
    }
    yield Resource("aws:iam/rolePolicy:RolePolicy", account, policy)
    association: Forms = {
        "clusterName": Is(site.cloud.eks_cluster),
        "namespace": Is(job.namespace),
        "serviceAccount": Is(account),
        "roleArn": Is(site.role_arn(account)),
        "tags": _tags(site, "identity"),
    }
    yield Resource("aws:eks/podIdentityAssociation:PodIdentityAssociation", account, association)


def _endpoint(site: Site) -> Resource:
    vpc = site.cloud.vpc
    way: Forms = {"vpcEndpointType": Is("Gateway"), "routeTableIds": Unordered(*vpc.s3_endpoint.route_table_ids)}
    if vpc.s3_endpoint.kind == "interface":
        way = {
            "vpcEndpointType": Is("Interface"),
            "subnetIds": Unordered(*vpc.s3_endpoint.subnet_ids),
            "securityGroupIds": Unordered(*vpc.s3_endpoint.security_group_ids),
            # Names of S3 lead to it in the whole VPC: without, requests would go past it.
            "privateDnsEnabled": Is(True),
            "dnsOptions": {"privateDnsOnlyForInboundResolverEndpoint": Is(False)},
        }
    inputs: Forms = {
        "vpcId": Is(vpc.id),
        "serviceName": Is(f"com.amazonaws.{site.cloud.region}.s3"),
        "policy": Document(endpoint_policy(site)),
        "tags": _tags(site, "endpoint"),
        **way,
    }
    return Resource("aws:ec2/vpcEndpoint:VpcEndpoint", "s3", inputs)


def _notices(site: Site) -> Iterator[Resource]:
    topic: Forms = {
        "name": Is(site.topic.rpartition(":")[2]),
        "kmsMasterKeyId": Is(*reversed(site.alias(NOTICES))),
        "fifoTopic": Is(False, optional=True),
        "tags": _tags(site, "notices"),
    }
    yield Resource("aws:sns/topic:Topic", NOTICES, topic)
    allowed: Forms = {"arn": Is(site.topic), "policy": Document(topic_policy(site))}
    yield Resource("aws:sns/topicPolicy:TopicPolicy", NOTICES, allowed)
    for email in site.cloud.budget.emails:  # and nobody else: notices say what the platform costs and is
        heard: dict[str, Is] = {"topic": Is(site.topic), "protocol": Is("email"), "endpoint": Is(email)}
        for field in ("endpointAutoConfirms", "rawMessageDelivery"):
            heard[field] = Is(False, optional=True)
        yield Resource("aws:sns/topicSubscription:TopicSubscription", email, heard)


def _spending(site: Site) -> Resource:
    notices = [
        {
            "comparisonOperator": "GREATER_THAN",
            "notificationType": "ACTUAL",
            "threshold": threshold,
            "thresholdType": "PERCENTAGE",
            "subscriberSnsTopicArns": [site.topic],
        }
        for threshold in THRESHOLDS
    ]
    counted = {"name": "TagKeyValue", "values": [f"user:flameplane:environment${site.environment}"]}
    inputs: Forms = {
        "name": Is(f"flameplane-{site.environment}"),
        "accountId": Is(site.cloud.account_id),
        "budgetType": Is("COST"),
        "timeUnit": Is("MONTHLY"),
        "limitAmount": Amount(site.cloud.budget.monthly_usd),
        "limitUnit": Is("USD"),
        "costFilters": Is([counted]),
        "notifications": Unordered(*notices),
        "tags": _tags(site, "budget"),
    }
    return Resource("aws:budgets/budget:Budget", "monthly", inputs)


def _cluster_audit(site: Site) -> Iterator[Resource]:
    name, group = "past-the-gateway", f"/aws/eks/{site.cloud.eks_cluster}/cluster"
    metric = f"flameplane-{site.environment}-{name}"
    spaces = " || ".join(f'$.objectRef.namespace = "{space}"' for space in NAMESPACES)
    ways = ("attach", "ephemeralcontainers", "exec", "portforward", "proxy")
    asked = " || ".join(f'$.objectRef.subresource = "{way}"' for way in ways)
    lines: Forms = {
        "name": Is(metric),
        "logGroupName": Is(group),
        "pattern": Is(f"{{ ({spaces}) && ({asked}) }}"),
        "applyOnTransformedLogs": Is(False, optional=True),
        "metricTransformation": {"name": Is(metric), "namespace": Is("Flameplane"), "value": Is("1")},
    }
    yield Resource("aws:cloudwatch/logMetricFilter:LogMetricFilter", name, lines)
    alarm: Forms = {
        "name": Is(metric),
        "alarmDescription": Text(),
        "namespace": Is("Flameplane"),
        "metricName": Is(metric),
        "statistic": Is("Sum"),
        "period": Is(60),
        "evaluationPeriods": Is(1),
        "comparisonOperator": Is("GreaterThanOrEqualToThreshold"),
        "threshold": Is(1),
        "treatMissingData": Is("notBreaching"),
        "alarmActions": Is([site.topic]),
        "actionsEnabled": Is(True, optional=True),
        "tags": _tags(site, "cluster-audit"),
    }
    yield Resource("aws:cloudwatch/metricAlarm:MetricAlarm", name, alarm)

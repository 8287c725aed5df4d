"""The inputs that a cloud resource may have at all: by kind, dotted paths; `*` is any key.

Values are in cloud_resources.py, or in the rule that is named beside an input: what nobody judges may not be set. After
apply a resource shows what the cloud filled in as well, so these names are compared with inputs alone.
"""

from typing import Final

_BUCKET: Final = ("bucket", "skipDestroy")
_TAGS: Final = "tags.*"
INPUTS: Final[dict[str, tuple[str, ...]]] = {
    "aws:s3/bucket:Bucket": ("bucket", "forceDestroy", "objectLockEnabled", _TAGS, "acl"),  # acl: FP020
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": (
        *_BUCKET,
        *("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"),
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": (*_BUCKET, "rule.objectOwnership"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        *_BUCKET,
        "rules.applyServerSideEncryptionByDefault.sseAlgorithm",
        "rules.applyServerSideEncryptionByDefault.kmsMasterKeyId",
        *("rules.bucketKeyEnabled", "rules.blockedEncryptionTypes"),
    ),
    "aws:s3/bucketPolicy:BucketPolicy": (*_BUCKET, "policy"),
    "aws:s3/bucketVersioning:BucketVersioning": (*_BUCKET, "versioningConfiguration.status"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        *_BUCKET,
        *("rules.id", "rules.status", "rules.filter.prefix"),
        *("rules.filter.and.prefix", "rules.filter.and.objectSizeGreaterThan"),
        *("rules.transitions.days", "rules.transitions.storageClass"),
        *("rules.expiration.days", "rules.expiration.date"),  # date: FP027
        *("rules.noncurrentVersionExpiration.noncurrentDays", "rules.noncurrentVersionTransitions"),  # FP027
        "rules.abortIncompleteMultipartUpload.daysAfterInitiation",
    ),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": (
        *_BUCKET,
        "objectLockEnabled",
        *("rule.defaultRetention.mode", "rule.defaultRetention.days", "rule.defaultRetention.years"),
    ),
    "aws:kms/key:Key": (
        *("description", "keyUsage", "policy", "bypassPolicyLockoutSafetyCheck", "enableKeyRotation"),
        *("rotationPeriodInDays", "deletionWindowInDays", _TAGS, "customerMasterKeySpec"),
        *("isEnabled", "multiRegion"),  # FP026
    ),
    "aws:kms/alias:Alias": ("name", "targetKeyId"),
    "aws:iam/role:Role": (
        *("name", "description", "assumeRolePolicy", "maxSessionDuration", "path", "forceDetachPolicies", _TAGS),
        "managedPolicyArns",  # FP030
    ),
    "aws:iam/rolePolicy:RolePolicy": ("name", "role", "policy"),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": (
        *("clusterName", "namespace", "serviceAccount", "roleArn", _TAGS),
        *("disableSessionTags", "targetRoleArn"),  # FP030
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": (
        *("vpcId", "serviceName", "vpcEndpointType", "policy", "routeTableIds", "subnetIds", "securityGroupIds"),
        *("privateDnsEnabled", "dnsOptions.privateDnsOnlyForInboundResolverEndpoint", _TAGS),
    ),
    "aws:sns/topic:Topic": ("name", "kmsMasterKeyId", _TAGS, "fifoTopic", "contentBasedDeduplication"),
    "aws:sns/topicPolicy:TopicPolicy": ("arn", "policy"),
    "aws:sns/topicSubscription:TopicSubscription": (
        *("topic", "protocol", "endpoint", "confirmationTimeoutInMinutes", "endpointAutoConfirms"),
        "rawMessageDelivery",
    ),
    "aws:budgets/budget:Budget": (
        *("name", "accountId", "budgetType", "timeUnit", "limitAmount", "limitUnit", _TAGS),
        *("costFilters.name", "costFilters.values"),
        *("notifications.comparisonOperator", "notifications.notificationType", "notifications.threshold"),
        *("notifications.thresholdType", "notifications.subscriberSnsTopicArns"),
        "notifications.subscriberEmailAddresses",
    ),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": (
        *("name", "logGroupName", "pattern", "applyOnTransformedLogs"),
        *("metricTransformation.name", "metricTransformation.namespace", "metricTransformation.value"),
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": (
        *("name", "alarmDescription", "namespace", "metricName", "statistic", "period", "evaluationPeriods"),
        *("comparisonOperator", "threshold", "treatMissingData", "alarmActions", "actionsEnabled", _TAGS),
    ),
    "aws:costexplorer/costAllocationTag:CostAllocationTag": ("tagKey", "status"),
}

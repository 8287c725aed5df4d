"""Cases of the alerts on the jobs, the gateway and the workloads."""

from alert_case import Case

MERGED = 'flameplane_downsample_merged_until_timestamp_seconds{tenant="payments"}'
UNKNOWN = 'flameplane_downsample_unknown_types{tenant="payments"}'
ROUTE = "querier_v1_querierservice_selectmergestacktraces"
READS = f'pyroscope_request_duration_seconds_count{{{{method="POST",route="{ROUTE}",status_code="{{}}"}}}}'
FORWARDED = 'flameplane_gateway_forwarded_total{direction="read",pod="g"}'
GATEWAY = '{namespace="flameplane-access",deployment="gateway"}'
METASTORE = '{namespace="flameplane-backend",statefulset="metastore"}'
CHECKS = 'apiserver_validating_admission_policy_check_total{{policy="{}",policy_binding="b",enforcement_action="{}"}}'

CASES: dict[str, Case] = {
    "merged 7 h 20 min ago": (
        {MERGED: "0x500"},
        "FlameplaneDownsampleLag",
        440,
        ({"tenant": "payments"}, "the hourly profiles of payments are 7h 20m 0s behind"),
    ),
    "merged 7 h 20 min ago, told once an hour": (
        {MERGED: "0 " + "_x59 0 " * 8},
        "FlameplaneDownsampleLag",
        440,
        ({"tenant": "payments"}, "the hourly profiles of payments are 7h 20m 0s behind"),
    ),
    "merged two hours ago, told once an hour": (
        {MERGED: " _x59 ".join(str(3600 * hour) for hour in range(12))},
        "FlameplaneDownsampleLag",
        600,
        None,
    ),
    "no run for 7 h": (
        {MERGED: "0"},
        "FlameplaneDownsampleLag",
        440,
        ({"tenant": "payments"}, "the hourly profiles of payments are 7h 20m 0s behind"),
    ),
    "one of two teams is not told of for 7 h": (
        {MERGED: "0", MERGED.replace("payments", "catalog"): " _x59 ".join(str(3600 * hour) for hour in range(12))},
        "FlameplaneDownsampleLag",
        440,
        ({"tenant": "payments"}, "the hourly profiles of payments are 7h 20m 0s behind"),
    ),
    "no run for 22 h": (
        {MERGED: "0"},
        "FlameplaneDownsampleLost",
        1320,
        (
            {"tenant": "payments"},
            "the hourly profiles of payments are 22h 0m 0s behind; hours older than 24 h are lost",
        ),
    ),
    "no run for 28 h": (
        {MERGED: "0"},
        "FlameplaneDownsampleLost",
        1680,
        ({}, "no run of the downsampling job says how far it is; hours older than 24 h are lost"),
    ),
    "no run ever": ({}, "FlameplaneDownsampleLag", 30, ({}, "no run of the downsampling job says how far it is")),
    "a type that nobody decided on": (
        {UNKNOWN: "1 " + "_x59 1 " * 6},
        "FlameplaneDownsampleUnknown",
        200,
        (
            {"tenant": "payments"},
            "1 profile types of payments are not in its hourly profiles: nobody decided how they are merged",
        ),
    ),
    "every type known": ({UNKNOWN: "0 " + "_x59 0 " * 6}, "FlameplaneDownsampleUnknown", 200, None),
    "merged 5 h ago": ({MERGED: "0x500"}, "FlameplaneDownsampleLag", 300, None),
    "merged a day ago": (
        {MERGED: "0x1600"},
        "FlameplaneDownsampleLost",
        1440,
        (
            {"tenant": "payments"},
            "the hourly profiles of payments are 1d 0h 0m 0s behind; hours older than 24 h are lost",
        ),
    ),
    "merged 19 h ago": ({MERGED: "0x1600"}, "FlameplaneDownsampleLost", 1140, None),
    "no drift run": (
        {"flameplane_drift_last_success_timestamp_seconds": "0x120"},
        "FlameplaneDriftStale",
        100,
        ({}, "no drift run succeeded for an hour: a changed service would go unnoticed"),
    ),
    "drift runs": ({"flameplane_drift_last_success_timestamp_seconds": "0+60x120"}, "FlameplaneDriftStale", 100, None),
    "no cost report": (
        {"flameplane_cost_last_success_timestamp_seconds": "0x2400"},
        "FlameplaneCostReportStale",
        2300,
        ({}, "no cost report for a day and a half: the budget alerts stand on old figures"),
    ),
    "a cost report": (
        {"flameplane_cost_last_success_timestamp_seconds": "0+60x2400"},
        "FlameplaneCostReportStale",
        2300,
        None,
    ),
    "a cost report once a day": (  # a figure is seen for five minutes after it was written
        {"flameplane_cost_last_success_timestamp_seconds": "0 _x1439 86400 _x1000"},
        "FlameplaneCostReportStale",
        2300,
        None,
    ),
    "an open network": (
        {
            'flameplane_network_policies_enforced{direction="ingress"}': "0x30",
            'flameplane_network_policies_enforced{direction="egress"}': "1x30",
        },
        "FlameplaneNetworkOpen",
        10,
        (
            {"direction": "ingress"},
            "the cluster does not enforce NetworkPolicies (ingress): any pod may try to reach the backend",
        ),
    ),
    "a closed network": (
        {'flameplane_network_policies_enforced{direction="ingress"}': "1x30"},
        "FlameplaneNetworkOpen",
        10,
        None,
    ),
    "nobody knows of the network": (
        {"flameplane_network_probe_last_verdict_timestamp_seconds": "0x60"},
        "FlameplaneNetworkUnknown",
        50,
        ({}, "nobody knows whether the cluster enforces NetworkPolicies"),
    ),
    "the probe knows": (
        {"flameplane_network_probe_last_verdict_timestamp_seconds": "0+60x60"},
        "FlameplaneNetworkUnknown",
        50,
        None,
    ),
    "no gateway": (
        {f"kube_deployment_status_replicas_available{GATEWAY}": "0x30"},
        "FlameplaneGatewayDown",
        10,
        (
            {"namespace": "flameplane-access", "deployment": "gateway"},
            "no gateway is ready: no profile comes in, and nobody can read any",
        ),
    ),
    "one gateway": ({f"kube_deployment_status_replicas_available{GATEWAY}": "1x30"}, "FlameplaneGatewayDown", 10, None),
    "audit fails": (
        {'flameplane_gateway_audit_errors_total{pod="g"}': "0+1x30"},
        "FlameplaneAuditSink",
        20,
        ({}, "audit lines cannot be stored: exports are refused until they can"),
    ),
    "audit works": ({'flameplane_gateway_audit_errors_total{pod="g"}': "0x30"}, "FlameplaneAuditSink", 20, None),
    "anchors fail": (
        {'flameplane_gateway_audit_ship_failures_total{what="anchor",pod="g"}': "0+6x60"},
        "FlameplaneAuditUploads",
        30,
        (
            {"what": "anchor"},
            "uploads of the audit log fail (anchor): lines wait on the pods' disks, and without anchors no whole "
            "profile leaves",
        ),
    ),
    "an upload failed and was tried again": (
        {'flameplane_gateway_audit_ship_failures_total{what="lines",pod="g"}': "0x10 1x50"},
        "FlameplaneAuditUploads",
        30,
        None,
    ),
    "audit lines wait": (
        {'flameplane_gateway_audit_lag_seconds{pod="g"}': "1800x60"},
        "FlameplaneAuditLag",
        30,
        ({"pod": "g"}, "audit lines of g have waited 30m 0s: its disk alone has them"),
    ),
    "audit lines leave": ({'flameplane_gateway_audit_lag_seconds{pod="g"}': "60x60"}, "FlameplaneAuditLag", 30, None),
    "reads past the gateway": (
        {READS.format("200"): "0+2x120", FORWARDED: "0+1x120"},
        "FlameplaneReadsUnaudited",
        100,
        ({}, "the backend answered 120 reads in an hour, more than the gateway let through"),
    ),
    "reads and no gateway": (
        {READS.format("200"): "0+2x120"},
        "FlameplaneReadsUnaudited",
        100,
        ({}, "the backend answered 120 reads in an hour, more than the gateway let through"),
    ),
    "every read by the gateway": (
        {READS.format("200"): "0+2x120", FORWARDED: "0+2x120"},
        "FlameplaneReadsUnaudited",
        100,
        None,
    ),
    **{
        f"{direction}s refused": (
            {f'flameplane_gateway_refused_total{{direction="{direction}",reason="tenant",pod="g"}}': "0+10x60"},
            alert,
            40,
            ({"reason": "tenant"}, f"the gateway refused 150 {what} in 15 minutes (tenant)"),
        )
        for direction, alert, what in (
            ("read", "FlameplaneReadsRefused", "reads"),
            ("write", "FlameplaneWritesRefused", "pushes"),
        )
    },
    "a few reads refused": (
        {'flameplane_gateway_refused_total{direction="read",reason="tenant"}': "0+1x60"},
        "FlameplaneReadsRefused",
        40,
        None,
    ),
    "pushes refused are no reads": (
        {'flameplane_gateway_refused_total{direction="write",reason="tenant"}': "0+10x60"},
        "FlameplaneReadsRefused",
        40,
        None,
    ),
    "a few pushes refused": (
        {'flameplane_gateway_refused_total{direction="write",reason="tenant"}': "0+1x60"},
        "FlameplaneWritesRefused",
        40,
        None,
    ),
    "an exec refused": (
        {CHECKS.format("flameplane-platform-guard", "deny"): "0x5 1x10"},
        "FlameplaneGuardDenied",
        8,
        (
            {"policy": "flameplane-platform-guard"},
            "admission policy flameplane-platform-guard refused something: an attempt to get past the gateway, or a "
            "mistake",
        ),
    ),
    "admission as usual": (
        {CHECKS.format("flameplane-platform-guard", "allow"): "0+9x15"},
        "FlameplaneGuardDenied",
        8,
        None,
    ),
    "somebody else's policy": ({CHECKS.format("other", "deny"): "0x5 1x10"}, "FlameplaneGuardDenied", 8, None),
    "the certificate ends": (
        {"flameplane_gateway_backend_certificate_expiry_timestamp_seconds": "345600x120"},
        "FlameplaneBackendCertificate",
        60,
        (
            {},
            "the certificate between gateway and backend ends in 3d 23h 0m 0s; then nothing is read or stored",
        ),
    ),
    "the certificate is good for a month": (
        {"flameplane_gateway_backend_certificate_expiry_timestamp_seconds": "2592000x120"},
        "FlameplaneBackendCertificate",
        60,
        None,
    ),
    "a replica is missing": (
        {
            f"kube_deployment_status_replicas_available{GATEWAY}": "1x30",
            f"kube_deployment_spec_replicas{GATEWAY}": "2x30",
        },
        "FlameplaneWorkloadDegraded",
        20,
        (
            {"namespace": "flameplane-access", "deployment": "gateway"},
            "gateway in flameplane-access has 1 replicas ready, fewer than declared",
        ),
    ),
    "a metastore is missing": (
        {
            f"kube_statefulset_status_replicas_ready{METASTORE}": "2x30",
            f"kube_statefulset_replicas{METASTORE}": "3x30",
        },
        "FlameplaneWorkloadDegraded",
        20,
        (
            {"namespace": "flameplane-backend", "deployment": "metastore", "statefulset": "metastore"},
            "metastore in flameplane-backend has 2 replicas ready, fewer than declared",
        ),
    ),
    "all replicas are there": (
        {
            f"kube_deployment_status_replicas_available{GATEWAY}": "2x30",
            f"kube_deployment_spec_replicas{GATEWAY}": "2x30",
        },
        "FlameplaneWorkloadDegraded",
        20,
        None,
    ),
}

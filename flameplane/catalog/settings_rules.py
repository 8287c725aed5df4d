"""The findings about stacks/Pulumi.<environment>.yaml, a part of the table in ``flameplane.catalog.rules``."""

from typing import Final

from flameplane.catalog.rule import Rule

_SET = ("SET",)

RULES: Final[dict[str, Rule]] = {
    "060": Rule(
        "Secret in a settings file",
        "Settings are read by everybody.",
        "Name the Kubernetes Secret that holds it.",
        _SET,
    ),
    "061": Rule(
        "Environment and file name differ",
        "The stack of one environment would build another.",
        "Make them agree.",
        _SET,
    ),
    "062": Rule(
        "Default provider not disabled",
        "It would use the current kubectl context or AWS profile: whatever cluster or account that is.",
        "Set `pulumi:disable-default-providers: [kubernetes]`, with a cloud account `[kubernetes, aws]`.",
        _SET,
    ),
    "063": Rule("Demo outside environment local", "Demo workloads only cost elsewhere.", "Remove it.", _SET),
    "064": Rule(
        "Object storage not described by its kind",
        "SeaweedFS serves one machine and needs a volume and its keys; S3 needs the address range that may be reached.",
        "Set what storage of this kind needs, and nothing else.",
        _SET,
    ),
    "065": Rule(
        "Injection on an old cluster",
        "MutatingAdmissionPolicy is v1 from Kubernetes 1.36.",
        "Set `injection: {enabled: false}` or name a newer cluster.",
        _SET,
    ),
    "066": Rule(
        "No settings for the environment", "A stack needs stacks/Pulumi.<environment>.yaml.", "Add the file.", _SET
    ),
    "067": Rule(
        "Backend reached in plain text",
        "Profiles and the tenant that they belong to would cross the network unprotected, from anybody.",
        "Set backend.tls: a ClusterIssuer of cert-manager, or the names of two Secrets.",
        _SET,
    ),
    "068": Rule(
        "Architecture that the environment cannot carry",
        "The parts of Pyroscope share one bucket and are spread over nodes and zones.",
        "Use `architecture: process` there.",
        _SET,
    ),
    "069": Rule(
        "Certificates from two sources, or from none",
        "It would be open whose certificates count.",
        "Set backend.tls.issuer or backend.tls.secrets.",
        _SET,
    ),
    # -- settings: the cloud account
    "070": Rule(
        "VPC endpoint not described by its kind",
        "Requests to S3 would leave by another way, where no policy of ours holds.",
        "Set what an endpoint of this kind needs, and nothing else.",
        _SET,
    ),
    "071": Rule(
        "Cloud account where none belongs, or none where one is needed",
        "A bucket on AWS needs its lifecycle, key and policies declared; environment local runs on one machine.",
        "Add or remove `flameplane:cloud`.",
        _SET,
    ),
    "072": Rule(
        "Object storage and cloud account disagree",
        "Pyroscope would look for its blocks elsewhere than where they are declared.",
        "Make them agree.",
        _SET,
    ),
    "073": Rule(
        "Role of another account",
        "Whoever runs that account could configure keys and buckets, or read profiles.",
        "Name a role of `cloud.accountId`.",
        _SET,
    ),
    "074": Rule(
        "Audit lock that does not fit the environment",
        "Records of prod have to outlive whoever wants them gone; those of other environments end with it.",
        "prod: `{mode: compliance, days: 365}` or more; others: `mode: governance`.",
        _SET,
    ),
    # -- settings: what an environment has to be
    "075": Rule(
        "Too few replicas or zones",
        "A drained node, or a zone that fails, would end everybody's reading, and what only happens between replicas "
        "would be seen in prod first.",
        "Raise the number.",
        _SET,
    ),
    "076": Rule(
        "Address of this machine",
        "The pods of a cluster elsewhere would look for it inside themselves.",
        "Write the address under which the cluster reaches it.",
        _SET,
    ),
    "077": Rule(
        "Name of another environment",
        "It was copied and not changed: the stack of one environment would change or read another.",
        "Write the name of this environment's.",
        _SET,
    ),
    "078": Rule(
        "Shared between environments",
        "What happens in one environment must not reach the other: data, tokens, objects of the cluster.",
        "Give each environment its own.",
        _SET,
    ),
    "079": Rule(
        "Trial set-up in an environment that people rely on",
        "One process and one node are each down with every update.",
        "Use what the environment needs, or try it in dev or local.",
        _SET,
    ),
    "080": Rule(
        "Grafana's state in two places, or copies without a shared one",
        "Each replica would have dashboards and sessions of its own, and people would lose them at random.",
        "Use `storage` with one replica, or `database`.",
        _SET,
    ),
    "081": Rule(
        "Address that the network policy cannot name",
        "A Grafana of our own reaches pods of named namespaces only, so that it cannot hand a token on.",
        "Write the URL of a Service: http://<name>.<namespace>.svc:<port>, or use `mode: existing`.",
        _SET,
    ),
    "082": Rule(
        "Address range that names nobody",
        "Network policies open to whoever has an address in it; Kubernetes warns of bits beside the network's.",
        "Name the network, or the one host with /32.",
        _SET,
    ),
    "083": Rule(
        "No way in or out where one is needed",
        "Network policies close everything that settings do not name.",
        "Add the value that is named.",
        _SET,
    ),
    "084": Rule(
        "Role with two duties",
        "Roles that configure read nothing, and those that read audit records read no profiles: one that does both "
        "could hide what it did.",
        "Name another role.",
        _SET,
    ),
    "085": Rule(
        "Address range of the internet",
        "What is reached there lies inside: a range of the internet would open a way out to hosts of others.",
        "Write the private range of the host: inside 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10.",
        _SET,
    ),
    "086": Rule(
        "The platform's own where somebody else's belongs",
        "The value opens a way in for others, and the platform's own pods and buckets would lie open to each other.",
        "Name what is meant: the other's namespace, or a bucket that is not the platform's.",
        _SET,
    ),
    "087": Rule(
        "People sign in elsewhere than at the issuer",
        "Grafana sends its client secret to the token endpoint, and people their passwords to the other one.",
        "Write an address on the issuer's host, or on a host below it.",
        _SET,
    ),
    "088": Rule(
        "One audience for people and for CI",
        "A token that a CI job asks for would name the audience by which people read profiles.",
        "Give CI an audience of its own.",
        _SET,
    ),
    "089": Rule(
        "Registry of everybody",
        "Images are there as long as somebody else likes, by names that anybody may take, at a rate that they set.",
        "Copy the images into a registry of your own, and name that.",
        _SET,
    ),
    "100": Rule(
        "One issuer for people and for CI",
        "Jobs choose the audience of their tokens themselves: one could pass for a person.",
        "Sign people in at an issuer that gives CI jobs no tokens.",
        _SET,
    ),
    "099": Rule(
        "Bucket that HTTPS does not reach",
        "S3's certificate is for one label before its endpoint: `*.s3.<region>.amazonaws.com`.",
        "Name it with hyphens.",
        _SET,
    ),
}

"""Every finding about a declared file, in one table: ``docs/service-yaml.md`` and SARIF take their texts from here.

A finding's id is the kind of file and the number of the rule: ``SVC`` for service, team and organisation files,
``SET`` for ``stacks/Pulumi.<environment>.yaml``, ``LCK`` for ``images.lock``. Ids are stable: a number is never given
to another rule.
"""

from typing import Final, NamedTuple


class Rule(NamedTuple):
    """What is wrong, why it matters, what to do. ``kinds`` are the prefixes that can report it."""

    title: str
    why: str
    fix: str
    kinds: tuple[str, ...] = ("SVC", "SET", "LCK")


_SVC, _SET = ("SVC",), ("SET",)

RULES: Final[dict[str, Rule]] = {
    # -- the file as YAML
    "001": Rule(
        "The file cannot be read",
        "Only UTF-8 text up to 200 KB is read; a service file has about 2.",
        "Save the file as UTF-8 text.",
    ),
    "002": Rule(
        "Not valid YAML", "Nothing in the file can be trusted after a syntax error.", "Correct the line shown."
    ),
    "003": Rule(
        "The file is empty", "An empty file declares nothing, which is hardly what was meant.", "Fill or delete it."
    ),
    "004": Rule(
        "Tab in the indentation", "YAML forbids it; editors show tabs at different widths.", "Indent with spaces."
    ),
    "005": Rule("Several documents in one file", "Tools disagree on which one counts.", "One file, one document."),
    "006": Rule("Key written twice", "Most YAML readers let the last one win without a word.", "Keep one of the two."),
    "007": Rule(
        "Anchor, alias or merge key",
        "What a line means would depend on another line; shared values belong into the defaults of _team.yaml.",
        "Write the value out, or make it a team default.",
    ),
    "008": Rule(
        "Tag or directive", "A tag changes the type of a value out of sight.", "Remove it; quote text where needed."
    ),
    "009": Rule(
        "Value that YAML versions read differently",
        "`no` is false to one reader and text to another; the same holds for 0o17, 1:30, 1e3 and dates.",
        "Quote it if it is text; else write true, false or a plain decimal number.",
    ),
    "010": Rule(
        "Key that is not text", "Keys are names; YAML also allows numbers, lists and maps there.", "Use a plain key."
    ),
    "011": Rule(
        "Key without a value",
        "It is unclear whether nothing or the default is meant.",
        "Write a value or delete the key.",
    ),
    # -- the file against its schema
    "020": Rule(
        "Unknown key", "It would have no effect, and nobody would notice.", "Correct the spelling or delete the key."
    ),
    "021": Rule("Missing key", "The value has no default.", "Add it."),
    "022": Rule(
        "Wrong type", 'Nothing is converted silently: "99" is not 99.', "Write a value of the type that is named."
    ),
    "023": Rule("Not one of the allowed values", "The value is from a closed list.", "Use one of the values listed."),
    "024": Rule(
        "Number out of range", "Outside the range the platform cannot keep its promise.", "Use a number in the range."
    ),
    "025": Rule(
        "Text in the wrong form",
        "Other systems parse it: names of objects, URLs, channels.",
        "Write it in the form named.",
    ),
    "026": Rule(
        "Empty list or map", "Empty would mean: nothing at all.", "List at least one entry, or delete the key."
    ),
    "027": Rule("Entry listed twice", "The second one has no effect.", "Delete one of them."),
    # -- values that have to agree
    "030": Rule(
        "Profile type that the language cannot deliver",
        "The runtime's profilers do not measure it, so the profile would stay empty for ever.",
        "Use types from the list of the language.",
        _SVC,
    ),
    "031": Rule(
        "CPU source that the language does not have",
        "`agent` is a profiler inside the process: Java, Node.js and Python have one; Go is scraped for other types.",
        "Use `cpuSource: ebpf`.",
        _SVC,
    ),
    "032": Rule(
        "Gate compares a track with itself", "Such a gate could never find a difference.", "Name two tracks.", _SVC
    ),
    "033": Rule(
        "Hourly profiles kept shorter than fine ones",
        "The downsampled copy is there for the time after the fine one is gone.",
        "Make downsampledDays at least fineDays.",
        _SVC,
    ),
    "034": Rule(
        "Floor above its ceiling",
        "No service or team could stay within both limits.",
        "Lower the floor or raise the ceiling.",
        _SVC,
    ),
    # -- the place of the file, and the organisation
    "040": Rule(
        "File in the wrong place",
        "Files with another name or place would be ignored in silence, and links followed out of sight.",
        "Move, rename or delete it.",
        ("SVC", "SET"),
    ),
    "041": Rule(
        "Name does not agree with the folder",
        "Owners are looked up by folder, profiles by name.",
        "Make them agree.",
        _SVC,
    ),
    "042": Rule(
        "Service name used twice", "Profiles of both would end up as one service.", "Rename one of them.", _SVC
    ),
    "043": Rule(
        "Two services claim the same pods",
        "A sample belongs to exactly one service.",
        "Add a label to the wider selector that only its own pods have.",
        _SVC,
    ),
    "044": Rule(
        "Repository on an unknown host",
        "Blame and the CI gate trust only the organisation's Git hosts.",
        "Use a host of spec.repositoryHosts in _org.yaml, or have it added there.",
        _SVC,
    ),
    "045": Rule(
        "Team folder without _team.yaml",
        "A service needs a team with an owner, a channel and a tenant.",
        "Add _team.yaml.",
        _SVC,
    ),
    "046": Rule(
        "Retention in a service file",
        "Profiles are kept per team, since the backend keeps them per tenant.",
        "Move it to spec.retention of the team's _team.yaml.",
        _SVC,
    ),
    "047": Rule(
        "Reserved namespace",
        "The platform's own namespaces and those of Kubernetes hold no services.",
        "Name the namespace the pods run in.",
        _SVC,
    ),
    "048": Rule(
        "Namespace that is never sampled",
        "The organisation excludes it (spec.excludedNamespaces), so there would be no profiles.",
        "Move the workload, or have the namespace taken off the list.",
        _SVC,
    ),
    "049": Rule(
        "Reserved team name",
        "`<team>-longterm` is the tenant of a team's hourly profiles, `organisation` stands for the organisation.",
        "Choose another name.",
        _SVC,
    ),
    "050": Rule(
        "Outside the organisation's limits",
        "Floors and ceilings of _org.yaml hold for every team and service; they are policy, not defaults.",
        "Stay within the limit, or have the limit changed in _org.yaml.",
        _SVC,
    ),
    "051": Rule(
        "No _org.yaml", "It holds the limits that every other file is checked against.", "Add services/_org.yaml.", _SVC
    ),
    "052": Rule(
        "No services", "A platform without services is hardly what was meant.", "Declare at least one service.", _SVC
    ),
    # -- settings
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
        "Object storage not fully described",
        "SeaweedFS serves one machine and needs a volume and its keys; S3 needs the address range that may be reached.",
        "Set the value that is named.",
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
        "Too few replicas",
        "A drained node would end everybody's reading, and what only happens between replicas would be seen in prod "
        "first.",
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
        "No way out where one is needed",
        "Network policies close everything that settings do not name.",
        "Add the value that is named.",
        _SET,
    ),
}


def rule_texts() -> dict[str, tuple[str, str, str]]:
    """Title, reason and fix by finding id."""
    return {kind + number: (rule.title, rule.why, rule.fix) for number, rule in RULES.items() for kind in rule.kinds}

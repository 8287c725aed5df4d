"""Every finding about a declared file, in one table: ``docs/service-yaml.md`` and SARIF take their texts from here.

A finding's id is the kind of file and the number of the rule: ``SVC`` for service, team and organisation files,
``SET`` for ``stacks/Pulumi.<environment>.yaml``, ``LCK`` for ``images.lock``, ``EXP`` for ``exports/<id>.yaml``. Ids
are stable: a number is never given to another rule.
"""

from typing import Final

from flameplane.catalog.grant_rules import RULES as GRANT_RULES
from flameplane.catalog.rule import Rule
from flameplane.catalog.settings_rules import RULES as SETTINGS_RULES

_SVC = ("SVC",)

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
    "035": Rule(
        "One label for two meanings",
        "A version would be taken for a commit or a track, and blame or the gate would compare the wrong things.",
        "Name another label.",
        _SVC,
    ),
    "036": Rule(
        "Query that is no PromQL",
        "Prometheus would refuse it, and CPU per request would be missing without a word.",
        "Try it in Prometheus, and copy it whole.",
        _SVC,
    ),
    "037": Rule(
        "Repository by the address that it is cloned from",
        "Tokens of CI jobs name it without .git: the gate would know none of its jobs.",
        "Leave out .git.",
        _SVC,
    ),
    # -- the place of the file, and the organisation
    "040": Rule(
        "File in the wrong place",
        "Files with another name or place would be ignored in silence, and links followed out of sight.",
        "Move, rename or delete it.",
        ("SVC", "SET", "EXP"),
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
        "Reserved name",
        "Objects of the platform have names made of these: teams `organisation`, `prometheus`, `<team>-longterm` and "
        "`<team>-traces`, services `team` and `anchor`.",
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
    "053": Rule(
        "Folder without a declaration",
        "It declares nothing, so what was meant to be declared there is gone, and nobody would notice.",
        "Add the file, or delete the folder.",
        _SVC,
    ),
    "054": Rule(
        "Undeclared pods in a team's tenant",
        "They are anybody's: only those who run the platform may read their profiles.",
        "Name a team without services, whose groups are all in spec.platformGroups.",
        _SVC,
    ),
    **SETTINGS_RULES,
    **GRANT_RULES,
}


def rule_texts() -> dict[str, tuple[str, str, str]]:
    """Title, reason and fix by finding id."""
    return {kind + number: (rule.title, rule.why, rule.fix) for number, rule in RULES.items() for kind in rule.kinds}

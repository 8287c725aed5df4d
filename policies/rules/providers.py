"""By which providers, and with which options, resources are made: to which account and cluster everything goes."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from policies.objects import at, texts
from policies.resources import PROVIDERS, RESOURCE, SETTINGS
from policies.rule import Manifest, Rule, Violation

CLUSTER: Final = "pulumi:providers:kubernetes::cluster"
ACCOUNT: Final = "pulumi:providers:aws::aws"
PAYER: Final = "pulumi:providers:aws::aws-payer"  # of cost allocation tags, which only the payer's account has
COST_TAG: Final = "aws:costexplorer/costAllocationTag:CostAllocationTag"
KUBERNETES: Final = "kubernetes:"
# A file by its absolute path: a kubeconfig that is written out is a credential, and would stand in the state.
PATH: Final = re.compile(r"/[^\s{}]+")
INTERNAL: Final = ("__internal", "__defaults", "__pulumi-go-provider-infer")  # what Pulumi itself adds
DOWNLOAD: Final = "pluginDownloadURL"
# What holds data, and outlives its stack (FP029).
KEPT: Final = ("aws:s3/", "aws:kms/")
ABSENT: Final = None


def _providers(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    settings = next((m["spec"] for m in manifests if m.get("kind") == SETTINGS and at(m, "spec", "environment")), None)
    if settings is None:
        return
    known = _reviewed(settings)
    for resource in (m for m in manifests if m.get("kind") == RESOURCE):
        called = str(at(resource, "metadata", "name"))
        for how in _provider(resource, known.get(called)) if called.startswith(PROVIDERS) else _made(resource, called):
            yield Violation(f"{called.replace('::', ' ')} {how}", resource)


def _reviewed(settings: Mapping[str, Any]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """The inputs of each provider, and the values that each may have; `ABSENT` where it need not be there."""
    environment = settings["environment"]
    off = (ABSENT, False)
    found: dict[str, dict[str, tuple[Any, ...]]] = {
        CLUSTER: {
            "kubeconfig": (PATH,),
            "context": (at(settings, "cluster", "context"),),
            "clusterIdentifier": (f"flameplane-{environment}",),
            "enableServerSideApply": (True,),
            # By `local up --force-conflicts`, which takes back fields that somebody else has changed.
            "enablePatchForce": (*off, True) if environment == "local" else off,
        }
    }
    if cloud := settings.get("cloud"):
        tags = {**(cloud.get("tags") or {}), "flameplane:environment": environment}
        found[ACCOUNT] = {
            "region": (cloud.get("region"),),
            "allowedAccountIds": ([str(cloud.get("accountId"))],),
            "defaultTags": ({"tags": tags},),
            "skipCredentialsValidation": off,
            "skipRegionValidation": off,
            "skipRequestingAccountId": off,
        }
        if payer := at(cloud, "budget", "payerRoleArn"):
            roles = [{"role_arn": payer, "session_name": f"flameplane-{environment}"}]
            same = [{"roleArn": payer, "sessionName": f"flameplane-{environment}"}]
            found[PAYER] = {
                "region": ("us-east-1",),
                "allowedAccountIds": ([str(payer).split(":")[4]],),
                "assumeRoles": (roles, same),
                "skipCredentialsValidation": off,
                "skipRegionValidation": (ABSENT, False, True),  # true unless it is said otherwise
                "skipRequestingAccountId": off,
            }
    return found


def _provider(resource: Manifest, reviewed: Mapping[str, tuple[Any, ...]] | None) -> Iterator[str]:
    if reviewed is None:
        yield "is no provider that was reviewed: nothing says whose account or cluster it changes"
        return
    spec = resource.get("spec") or {}
    if url := spec.get(DOWNLOAD) or at(spec, "__internal", DOWNLOAD):
        yield f"is a program fetched from {url}; leave {DOWNLOAD} out"
    package = str(at(resource, "metadata", "name")).removeprefix(PROVIDERS).partition("::")[0]
    if (found := spec.get("version")) and found != (locked := version(f"pulumi-{package}")):
        yield f"is of version {found}; requirements.txt has {locked}"
    for key in sorted(spec.keys() - reviewed.keys() - {"version", DOWNLOAD, *INTERNAL}):
        yield f"sets {key}, which was not reviewed: it may hold credentials, or lead elsewhere"
    for key, valid in reviewed.items():
        value = _value(spec.get(key))
        if not any(v.fullmatch(str(value)) if isinstance(v, re.Pattern) else value == v for v in valid):
            wanted = "the absolute path of a file" if PATH in valid else json.dumps(valid[-1])
            # What is wrong may be a credential: it is not shown.
            yield f"has another {key} than was reviewed; it has to be {wanted}"


def _value(value: Any) -> Any:
    """Providers get maps, lists, and truth values as JSON."""
    text = str(value) if isinstance(value, str) else ""
    if text.startswith(("{", "[")) or text in ("true", "false"):
        try:
            return json.loads(text)
        except ValueError:
            return text
    return value


def _made(resource: Manifest, called: str) -> Iterator[str]:
    wanted = CLUSTER if called.startswith(KUBERNETES) else PAYER if called.startswith(COST_TAG) else ACCOUNT
    if (found := resource.get("provider")) != wanted:
        yield f"is made by {found or 'the default provider'}; it has to be {wanted}"
    if ignored := texts(at(resource, "options", "ignoreChanges")):
        yield f"leaves changes of {', '.join(ignored)} as they are (ignore_changes): what is declared is not what runs"
    options = resource.get("options") or {}
    if options.get("protect") and not called.startswith(KEPT):
        yield "is protected, and holds no data: what is declared no more would stay"
    if options.get("deleteBeforeReplace"):
        yield "is deleted before there is another (delete_before_replace): nothing is there meanwhile"
    if options.get("customTimeouts"):
        yield "is waited for otherwise than was tried out (custom_timeouts)"
    name = called.rpartition("::")[2]
    for alias in texts(at(resource, "options", "aliases")):
        if alias.rpartition("::")[2] != name:
            yield f"takes the place of another resource (alias {alias})"


RULES: Final = (
    Rule(
        id="FP052",
        name="providers-as-reviewed",
        why="Who is asked decides where everything goes: another account or cluster, a key that stands in the program, "
        "an endpoint of somebody else. And what Pulumi is told to leave as it is, no review ever changes.",
        remediation="Make resources with the explicit providers of components/platform.py and components/aws/, for "
        "the account, region and context of the settings; credentials come from outside. No ignore_changes, "
        "delete_before_replace or custom_timeouts, no alias of another resource, and protect for what holds data in "
        "the cloud alone. Of options that no policy sees, such as retain_on_delete, `flameplane plan` tells (PLN013).",
        kinds=(RESOURCE, SETTINGS),
        check=_providers,
        scope="stack",
        waivable=False,
    ),
)

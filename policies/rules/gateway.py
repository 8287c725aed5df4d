"""The gateway's configuration, compared as a whole: the only boundary between a person and a team's profiles."""

from collections.abc import Iterator, Sequence

from policies.backstop import Backstop
from policies.context import exports, platform
from policies.documents import compared, undisputed
from policies.objects import WORKLOADS
from policies.resources import SETTINGS
from policies.rule import Manifest, Rule, Violation
from policies.rules import declarations, grants, outside, secrets, tenants, transport
from schemas.reviewed import gateway

# Who says the same of a single setting, and says it better.
_BEFORE = (*tenants.RULES, *transport.RULES, *outside.RULES, *secrets.RULES, *grants.RULES)


def _gateway(manifests: Sequence[Manifest]) -> Iterator[Violation]:
    if (found := platform(manifests)) is None:
        return
    settings, catalog = found.settings, found.catalog
    broken = [*compared(found, gateway.GATEWAY, {"gateway.yaml": gateway.gateway_file(settings, catalog)})]
    gate = {"trust.yaml": gateway.trust_file(settings), "services.yaml": gateway.gated_file(catalog)}
    broken += compared(found, gateway.CI_GATE, gate)
    broken += compared(found, gateway.GRANTS, exports())
    if broken:
        broken = undisputed(broken, declarations.disputed(manifests))
    yield from Backstop(manifests, _BEFORE).left(broken)


RULES = (
    Rule(
        id="FP053",
        name="gateway-configuration",
        why="Pyroscope believes the gateway, and the gateway believes its configuration: an issuer, a group, a program "
        "a bucket or a grant too many is access for somebody, and a missing audit block is access that nobody sees.",
        remediation="Change what it follows from: the settings (`access`, `regression`, `cloud`), the teams and "
        "services under services/, the grants under exports/, or, reviewed, the table in schemas/reviewed/gateway.py.",
        kinds=("ConfigMap", *WORKLOADS, SETTINGS),
        check=_gateway,
        scope="stack",
        waivable=False,
    ),
)

"""Guards: what the rendered objects must be, beyond what the policy pack demands of any platform.

The pack judges what anybody might declare; a guard knows this platform: its identities, its traffic, its rights. Each
is a function with a name, and a changed component that breaks one has to change it in the same commit, where it is
reviewed.
"""

from guards import access, admission, backend, cloud, configs, grafana, network, places, pods, programs
from guards.stack import Guard, Stack

GUARDS: tuple[Guard, ...] = (
    *places.GUARDS,
    *pods.GUARDS,
    *programs.GUARDS,
    *network.GUARDS,
    *access.GUARDS,
    *backend.GUARDS,
    *admission.GUARDS,
    *configs.GUARDS,
    *grafana.GUARDS,
    *cloud.GUARDS,
)

__all__ = ["GUARDS", "Guard", "Stack"]

"""Every security-relevant field of a rendered object, changed once: removed, weakened or widened.

The enumeration knows Kubernetes and the formats of our configuration files, and nothing of the rules: what it changes
is decided by what could be changed, not by what would be noticed.
"""

from collections.abc import Iterator

from mutations import admission, cloud, cluster, configs, network, pods, rbac
from mutations.edit import Mutation
from policies.rule import Manifest

GENERATORS = (
    pods.mutations,
    cluster.mutations,
    network.mutations,
    rbac.mutations,
    admission.mutations,
    configs.mutations,
    cloud.mutations,
)


def mutations(manifest: Manifest) -> Iterator[Mutation]:
    """All mutations of one object."""
    for generator in GENERATORS:
        yield from generator(manifest)


__all__ = ["Mutation", "mutations"]

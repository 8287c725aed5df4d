"""What every component shares: its type token, and the labels, names and order of its objects."""

from collections.abc import Mapping, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from schemas.service import Service

PART_OF: Final = {"app.kubernetes.io/part-of": "flameplane"}


class Component(pulumi.ComponentResource):
    """One part of a layer. Children are made with ``options``, their metadata with ``metadata``.

    A Pulumi child does not wait for what its component depends on, so ``depends_on`` is handed on to every child: a
    namespace stands before the objects in it.
    """

    layer: str

    def __init__(self, layer: str, kind: str, name: str, opts: pulumi.ResourceOptions | None) -> None:
        super().__init__(f"flameplane:{layer}:{kind}", name, {}, opts)
        self.layer = layer
        self._after = opts.depends_on if opts and isinstance(opts.depends_on, list) else []

    def options(self, after: Sequence[pulumi.Resource] = ()) -> pulumi.ResourceOptions:
        """Options of a child: this component is its parent, the provider is inherited from it."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self._after, *after])

    def labels(self, app: str, service: Service | None = None) -> dict[str, str]:
        """Labels of an object: what it belongs to, and the service it was made for."""
        labels = {"app.kubernetes.io/name": app, **PART_OF, "flameplane.dev/layer": self.layer}
        if service:
            labels |= {"flameplane.dev/service": service.name, "flameplane.dev/team": service.team}
        return labels

    def metadata(
        self,
        name: str,
        namespace: str | None = None,
        *,
        app: str | None = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        service: Service | None = None,
    ) -> ObjectMetaArgs:
        """Metadata with an explicit name: generated names would be unknown at plan time."""
        return ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels={**self.labels(app or name, service), **(labels or {})},
            annotations=dict(annotations) if annotations else None,
        )

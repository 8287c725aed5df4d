"""What a route in flameplane-access may say: it ends TLS, names its hosts, and leads to the gateway or to Grafana.

The platform declares none; whoever provisions it adds the one that its ingress controller understands. Controllers do
things by annotations, filters and rewrites (run code, copy the traffic, ask another host who may come in), so a form
lists what there may be, and everything else was never reviewed.
"""

from typing import Any, Final

from schemas.allowed import ACCESS_NAMESPACE, WAIT_ANNOTATION
from schemas.reviewed.forms import ANY, Each, Maybe, OneOf, Text
from schemas.reviewed.network import GATEWAY, GRAFANA
from schemas.reviewed.services import SERVICES

# Service -> port. Neither has its metrics behind it.
BACKENDS: Final = {
    service.partition("/")[2]: port for service in (GATEWAY, GRAFANA) for port, _ in SERVICES[service].ports
}
_NAMED: Final = Text(r".+", "a name")
_HOST: Final = Text(r"[^*].*", "the name of a host under which people come")
_ANNOTATIONS: Final = {
    WAIT_ANNOTATION: Maybe(ANY),
    # Who signs the certificate, and that nobody is answered without.
    "cert-manager.io/cluster-issuer": Maybe(_NAMED),
    "cert-manager.io/issuer": Maybe(_NAMED),
    "nginx.ingress.kubernetes.io/force-ssl-redirect": Maybe("true"),
    "nginx.ingress.kubernetes.io/ssl-redirect": Maybe("true"),
}
_INGRESS: Final = {
    "ingressClassName": Maybe(_NAMED),
    "tls": Each({"hosts": Each(_HOST), "secretName": Maybe(_NAMED)}),
    "rules": Each(
        {
            "host": _HOST,
            # Which service and which port: policies/routes.py says it.
            "http": {"paths": Each({"path": Maybe(ANY), "pathType": ANY, "backend": {"service": ANY}})},
        }
    ),
}
_BACKEND: Final = {
    "group": Maybe(OneOf(("",))),
    "kind": Maybe("Service"),
    "name": ANY,
    "namespace": Maybe(ACCESS_NAMESPACE),
    "port": ANY,
    "weight": Maybe(ANY),
}
_PARENT: Final = {
    "group": Maybe("gateway.networking.k8s.io"),
    "kind": Maybe("Gateway"),
    **{key: Maybe(ANY) for key in ("namespace", "sectionName", "port")},
    "name": _NAMED,
}
_ROUTE: Final = {
    "parentRefs": Each(_PARENT),
    "hostnames": Each(_HOST),
    "rules": Each({**{key: Maybe(ANY) for key in ("name", "matches", "timeouts")}, "backendRefs": Each(_BACKEND)}),
}
_LISTENER: Final = {
    "name": _NAMED,
    "hostname": Maybe(_NAMED),
    "port": ANY,
    "protocol": "HTTPS",
    # Of the Gateway's own namespace: a certificate of another is a key that others hold.
    "tls": {
        "mode": Maybe("Terminate"),
        "certificateRefs": Each({"group": Maybe(OneOf(("",))), "kind": Maybe("Secret"), "name": _NAMED}),
    },
    "allowedRoutes": Maybe({"namespaces": Maybe({"from": Maybe("Same")}), "kinds": Maybe(ANY)}),
}
_GATEWAY: Final = {"gatewayClassName": _NAMED, "listeners": Each(_LISTENER)}
_FORMS: Final[dict[str, Any]] = {"Ingress": _INGRESS, "Gateway": _GATEWAY, "HTTPRoute": _ROUTE, "GRPCRoute": _ROUTE}
# Any other kind, such as a controller's own, has a form that nobody reviewed.
KINDS: Final = tuple(_FORMS)


def route(kind: str) -> dict[str, Any]:
    """What a route of this kind may hold beside its name."""
    return {"metadata": {"annotations": Maybe(_ANNOTATIONS)}, "spec": _FORMS[kind]}

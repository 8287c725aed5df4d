"""Forms of the values that settings share: addresses, sizes, names."""

from ipaddress import IPv4Network
from typing import Annotated

from pydantic import AfterValidator

from schemas.allowed import WIDEST_PREFIX
from schemas.base import Conflict, form, refuse

HttpsUrl = Annotated[
    str, form(r"^https://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$", "an https URL: https://id.example.com/realm")
]
HttpUrl = Annotated[
    str,
    form(
        r"^https?://[a-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$",
        "an http or https URL: http://tempo.observability:3200",
    ),
]


def _names_a_network(text: str) -> str:
    """A range that says which hosts it means: no bits beside the network's, and not half the internet."""
    network = IPv4Network(text, strict=False)
    if network.prefixlen < WIDEST_PREFIX[4]:
        refuse([Conflict("082", (), f"{text} is no particular network; it has to be /{WIDEST_PREFIX[4]} or narrower")])
    if str(network) != text:
        host = f"{text.partition('/')[0]}/32"
        refuse([Conflict("082", (), f"{text} is an address inside {network}", (str(network), host))])
    return text


_OCTET = "(25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})"
Cidr = Annotated[
    str,
    form(rf"^{_OCTET}(\.{_OCTET}){{3}}/([0-9]|[12][0-9]|3[0-2])$", "an IPv4 address range: 10.0.0.0/16"),
    AfterValidator(_names_a_network),
]
Quantity = Annotated[str, form(r"^[1-9][0-9]*(Mi|Gi|Ti)$", "a size in Mi, Gi or Ti: 20Gi")]
Minor = Annotated[str, form(r"^1\.[0-9]{2}$", 'a minor version, in quotes: "1.36"')]
Registry = Annotated[
    str,
    form(r"^[a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*$", "a registry without https://: registry.example.com/flameplane"),
]
# A dot in it: a host of the cluster's own search domains has none, and is no host of the internet.
Host = Annotated[
    str,
    form(
        r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        "a full host name, without https://, port and wildcard: slack.com",
    ),
]
Endpoint = Annotated[str, form(r"^[a-z0-9.-]+(:[0-9]+)?$", "host or host:port, without https://")]
Region = Annotated[str, form(r"^[a-z0-9-]+$", "a region: eu-central-1")]
Bucket = Annotated[
    str,
    form(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "a bucket name: 3 to 63 lower-case letters, digits, dots and hyphens"),
]
# kubeconfig takes any text. EKS writes ARNs, GKE gke_<project>_<zone>_<cluster>, others <user>@<cluster>.
Context = Annotated[
    str,
    form(
        r"^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,252}$",
        "a context's name: letters, digits and _ . : / @ -, starting with a letter or digit",
    ),
]
HostPath = Annotated[str, form(r"^/[a-z0-9/_-]+$", "an absolute path in lower case: /var/lib/flameplane")]
Claim = Annotated[str, form(r"^[A-Za-z0-9_:/.-]+$", "the name of a token claim: groups")]

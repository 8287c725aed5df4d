"""Forms of the values that settings share: addresses, sizes, names."""

from ipaddress import IPv4Network
from typing import Annotated, Final

from pydantic import AfterValidator

from schemas.allowed import WIDEST_PREFIX
from schemas.base import HOST, LABEL, PORT, Conflict, form, refuse

# A part of a URL's path: neither `.` nor `..`, which would lead elsewhere than it looks.
_PART: Final = r"\.?[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
HttpsUrl = Annotated[
    str,
    form(rf"^https://{HOST}{PORT}(/{_PART})*/?$", "an https URL, without user and query: https://id.example.com/realm"),
]
HttpUrl = Annotated[
    str,
    form(
        rf"^https?://{HOST}{PORT}(/{_PART})*/?$",
        "an http or https URL, without user and query: http://tempo.observability:3200",
    ),
]

# Ranges that no host of a network has: what is reached there is the machine itself, or its cloud's metadata service.
_NOBODY: Final = {
    "0.0.0.0/8": "this network",
    "127.0.0.0/8": "the machine itself",
    "169.254.0.0/16": "link-local, where clouds hand out credentials",
    "224.0.0.0/3": "multicast and reserved",
}
# RFC 1918, and RFC 6598, which clouds use inside as well.
_PRIVATE: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")


def _names_a_network(text: str) -> str:
    """A range that says which hosts it means: no bits beside the network's, and not half the internet."""
    network = IPv4Network(text, strict=False)
    if network.prefixlen < WIDEST_PREFIX[4]:
        refuse([Conflict("082", (), f"{text} is no particular network; it has to be /{WIDEST_PREFIX[4]} or narrower")])
    for nobody, what in _NOBODY.items():
        if network.overlaps(IPv4Network(nobody)):
            refuse([Conflict("082", (), f"{text} holds no host to reach: {nobody} is {what}")])
    if str(network) != text:
        host = f"{text.partition('/')[0]}/32"
        refuse([Conflict("082", (), f"{text} is an address inside {network}", (str(network), host))])
    return text


def is_private(text: str) -> bool:
    """Whether a range lies in a network that nobody else's hosts have an address in."""
    return any(IPv4Network(text).subnet_of(IPv4Network(private)) for private in _PRIVATE)


def _is_private(text: str) -> str:
    if not is_private(text):
        refuse([Conflict("085", (), f"{text} is a range of the internet; it has to lie in {', '.join(_PRIVATE)}")])
    return text


_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
Cidr = Annotated[
    str,
    form(rf"^{_OCTET}(\.{_OCTET}){{3}}/([0-9]|[12][0-9]|3[0-2])$", "an IPv4 address range: 10.0.0.0/16"),
    AfterValidator(_names_a_network),
]
PrivateCidr = Annotated[Cidr, AfterValidator(_is_private)]

# 64 Ti: the largest volume that AWS has (EBS, 2025). Below 1Gi no program of the platform can work.
Quantity = Annotated[
    str, form(r"^([1-9][0-9]{0,3}Gi|([1-9]|[1-5][0-9]|6[0-4])Ti)$", "a size of 1Gi to 64Ti, in Gi or Ti: 20Gi")
]
Minor = Annotated[str, form(r"^1\.[0-9]{2}$", 'a minor version, in quotes: "1.36"')]
# Docker takes a first part without a dot and a port for a name at Docker Hub.
Registry = Annotated[
    str,
    form(
        rf"^(localhost{PORT}|{LABEL}(\.{LABEL})+{PORT}|{LABEL}:[0-9]{{1,5}})(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$",
        "a registry with its host, without https:// and tag: registry.example.com/flameplane",
    ),
]
# A dot in it: a host of the cluster's own search domains has none, and is no host of the internet.
Host = Annotated[
    str,
    form(
        r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?$",
        "a full host name, without https://, port and wildcard: slack.com",
    ),
]
Endpoint = Annotated[str, form(rf"^{HOST}{PORT}$", "host or host:port, without https://")]
Region = Annotated[str, form(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", "a region: eu-central-1")]
AwsRegion = Annotated[str, form(r"^[a-z]{2}(-[a-z]+)+-[1-9]$", "a region of AWS: eu-central-1")]


def _is_a_bucket(text: str) -> str:
    """What the form cannot say (S3, "Bucket naming rules")."""
    if len(text) > 63:
        refuse([Conflict("025", (), f'"{text}" is no bucket name: it has {len(text)} characters, at most 63 fit')])
    numbers = text.split(".")
    if len(numbers) == 4 and all(number.isdigit() for number in numbers):
        refuse([Conflict("025", (), f'"{text}" is no bucket name: it looks like an IP address')])
    if text.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or text.endswith(("-s3alias", "--ol-s3", "--x-s3")):
        refuse([Conflict("025", (), f'"{text}" is no bucket name: S3 keeps its beginning or end for itself')])
    return text


Bucket = Annotated[
    str,
    form(
        r"^[a-z0-9](([a-z0-9-]|\.[a-z0-9]){1,61}[a-z0-9])$",
        "a bucket name: 3 to 63 lower-case letters, digits, single dots and hyphens",
    ),
    AfterValidator(_is_a_bucket),
]
# kubeconfig takes any text. EKS writes ARNs, GKE gke_<project>_<zone>_<cluster>, others <user>@<cluster>.
Context = Annotated[
    str,
    form(
        r"^[A-Za-z0-9][A-Za-z0-9_.:/@-]{0,252}$",
        "a context's name: letters, digits and _ . : / @ -, starting with a letter or digit",
    ),
]
KubeconfigPath = Annotated[
    str,
    form(
        r"^(~/|\.{0,2}/)?[A-Za-z0-9_.@+-]+([/ ]?[A-Za-z0-9_.@+-]+)*$",
        "the path of one file, without blanks at its ends: ~/.kube/flameplane-prod",
    ),
]
HostPath = Annotated[
    str, form(r"^(/[a-z0-9_-]+)+$", "an absolute path in lower case, without a closing slash: /var/lib/flameplane")
]
Claim = Annotated[str, form(r"^[A-Za-z0-9_:/.-]+$", "the name of a token claim: groups")]

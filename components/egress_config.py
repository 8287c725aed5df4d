"""squid.conf of the egress proxy: tunnels to listed hosts on port 443; everything else is 403."""

from typing import Final

from schemas.allowed import PRIVATE_RANGES, PRIVATE_RANGES_V6
from schemas.settings import Regression

PORT: Final = 3128  # Squid's own


def egress_config(regression: Regression) -> str:
    """The whole file. Every directive that is not here has Squid's default; none of those opens anything."""
    inside = [f"acl inside dst {regression.egress}"] if regression.egress else []
    lines = [
        "# Written by Flameplane from regression.egressHosts. The first rule that fits decides.",
        f"http_port {PORT}",
        "acl tunnel method CONNECT",
        "acl https port 443",
        # -n: an address in place of a name is not looked up backwards, where its owner could claim any name.
        f"acl listed dstdomain -n {' '.join(regression.egress_hosts)}",
        # A listed name must not lead back into the network, whatever its owner's DNS says.
        f"acl private dst {' '.join((*PRIVATE_RANGES, *PRIVATE_RANGES_V6))}",
        *inside,
        "http_access deny !tunnel",
        "http_access deny !https",
        "http_access deny !listed",
        f"http_access deny private{' !inside' if inside else ''}",
        "http_access allow listed",
        "http_access deny all",
        "",
        "# One line per tunnel, refused ones too; nothing is cached, and nothing is written but that.",
        "access_log stdio:/dev/stdout",
        "cache_log /dev/null",
        "cache deny all",
        "cache_mem 0 MB",
        "memory_pools off",
        "pid_filename none",
        "coredump_dir none",
        "pinger_enable off",
        "",
        "visible_hostname egress-proxy",
        "httpd_suppress_version_string on",
        "forwarded_for delete",
        "",
        "max_filedescriptors 1024",
        "connect_timeout 10 seconds",
        "read_timeout 2 minutes",
        "client_lifetime 15 minutes",
        "shutdown_lifetime 5 seconds",
    ]
    return "\n".join(lines) + "\n"

"""How profiles of a type become one hourly profile. Pyroscope itself sums everything.

Pyroscope names a type ``<name>:<sample type>:<unit>:<period type>:<period unit>``; the sample type says what a value
is. docs/retention.md lists who makes which. The table is closed: a type that is not listed is left out and told (exit
code, figure, alert), since summing a size that was reached is as wrong as dropping time that was spent.
"""

from typing import Final, Literal

Merge = Literal["sum", "last"]

# What happened since the profile before: an hour is the sum of its profiles.
SUMMED: Final = (
    *("cpu", "samples", "wall", "itimer", "off_cpu", "offcpu", "events"),
    *("alloc_objects", "alloc_space", "alloc_bytes"),
    *("alloc_in_new_tlab_objects", "alloc_in_new_tlab_bytes"),
    *("alloc_outside_tlab_objects", "alloc_outside_tlab_bytes", "alloc_sample_objects", "alloc_sample_bytes"),
    *("malloc_objects", "malloc_bytes"),
    *("contentions", "delay", "lock_count", "lock_time", "exception", "exceptions"),
)
# What there is at one moment: added up over an hour it would be nothing that ever existed.
LAST: Final = (
    *("inuse_objects", "inuse_space", "inuse_bytes", "live", "live_objects", "live_bytes"),
    *("objects", "space"),  # as V8 names them; the SDK for Node.js renames them
    *("goroutine", "goroutines", "threadcreate"),
)


def merge_of(profile_type: str) -> Merge | None:
    """How a type is merged, or None where nobody has decided that."""
    parts = profile_type.split(":")
    sample = parts[1] if len(parts) == 5 else ""
    if sample in SUMMED:
        return "sum"
    return "last" if sample in LAST else None

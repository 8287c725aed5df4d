"""Labels of an hourly profile: those of the fine ones, without the pod.

Everything that a service is looked at by stays: version and commit, track, region, and what Grafana makes its links
to source code of. Which of a hundred pods it was is not asked any more after a month, and each would be a profile of
its own.
"""

from typing import Final

from schemas.allowed import PROFILE_LABELS

RESOLUTION: Final = ("resolution", "1h")
SERVICE: Final = "service_name"
DROPPED: Final = ("pod", "container", "node")
KEPT: Final = tuple(sorted(set(PROFILE_LABELS) - {*DROPPED, RESOLUTION[0]}))

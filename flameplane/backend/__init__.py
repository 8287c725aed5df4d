"""The backend as our own programs reach it: through the gateway, with their service account's token."""

from flameplane.backend.client import BackendError, Gateway
from flameplane.backend.selector import Labels, matching
from flameplane.backend.totals import Steps, Totals, totals

__all__ = ["BackendError", "Gateway", "Labels", "Steps", "Totals", "matching", "totals"]

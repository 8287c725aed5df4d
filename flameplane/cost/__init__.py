"""What the platform costs a month, before it runs: a first, simple model of storage and S3 requests.

`constants` holds every figure with its source, `model` the formulas, `estimate` applies them to what is declared.
"""

from flameplane.cost.estimate import Estimate, ServiceCost, TeamCost, estimate

__all__ = ["Estimate", "ServiceCost", "TeamCost", "estimate"]

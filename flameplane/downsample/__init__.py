"""The hourly merge of a team's fine profiles into its long-term tenant (docs/retention.md)."""

"""The form of a case for promtool."""

# Labels beside the rule's own, and the summary, of what fires.
Fires = tuple[dict[str, str], str]
# Series with their values a minute, the alert, the minute that is looked at, and what fires then (None: it is silent).
Case = tuple[dict[str, str], str, int, Fires | None]

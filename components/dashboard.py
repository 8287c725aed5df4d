"""One Grafana dashboard: what profiling costs, and whether it works. Profiles are read in Profiles Drilldown."""

from typing import Any, Final

_PANELS: Final = (
    ("Stored GB a month, by service", "flameplane:service_stored_gb:month", "{{service}}", "decgbytes"),
    ("USD a month, by team", "sum by (team) (flameplane_cost_usd_month)", "{{team}}", "currencyUSD"),
    (
        "Profiles received, bytes/s by tenant",
        "sum by (tenant) (rate(pyroscope_distributor_received_decompressed_bytes_total_sum"
        '{stage="received"}[$__rate_interval]))',
        "{{tenant}}",
        "Bps",
    ),
    (
        "Discarded, bytes/s by reason",
        "sum by (reason) (rate(pyroscope_discarded_bytes_total[$__rate_interval]))",
        "{{reason}}",
        "Bps",
    ),
    (
        "Samples dropped by agents",
        "sum by (node) (rate(flameplane_agent_dropped_samples_total[$__rate_interval]))",
        "{{node}}",
        "cps",
    ),
    (
        "Hours since the last downsampled hour",
        "(time() - max by (tenant) (last_over_time(flameplane_downsample_merged_until_timestamp_seconds[2h]))) / 3600",
        "{{tenant}}",
        "h",
    ),
)
_WIDTH, _HEIGHT = 12, 8  # of the 24 columns; rows of 30 px


def dashboard(datasource: str) -> dict[str, Any]:
    """Dashboard JSON model, schema version 39."""
    return {
        "uid": "flameplane",
        "title": "Flameplane: cost and health",
        "tags": ["flameplane"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "panels": [_panel(index, panel, datasource) for index, panel in enumerate(_PANELS)],
    }


def _panel(index: int, panel: tuple[str, str, str, str], datasource: str) -> dict[str, Any]:
    title, expression, legend, unit = panel
    source = {"type": "prometheus", "uid": datasource}
    return {
        "id": index + 1,
        "title": title,
        "type": "timeseries",
        "datasource": source,
        "gridPos": {"x": index % 2 * _WIDTH, "y": index // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": [{"refId": "A", "datasource": source, "expr": expression, "legendFormat": legend}],
    }

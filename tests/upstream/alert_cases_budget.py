"""Cases of the alerts on budgets."""

from alert_case import Case

RAW = 'pyroscope_usage_group_received_decompressed_total{type="cpu",tenant="payments",usage_group="svc/checkout"}'
COST = 'flameplane_cost_usd_month{service="checkout",team="payments"}'
PLATFORM_USD = 4000  # services/_org.yaml
CHECKOUT = {"service": "checkout", "team": "payments"}
# checkout declares 10 stored GB and 90 USD a month. 66,667 B/s raw * 0.05 stored per raw = 8.64 GB a month.
BYTES_A_MINUTE = 4_000_020
GROWS = f"0+{BYTES_A_MINUTE}x900"

CASES: dict[str, Case] = {
    "storage at 86 %": (
        {RAW: GROWS},
        "FlameplaneServiceStorage80",
        800,
        (CHECKOUT, "checkout is on course for 86.4% of its stored GB a month"),
    ),
    "storage not at 100 %": ({RAW: GROWS}, "FlameplaneServiceStorage100", 800, None),
    "storage at 67 %": ({RAW: f"0+{BYTES_A_MINUTE * 7 // 9}x900"}, "FlameplaneServiceStorage80", 800, None),
    "storage by the measured ratio": (
        {RAW: GROWS, "flameplane_cost_stored_per_raw_ratio": "0.02x900"},
        "FlameplaneServiceStorage80",
        800,
        None,
    ),
    "cost at 81 %": (
        {COST: "73x200"},
        "FlameplaneServiceCost80",
        150,
        (CHECKOUT, "checkout is at 81.11% of its budget of the month"),
    ),
    "cost at 79 %": ({COST: "71x200"}, "FlameplaneServiceCost80", 150, None),
    "team over its budget": (
        {COST: "90x200", COST.replace("checkout", "ledger"): "330x200"},
        "FlameplaneTeamCost100",
        150,
        ({"team": "payments"}, "team payments is at 105% of its budget of the month"),
    ),
    "cost at 101 %": (
        {COST: "91x200"},
        "FlameplaneServiceCost100",
        150,
        (CHECKOUT, "checkout is at 101.1% of its budget of the month"),
    ),
    "storage over 100 %": (
        {RAW: f"0+{BYTES_A_MINUTE * 4 // 3}x900"},
        "FlameplaneServiceStorage100",
        800,
        (CHECKOUT, "checkout is on course for 115.2% of its stored GB a month"),
    ),
    "team at 84 %": (
        {COST: "336x200"},
        "FlameplaneTeamCost80",
        150,
        ({"team": "payments"}, "team payments is at 84% of its budget of the month"),
    ),
    "team at 75 %": ({COST: "300x200"}, "FlameplaneTeamCost80", 150, None),
    "platform at 90 %": (
        {COST: f"{0.9 * PLATFORM_USD:g}x200"},
        "FlameplanePlatformCost80",
        150,
        ({}, "profiling is at 90% of the organisation's budget of the month"),
    ),
    "platform over its budget": (
        {COST: f"{1.1 * PLATFORM_USD:g}x200"},
        "FlameplanePlatformCost100",
        150,
        ({}, "profiling is at 110% of the organisation's budget of the month"),
    ),
    "platform within it": ({COST: f"{0.7 * PLATFORM_USD:g}x200"}, "FlameplanePlatformCost80", 150, None),
    **{
        f"{alert} at 90 %": ({COST: f"{usd:g}x200"}, alert, 150, None)
        for alert, usd in (
            ("FlameplaneServiceCost100", 81),
            ("FlameplaneTeamCost100", 360),
            ("FlameplanePlatformCost100", 0.9 * PLATFORM_USD),
        )
    },
}

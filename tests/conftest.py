"""What every tier shares: where the project is, and that no test reaches the user's own cluster or Pulumi state."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(autouse=True)
def _no_foreign_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the user's kubectl and Pulumi settings out of reach: a test names what it uses, or it uses nothing."""
    monkeypatch.setenv("KUBECONFIG", os.devnull)
    for name in ("PULUMI_ACCESS_TOKEN", "PULUMI_BACKEND_URL", "PULUMI_CONFIG"):
        monkeypatch.delenv(name, raising=False)

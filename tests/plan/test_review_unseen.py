"""What a review must not pass over in silence: a base that cannot be compared, and the data of a removed team."""

from dataclasses import replace
from pathlib import Path

import pytest
from review_sample import Sample

from flameplane.catalog import load, load_settings
from flameplane.findings import Finding
from flameplane.plan.recording import Recording, Resource
from flameplane.review.base import NoBase, materialised
from flameplane.review.markdown import Page, as_markdown
from flameplane.review.objects import object_changes
from flameplane.review.openings import openings
from flameplane.review.redact import Redactor
from flameplane.review.review import Review

SERVICE = "services/payments/checkout/service.yaml"


def test_base_that_todays_schemas_refuse(tmp_path: Path) -> None:
    """The headline says that nothing could be compared and why; every finding stands open."""
    sample = Sample(tmp_path / "platform")
    sample.replace(SERVICE, "sampleRateHz: 99", "sampleRateHz: 999")
    sample.git("commit", "-qam", "Refused")
    sample.replace(SERVICE, "sampleRateHz: 999", "sampleRateHz: 99")
    gateway = "components/gateway.py"
    door = 'specs.door(selector, "http", SERVICE_PORT)'
    sample.replace(gateway, door, f'{{**{door}, "type": "LoadBalancer"}}')
    sample.git("commit", "-qam", "Open it")
    done = sample.plan("--base", "HEAD~1", "--format", "markdown")
    assert done.returncode == 1, done.stderr
    head, _, rest = done.stdout.partition("\n\n### ")
    assert "**Nothing could be compared** of what the program declares: what HEAD" in head
    assert "declares is refused by today" in head
    assert "999" in head
    assert "not compared" in head
    assert "no object changes" not in done.stdout
    assert "no new findings" not in done.stdout
    assert "there before" not in done.stdout
    assert rest.startswith("Findings of this state, not compared\n")
    table = rest[: rest.index("<details>")]
    assert "Service/gateway" in table
    assert "[FP014]" in table


def test_base_that_could_not_be_judged(root: Path) -> None:
    """Objects are compared, findings are not: the figures say which."""
    finding = Finding("FP001", "error", "one")
    found = Review("main", "ab" * 6, "the pack broke", recorded=True, judged=False, uncompared=(finding,))
    redactor = Redactor((load_settings(root, "prod").settings,), ())
    text = as_markdown(Page("prod", [finding], None, found, None, "https://git.example.com/x", redactor))
    assert "no object changes · 1 finding of this state, old or new<br>" in text
    assert "> Not everything could be compared: the pack broke" in text
    assert "### Findings of this state, not compared\n\n| rule" in text


def overrides_of(root: Path, without: str | None = None) -> Recording:
    """The backend's limits as the program makes them, with one team less."""
    from components.pyroscope_limits import overrides  # noqa: PLC0415 - loads the SDK

    catalog, settings = load(root).catalog, load_settings(root, "prod").settings
    assert catalog
    assert settings
    catalog = replace(catalog, teams=tuple(t for t in catalog.teams if t.name != without))
    inputs = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "pyroscope-overrides", "namespace": "n"},
        "data": {"overrides.yaml": overrides(catalog, settings.backend)},
    }
    token = "kubernetes:core/v1:ConfigMap"
    made = Resource(f"urn:pulumi:prod::flameplane::{token}::o", token, "o", True, inputs)
    return Recording("flameplane", "prod", "organization", {}, (made,))


def test_the_data_of_a_removed_team_is_looked_at_first(root: Path) -> None:
    """Its tenants fall to the default retention, the hourly profiles with them; a new team loses nothing."""
    whole, less = overrides_of(root), overrides_of(root, without="insights")
    assert openings(object_changes(whole, less, None)) == [
        "ConfigMap n/pyroscope-overrides: insights is gone; its profiles (kept 1080h) and hourly profiles (kept 2040h) "
        "fall back to the default retention, and what is older is deleted"
    ]
    assert openings(object_changes(less, whole, None)) == []


@pytest.mark.parametrize("ref", ["", "-x", "--upload-pack=x", "a b", "a\nb", "HEAD:services", "HEAD^{tree}", "nowhere"])
def test_what_is_no_commit_is_one_message(ref: str, tmp_path: Path) -> None:
    """Nothing that looks like an option reaches git, or a command that the message offers."""
    sample = Sample(tmp_path / "platform with blanks")
    with pytest.raises(NoBase) as error, materialised(sample.folder, ref):
        pass
    assert "\n" not in str(error.value)
    assert ("git fetch" in str(error.value)) == (ref in ("HEAD:services", "HEAD^{tree}", "nowhere"))

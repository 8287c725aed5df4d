"""Names of the pack's modules. Pulumi starts it with policies/ itself on the path, before Python's own modules."""

import sys

from corpus import ROOT


def test_no_module_hides_one_of_python() -> None:
    """A `policies/platform.py` once kept the pack from starting."""
    own = {path.stem for path in (ROOT / "policies").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert len(own) > 20
    assert not own & sys.stdlib_module_names

"""The real engine takes the package: it installs the provider's locked dependencies, starts it through its Python host
and reads the schema from it.

What the YAML language host makes of examples/yaml is not run here: no test builds or downloads that host.
"""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
from workbench import Workbench

TYPE = "flameplane:index:Platform"


def test_schema_by_the_engine(root: Path, tmp_path: Path) -> None:
    """`pulumi package get-schema` gives the one component with its arguments."""
    bench = Workbench(root, tmp_path)
    home = Path(bench.environment["PULUMI_HOME"])
    # The engine wants what the provider itself uses installed, and would download it.
    for name in ("aws", "kubernetes"):
        if not (home / "plugins" / f"resource-{name}-v{version(f'pulumi-{name}')}").is_dir():
            pytest.skip(f"NOT RUN: provider {name} is not installed: `pulumi plugin install resource {name}`")
    done = bench.call("package", "get-schema", "./flameplane_provider")
    assert done.code == 0, done.text
    schema = json.loads(done.text[done.text.index("\n{") :])
    assert list(schema["resources"]) == [TYPE]
    assert schema["resources"][TYPE]["isComponent"]
    assert {"servicesFolder", "imagesLock", "settings"} <= set(schema["resources"][TYPE]["inputProperties"])
    assert "environment" in schema["types"]["flameplane:index:Settings"]["properties"]

"""Our copies of public messages (flameplane/wire) say what the public definitions say, and nothing else."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from flameplane.wire import pyroscope_pb2
from local import cache, golang

MODULE = Path(__file__).resolve().parents[2] / "dataplane"
API = "github.com/grafana/pyroscope/api"
FILES = ("querier/v1/querier.proto", "push/v1/push.proto", "types/v1/types.proto", "google/v1/profile.proto")
SCALARS = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_BOOL: "bool",
}


@pytest.fixture(scope="module")
def public() -> dict[str, set[str]]:
    """Fields by message, as the module that the gateway is built with defines them."""
    program, environment = golang.toolchain(MODULE).program, golang.environment(cache.root() / "go")
    command = [program, "mod", "download", "-json", API]
    done = subprocess.run(command, cwd=MODULE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NOT RUN: the Go module {API} cannot be had: {done.stdout[-200:]}")
    folder, found = Path(json.loads(done.stdout)["Dir"]), dict[str, set[str]]()
    for name in FILES:
        message = ""
        for line in (folder / name).read_text().splitlines():
            if opened := re.match(r"message (\w+) \{", line):
                message = opened[1]
            elif field := re.match(r"  (?:optional )?((?:repeated )?)([\w.]+) (\w+) = (\d+)", line):
                many, kind, called, number = field.groups()
                found.setdefault(message, set()).add(f"{many}{kind.rpartition('.')[2]} {called} {number}")
    return found


MESSAGES = sorted(pyroscope_pb2.DESCRIPTOR.message_types_by_name)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_is_the_public_one(name: str, public: dict[str, set[str]]) -> None:
    ours = set(fields(pyroscope_pb2.DESCRIPTOR.message_types_by_name[name]))
    assert ours <= public.get(name, set())


def fields(message: Descriptor) -> list[str]:
    """Each field as `repeated kind name number`."""
    return [
        f"{'repeated ' if f.label == FieldDescriptor.LABEL_REPEATED else ''}"
        f"{f.message_type.name if f.message_type else SCALARS[f.type]} {f.name} {f.number}"
        for f in message.fields
    ]

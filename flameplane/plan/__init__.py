"""``plan`` and ``render``: the unmodified program, recorded over Pulumi's protocol, judged by the real policy pack.

Not a preview: no engine, no provider, no state. The API of the package:

- `record` runs the program, `Recording` and `Resource` are what it gives, `ProgramFailed` says why it could not;
- `manifest` is the Kubernetes object of a resource, `unresolved` the paths in it that are ``UNKNOWN`` or ``Secret``;
  `cloud_kind` the kind of a resource that is a cloud provider's;
- `evaluate` asks the policy pack (`PackFailed`), `check_fields` the SDK's types, `judge` both at once;
- `render` writes manifests (`UnknownValues`, `NotOurs`).
"""

import os

# gRPC's C core writes chatter to stderr unless told before its first import.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

from flameplane.plan.evaluate import evaluate
from flameplane.plan.fields import check_fields
from flameplane.plan.judge import judge
from flameplane.plan.manifests import cloud_kind, manifest, title, unresolved
from flameplane.plan.pack import PackFailed
from flameplane.plan.program import record
from flameplane.plan.recording import Log, ProgramFailed, Recording, Resource
from flameplane.plan.render import NotOurs, UnknownValues, render
from flameplane.plan.values import UNKNOWN, Secret

__all__ = [
    "UNKNOWN",
    "Log",
    "NotOurs",
    "PackFailed",
    "ProgramFailed",
    "Recording",
    "Resource",
    "Secret",
    "UnknownValues",
    "check_fields",
    "cloud_kind",
    "evaluate",
    "judge",
    "manifest",
    "record",
    "render",
    "title",
    "unresolved",
]

"""One registration: what of it can be recorded truthfully, and the ``Resource`` it becomes."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from flameplane.plan.recording import Resource
from flameplane.plan.stack import Stack
from flameplane.plan.values import UNKNOWN_ID, from_struct

# Fields that the API server sets, by the start of the type token and the property they are in.
_BY_THE_SERVER: Final = (
    ("kubernetes:", "metadata", ("creationTimestamp", "generation", "resourceVersion", "uid")),
    ("kubernetes:core/v1:Service", "spec", ("clusterIP", "clusterIPs")),
    ("kubernetes:core/v1:PersistentVolumeClaim", "spec", ("volumeName",)),
)


SHARED: Final = "components/base.py"  # where identities and rights are made for every component


class Refused(Exception):
    """The program did something that the recording cannot follow, or that the engine would refuse as well."""


def check(request: Any) -> None:
    """Refuse what needs a provider or an earlier state."""
    if request.remote:
        raise Refused("no remote components: what it consists of only its provider knows")
    if request.importId:
        raise Refused(f"no imports: the properties of {request.importId!r} are in the cloud")
    if request.packageRef:
        raise Refused("no parameterised packages")
    if request.state_migrations:
        raise Refused("no state migrations: there is no state")
    if request.hooks.ListFields():
        raise Refused("no resource hooks")
    if not request.name:
        raise Refused("it has no name")
    if request.custom and (len(request.type.split(":")) != 3 or not all(request.type.split(":"))):
        raise Refused("the type of a custom resource is written package:module:Type")


def resource_of(request: Any, options: Any, properties: struct_pb2.Struct, stack: Stack) -> Resource:
    """The registration as plain data, with properties and options as they are after inheritance and transforms."""
    timeouts = options.custom_timeouts
    return Resource(
        urn=stack.urn(request.type, request.name, request.parent),
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=from_struct(properties),
        parent=request.parent or None,
        dependencies=tuple(sorted(set(options.depends_on))),
        protect=options.protect,
        aliases=tuple(_alias_urn(alias, request, stack) for alias in options.aliases),
        provider=options.provider or None,
        source=source_of(request, stack.root),
        property_dependencies={
            key: tuple(sorted(value.urns)) for key, value in sorted(request.propertyDependencies.items()) if value.urns
        },
        retain_on_delete=options.retain_on_delete,
        deleted_with=options.deleted_with or None,
        delete_before_replace=options.delete_before_replace if options.HasField("delete_before_replace") else None,
        ignore_changes=tuple(options.ignore_changes),
        replace_on_changes=tuple(options.replace_on_changes),
        additional_secret_outputs=tuple(options.additional_secret_outputs),
        custom_timeouts={f.name: value for f, value in timeouts.ListFields()},
        version=options.version,
        plugin_download_url=options.plugin_download_url,
        replace_with=tuple(options.replace_with),
        hide_diffs=tuple(options.hide_diff),
    )


def outputs_of(resource: Resource, properties: struct_pb2.Struct) -> struct_pb2.Struct:
    """What the program sees of a new resource: its inputs.

    Missing top-level properties the SDK makes unknown by itself; what the API server puts into nested ones would
    silently be None, as it is in `pulumi preview` without a cluster.
    """
    echo = struct_pb2.Struct()
    echo.CopyFrom(properties)
    for kind, field, names in _BY_THE_SERVER:
        if resource.type.startswith(kind) and field in echo:
            for name in names:
                if name not in echo[field]:
                    echo[field][name] = UNKNOWN_ID
    return echo


def source_of(request: Any, root: Path) -> tuple[str, int] | None:
    """File (relative to ``root``) and line of the user's call: the innermost frame in the project.

    ``sourcePosition`` alone is not enough: for providers it lies inside the SDK. What every component makes through the
    same few lines is its caller's: there stands what it may do.
    """
    shared = None
    for position in [request.sourcePosition, *(frame.pc for frame in request.stackTrace.frames)]:
        file = Path(unquote(urlsplit(position.uri).path))
        if file.is_relative_to(root) and "site-packages" not in file.parts:
            found = file.relative_to(root).as_posix(), position.line
            if found[0] != SHARED:
                return found
            shared = shared or found
    return shared


def _alias_urn(alias: Any, request: Any, stack: Stack) -> str:
    """An alias as a URN; what it leaves out is as in the resource itself."""
    if alias.urn:
        return alias.urn
    spec = alias.spec
    parent = None if spec.noParent else spec.parentUrn or request.parent or None
    earlier = replace(stack, project=spec.project or stack.project, name=spec.stack or stack.name)
    return earlier.urn(spec.type or request.type, spec.name or request.name, parent)

"""One registration: what of it can be recorded truthfully, and the ``Resource`` it becomes."""

from typing import Any
from urllib.parse import unquote, urlsplit

from google.protobuf import struct_pb2  # type: ignore[import-untyped]

from flameplane.plan.recording import Resource
from flameplane.plan.stack import Stack
from flameplane.plan.values import from_struct


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
        source=source_of(request),
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
    )


def source_of(request: Any) -> tuple[str, int] | None:
    """File and line of the user's call: the innermost frame that is not of an installed package.

    ``sourcePosition`` alone is not enough: for providers it lies inside the SDK.
    """
    positions = [request.sourcePosition, *(frame.pc for frame in request.stackTrace.frames)]
    for position in positions:
        if position.uri and "/site-packages/" not in position.uri:
            return unquote(urlsplit(position.uri).path), position.line
    return None


def _alias_urn(alias: Any, request: Any, stack: Stack) -> str:
    """An alias as a URN; what it leaves out is as in the resource itself."""
    if alias.urn:
        return alias.urn
    spec = alias.spec
    parent = None if spec.noParent else spec.parentUrn or request.parent or None
    renamed = Stack(spec.project or stack.project, spec.stack or stack.name, {})
    return renamed.urn(spec.type or request.type, spec.name or request.name, parent)

"""Transforms: functions of the program that the monitor calls back while it registers a resource.

Order as in the engine: those of the resource, of its ancestors from the nearest up, then those of the stack.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import grpc  # type: ignore[import-untyped]
from google.protobuf import struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import alias_pb2, callback_pb2, callback_pb2_grpc, resource_pb2

from flameplane.plan.servers import CHANNEL_OPTIONS
from flameplane.plan.values import from_struct, to_struct

TIMEOUT = 60  # seconds one transform may take


class TransformFailed(Exception):
    """A transform raised, or did not answer."""


def options_of(request: Any) -> Any:
    """The options of a registration in the form transforms receive and return."""
    options = resource_pb2.TransformResourceOptions(
        depends_on=request.dependencies,
        ignore_changes=request.ignoreChanges,
        replace_on_changes=request.replaceOnChanges,
        version=request.version,
        aliases=[*(alias_pb2.Alias(urn=urn) for urn in request.aliasURNs), *request.aliases],
        provider=request.provider,
        providers=dict(request.providers),
        hide_diff=request.hideDiffs,
        plugin_download_url=request.pluginDownloadURL,
        deleted_with=request.deletedWith,
        replace_with=request.replace_with,
        additional_secret_outputs=request.additionalSecretOutputs,
    )
    if request.HasField("protect"):
        options.protect = request.protect
    if request.HasField("retainOnDelete"):
        options.retain_on_delete = request.retainOnDelete
    if request.HasField("customTimeouts"):
        options.custom_timeouts.CopyFrom(request.customTimeouts)
    if request.deleteBeforeReplaceDefined or request.deleteBeforeReplace:
        options.delete_before_replace = request.deleteBeforeReplace
    return options


class Transforms:
    """The transforms of one run, and the connections to the program's callback servers."""

    def __init__(self) -> None:
        self._stack: list[callback_pb2.Callback] = []
        self._own: dict[str, tuple[callback_pb2.Callback, ...]] = {}
        self._parents: dict[str, str | None] = {}
        self._channels: dict[str, grpc.Channel] = {}

    def add_for_stack(self, callback: callback_pb2.Callback) -> None:
        """Take on a transform for everything registered from now on."""
        self._stack.append(callback)

    def keep(self, urn: str, parent: str | None, own: Iterable[callback_pb2.Callback]) -> None:
        """Remember the transforms of a resource for its children."""
        self._parents[urn], self._own[urn] = parent, tuple(own)

    def of(self, parent: str | None, own: Iterable[callback_pb2.Callback]) -> list[callback_pb2.Callback]:
        """All transforms of a child of ``parent`` that has ``own``."""
        found = list(own)
        while parent:
            found += self._own.get(parent, ())
            parent = self._parents.get(parent)
        return found + self._stack

    def run(
        self, callbacks: Sequence[callback_pb2.Callback], request: Any, options: Any
    ) -> tuple[struct_pb2.Struct, Any]:
        """Properties and options after all transforms."""
        if not callbacks:
            return request.object, options
        properties = request.object
        for callback in callbacks:
            reply = self._call(
                callback,
                resource_pb2.TransformRequest(
                    type=request.type,
                    name=request.name,
                    custom=request.custom,
                    parent=request.parent,
                    properties=to_struct(from_struct(properties), outputs=True),
                    options=options,
                ),
            )
            properties = reply.properties if reply.HasField("properties") else properties
            options = reply.options if reply.HasField("options") else options
        return to_struct(from_struct(properties)), options

    def close(self) -> None:
        """Close the connections."""
        for channel in self._channels.values():
            channel.close()

    def _call(self, callback: callback_pb2.Callback, request: Any) -> Any:
        channel = self._channels.get(callback.target) or self._channels.setdefault(
            callback.target, grpc.insecure_channel(callback.target, options=CHANNEL_OPTIONS)
        )
        message = callback_pb2.CallbackInvokeRequest(token=callback.token, request=request.SerializeToString())
        try:
            reply = callback_pb2_grpc.CallbacksStub(channel).Invoke(message, timeout=TIMEOUT)
        except grpc.RpcError as error:
            detail = (error.details() or str(error.code())).replace(f"Invoke callback {callback.token} error: ", "")
            raise TransformFailed(f"a transform failed: {detail.strip()}") from None
        return resource_pb2.TransformResponse.FromString(reply.response)

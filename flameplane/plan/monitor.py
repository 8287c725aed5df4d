"""Pulumi's ResourceMonitor and Engine services, which record what a program registers instead of acting on it.

The order of things is the engine's (pkg/resource/deploy/source_eval.go): inherit from the parent, run the transforms,
resolve the provider, then echo the inputs as outputs. What a provider would add stays unknown, as in a first preview.
What cannot be recorded truthfully (invokes, reads, imports, hooks) is refused.
"""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import empty_pb2, struct_pb2  # type: ignore[import-untyped]
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from flameplane.plan.recording import Log, Resource
from flameplane.plan.registration import Refused, check, outputs_of, resource_of, source_of
from flameplane.plan.stack import Stack
from flameplane.plan.transforms import TransformFailed, Transforms, options_of
from flameplane.plan.values import from_struct

# All of them, those refused below as well: for a missing one the SDK would tell the user to update the Pulumi CLI.
_FEATURES: Final = tuple(resource_pb2.ResourceMonitorFeature.values())
_SEVERITIES: Final = {engine_pb2.INFO: "info", engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}
_Reply = TypeVar("_Reply")


class Engine(engine_pb2_grpc.EngineServicer):
    """The engine's side that programs and policy packs log to. Debug messages are dropped."""

    def __init__(self) -> None:
        self.logs: list[Log] = []
        self._root = ""

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        if severity := _SEVERITIES.get(request.severity):
            self.logs.append(Log(severity, request.message, request.urn or None))  # type: ignore[arg-type]
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any, context: grpc.ServicerContext) -> Any:
        """There is no engine here whose version could be wrong; ``pulumi`` checks its own."""
        return engine_pb2.RequirePulumiVersionResponse()


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Records registrations. ``failure`` is the first thing refused; ``finished``: the program ran to its end."""

    def __init__(self, stack: Stack) -> None:
        self.failure: str | None = None
        self.failed = threading.Event()
        self.finished = False
        self._stack = stack
        self._lock = threading.Lock()
        self._resources: dict[str, Resource] = {}
        self._outputs: dict[str, dict[str, Any]] = {}
        self._options: dict[str, Any] = {}  # by URN, after inheritance and transforms
        self._transforms = Transforms()

    @property
    def resources(self) -> list[Resource]:
        """What was registered; the outputs of a component are known once the program has ended."""
        with self._lock:
            found = list(self._resources.values())
        return [replace(r, outputs=self._outputs.get(r.urn, {})) for r in found]

    def close(self) -> None:
        """Close the connections to the program."""
        self._transforms.close()

    # -- what is recorded ----------------------------------------------------------------------------------------------
    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> Any:
        return resource_pb2.DeploymentInfo(
            project=self._stack.project,
            stack=self._stack.name,
            organization=self._stack.organization,
            config=self._stack.config,
            dryRun=True,
            supportedFeatures=_FEATURES,
        )

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._guard(context, lambda: self._register(request))

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        with self._lock:
            self._outputs[request.urn] = from_struct(request.outputs)
        return empty_pb2.Empty()

    def RegisterStackTransform(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._transforms.add_for_stack(request)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        """Called once all is registered. An engine would keep the program for its callbacks; we need it no more."""
        self.finished = True
        return empty_pb2.Empty()

    def _register(self, request: Any) -> Any:
        try:
            check(request)
            options, callbacks = self._prepare(request)
            properties, options = self._transforms.run(callbacks, request, options)
            resource = resource_of(request, options, properties, self._stack)
            self._add(resource, options, request)
        except (Refused, TransformFailed) as error:
            source = source_of(request, self._stack.root)
            at = f" ({source[0]}:{source[1]})" if source else ""
            raise Refused(f"{request.type} {request.name!r}: {error}{at}") from None
        echo = outputs_of(resource, properties) if request.custom else struct_pb2.Struct()
        return resource_pb2.RegisterResourceResponse(urn=resource.urn, object=echo)

    def _prepare(self, request: Any) -> tuple[Any, list[Any]]:
        """Options with what the parent hands down, and the transforms to run."""
        options = options_of(request)
        with self._lock:
            if request.parent:
                if request.parent not in self._resources:
                    raise Refused(f"its parent {request.parent} is not registered")
                self._inherit(request, options, self._options[request.parent])
            return options, self._transforms.of(request.parent, request.transforms)

    def _inherit(self, request: Any, options: Any, given: Any) -> None:
        """inheritFromParent and resolveProvider of the engine; ``given`` are the parent's options."""
        for field in ("protect", "retain_on_delete"):
            if not options.HasField(field) and given.HasField(field):
                setattr(options, field, getattr(given, field))
        options.deleted_with = options.deleted_with or given.deleted_with
        package = request.type.partition(":")[0]
        if request.custom:
            options.provider = options.provider or options.providers.get(package) or given.providers.get(package, "")
        else:
            for name, provider in given.providers.items():
                if name not in options.providers:
                    options.providers[name] = provider

    def _add(self, resource: Resource, options: Any, request: Any) -> None:
        with self._lock:
            if resource.urn in self._resources:
                raise Refused(
                    f"there is already a resource with this URN: {resource.urn}; give one of the two another name"
                )
            if resource.custom:
                self._check_provider(resource)
            for dependency in resource.dependencies:
                if dependency not in self._resources:
                    raise Refused(f"it depends on {dependency}, which is not registered")
            self._resources[resource.urn] = resource
            self._options[resource.urn] = options
            self._transforms.keep(resource.urn, resource.parent, request.transforms)

    def _check_provider(self, resource: Resource) -> None:
        package = resource.type.partition(":")[0]
        if package == "pulumi":
            return
        if resource.provider is None:
            if {package, "*"} & self._stack.disabled_default_providers:
                raise Refused(
                    f"it has no provider, and pulumi:disable-default-providers disables the default one of {package}; "
                    "pass a provider to it or to a parent"
                )
        elif resource.provider.rpartition("::")[0] not in self._resources:
            raise Refused(f"its provider {resource.provider} is not registered")

    # -- what is refused -----------------------------------------------------------------------------------------------
    def Invoke(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no invokes: the program calls {request.tok}, whose answer only the cloud knows")

    def Call(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no calls: the program calls the method {request.tok} of a provider")

    def ReadResource(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no reads: the program gets {request.type} {request.name!r} from the cloud")

    def ExistsResource(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no reads: the program asks the cloud whether a {request.type} exists")

    def RegisterPackage(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no parameterised packages: the program registers {request.name}")

    def RegisterResourceHook(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no resource hooks: the program registers {request.name!r}")

    def RegisterErrorHook(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, f"no error hooks: the program registers {request.name!r}")

    def RegisterStackInvokeTransform(self, request: Any, context: grpc.ServicerContext) -> NoReturn:
        self._refuse(context, "no invokes, hence no invoke transforms")

    def _guard(self, context: grpc.ServicerContext, work: Callable[[], _Reply]) -> _Reply:
        try:
            return work()
        except Refused as error:
            self._refuse(context, str(error))

    def _refuse(self, context: grpc.ServicerContext, message: str) -> NoReturn:
        """Fail the call. The first failure is the cause; what the program then reports is its consequence."""
        with self._lock:
            self.failure = self.failure or message
        self.failed.set()
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, message)
        raise AssertionError("abort raises")

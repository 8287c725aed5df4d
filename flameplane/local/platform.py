"""Environment `local` from end to end: check, cluster, images, apply, wait, report; and back down."""

import os
import threading
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from flameplane.local import applyset, check, engine, images, prune, secrets, target
from flameplane.local.apply import Apply, remove
from flameplane.local.choice import Choice
from flameplane.local.engine import Engine
from flameplane.local.kubectl import Kubectl, Object
from flameplane.local.problem import Problem
from flameplane.local.report import report
from flameplane.local.steps import Say, Steps
from flameplane.local.volumes import make_folders
from flameplane.local.wait import states, wait
from local import cache
from local.cluster.layout import Layout
from schemas.allowed import BACKEND_NAMESPACE
from schemas.settings import Settings

NAMESPACE_POLL = 1.0  # seconds


@dataclass(frozen=True)
class Options:
    """How `local up` was asked to do it."""

    choice: Choice
    stack: str = "local"
    yes_prune: bool = False
    force_conflicts: bool = False
    without_pulumi: bool = False
    timeout: float = 180  # seconds that workloads may take to get Ready


def up(root: Path, options: Options, write: Say) -> None:
    """Bring the environment up. May be run at any time: what is there and right is not touched."""
    steps, choice = Steps(write), options.choice
    target.check(choice)
    os.environ["FLAMEPLANE_KUBECONFIG"] = str(choice.kubeconfig or Layout.current().kubeconfig)
    with _alone():
        with steps.step("check the declarations, the program and the policies"):
            settings = check.settings(root, options.stack)
            desired = check.declared(root, options.stack, options.yes_prune, steps.say)
        with steps.step("cluster"):
            kubectl = target.up(choice, steps.progress)
            _check_version(kubectl, settings)
        archives: dict[str, Path] = {}
        with steps.step("images"):
            if choice.ours:
                archives = images.build_and_load(target.provider(choice), steps.progress)
            else:
                steps.say("not loaded: the nodes of an existing cluster are not ours to write to")
        with steps.step("apply"):
            if pulumi := _pulumi(root, options, kubectl, steps.say):
                _apply_with_pulumi(pulumi, kubectl, desired, settings, options, steps.say)
            else:
                _apply(kubectl, desired, settings, options, steps.say)
        with steps.step("wait until everything that can run is Ready"):
            images.replace_stale_pods(kubectl, archives, steps.say)
            now = wait(kubectl, check.open_images(root, settings), options.timeout, steps.say, choice.ours)
        write(report(now, kubectl, choice.arguments))
        write(f"\nUp after {steps.total()}.")


def down(choice: Choice, write: Say) -> None:
    """Remove the platform: a cluster of ours whole, from an existing one exactly what `up` put there."""
    steps = Steps(write)
    with _alone():
        if choice.ours:
            with steps.step("take the cluster down"):
                target.provider(choice).down(steps.progress)
                engine.forget(cache.root())
        else:
            with steps.step("remove the platform's objects"):
                kubectl = target.find(choice)
                count = remove(kubectl, steps.say) if kubectl else 0
                steps.say(f"{count} objects removed" if count else "there was nothing of the platform")
    write(f"\nDown after {steps.total()}. What was built stays in {cache.root()} for the next time.")


def status(root: Path, choice: Choice, write: Say) -> bool:
    """Print what runs; whether the platform is up and everything that can run is Ready."""
    kubectl = target.find(choice)
    if kubectl is None:
        write("The local cluster does not run. `make up` starts it.")
        return False
    settings = check.settings(root, "local")
    now = states(kubectl, check.open_images(root, settings), choice.ours)
    if not now:
        write("The cluster runs, but the platform is not on it. `make up` brings it up.")
        return False
    write(report(now, kubectl, choice.arguments))
    return all(state.verdict != "waiting" for state in now)


def _alone() -> AbstractContextManager[None]:
    """Two runs at once would undo each other's work."""
    return cache.lock(cache.root() / "platform")


def _check_version(kubectl: Kubectl, settings: Settings) -> None:
    """Injection is a Kubernetes 1.36 object, so an older cluster could not even take the declaration."""
    wanted = settings.cluster.kubernetes_version
    major, minor = target.server_version(kubectl)
    if (major, minor) < tuple(int(part) for part in wanted.split(".")):
        raise Problem(
            "LOC010",
            f"The cluster runs Kubernetes {major}.{minor}, and stacks/Pulumi.local.yaml declares {wanted}.",
            "use a newer cluster, or lower cluster.kubernetesVersion there (injection.enabled needs 1.36)",
        )


def _pulumi(root: Path, options: Options, kubectl: Kubectl, say: Say) -> Engine | None:
    """pulumi when it is there and this cluster was not brought up without it; says which way it is, and why."""
    reason = ""
    found = engine.find()
    if options.without_pulumi:
        reason = "asked for by --without-pulumi"
    elif not found:
        reason = "pulumi is not on PATH"
    elif not options.choice.ours:
        reason = "the program knows no other cluster than that of its settings"
    elif applyset.parents(kubectl):
        reason = "this cluster was brought up without pulumi; `make down` first to change over"
    if found and not reason:
        say("with `pulumi up` and the policy pack (state: file backend in the cache)")
        return Engine(found, root, cache.root(), kubectl.kubeconfig, options.stack)
    say(f"with the built-in apply (kubectl, server-side, ApplySet): {reason}")
    return None


def _apply(kubectl: Kubectl, desired: list[Object], settings: Settings, options: Options, say: Say) -> None:
    apply = Apply(kubectl, desired, yes_prune=options.yes_prune, force=options.force_conflicts, say=say)
    apply.prepare()
    make_folders(options.choice, desired)
    _make_secrets(kubectl, settings, say)
    apply.carry_out()
    say(str(apply.changes))


def _apply_with_pulumi(  # noqa: PLR0917
    pulumi: Engine, kubectl: Kubectl, desired: list[Object], settings: Settings, options: Options, say: Say
) -> None:
    """`pulumi up` waits for workloads that wait for the Secret, whose namespace it makes first: so both at once."""
    pulumi.select(target.identity(kubectl), say)
    prune.guard(desired, pulumi.members(), options.yes_prune)
    make_folders(options.choice, desired)
    stop = threading.Event()
    problems: list[Problem] = []

    def make() -> None:
        try:
            while not kubectl.get("namespace", BACKEND_NAMESPACE, doing="look for the backend's namespace"):
                if stop.wait(NAMESPACE_POLL):
                    return
            _make_secrets(kubectl, settings, say)
        except Problem as problem:
            problems.append(problem)

    maker = threading.Thread(target=make, name="secrets", daemon=True)
    maker.start()
    try:
        pulumi.up(say, options.force_conflicts)
    finally:
        stop.set()
        maker.join()
    if problems:
        raise problems[0]


def _make_secrets(kubectl: Kubectl, settings: Settings, say: Say) -> None:
    storage = settings.backend.object_storage
    if storage.credentials_secret and secrets.ensure(kubectl, storage.credentials_secret, storage.bucket):
        say(f"made the keys of the object storage (Secret {BACKEND_NAMESPACE}/{storage.credentials_secret})")

"""The recorder against small programs of its own: what it sees, what it hands to the program, what it refuses.

Proves that a real SDK over real gRPC gives what `Recording` says. Says nothing of providers, state or a real apply.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from plan_project import STACK, children, line_of, project

from flameplane.plan import UNKNOWN, ProgramFailed, Recording, Resource, Secret, child, record

MAIN = """\
import json, os
import pulumi
import pulumi_kubernetes as k8s
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, Secret
import parts

def stamp(args):
    if args.type_ == "kubernetes:core/v1:ConfigMap":
        args.props["data"]["stamped"] = "by the stack"
        return pulumi.ResourceTransformResult(args.props, args.opts)

def own(args):
    if args.type_ == "kubernetes:core/v1:ConfigMap":
        return pulumi.ResourceTransformResult(
            {**args.props, "data": {**args.props["data"], "own": "ran first"}},
            pulumi.ResourceOptions.merge(args.opts, pulumi.ResourceOptions(protect=True)),
        )

pulumi.runtime.register_resource_transform(stamp)
provider = k8s.Provider("cluster", kubeconfig="/nowhere", context="c")
part = parts.Part("part", pulumi.ResourceOptions(providers=[provider], protect=False, transforms=[own]))
Secret("token", metadata={"name": "token"}, string_data={"key": "hidden"},
       opts=pulumi.ResourceOptions(provider=provider, retain_on_delete=True, ignore_changes=["metadata"]))
print("told on stdout")
pulumi.log.warn("told to the engine")
pulumi.export("config", os.environ["PULUMI_CONFIG"])
pulumi.export("told", {"project": pulumi.get_project(), "stack": pulumi.get_stack(), "org": pulumi.get_organization(),
                       "dry": pulumi.runtime.is_dry_run(), "cwd": os.getcwd(), "root": pulumi.get_root_directory(),
                       "services": os.environ.get("FLAMEPLANE_SERVICES"), "size": pulumi.Config().require_int("size")})
"""
PARTS = """\
import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace

class Part(pulumi.ComponentResource):
    def __init__(self, name, opts):
        super().__init__("flameplane:foundation:Part", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.space = Namespace("space", metadata={"name": "space"}, opts=child)
        self.words = ConfigMap(
            "words",
            metadata={"name": "words", "namespace": self.space.metadata.name},
            data={"uid": self.space.metadata.uid, "plain": "x", "none": None},
            opts=pulumi.ResourceOptions(
                parent=self, aliases=[pulumi.Alias(name="old"), pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)],
                custom_timeouts=pulumi.CustomTimeouts(create="5m"), delete_before_replace=True,
            ),
        )
        self.register_outputs({"space": self.space.metadata.name})
"""
URN = "urn:pulumi:local::tiny::"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project all tests of what is recorded share."""
    return project(tmp_path_factory.mktemp("tiny"), MAIN, parts=PARTS)


@pytest.fixture(scope="module")
def recording(tiny: Path) -> Recording:
    """One run of it."""
    return record(tiny, "local", services=tiny / "elsewhere")


def _get(recording: Recording, name: str) -> Resource:
    return next(r for r in recording.resources if r.name == name)


def test_tree(recording: Recording) -> None:
    """Parents before children, URNs as the engine makes them."""
    assert [r.urn.removeprefix(URN) for r in recording.resources] == [
        "pulumi:pulumi:Stack::tiny-local",
        "flameplane:foundation:Part::part",
        "kubernetes:core/v1:Secret::token",
        "pulumi:providers:kubernetes::cluster",
        "flameplane:foundation:Part$kubernetes:core/v1:ConfigMap::words",
        "flameplane:foundation:Part$kubernetes:core/v1:Namespace::space",
    ]
    words = _get(recording, "words")
    assert words.parent == f"{URN}flameplane:foundation:Part::part"
    assert [r.name for r in recording.ancestors(words)] == ["part", "tiny-local"]
    assert [r.custom for r in recording.resources] == [False, False, True, True, True, True]


def test_inputs(recording: Recording) -> None:
    """Inputs in Kubernetes spelling; transforms ran, the resource's before the stack's; unknowns and secrets stay."""
    words = _get(recording, "words")
    assert words.inputs == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "words", "namespace": "space"},
        "data": {"uid": UNKNOWN, "plain": "x", "own": "ran first", "stamped": "by the stack"},
    }
    token = _get(recording, "token").inputs["stringData"]
    assert token == Secret({"key": "hidden"})
    assert "hidden" not in repr(token)


def test_options(recording: Recording) -> None:
    """Dependencies, inheritance from the component, options set by a transform."""
    space, words, token = (_get(recording, n) for n in ("space", "words", "token"))
    assert words.dependencies == (space.urn,)
    assert words.property_dependencies == {"metadata": (space.urn,), "data": (space.urn,)}
    assert (words.protect, space.protect, token.protect) == (True, False, False)
    assert token.retain_on_delete
    assert not words.retain_on_delete
    assert token.ignore_changes == ("metadata",)
    assert words.aliases == (
        f"{URN}flameplane:foundation:Part$kubernetes:core/v1:ConfigMap::old",
        f"{URN}kubernetes:core/v1:ConfigMap::words",
    )
    assert words.custom_timeouts == {"create": "5m"}
    assert (words.delete_before_replace, space.delete_before_replace) == (True, None)
    cluster = recording.provider_of(words)
    assert cluster
    assert cluster.inputs == {"kubeconfig": "/nowhere", "context": "c"}
    assert words.version == cluster.version != ""


def test_sources(recording: Recording, tiny: Path) -> None:
    """File and line of the user's call, also for providers, whose own frames lie in the SDK."""
    for name, file, part in (
        ("words", "parts.py", "self.words = ConfigMap("),
        ("part", "__main__.py", "parts.Part("),
        ("cluster", "__main__.py", "k8s.Provider("),
    ):
        assert _get(recording, name).source == (file, line_of(tiny / file, part))
    assert _get(recording, "tiny-local").source is None


def test_program_is_told_what_the_engine_tells(recording: Recording, tiny: Path) -> None:
    """Configuration as strings, objects as JSON, the project as default namespace; names; preview; working folder."""
    outputs = _get(recording, "tiny-local").outputs
    assert outputs["config"] == (
        '{"tiny:size": "3", "tiny:shape": "{\\"a\\":\\"x\\",\\"b\\":[1,true,null]}", "other:name": "someone", '
        '"pulumi:disable-default-providers": "[\\"kubernetes\\"]"}'
    )
    assert outputs["told"] == {
        "project": "tiny",
        "stack": "local",
        "org": "organization",
        "dry": True,
        "cwd": str(tiny),
        "root": str(tiny),
        "services": str(tiny / "elsewhere"),
        "size": 3,
    }


def test_what_the_program_says(recording: Recording) -> None:
    """Logs, output and cost of the run."""
    assert [(log.severity, log.message) for log in recording.logs] == [("warning", "told to the engine")]
    assert recording.output == "told on stdout\n"
    assert recording.seconds > 0
    assert recording.cpu_seconds > 0
    assert 20 < recording.peak_rss_mb < 1000


def test_second_run_is_equal(recording: Recording, tiny: Path) -> None:
    """Nothing of a recording depends on the order in which registrations arrive."""
    assert record(tiny, "local", services=tiny / "elsewhere").resources == recording.resources


CUSTOM = "import pulumi, os, sys, time\nR = pulumi.CustomResource\n"
FAILURES = {
    "duplicate": (
        'class C(R):\n    def __init__(self, n):\n        super().__init__("a:b:C", n, {})\nC("x")\nC("x")',
        "the program failed: a:b:C 'x': there is already a resource with this URN: urn:pulumi:local::tiny::a:b:C::x; "
        "give one of the two another name (__main__.py:",  # of whichever came second
    ),
    "no provider": (
        'R("kubernetes:core/v1:ConfigMap", "x", {})',
        "it has no provider, and pulumi:disable-default-providers disables the default one of kubernetes; pass a",
    ),
    "invoke": ('pulumi.runtime.invoke("aws:index:getRegion", {})', "no invokes: the program calls aws:index:getRegion"),
    "read": ('R("a:b:C", "x", {}, pulumi.ResourceOptions(id="i"))', "no reads: the program gets a:b:C 'x' from the"),
    "import": (
        'R("a:b:C", "x", {}, pulumi.ResourceOptions(import_="i"))',
        "a:b:C 'x': no imports: the properties of 'i'",
    ),
    "remote": ('pulumi.ComponentResource("a:b:C", "x", {}, None, True)', "a:b:C 'x': no remote components"),
    "hook": (
        'h = pulumi.ResourceHook("h", lambda a: None)\n'
        'R("a:b:C", "x", {}, pulumi.ResourceOptions(hooks=pulumi.ResourceHookBinding(before_create=[h])))',
        "no resource hooks: the program registers 'h'",
    ),
    "parent": (
        "from pulumi.runtime.proto.resource_pb2 import RegisterResourceRequest as Q\n"
        'q = Q(type="a:b:C", name="x", parent="urn:pulumi:a::b::c::d")\n'
        "pulumi.runtime.settings.get_monitor().RegisterResource(q)",
        "a:b:C 'x': its parent urn:pulumi:a::b::c::d is not registered",
    ),
    "dependency": (
        'd = pulumi.resource.DependencyResource("urn:pulumi:a::b::c::d")\n'
        'R("a:b:C", "x", {}, pulumi.ResourceOptions(depends_on=d))',
        "a:b:C 'x': it depends on urn:pulumi:a::b::c::d, which is not registered",
    ),
    "type": ('R("ConfigMap", "x", {})', "ConfigMap 'x': the type of a custom resource is written package:module:Type"),
    "transform": (
        'def t(args):\n    raise KeyError("lost")\nR("a:b:C", "x", {}, pulumi.ResourceOptions(transforms=[t]))',
        "a:b:C 'x': a transform failed: 'lost'",
    ),
    "exception": (
        "import broken\nbroken.f()",
        'the program failed:\n  File "__main__.py", line 4, in <module>\n    broken.f()\n'
        '  File "broken.py", line 2, in f\n'
        "    return 1 / 0\n           ~~^~~\nZeroDivisionError: division by zero",
    ),
    "in an apply": (
        'R("a:b:C", "x", {"y": pulumi.Output.from_input(1).apply(lambda v: v / 0)})',
        "ZeroDivisionError: division by zero",
    ),
    "syntax": ("def f(:", "SyntaxError: "),
    "missing module": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "early exit": ("sys.exit(0)", "the program ended before its last line (exit code 0, as by sys.exit())"),
    "exit code": ('print("a finding", file=sys.stderr)\nsys.exit(1)', "the program stopped with exit code 1"),
    "killed": ("os.kill(os.getpid(), 9)", "the program was ended by signal 9"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_failures(case: str, tmp_path: Path) -> None:
    """One clear error each: the cause and not its consequences, without a line of ours in it, and no process left."""
    body, expected = FAILURES[case]
    root = project(tmp_path / "p", CUSTOM + body, broken="def f():\n    return 1 / 0\n")
    with pytest.raises(ProgramFailed) as failed:
        record(root, "local")
    assert expected in failed.value.message
    assert "flameplane/plan" not in failed.value.message + failed.value.findings_text
    assert failed.value.findings_text == ("a finding\n" if case == "exit code" else "")
    assert not children()


def test_frames_of_the_program(root: Path) -> None:
    """A traceback starts in the program, also where the project holds our own files, as this one does."""
    own = {
        root / "__main__.py": True,
        root / "components" / "platform.py": True,
        Path(child.__file__): False,
        root / ".venv" / "lib" / "site-packages" / "pulumi" / "output.py": False,
        Path("<frozen runpy>"): False,
    }
    assert {file: child._is_own(str(file), str(root)) for file in own} == own


def test_timeout(tmp_path: Path) -> None:
    """A program that hangs is ended, with what it started."""
    main = CUSTOM + 'import subprocess\nR("a:b:C", "x", {})\nsubprocess.Popen(["sleep", "60"])\ntime.sleep(60)'
    started = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"did not end within 3 s; (the last of|it registered nothing)"):
        record(project(tmp_path / "p", main), "local", timeout=3)
    assert time.monotonic() - started < 10
    assert not children()


def test_program_ends_with_its_parent(tmp_path: Path) -> None:
    """Even when we are killed outright, the program does not live on."""
    root = project(tmp_path / "p", CUSTOM + "open('pid', 'w').write(str(os.getpid()))\ntime.sleep(60)")
    code = f"from pathlib import Path; from flameplane.plan import record; record(Path({str(root)!r}), 'local')"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    pid = root / "pid"
    _until(lambda: pid.exists() and pid.read_text() != "")
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _until(lambda: not _alive(int(pid.read_text())))


def test_behind_a_proxy(tiny: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    """gRPC takes http_proxy for the loopback as well; here it must not, in either direction."""
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    assert len(record(tiny, "local").resources) == len(recording.resources)


def test_no_descriptors_left(tiny: Path) -> None:
    """Servers, channels, pipes and files are closed."""
    record(tiny, "local")
    before = len(list(Path("/proc/self/fd").iterdir()))
    record(tiny, "local")
    _until(lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)  # gRPC closes some a little later


STACKS = {
    "no such stack": (
        None,
        "there is no stack 'local': stacks/Pulumi.local.yaml does not exist; stacks of this project: none",
    ),
    "not YAML": ("config: [", "stacks/Pulumi.local.yaml:1:10: not valid YAML"),
    "not a map": ("- 1", "stacks/Pulumi.local.yaml: not a map"),
    "secret": ("config: {a: {secure: AAAB}}", "stacks/Pulumi.local.yaml: a is a secret; name a Kubernetes Secret"),
    "date": ("config: {a: [2026-01-01]}", "stacks/Pulumi.local.yaml: a: a date, or a key that is not text"),
}


@pytest.mark.parametrize("case", STACKS)
def test_stack_files(case: str, tmp_path: Path) -> None:
    """What is wrong with the stack file is told before anything runs."""
    text, expected = STACKS[case]
    root = project(tmp_path / "p", "raise AssertionError", stack=text or "")
    if text is None:
        (root / "stacks" / "Pulumi.local.yaml").unlink()
    with pytest.raises(ProgramFailed) as failed:
        record(root, "local")
    assert failed.value.message.startswith(expected)


def test_defaults_of_the_project(tmp_path: Path) -> None:
    """Pulumi.yaml fills what the stack file leaves out, never what it sets."""
    root = project(tmp_path / "p", "import os, pulumi\npulumi.export('c', os.environ['PULUMI_CONFIG'])")
    with (root / "Pulumi.yaml").open("a") as file:
        file.write(
            "config: {size: 9, level: {type: string, default: low}, 'other:name': {value: x}, open: {type: string}}\n"
        )
    outputs = record(root, "local").resources[0].outputs
    assert '"tiny:size": "3"' in outputs["c"]
    assert '"tiny:level": "low"' in outputs["c"]
    assert '"other:name": "someone"' in outputs["c"]
    assert "tiny:open" not in outputs["c"]
    assert STACK.count("size") == 1


def test_no_program(tmp_path: Path) -> None:
    """No __main__.py: nothing is started."""
    root = project(tmp_path / "p", "")
    (root / "__main__.py").unlink()
    with pytest.raises(ProgramFailed, match="there is no program"):
        record(root, "local")


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]


def _until(true: object) -> None:
    deadline = time.monotonic() + 20
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)

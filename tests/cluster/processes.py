"""Processes of containers as the machine sees them: the node has no process namespace of its own."""

from pathlib import Path


def processes_of(part: str) -> list[Path]:
    """Folders in /proc of the processes in a control group whose path has `part`: a pod's uid, a container's id."""
    return [folder for folder in Path("/proc").glob("[0-9]*") if part in _read(folder / "cgroup")]


def named(part: str, program: str) -> Path:
    """The one of these that runs `program`."""
    found = [folder for folder in processes_of(part) if _read(folder / "comm").strip() == program]
    assert found, f"no process {program} in {part}"
    return found[0]


def status_of(process: Path) -> dict[str, str]:
    """What the kernel says of a process or a thread, by name."""
    lines = (process / "status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""  # it has ended

"""What runs, on disk: so that the next command knows the cluster again, and notices when a part of it died."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from local.cluster.processes import Process


@dataclass(frozen=True)
class Record:
    """Written once everything is up; the holder of the namespaces is one of the processes."""

    digest: str
    processes: dict[str, Process]

    def dead(self) -> list[str]:
        """Names of the processes that do not run any more."""
        return [name for name, process in self.processes.items() if not process.alive()]

    def write(self, file: Path) -> None:
        """Complete or not at all."""
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2))
        partial.replace(file)


def read(file: Path) -> Record | None:
    """None when there is none, or one that another version wrote."""
    try:
        data = json.loads(file.read_text())
        processes = {name: Process(**fields) for name, fields in data["processes"].items()}
        return Record(data["digest"], processes)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None

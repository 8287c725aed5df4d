"""What stops `flameplane local`: one message with an id and the fix, never a traceback."""

from collections.abc import Sequence
from pathlib import Path

from flameplane.findings import Finding, format_findings

# LOC001 this machine cannot run the local cluster    LOC006 the API server refuses an object
# LOC002 the environment is not for `local up`        LOC007 someone else holds a field
# LOC003 services/ is empty                           LOC008 a workload does not get Ready
# LOC004 too much would be removed                    LOC009 pulumi failed
# LOC005 an object of the same name is not ours       LOC010 kubectl failed, or the cluster is not reached
# LOC011 a package, program, image or the cluster could not be made


class Problem(Exception):
    """A failure the user can act on. `details` are lines that belong to the message, such as object names."""

    def __init__(self, ident: str, message: str, fix: str = "", details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ident, self.message, self.fix, self.details = ident, message, fix, tuple(details)

    def text(self, root: Path) -> str:
        """The problem in the form of every other finding, its details below the message."""
        finding = Finding(self.ident, "error", self.message, fix=self.fix)
        first, newline, rest = format_findings([finding], "text", root).partition("\n")
        return "\n".join((first, *(f"     {line}" for line in self.details))) + newline + rest

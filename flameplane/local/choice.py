"""Which cluster the user named. Apart from `target`, so that the command line can be read without loading the rest."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Choice:
    """What the user named: nothing (our own cluster), kind, or a kubeconfig and a context of it."""

    kubeconfig: Path | None = None
    context: str | None = None
    kind: bool = False

    def __post_init__(self) -> None:
        if self.kind and (self.kubeconfig or self.context):
            raise ValueError("--kind makes its own cluster: leave --kubeconfig and --context out")
        if bool(self.kubeconfig) != bool(self.context):
            raise ValueError("--kubeconfig and --context go together: a cluster is used only when both name it")

    @property
    def ours(self) -> bool:
        """A cluster that `local up` makes and `local down` takes away."""
        return not self.kubeconfig

    @property
    def arguments(self) -> str:
        """The same choice for the next command line."""
        if self.kubeconfig:
            return f" --kubeconfig {self.kubeconfig} --context {self.context}"
        return " --kind" if self.kind else ""

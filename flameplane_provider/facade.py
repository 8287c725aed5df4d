"""The facade: plain values of another program become the settings and the catalog that the platform takes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import pulumi
from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from components import platform
from flameplane.catalog import load, load_grants
from flameplane.findings import format_findings
from flameplane_provider.arguments import typed_dict
from schemas.images import ImagesLock
from schemas.settings import Settings

if TYPE_CHECKING:
    SettingsArgs = dict[str, Any]
else:
    SettingsArgs = typed_dict(Settings)  # the models of schemas/settings, as TypedDicts


class PlatformArgs(TypedDict):
    """One environment. Every value has to be known before apply; secrets are only named."""

    services_folder: str
    """Folder of the declarations: _org.yaml, <team>/_team.yaml, <team>/<service>/service.yaml. Grants are read from the
    folder exports beside it, where there is one."""
    images_lock: str
    """Path of images.lock, which holds the digest of every image."""
    settings: SettingsArgs
    """What stacks/Pulumi.<environment>.yaml holds, without the prefix `flameplane:`."""
    kubeconfig: NotRequired[str]
    """Path of the kubeconfig that is used in place of `settings.cluster.kubeconfig`."""


class Platform(platform.Platform):
    """Everything Flameplane puts into a cluster and, where settings name an account, into the cloud."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        values = _known(dict(args), "args")
        folder, lock = Path(values["services_folder"]).absolute(), Path(values["images_lock"]).absolute()
        try:
            settings = Settings.model_validate(values["settings"])
            images = ImagesLock.model_validate_json(lock.read_text())
        except ValidationError as error:
            raise ValueError(_words(error, lock)) from None
        except OSError as error:
            raise ValueError(f"imagesLock: {lock} cannot be read: {error.strerror}") from None
        loaded = load(folder.parent, folder)
        if loaded.catalog is None:
            raise ValueError("servicesFolder:\n" + format_findings(loaded.findings, "text", folder.parent))
        granted = load_grants(folder.parent, loaded.catalog, folder)
        if refused := [finding for finding in granted.findings if finding.severity == "error"]:
            raise ValueError("servicesFolder, exports beside it:\n" + format_findings(refused, "text", folder.parent))
        kubeconfig = str(Path(values.get("kubeconfig") or settings.cluster.kubeconfig).expanduser())
        super().__init__(
            name, platform.PlatformArgs(settings, loaded.catalog, images, kubeconfig, granted.grants), opts
        )


def _known(value: Any, path: str) -> Any:
    """The value, with whole numbers as such (the wire knows only doubles). What an apply would decide is refused."""
    if isinstance(value, pulumi.Output) or type(value).__name__ == "Unknown":
        raise ValueError(f"{path} is an output: it has to be a value that is known before apply, and no secret")
    if isinstance(value, dict):
        return {key: _known(inner, f"{path}.{to_camel(key)}") for key, inner in value.items()}
    if isinstance(value, list):
        return [_known(inner, f"{path}[{index}]") for index, inner in enumerate(value)]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _words(error: ValidationError, lock: Path) -> str:
    """Every mistake on a line of its own."""
    where = "settings" if error.title == Settings.__name__ else f"imagesLock {lock}"
    lines = (f"{'.'.join([where, *(to_camel(str(s)) for s in e['loc'])])}: {e['msg']}" for e in error.errors())
    return "\n".join(["mistakes in the arguments of flameplane:Platform", *lines])

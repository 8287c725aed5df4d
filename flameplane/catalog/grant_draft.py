"""A new exports/<id>.yaml: commented, and checked by the real validator before it is written."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from flameplane.catalog.grants import load_grants
from flameplane.catalog.published import file_name
from flameplane.catalog.shape import inline
from flameplane.findings import format_findings
from schemas.allowed import EXPORT_FORMATS, GRANT_DAYS
from schemas.catalog import Catalog
from schemas.grant import FOLDER, written


@dataclass(frozen=True)
class NewGrant:
    """What the requester says, and who has to agree."""

    name: str
    requester: str
    approver: str
    team: str
    service: str
    form: str
    purpose: str
    start: datetime
    end: datetime
    granted: datetime
    expires: datetime

    @property
    def path(self) -> Path:
        """Where the file belongs, from the project root."""
        return Path(FOLDER) / f"{self.name}.yaml"

    @property
    def text(self) -> str:
        """The file."""
        return f"""\
# yaml-language-server: $schema=../schemas/{file_name("grant")}
#
# By this one whole profile may leave the platform, once. What has left is out of reach of retention and audit: who
# approves it asks who will see it, and whether a link to the flame graph would not do. docs/exports.md explains it.
apiVersion: flameplane.dev/v1
kind: ExportGrant
metadata:
  # Also the name of the file. An id that was used is used up for ever.
  name: {json.dumps(self.name)}
  granted: "{written(self.granted)}"
spec:
  # The only one who may use it, as the identity provider names them.
  requester: {json.dumps(self.requester, ensure_ascii=False)}
  # Owns {FOLDER}/ in CODEOWNERS and approves the pull request; never the requester.
  approver: "{self.approver}"
  team: {inline(self.team)}
  service: {inline(self.service)}
  # One of {", ".join(EXPORT_FORMATS)}.
  format: {self.form}
  purpose: {json.dumps(self.purpose, ensure_ascii=False)}
  # The profile that is exported lies in here.
  window:
    from: "{written(self.start)}"
    to: "{written(self.end)}"
  # At most {GRANT_DAYS} days after it was granted. Delete the file when it is used or has expired.
  expires: "{written(self.expires)}"
"""


def judged(catalog: Catalog, new: NewGrant) -> str:
    """What the validator says to the file in its place, as text; grants beside it are not judged."""
    with TemporaryDirectory(prefix="flameplane-") as folder:
        copy = Path(folder)
        (copy / FOLDER).mkdir()
        (copy / new.path).write_text(new.text, encoding="utf-8")
        findings = load_grants(copy, catalog, now=new.granted).findings
        return format_findings(findings, "text", copy)


def write(root: Path, new: NewGrant) -> None:
    """Write the file; raises ``FileExistsError`` rather than replace one."""
    target = root / new.path
    target.parent.mkdir(exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(new.text)

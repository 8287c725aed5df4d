"""A made-up organisation of any size: a services/ tree that validates clean, the same for the same size.

`python -m benchmarks.fleet FOLDER [SERVICES]` writes one to look at.
"""

import random
import sys
from pathlib import Path

from schemas.allowed import INJECTED_LANGUAGES, LANGUAGES, PROFILE_TYPES

PER_TEAM = 25  # services; the project's own teams have three, teams of a large fleet more
DOMAINS = ("billing", "catalog", "delivery", "fraud", "growth", "identity", "media", "pricing", "search", "support")
ROLES = ("api", "worker", "gateway", "indexer", "scheduler", "reporter", "importer", "cache", "rules", "sync")


def generate(root: Path, services: int) -> None:
    """Write ``root/services`` with that many services in at least four teams."""
    chance = random.Random(services)
    folder = root / "services"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "_org.yaml", ORGANISATION)
    teams = max(4, -(-services // PER_TEAM))
    names = [f"{DOMAINS[i % len(DOMAINS)]}-{i // len(DOMAINS) + 1}" for i in range(teams)]
    for team in names:
        _write(folder / team / "_team.yaml", _team(team, chance))
    for i in range(services):
        team = names[i % teams]
        name = f"{team}-{ROLES[i // teams % len(ROLES)]}-{i // teams // len(ROLES) + 1}"
        _write(folder / team / name / "service.yaml", _service(team, name, chance))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


ORGANISATION = """\
apiVersion: flameplane.dev/v1
kind: Organisation
metadata:
  name: fleet
spec:
  repositoryHosts: [git.example.com]
  excludedNamespaces: [vault]
  platformGroups: [platform-engineers]
  defaults:
    profiling:
      sampleRateHz: 99
    budget:
      monthlyUsd: 40
  limits:
    maxMonthlyUsd: 120
    gateModes: [enforce, warn]
"""


def _team(team: str, chance: random.Random) -> str:
    return f"""\
apiVersion: flameplane.dev/v1
kind: Team
metadata:
  name: {team}
  slack: "#{team}"
  owners: ["@fleet/{team}"]
spec:
  groups: [{team}-engineers]
  retention:
    fineDays: {chance.choice((30, 45))}
    downsampledDays: {chance.choice((60, 90))}
  defaults:
    profiling:
      sampleRateHz: {chance.choice((19, 49, 99))}
    gate:
      mode: {chance.choice(("enforce", "warn"))}
"""


def _service(team: str, name: str, chance: random.Random) -> str:
    language = chance.choice(LANGUAGES)
    known = PROFILE_TYPES[language]
    types = ["cpu", *chance.sample([t for t in known if t != "cpu"], chance.randint(0, min(2, len(known) - 1)))]
    source = "agent" if language in INJECTED_LANGUAGES and chance.random() < 0.3 else "ebpf"
    lines = [
        "# yaml-language-server: $schema=../../../schemas/service.v1.schema.json",
        "apiVersion: flameplane.dev/v1",
        "kind: Service",
        "metadata:",
        f"  name: {name}",
        f"  team: {team}",
        f"  repository: https://git.example.com/fleet/{name}",
        "spec:",
        f"  language: {{name: {language}}}",
        "  workload:",
        f"    namespace: {team}",
        "    selector:",
        f"      app.kubernetes.io/name: {name}",
        "  profiling:",
        f"    types: [{', '.join(types)}]",
        f"    cpuSource: {source}",
        "  source:",
        f"    ownPrefixes: [git.example.com/fleet/{name}]",
    ]
    if chance.random() < 0.6:
        lines += ["  requests:", f"    query: 'sum(rate(http_requests_total{{app=\"{name}\"}}[5m]))'"]
    if chance.random() < 0.4:
        lines += ["  gate:", f"    topN: {chance.randint(3, 10)}", "    windowMinutes: 10"]
    if chance.random() < 0.5:
        lines += ["  budget:", f"    monthlyUsd: {chance.randint(5, 100)}", f"    storedGb: {chance.randint(1, 10)}"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 200)

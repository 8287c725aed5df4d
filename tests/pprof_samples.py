"""Small pprof profiles, made and taken apart: stacks are tuples of function names, the leaf first."""

from collections.abc import Iterable, Mapping

from flameplane.wire import pyroscope_pb2 as wire

CPU = "process_cpu:cpu:nanoseconds:cpu:nanoseconds"
ALLOC = "memory:alloc_space:bytes:space:bytes"
INUSE = "memory:inuse_space:bytes:space:bytes"

Stacks = Mapping[tuple[str, ...], int]


def profile(stacks: Stacks, profile_type: str, time_ms: int) -> wire.Profile:
    """One profile of one type."""
    _, sample, unit, period, period_unit = profile_type.split(":")
    texts = ["", sample, unit, period, period_unit]
    index = {text: n for n, text in enumerate(texts)}
    made = wire.Profile(time_nanos=time_ms * 1_000_000, period=1)
    made.sample_type.append(wire.ValueType(type=index[sample], unit=index[unit]))
    made.period_type.CopyFrom(wire.ValueType(type=index[period], unit=index[period_unit]))
    made.mapping.append(wire.Mapping(id=1, has_functions=True))
    ids: dict[str, int] = {}
    for stack, value in stacks.items():
        for name in stack:
            if name not in ids:
                ids[name] = len(ids) + 1
                texts.append(name)
                made.function.append(wire.Function(id=ids[name], name=len(texts) - 1, system_name=len(texts) - 1))
                line = wire.Line(function_id=ids[name], line=1)
                made.location.append(wire.Location(id=ids[name], mapping_id=1, line=[line]))
        made.sample.append(wire.Sample(location_id=[ids[name] for name in stack], value=[value]))
    made.string_table.extend(texts)
    return made


def stacks_of(made: wire.Profile) -> tuple[str, dict[tuple[str, ...], int]]:
    """The type, without its name, and the stacks."""
    text = made.string_table
    kinds = (made.sample_type[0], made.period_type)
    names = {f.id: text[f.name] for f in made.function}
    places = {at.id: [names[line.function_id] for line in at.line] for at in made.location}
    found: dict[tuple[str, ...], int] = {}
    for sample in made.sample:
        stack = tuple(name for at in sample.location_id for name in places[at])
        found[stack] = found.get(stack, 0) + sample.value[0]
    return ":".join(text[n] for kind in kinds for n in (kind.type, kind.unit)), found


def merged(parts: Iterable[Stacks], profile_type: str, time_ms: int) -> wire.Profile:
    """The sum of several, as a backend answers it."""
    total: dict[tuple[str, ...], int] = {}
    for stacks in parts:
        for stack, value in stacks.items():
            total[stack] = total.get(stack, 0) + value
    return profile(total, profile_type, time_ms)

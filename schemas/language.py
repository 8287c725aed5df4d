"""Runtimes of services: `name` decides which other keys there are."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Model
from schemas.forms import Port


class Go(Model):
    """Go: profiles beyond CPU are scraped from net/http/pprof."""

    name: Literal["go"]
    pprof_port: Port = Field(
        default=6060, description="Go only: port of the pod that serves /debug/pprof.", examples=[6060]
    )


class Java(Model):
    """Java: async-profiler, injected into the pod."""

    name: Literal["java"]


class Node(Model):
    """Node.js: V8's profilers, injected into the pod."""

    name: Literal["node"]


class Python(Model):
    """Python: py-spy's engine, injected into the pod."""

    name: Literal["python"]


class Native(Model):
    """C, C++, Rust and everything else: the eBPF agent alone."""

    name: Literal["native"]


Language = Annotated[Go | Java | Node | Python | Native, Field(discriminator="name")]

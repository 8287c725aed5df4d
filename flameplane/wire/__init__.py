"""Messages as they go over the wire: the few of Pyroscope's and Prometheus' that our jobs send and read.

``*.proto`` name no field that is not used here; the numbers are those of the public definitions, which a test compares.
``*_pb2.py`` are generated, by the compiler that goes with the locked protobuf (grpcio-tools 1.71.0), from the project's
root: ``python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. flameplane/wire/*.proto``.
"""

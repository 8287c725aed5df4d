"""The object storage of environment local, with the keys that `flameplane local up` made: it really takes them.

Reached from the host by the Service's address. That nothing but Pyroscope may reach it is declared as a NetworkPolicy,
which this cluster does not enforce.
"""

import base64
import socket

import pytest
from platform_client import Platform
from s3 import Client

NAMESPACE = "--namespace=flameplane-backend"
BUCKET = "flameplane-profiles"
STORE_PORTS = (8888, 9333, 9340, 18888, 19333)  # SeaweedFS's own, where it answers anybody


@pytest.fixture(scope="module")
def keys(platform: Platform) -> tuple[str, str]:
    data = platform.get("secret", "object-storage", NAMESPACE)["data"]
    access_key, secret_key = (base64.b64decode(data[name]).decode() for name in ("access-key", "secret-key"))
    return access_key, secret_key


@pytest.fixture(scope="module")
def endpoint(platform: Platform) -> str:
    spec = platform.get("service", "object-storage", NAMESPACE)["spec"]
    return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"


def test_the_key_writes_reads_lists_and_deletes_in_its_bucket(endpoint: str, keys: tuple[str, str]) -> None:
    client = Client(endpoint, *keys)
    assert client.request("PUT", f"/{BUCKET}/tests/one", b"content")[0] == 200
    assert client.request("GET", f"/{BUCKET}/tests/one") == (200, b"content")
    status, listed = client.request("GET", f"/{BUCKET}")
    assert status == 200
    assert b"<Key>tests/one</Key>" in listed
    assert client.request("DELETE", f"/{BUCKET}/tests/one")[0] == 204
    assert client.request("GET", f"/{BUCKET}/tests/one")[0] == 404


def test_it_is_refused_elsewhere(endpoint: str, keys: tuple[str, str]) -> None:
    client = Client(endpoint, *keys)
    for method, path in (("PUT", "/other"), ("PUT", "/other/x"), ("GET", "/other"), ("DELETE", f"/{BUCKET}")):
        assert client.request(method, path, b"x" if path == "/other/x" else b"")[0] == 403, (method, path)


def test_nobody_else_is_let_in(endpoint: str, keys: tuple[str, str]) -> None:
    access_key, secret_key = keys
    anonymous = Client(endpoint)
    wrong_secret = Client(endpoint, access_key, "x" * len(secret_key))
    unknown = Client(endpoint, "x" * len(access_key), secret_key)
    for client, code in ((anonymous, b""), (wrong_secret, b"SignatureDoesNotMatch"), (unknown, b"InvalidAccessKeyId")):
        for method, path in (("GET", f"/{BUCKET}"), ("PUT", f"/{BUCKET}/tests/two"), ("GET", "/")):
            status, said = client.request(method, path, b"x" if method == "PUT" else b"")
            assert status == 403
            assert code in said


def test_the_open_ports_of_the_store_stay_inside_the_pod(platform: Platform) -> None:
    address = platform.get("pod", "object-storage-0", NAMESPACE)["status"]["podIP"]
    for port in STORE_PORTS:
        with pytest.raises(OSError), socket.create_connection((address, port), timeout=2):
            pass
    with socket.create_connection((address, 8333), timeout=2):
        pass


def test_the_keys_outlive_a_second_run(platform: Platform, keys: tuple[str, str]) -> None:
    platform.up()
    data = platform.get("secret", "object-storage", NAMESPACE)["data"]
    assert base64.b64decode(data["secret-key"]).decode() == keys[1]

"""A small S3 client that signs as AWS does (Signature Version 4), so that the tests need no SDK."""

import hashlib
import hmac
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Client:
    """Requests to one endpoint with one key pair; without one they are anonymous."""

    endpoint: str  # host:port
    access_key: str = ""
    secret_key: str = ""
    region: str = "us-east-1"

    def request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body. ``path`` is used as it is: names of the tests need no escaping."""
        now = datetime.now(UTC)
        digest = hashlib.sha256(body).hexdigest()
        headers = {"Host": self.endpoint, "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}", "X-Amz-Content-Sha256": digest}
        if self.access_key:
            headers["Authorization"] = self._authorization(method, path, headers, digest, f"{now:%Y%m%d}")
        request = urllib.request.Request(f"http://{self.endpoint}{path}", body or None, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _authorization(self, method: str, path: str, headers: dict[str, str], digest: str, day: str) -> str:
        names = sorted(headers, key=str.lower)
        signed = ";".join(name.lower() for name in names)
        lines = "".join(f"{name.lower()}:{headers[name]}\n" for name in names)
        canonical = "\n".join((method, path, "", lines, signed, digest))
        scope = f"{day}/{self.region}/s3/aws4_request"
        text = "\n".join(
            ("AWS4-HMAC-SHA256", headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
        )
        key = f"AWS4{self.secret_key}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.digest(key, part.encode(), "sha256")
        return f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, SignedHeaders={signed}, Signature={key.hex()}"

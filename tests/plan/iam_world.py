"""Who asks for what, and which recorded policies have a say in it: requests as the simulator wants them.

An object of an encrypted bucket is read or written only if S3 allows it and KMS does, so both are asked.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from flameplane.catalog import load_settings
from flameplane.plan import record

STRANGER: Final = "000011112222"
FOREIGN_ORGANISATION: Final = "o-zzzzzzzzzz"
FOREIGN_BUCKET: Final = "somebody-elses-bucket"
KEY_ID: Final = "1234abcd-12ab-34cd-56ef-1234567890ab"
EVERYTHING: Final = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
# Calls of S3 on objects, and the call to KMS that S3 makes for them.
_KMS: Final = {"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}
Document = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Request:
    """``who``: a service account, `deploy`, `account-admin`, `auditor`, `stranger`, `anonymous` or an AWS service.

    ``on``: bucket purpose and key as `profiles/blocks/1`, a purpose alone for the bucket or, in `kms:` actions, the
    key; `role/<account>` and `topic`. ``context`` replaces condition keys of a request from inside the VPC; None
    removes one. ``given`` are precautions that are thought away beforehand, ``by`` those that refuse: without them it
    is allowed. Each is the Sid of a statement of the resource's policy, or one of

    - `identity`: what the role may do; - `key`: the key's policy; - `endpoint`: the endpoint's;
    - `grant`: that the bucket opens itself to nobody; - `trust`: for whom a service may act.
    """

    who: str
    action: str
    on: str
    context: Mapping[str, str | None] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    stack: str = "prod"


class World:
    """The policies that one environment declares."""

    def __init__(self, root: Path, stack: str) -> None:
        settings = load_settings(root, stack).settings
        assert settings
        assert settings.cloud
        self.cloud, self.stack = settings.cloud, stack
        self._inputs = {(r.type.split(":")[-1], r.name): r.inputs for r in record(root, stack).resources if r.custom}

    def replace(self, inputs: Mapping[tuple[str, str], Document]) -> None:
        """Put other inputs in place of recorded ones, by kind and name."""
        self._inputs |= inputs

    def document(self, kind: str, name: str, key: str = "policy") -> Document:
        document: Document = json.loads(self._inputs[kind, name][key])
        return document

    def simulations(self, request: Request, without: Sequence[str] = ()) -> list[Document]:
        """What has to be allowed for the request to succeed. ``without``: precautions that are thought away."""
        gone = {*request.given, *without}
        if request.action.startswith("s3:"):
            bucket, _, key = request.on.partition("/")
            calls = [self._s3(request, bucket, key, gone)]
            if key and request.action in _KMS and ("Key", f"{bucket}-key") in self._inputs:
                calls.append(self._kms(request, _KMS[request.action], bucket, gone, through_s3=True))
            return calls
        if request.action.startswith("kms:"):
            return [self._kms(request, request.action, request.on, gone, through_s3=False)]
        if request.action.startswith("sts:"):
            account = request.on.removeprefix("role/")
            trust = self.document("Role", account, "assumeRolePolicy")
            return [self._simulation(request, self._role(account), trust, gone, {})]
        topic = f"arn:aws:sns:{self.cloud.region}:{self.cloud.account_id}:flameplane-notices-{self.stack}"
        return [self._simulation(request, topic, self.document("TopicPolicy", "notices"), gone, {})]

    def _s3(self, request: Request, bucket: str, key: str, gone: set[str]) -> Document:
        ours = ("BucketPolicy", bucket) in self._inputs
        name = self._inputs["Bucket", bucket]["bucket"] if ours else bucket
        document = self.document("BucketPolicy", bucket) if ours else _allowing_everybody(f"arn:aws:s3:::{name}")
        context = {
            "aws:SecureTransport": "true",
            "aws:SourceVpc": self.cloud.vpc.id,
            "aws:ResourceOrgID": self.cloud.organization_id if ours else FOREIGN_ORGANISATION,
        }
        arn = f"arn:aws:s3:::{name}/{key}" if key else f"arn:aws:s3:::{name}"
        simulation = self._simulation(request, arn, document, gone, context, owner="" if ours else STRANGER)
        inside = "aws:SourceVpc" in simulation["request"]["contextVariables"]
        if inside and "endpoint" not in gone:
            simulation["vpcEndpointPolicies"] = [{"name": "endpoint", "policy": self.document("VpcEndpoint", "s3")}]
        return simulation

    def _kms(self, request: Request, action: str, purpose: str, gone: set[str], *, through_s3: bool) -> Document:
        arn = f"arn:aws:kms:{self.cloud.region}:{self.cloud.account_id}:key/{KEY_ID}"
        document = self.document("Key", f"{purpose}-key")
        context: dict[str, str] = {}
        if through_s3:
            bucket = self._inputs["Bucket", purpose]["bucket"]
            context = {
                "kms:ViaService": f"s3.{self.cloud.region}.amazonaws.com",
                "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}",
            }
        if "key" in gone:
            document = {"Version": "2012-10-17", "Statement": [_statement("kms:*", "*")]}
        simulation = self._simulation(request, arn, document, gone - {"grant"}, context)
        if through_s3:  # made by S3, not by way of the endpoint
            simulation["request"]["action"] = action
            keys = simulation["request"]["contextVariables"]
            for name in [k for k in keys if k.startswith(("s3:", "aws:SourceVpc", "aws:SecureTransport"))]:
                del keys[name]
        return simulation

    def _simulation(
        self,
        request: Request,
        arn: str,
        document: Document,
        gone: set[str],
        context: Mapping[str, str],
        owner: str = "",
    ) -> Document:
        principal, about, identity = self._who(request.who)
        statements = [s for s in document["Statement"] if s.get("Sid") not in gone]
        if "grant" in gone:
            statements.append(_statement("s3:*", arn))
        if "trust" in gone:
            statements = [{"Effect": "Allow", "Principal": {"Service": request.who}, "Action": request.action}]
            if not request.action.startswith("sts:"):
                statements[0]["Resource"] = "*"
        merged = {**about, **context, **request.context}
        anonymous = request.who == "anonymous"
        policies = [EVERYTHING] if "identity" in gone else [] if "rights" in gone else identity
        return {
            "request": {
                "principal": principal,
                "action": request.action,
                "resource": {"resource": arn, "accountId": owner or self.cloud.account_id},
                "contextVariables": {k: v for k, v in merged.items() if v is not None},
            },
            "identityPolicies": [{"name": "own", "policy": p} for p in policies] if not anonymous else [],
            "serviceControlPolicies": [],
            "resourceControlPolicies": [],
            "resourcePolicy": {**document, "Statement": statements} if statements else None,
        }

    def _who(self, who: str) -> tuple[Any, dict[str, str], list[Document]]:
        """Principal, what AWS knows about it, and its identity policies; administrators have AdministratorAccess."""
        if who == "anonymous":
            return {"type": "Anonymous"}, {"aws:PrincipalIsAWSService": "false"}, []
        if who.endswith(".amazonaws.com"):
            return who, {"aws:PrincipalIsAWSService": "true", "aws:PrincipalServiceName": who}, []
        named = {
            "deploy": self.cloud.admin_role_arns[0],
            "account-admin": f"arn:aws:iam::{self.cloud.account_id}:role/account-admin",
            "auditor": next(iter(self.cloud.auditor_role_arns), ""),
            "stranger": f"arn:aws:iam::{STRANGER}:role/stranger",
        }
        arn = named.get(who) or self._role(who)
        identity = [EVERYTHING] if who in named else [self.document("RolePolicy", who)]
        account, role = arn.split(":")[4], arn.rpartition("/")[2]
        about = {
            "aws:PrincipalArn": arn,
            "aws:PrincipalAccount": account,
            "aws:PrincipalOrgID": FOREIGN_ORGANISATION if account == STRANGER else self.cloud.organization_id,
            "aws:PrincipalIsAWSService": "false",
        }
        return f"arn:aws:sts::{account}:assumed-role/{role}/session", about, identity

    def _role(self, account: str) -> str:
        return f"arn:aws:iam::{self.cloud.account_id}:role/{self._inputs['Role', account]['name']}"


def _statement(action: str, resource: str) -> Document:
    """A careless grant to everybody."""
    return {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}


def _allowing_everybody(arn: str) -> Document:
    return {"Version": "2012-10-17", "Statement": [_statement("s3:*", arn), _statement("s3:*", f"{arn}/*")]}

"""A REST API of API Gateway in front of a function: its authorizer and usage plan, its limits, its proxy events, its answers."""

import base64
import json
import re
import threading
import time
import urllib.parse
import uuid

from function import Throttled

LONGEST_BODY = 10 * 1024 * 1024
LONGEST_EVENT = 6 * 1024 * 1024


def event(method, path, headers, body):
    """A proxy event of payload version 1.0, as a stage called `v1` sends it."""
    path, _, query = path.partition("?")
    pairs = urllib.parse.parse_qsl(query, keep_blank_values=True)
    try:
        text, encoded = body.decode(), False
    except UnicodeDecodeError:
        text, encoded = base64.b64encode(body).decode(), True
    names = {name: headers[name] for name in headers}
    return {
        "resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": names,
        "multiValueHeaders": {name: headers.get_all(name) if hasattr(headers, "get_all") else [value] for name, value in names.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {name: [v for n, v in pairs if n == name] for name, _ in pairs} or None,
        "pathParameters": None, "stageVariables": None, "body": text if body else None, "isBase64Encoded": encoded,
        "requestContext": {
            "resourceId": "r", "resourcePath": path, "httpMethod": method, "path": f"/v1{path}", "stage": "v1", "apiId": "api",
            "accountId": "123456789012", "requestId": str(uuid.uuid4()), "protocol": "HTTP/1.1", "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": names.get("User-Agent", "")},
        },
    }


# The template's routes without an authorizer.
PUBLIC = re.compile(r"/(health/live|openapi\.json|docs|docs/errors/[^/]+)(\?.*)?")
METHOD = "arn:aws:execute-api:us-east-1:123456789012:api/v1"


class Plan:
    """A usage plan: for each of its keys a bucket of `burst` calls that fills with `rate` a second."""

    def __init__(self, rate, burst):
        self.rate, self.burst, self._left, self._lock = rate, burst, {}, threading.Lock()

    def takes(self, key):
        now = time.monotonic()
        with self._lock:
            left, at = self._left.get(key, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.rate)
            self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1


def turned_away(authorizer, plan, method, path, headers, body):
    """What a call is told that may not pass; None where it may."""
    if PUBLIC.fullmatch(path):
        return None
    asked = event(method, path, headers, body)
    asked = {"type": "REQUEST", "methodArn": f"{METHOD}/{method}{asked['path']}"} | {k: v for k, v in asked.items() if k not in ("body", "isBase64Encoded")}
    try:
        outcome, said = authorizer.invoke(asked)
    except Throttled:
        return 500, b'{"message":null}'
    said = json.loads(said)
    if outcome != "done":
        return (401, b'{"message":"Unauthorized"}') if said.get("errorMessage") == "Unauthorized" else (500, b'{"message":null}')
    allowed = [s for s in said["policyDocument"]["Statement"] if s["Effect"] == "Allow" and s["Action"] == "execute-api:Invoke" and s["Resource"] == asked["methodArn"]]
    if not allowed or not said["usageIdentifierKey"]:
        return 403, b'{"message":"Forbidden"}'
    return None if plan is None or plan.takes(said["usageIdentifierKey"]) else (429, b'{"message":"Too Many Requests"}')


def answer(function, method, path, headers, body):
    """Status, body and headers of what the client gets from the function."""
    if len(body) > LONGEST_BODY:
        return 413, b'{"message":"Request Too Long"}'
    asked = event(method, path, headers, body)
    if len(json.dumps(asked)) > LONGEST_EVENT:
        return 413, b'{"message":"Request Too Long"}'
    try:
        outcome, said = function.invoke(asked)
    except Throttled:
        return 429, b'{"message":"Too Many Requests"}'
    if outcome == "timed out":
        return 504, b'{"message":"Endpoint request timed out"}'
    if outcome != "done" or len(said) > LONGEST_EVENT:
        return 502, b'{"message":"Internal server error"}'
    said = json.loads(said)
    content = said.get("body") or ""
    content = base64.b64decode(content) if said.get("isBase64Encoded") else content.encode()
    heads = dict(said.get("headers") or {})
    heads.update({name: values[0] for name, values in (said.get("multiValueHeaders") or {}).items() if values})
    return said["statusCode"], content, heads

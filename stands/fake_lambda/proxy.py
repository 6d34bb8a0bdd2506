"""A REST API of API Gateway in front of a function: its limits, its proxy events, its answers."""

import base64
import json
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
        "multiValueHeaders": {name: [value] for name, value in names.items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": {name: [v for n, v in pairs if n == name] for name, _ in pairs} or None,
        "pathParameters": None, "stageVariables": None, "body": text if body else None, "isBase64Encoded": encoded,
        "requestContext": {
            "resourceId": "r", "resourcePath": path, "httpMethod": method, "path": f"/v1{path}", "stage": "v1", "apiId": "api",
            "accountId": "123456789012", "requestId": str(uuid.uuid4()), "protocol": "HTTP/1.1", "requestTimeEpoch": int(time.time() * 1000),
            "identity": {"sourceIp": "127.0.0.1", "userAgent": names.get("User-Agent", "")},
        },
    }


def answer(function, method, path, headers, body):
    """Status, body and headers of what the client gets."""
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

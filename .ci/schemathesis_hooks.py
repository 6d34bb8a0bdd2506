"""What Schemathesis has to be told about this API: how bodies of data are sent, and that answers of data are bytes."""

import schemathesis

DATA = ("application/x-ndjson", "application/vnd.apache.arrow.stream", "application/vnd.apache.parquet")


@schemathesis.serializer(*DATA, "text/csv")
def as_it_is(_, value):
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.deserializer(*DATA, "application/octet-stream")
def as_bytes(_, response):
    return response.content.decode("latin-1")

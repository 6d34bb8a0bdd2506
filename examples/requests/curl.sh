#!/usr/bin/env bash
# Every call of the API that is built, with curl. Start the server first, from the root of the project:
#
#     cargo run --release -- serve --allow examples
#     examples/requests/curl.sh
#
# CAUDAL_URL says where the server is; the downloads go to a folder that is removed at the end.
set -euo pipefail

url=${CAUDAL_URL:-http://127.0.0.1:8080}
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

call() { # prints the request, then the answer with its headers; fails on an HTTP error
    printf '\n$ curl %s\n' "$*"
    curl --silent --show-error --fail-with-body --dump-header - "$@"
    echo
}

refused() { # the same for a request that must be refused: expects the status given first
    local expected=$1 status
    shift
    printf '\n$ curl %s\n' "$*"
    status=$(curl --silent --show-error --output "$folder/problem.json" --write-out '%{http_code}' "$@")
    cat "$folder/problem.json"
    echo
    [ "$status" = "$expected" ] || { echo "expected status $expected, found $status" >&2; exit 1; }
}

# Is it there, and can it work?
call "$url/health/live"
call "$url/health/ready"
call --output "$folder/openapi.json" "$url/openapi.json"

# The shortest request: submits and waits for the final response.
call -H 'Content-Type: application/json' --data '{"data": [1, 2, 3]}' "$url/process"

# Numbers from a file, with a missing value; waits ten seconds at most.
call -H 'Content-Type: application/json' -H 'Prefer: wait=10' --data-binary "@$here/inline.json" "$url/process"

# A file that the server can read, every setting given; does not wait: 202 and where to look.
curl --silent --show-error --fail-with-body --output "$folder/accepted.json" --dump-header "$folder/headers" \
    -H 'Content-Type: application/json' -H 'Prefer: respond-async' --data-binary "@$here/process.json" "$url/process"
cat "$folder/headers" "$folder/accepted.json"
job=$(tr -d '\r' <"$folder/headers" | sed -n 's/^[Ll]ocation: .*\/jobs\///p')
[ -n "$job" ] || { echo "the answer has no Location header" >&2; exit 1; }

# Its state, until it has ended.
for _ in $(seq 100); do
    status=$(curl --silent --show-error --fail-with-body "$url/jobs/$job")
    state=$(tr ',' '\n' <<<"$status" | sed -n 's/.*"status": *"\([a-z_]*\)".*/\1/p' | head -n 1)
    echo "job $job is $state"
    case $state in completed | failed | cancelled) break ;; esac
    sleep 0.2
done
call "$url/jobs/$job"
call "$url/jobs/$job/result"

# All jobs, the newest first; only the completed ones.
call "$url/jobs?limit=5"
call "$url/jobs?status=completed&limit=2"

# The normalised data in each of the five forms.
download() {
    call --output "$folder/normalized.$2" -H "Accept: $1" "$url/jobs/$job/data"
    ls -l "$folder/normalized.$2"
}
download application/vnd.apache.parquet parquet
download application/vnd.apache.arrow.stream arrow
download application/x-ndjson ndjson
download application/json json
download text/csv csv
head -n 3 "$folder/normalized.csv"

# What a refusal looks like: RFC 9457 problem details, one pointer for each fault.
refused 422 -H 'Content-Type: application/json' \
    --data '{"data": [1, "abc", [2]], "normalization": "zcore"}' "$url/process"
refused 400 -H 'Content-Type: application/json' --data '{"data": [1, 2' "$url/process"
refused 404 "$url/jobs/00000000-0000-7000-8000-000000000000"

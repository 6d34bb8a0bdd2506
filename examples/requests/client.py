#!/usr/bin/env python3
"""A client written against docs/contract.md with the standard library alone: submit, wait, poll, print.

    examples/requests/client.py                                   # sends requests/process.json
    examples/requests/client.py my_request.json --save out.parquet
    echo '{"data": [1, 2, 3]}' | examples/requests/client.py -

CAUDAL_URL says where the server is (http://127.0.0.1:8080 when it is not set).
"""

import argparse
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request

PROCESS = pathlib.Path(__file__).with_name("process.json")
FINAL = ("completed", "failed", "cancelled")
SHOWN = ("count", "missing", "mean", "std_dev", "min", "median", "max", "skewness", "kurtosis", "distinct")


class Refused(Exception):
    """A problem+json answer."""

    def __init__(self, status, problem):
        lines = [f"{status} {problem.get('title', '')}: {problem.get('detail', '')}"]
        lines += [f"  {fault['pointer']}: {fault['detail']}" for fault in problem.get("errors", [])]
        super().__init__("\n".join(lines))
        self.status = status


class Caudal:
    """The calls of the API that a job needs."""

    def __init__(self, url, timeout=60.0):
        self.url = url.rstrip("/")
        self.timeout = timeout

    def call(self, path, body=None, **headers):
        """One call; answers (status, headers, bytes). Raises Refused for 4xx and 5xx."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        # Location may be a path or a whole address.
        address = path if "://" in path else self.url + path
        request = urllib.request.Request(address, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            raise Refused(error.code, read_problem(error)) from None

    def submit(self, body, wait=25):
        """Sends a job; answers its final response, or polls for it when the wait was too short."""
        status, headers, answer = self.call("/process", body, Content_Type="application/json", Prefer=f"wait={wait}")
        if status != 202:
            return json.loads(answer)
        return self.poll(headers["Location"])

    def poll(self, job_path, first_pause=0.05, longest_pause=2.0):
        """Asks for the state, less and less often, until the job has ended; answers its result."""
        pause = first_pause
        while True:
            state = json.loads(self.call(job_path)[2])
            print(f"job {state['job_id']} is {state['status']}", file=sys.stderr)
            if state["status"] in FINAL:
                return json.loads(self.call(job_path + "/result")[2])
            time.sleep(pause)
            pause = min(2 * pause, longest_pause)

    def data(self, job_id, media_type):
        """The normalised data as bytes."""
        return self.call(f"/jobs/{job_id}/data", Accept=media_type)[2]


def read_problem(error):
    """The problem details of an answer, or what there is instead of them."""
    text = error.read().decode("utf-8", "replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"title": error.reason, "detail": text[:200]}


def show(response):
    """Prints the statistics of every column, and how the two pipelines compare."""
    pipelines = response["spark_processing"]
    found = next(p for p in (pipelines["rdd_results"], pipelines["dataframe_results"]) if p["status"] == "completed")
    for name, column in found["columns"].items():
        print(name)
        for statistic in SHOWN:
            value = column["percentiles"]["p50"] if statistic == "median" else column[statistic]
            print(f"  {statistic:<9} {'none' if value is None else value}")
    if pipelines["agreement"] is not None:
        print(f"rdd {pipelines['rdd_time']:.3f} s, dataframe {pipelines['dataframe_time']:.3f} s, "
              f"{'in agreement' if pipelines['agreement'] else 'NOT in agreement'}")
    print(f"normalised data: {response['s3_paths']['normalized_data']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("request", nargs="?", default=str(PROCESS), help="a file with a request, or - for stdin")
    parser.add_argument("--save", metavar="FILE", help="download the normalised data as Parquet")
    parser.add_argument("--wait", type=int, default=25, metavar="SECONDS", help="how long /process may wait")
    chosen = parser.parse_args()
    caudal = Caudal(os.environ.get("CAUDAL_URL", "http://127.0.0.1:8080"))
    body = sys.stdin.buffer.read() if chosen.request == "-" else pathlib.Path(chosen.request).read_bytes()
    try:
        response = caudal.submit(body, chosen.wait)
        if response["status"] != "completed":
            sys.exit(f"the job {response['status']}: {json.dumps(response.get('error'))}")
        show(response)
        if chosen.save:
            data = caudal.data(response["job_id"], "application/vnd.apache.parquet")
            pathlib.Path(chosen.save).write_bytes(data)
    except Refused as refused:
        sys.exit(str(refused))
    except urllib.error.URLError as error:
        sys.exit(f"no answer from {caudal.url}: {error.reason}; start the server with "
                 "`cargo run --release -- serve --allow examples`")


if __name__ == "__main__":
    main()

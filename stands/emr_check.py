"""Checks the EMR stand-in with Amazon's own clients: two hundred submissions under throttling and lost replies, and real Spark.

Usage: emr_check.py [--sdk PROGRAM] [SPARK_SUBMIT]; needs botocore. PROGRAM is that of emr_sdk, which does the same with the
SDK for Rust. With a spark-submit it also runs Spark's own example on both services.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import time
import uuid

import botocore.config
import botocore.exceptions
import botocore.session

HERE = pathlib.Path(__file__).parent
FINAL = {"COMPLETED", "FAILED", "CANCELLED", "SUCCESS"}


def stand(spark_submit, *options):
    process = subprocess.Popen(
        [sys.executable, HERE / "fake_emr", "--spark-submit", spark_submit, "--step-seconds", "0.01", *options],
        stdout=subprocess.PIPE, text=True,
    )
    return process, re.search(r"http://\S+", process.stdout.readline())[0]


def client(service, url, attempts=1):
    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    config = botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"}, read_timeout=10)
    return session.create_client(service, "us-east-1", endpoint_url=url, config=config)


def again(call, **arguments):
    """Calls until the service answers; what was applied and not told is applied again."""
    while True:
        try:
            return call(**arguments)
        except botocore.exceptions.ConnectionClosedError:
            continue
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ThrottlingException":
                raise


def step(name, *arguments):
    return {"Name": name, "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "command-runner.jar", "Args": ["spark-submit", *arguments]}}


def cluster_of(emr, concurrency=4):
    return again(emr.run_job_flow, Name="c", ReleaseLabel="emr-6.15.0", StepConcurrencyLevel=concurrency,
                 Instances={"KeepJobFlowAliveWhenNoSteps": True})["JobFlowId"]


def all_steps(emr, cluster):
    found, marker = [], {}
    while True:
        page = again(emr.list_steps, ClusterId=cluster, **marker)
        found += page["Steps"]
        if "Marker" not in page:
            return found
        marker = {"Marker": page["Marker"]}


def add_once(emr, cluster, wanted):
    """As a launcher has to: after an ambiguous reply the steps are listed by name before one is added again."""
    while True:
        try:
            return emr.add_job_flow_steps(JobFlowId=cluster, Steps=[wanted])["StepIds"][0]
        except botocore.exceptions.ConnectionClosedError:
            same = [s["Id"] for s in all_steps(emr, cluster) if s["Name"] == wanted["Name"]]
            if same:
                return same[0]
        except botocore.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "ThrottlingException":
                raise


def a_hundred_steps(emr):
    cluster = cluster_of(emr)
    expected = {f"caudal-{i}": "FAILED" if i % 7 == 0 else "COMPLETED" for i in range(100)}
    for name, end in expected.items():
        add_once(emr, cluster, step(name, "-c", "exit 1" if end == "FAILED" else "exit 0"))
    steps = wait(lambda: all_steps(emr, cluster), lambda found: all(s["Status"]["State"] in FINAL for s in found))
    assert {s["Name"]: s["Status"]["State"] for s in steps} == expected and len(steps) == 100


def a_hundred_runs(serverless):
    application = again(serverless.create_application, releaseLabel="emr-6.15.0", type="SPARK", clientToken=str(uuid.uuid4()))["applicationId"]
    expected = {}
    for i in range(100):
        driver = {"sparkSubmit": {"entryPoint": "-c", "entryPointArguments": ["exit 1" if i % 7 == 0 else "exit 0"]}}
        run = again(serverless.start_job_run, applicationId=application, clientToken=f"caudal-{i}", executionRoleArn="arn:aws:iam::123456789012:role/r",
                    name=f"caudal-{i}", jobDriver=driver)["jobRunId"]
        expected[run] = "FAILED" if i % 7 == 0 else "SUCCESS"
    assert len(expected) == 100
    states = lambda: {run: again(serverless.get_job_run, applicationId=application, jobRunId=run)["jobRun"]["state"] for run in expected}
    assert wait(states, lambda found: set(found.values()) <= FINAL) == expected


def tokens_and_refusals(emr, serverless):
    application = serverless.create_application(releaseLabel="emr-6.15.0", type="SPARK", clientToken="x")["applicationId"]
    start = dict(applicationId=application, clientToken="t", executionRoleArn="arn:aws:iam::123456789012:role/r",
                 jobDriver={"sparkSubmit": {"entryPoint": "-c", "entryPointArguments": ["sleep 60"]}})
    run = serverless.start_job_run(**start)["jobRunId"]
    assert serverless.start_job_run(**start)["jobRunId"] == run, "a token makes a run once"
    refused("ConflictException", serverless.start_job_run, **{**start, "name": "another"})
    serverless.cancel_job_run(applicationId=application, jobRunId=run)
    state = lambda: serverless.get_job_run(applicationId=application, jobRunId=run)["jobRun"]["state"]
    assert wait(state, lambda s: s in FINAL) == "CANCELLED"
    refused("ResourceNotFoundException", serverless.get_job_run, applicationId=application, jobRunId="0")
    refused("InvalidRequestException", emr.describe_cluster, ClusterId="j-none")
    cluster = cluster_of(emr, 1)
    first, second = emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step("a", "-c", "sleep 60"), step("b", "-c", "exit 0")])["StepIds"]
    emr.cancel_steps(ClusterId=cluster, StepIds=[first])
    state = lambda: [emr.describe_step(ClusterId=cluster, StepId=s)["Step"]["Status"]["State"] for s in (first, second)]
    assert wait(state, lambda found: set(found) <= FINAL) == ["CANCELLED", "COMPLETED"]
    emr.terminate_job_flows(JobFlowIds=[cluster])
    refused("ValidationException", emr.add_job_flow_steps, JobFlowId=cluster, Steps=[step("c")])


def refused(kind, call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] == kind, error
        return
    raise AssertionError(f"{kind} was expected")


def real_spark(emr, serverless, example):
    pi = ["--master", "local[1]", "--conf", "spark.ui.enabled=false", example, "2"]
    cluster = cluster_of(emr)
    emr.add_job_flow_steps(JobFlowId=cluster, Steps=[step("pi", *pi)])
    assert wait(lambda: all_steps(emr, cluster)[0]["Status"]["State"], lambda s: s in FINAL, 120) == "COMPLETED"
    application = serverless.create_application(releaseLabel="emr-6.15.0", type="SPARK", clientToken="pi")["applicationId"]
    driver = {"sparkSubmit": {"entryPoint": example, "entryPointArguments": ["2"], "sparkSubmitParameters": " ".join(pi[:4])}}
    run = serverless.start_job_run(applicationId=application, clientToken="pi", executionRoleArn="arn:aws:iam::123456789012:role/r", jobDriver=driver)["jobRunId"]
    state = lambda: serverless.get_job_run(applicationId=application, jobRunId=run)["jobRun"]
    ended = wait(state, lambda r: r["state"] in FINAL, 120)
    assert ended["state"] == "SUCCESS" and ended["billedResourceUtilization"]["vCPUHour"] >= 4 / 60 - 0.001, ended


def wait(read, done, seconds=60):
    begun = time.monotonic()
    while not done(found := read()):
        assert time.monotonic() - begun < seconds, found
        time.sleep(0.2)
    return found


def main():
    process, url = stand("/bin/sh", "--slots", "4")
    tokens_and_refusals(client("emr", url), client("emr-serverless", url))
    process.terminate()
    print("client tokens, cancellation and refusals are the services'")
    process, url = stand("/bin/sh", "--slots", "4", "--throttle", "0.5", "--drop", "0.1", "--seed", "7")
    a_hundred_steps(client("emr", url))
    a_hundred_runs(client("emr-serverless", url))
    process.terminate()
    print("200 submissions, half of all calls throttled and a tenth of the replies lost: 0 wrong final states, none doubled")
    asked = argparse.ArgumentParser()
    asked.add_argument("--sdk")
    asked.add_argument("spark_submit", nargs="?")
    asked = asked.parse_args()
    if asked.sdk:
        process, url = stand("/bin/sh", "--slots", "4", "--throttle", "0.5", "--drop", "0.1", "--seed", "9")
        subprocess.run([asked.sdk, url], check=True, timeout=180)
        process.terminate()
    else:
        print("skipped: the SDK for Rust was not given")
    if asked.spark_submit:
        example = next(pathlib.Path(asked.spark_submit).parent.parent.glob("examples/src/main/python/pi.py"))
        process, url = stand(asked.spark_submit)
        real_spark(client("emr", url), client("emr-serverless", url), str(example))
        process.terminate()
        print("Spark's own example ran on both services through real spark-submit")
    else:
        print("skipped: no spark-submit was given, so none ran")


if __name__ == "__main__":
    main()

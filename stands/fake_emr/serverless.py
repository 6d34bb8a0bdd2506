"""EMR Serverless: applications and job runs, idempotent by client token."""

import re
import shlex
import threading
import time
import uuid

from problems import Problem

VCPU, MEMORY_GB, BILLED_AT_LEAST = 4, 16, 60
FINAL = ("SUCCESS", "FAILED", "CANCELLED")


class Applications:
    def __init__(self, runner, events, lock, step_seconds):
        self._runner, self._events, self._lock, self._step_seconds = runner, events, lock, step_seconds
        self._applications, self._runs, self._tokens = {}, {}, {}

    def call(self, method, path, query, request):
        if path == "/applications":
            return self._create(request) if method == "POST" else {"applications": list(self._applications.values())}
        parts = re.fullmatch(r"/applications/([^/]+)(?:/(jobruns|start|stop))?(?:/([^/]+))?", path)
        if not parts:
            raise Problem("ValidationException", f"there is no {method} {path}")
        application = self._applications.get(parts[1])
        if application is None:
            raise Problem("ResourceNotFoundException", f"Application {parts[1]} does not exist", 404)
        if parts[2] in ("start", "stop"):
            application["state"] = "STARTED" if parts[2] == "start" else "STOPPED"
            return {}
        if parts[2] is None:
            return {"application": application}
        return self._job_runs(method, application, parts[3], query, request)

    def _job_runs(self, method, application, identifier, query, request):
        if identifier is None:
            return self._start(application, request) if method == "POST" else self._list(application, query)
        run = self._runs.get((application["applicationId"], identifier))
        if run is None:
            raise Problem("ResourceNotFoundException", f"Job run {identifier} does not exist", 404)
        if method == "DELETE":
            return self._cancel(run)
        return {"jobRun": {key: value for key, value in run.items() if not key.startswith("_")}}

    def _create(self, request):
        if token := request.get("clientToken"):
            if token in self._tokens:
                return self._tokens[token][1]
        identifier = uuid.uuid4().hex[:16]
        arn = f"arn:aws:emr-serverless:us-east-1:123456789012:/applications/{identifier}"
        now = time.time()
        self._applications[identifier] = {
            "applicationId": identifier, "name": request.get("name", ""), "arn": arn, "releaseLabel": request["releaseLabel"],
            "type": request["type"], "state": "CREATED", "createdAt": now, "updatedAt": now,
        }
        answer = {"applicationId": identifier, "arn": arn, "name": request.get("name", "")}
        self._tokens[token] = (request, answer)
        return answer

    def _start(self, application, request):
        """The same token and request give the same run; the same token and another request is a conflict."""
        for field in ("clientToken", "executionRoleArn"):
            if not request.get(field):
                raise Problem("ValidationException", f"{field} must not be empty")
        key = (application["applicationId"], request["clientToken"])
        if key in self._tokens:
            before, answer = self._tokens[key]
            if before != request:
                raise Problem("ConflictException", "A job run with this client token and other parameters exists", 409)
            return answer
        run = self._new_run(application, request)
        answer = {field: run[field] for field in ("applicationId", "jobRunId", "arn")}
        self._tokens[key] = (request, answer)
        self._runs[run["applicationId"], run["jobRunId"]] = run
        threading.Thread(target=self._live, args=[run], daemon=True).start()
        return answer

    @staticmethod
    def _new_run(application, request):
        identifier, now = uuid.uuid4().hex[:16], time.time()
        monitoring = request.get("configurationOverrides", {}).get("monitoringConfiguration", {}).get("s3MonitoringConfiguration", {})
        logs = f"{monitoring.get('logUri', '').rstrip('/')}/applications/{application['applicationId']}/jobs/{identifier}/SPARK_DRIVER"
        return {
            "applicationId": application["applicationId"], "jobRunId": identifier, "name": request.get("name", ""),
            "arn": f"{application['arn']}/jobruns/{identifier}", "createdBy": "arn:aws:iam::123456789012:user/caudal",
            "createdAt": now, "updatedAt": now, "executionRole": request["executionRoleArn"], "state": "SUBMITTED",
            "stateDetails": "", "releaseLabel": application["releaseLabel"], "jobDriver": request["jobDriver"],
            "attempt": 1, "_logs": logs, "_timeout": 60 * request.get("executionTimeoutMinutes", 720),
        }

    def _list(self, application, query):
        """Newest first; by state where that is asked for."""
        states, begin = query.get("states"), int(query.get("nextToken", ["0"])[0])
        size = int(query.get("maxResults", ["50"])[0])
        runs = [run for run in reversed(self._runs.values()) if run["applicationId"] == application["applicationId"]]
        runs = [run for run in runs if not states or run["state"] in states]
        fields = ("applicationId", "jobRunId", "name", "arn", "createdBy", "createdAt", "updatedAt", "executionRole", "state", "stateDetails", "releaseLabel")
        shown = [dict({field: run[field] for field in fields}, id=run["jobRunId"]) for run in runs[begin : begin + size]]
        more = {"nextToken": str(begin + size)} if begin + size < len(runs) else {}
        return {"jobRuns": shown, **more}

    def _cancel(self, run):
        if run["state"] in FINAL:
            raise Problem("ValidationException", f"Job run {run['jobRunId']} is {run['state']}")
        run["state"] = "CANCELLING"
        return {"applicationId": run["applicationId"], "jobRunId": run["jobRunId"]}

    def _live(self, run):
        """One job run from its submission to its end."""
        cancelled = lambda: run["state"] == "CANCELLING"
        for state in ("PENDING", "SCHEDULED", "RUNNING"):
            time.sleep(self._step_seconds)
            with self._lock:
                if not cancelled():
                    self._enter(run, state)
        driver, begun = run["jobDriver"]["sparkSubmit"], time.time()
        arguments = [*shlex.split(driver.get("sparkSubmitParameters") or ""), driver["entryPoint"], *driver.get("entryPointArguments", [])]
        code = self._runner.run(run["jobRunId"], arguments, cancelled, run["_logs"], run["_timeout"])
        seconds = time.time() - begun
        with self._lock:
            billed = max(BILLED_AT_LEAST, seconds) / 3600
            run["totalExecutionDurationSeconds"] = int(seconds) + 1
            run["billedResourceUtilization"] = {"vCPUHour": round(VCPU * billed, 3), "memoryGBHour": round(MEMORY_GB * billed, 3), "storageGBHour": 0.0}
            run["totalResourceUtilization"] = {"vCPUHour": round(VCPU * seconds / 3600, 3), "memoryGBHour": round(MEMORY_GB * seconds / 3600, 3), "storageGBHour": 0.0}
            if code not in (0, None):
                run["stateDetails"] = f"Job failed, please check the logs in {run['_logs']}"
            self._enter(run, "CANCELLED" if code is None else "SUCCESS" if code == 0 else "FAILED")

    def _enter(self, run, state):
        before, run["state"], run["updatedAt"] = run["state"], state, time.time()
        detail = {"jobRunId": run["jobRunId"], "applicationId": run["applicationId"], "jobRunName": run["name"], "releaseLabel": run["releaseLabel"],
                  "arn": run["arn"], "previousState": before, "state": state}
        self._events.emit("aws.emr-serverless", "EMR Serverless Job Run State Change", detail)

"""EMR on EC2: clusters and their steps. It has no client tokens, so a field that asks for one is refused."""

import threading
import time
import uuid

from problems import Problem

ACTIVE_STEPS = 256
PAGE = 50
STEP_FIELDS = {"Name", "ActionOnFailure", "HadoopJarStep", "ExecutionRoleArn"}
ENDING = ("TERMINATING", "TERMINATED", "TERMINATED_WITH_ERRORS")


def identity(prefix):
    return prefix + uuid.uuid4().hex[:13].upper()


class Cluster:
    def __init__(self, request):
        instances = request.get("Instances", {})
        self.id, self.name = identity("j-"), request["Name"]
        self.release = request.get("ReleaseLabel", "emr-6.15.0")
        self.logs = request.get("LogUri", "")
        self.stays = instances.get("KeepJobFlowAliveWhenNoSteps", False)
        self.concurrency = request.get("StepConcurrencyLevel", 1)
        self.state, self.reason, self.created, self.steps = "STARTING", {}, time.time(), []

    def view(self):
        status = {"State": self.state, "StateChangeReason": self.reason, "Timeline": {"CreationDateTime": self.created}}
        return {"Id": self.id, "Name": self.name, "ReleaseLabel": self.release, "Status": status,
                "Applications": [{"Name": "Spark"}], "StepConcurrencyLevel": self.concurrency}

    def waiting(self):
        return [step for step in self.steps if step["Status"]["State"] == "PENDING"]

    def running(self):
        return [step for step in self.steps if step["Status"]["State"] in ("RUNNING", "CANCEL_PENDING")]


class Clusters:
    def __init__(self, runner, events, lock, step_seconds):
        self._runner, self._events, self._lock, self._step_seconds = runner, events, lock, step_seconds
        self._clusters = {}

    def call(self, operation, request):
        operations = {
            "RunJobFlow": self._run_job_flow, "AddJobFlowSteps": self._add_steps, "DescribeStep": self._describe_step,
            "ListSteps": self._list_steps, "CancelSteps": self._cancel_steps, "DescribeCluster": self._describe,
            "ListClusters": self._list, "TerminateJobFlows": self._terminate,
        }
        if operation not in operations:
            raise Problem("UnknownOperationException", operation)
        if token := [field for field in request if "token" in field.lower()]:
            raise Problem("ValidationException", f"Unknown parameter: {token[0]}")
        return operations[operation](request)

    def _cluster(self, identifier):
        if identifier not in self._clusters:
            raise Problem("InvalidRequestException", f"Cluster id '{identifier}' is not valid.")
        return self._clusters[identifier]

    def _run_job_flow(self, request):
        cluster = Cluster(request)
        self._clusters[cluster.id] = cluster
        for step in request.get("Steps", []):
            self._add(cluster, step)
        threading.Thread(target=self._live, args=[cluster], daemon=True).start()
        return {"JobFlowId": cluster.id, "ClusterArn": f"arn:aws:elasticmapreduce:us-east-1:123456789012:cluster/{cluster.id}"}

    def _add_steps(self, request):
        cluster = self._cluster(request["JobFlowId"])
        if cluster.state in ENDING:
            raise Problem("ValidationException", "A job flow that is shutting down, terminated, or finished may not be modified.")
        active = len(cluster.waiting()) + len(cluster.running())
        if active + len(request["Steps"]) > ACTIVE_STEPS:
            raise Problem("ValidationException", "Maximum number of active steps(State = 'Running', 'Pending' or 'Cancel_Pending') for cluster exceeded.")
        return {"StepIds": [self._add(cluster, step) for step in request["Steps"]]}

    @staticmethod
    def _add(cluster, step):
        if unknown := set(step) - STEP_FIELDS:
            raise Problem("ValidationException", f"Unknown parameter in a step: {sorted(unknown)[0]}")
        status = {"State": "PENDING", "StateChangeReason": {}, "Timeline": {"CreationDateTime": time.time()}}
        jar = step["HadoopJarStep"]
        config = {"Jar": jar["Jar"], "Properties": {}, "Args": jar.get("Args", [])}
        added = {"Id": identity("s-"), "Name": step["Name"], "Config": config, "Status": status,
                 "ActionOnFailure": step.get("ActionOnFailure", "CONTINUE")}
        cluster.steps.append(added)
        return added["Id"]

    def _describe_step(self, request):
        steps = self._cluster(request["ClusterId"]).steps
        found = [step for step in steps if step["Id"] == request["StepId"]]
        if not found:
            raise Problem("InvalidRequestException", f"Step id '{request['StepId']}' is not valid.")
        return {"Step": found[0]}

    def _list_steps(self, request):
        """Newest first, fifty to a page."""
        states, begin = request.get("StepStates"), int(request.get("Marker") or 0)
        steps = [s for s in reversed(self._cluster(request["ClusterId"]).steps) if not states or s["Status"]["State"] in states]
        answer = {"Steps": steps[begin : begin + PAGE]}
        if begin + PAGE < len(steps):
            answer["Marker"] = str(begin + PAGE)
        return answer

    def _cancel_steps(self, request):
        answers = []
        for step in self._cluster(request["ClusterId"]).steps:
            if step["Id"] not in request["StepIds"]:
                continue
            state = step["Status"]["State"]
            if state == "PENDING":
                self._enter(self._cluster(request["ClusterId"]), step, "CANCELLED")
            elif state == "RUNNING":
                step["Status"]["State"] = "CANCEL_PENDING"
            cancellable = state in ("PENDING", "RUNNING")
            answers.append({"StepId": step["Id"], "Status": "SUBMITTED" if cancellable else "FAILED"})
        return {"CancelStepsInfoList": answers}

    def _describe(self, request):
        return {"Cluster": self._cluster(request["ClusterId"]).view()}

    def _list(self, request):
        states = request.get("ClusterStates")
        return {"Clusters": [c.view() for c in reversed(self._clusters.values()) if not states or c.state in states]}

    def _terminate(self, request):
        for identifier in request["JobFlowIds"]:
            cluster = self._cluster(identifier)
            if cluster.state not in ENDING:
                cluster.state, cluster.reason = "TERMINATING", {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
        return {}

    def _live(self, cluster):
        """One cluster from its start to its end."""
        for state in ("BOOTSTRAPPING", "RUNNING"):
            time.sleep(self._step_seconds)
            with self._lock:
                if cluster.state not in ENDING:
                    cluster.state = state
        while True:
            with self._lock:
                if cluster.state in ENDING:
                    break
                for step in cluster.waiting()[: max(0, cluster.concurrency - len(cluster.running()))]:
                    self._enter(cluster, step, "RUNNING")
                    threading.Thread(target=self._work, args=[cluster, step], daemon=True).start()
                busy = bool(cluster.running())
                cluster.state = "RUNNING" if busy else "WAITING"
                if not busy and not cluster.waiting() and not cluster.stays:
                    cluster.state, cluster.reason = "TERMINATING", {"Code": "ALL_STEPS_COMPLETED", "Message": "Steps completed"}
            time.sleep(0.02)
        time.sleep(self._step_seconds)
        with self._lock:
            for step in cluster.waiting():
                self._enter(cluster, step, "CANCELLED")
            if cluster.state == "TERMINATING":
                cluster.state = "TERMINATED"

    def _work(self, cluster, step):
        status = step["Status"]
        arguments = step["Config"]["Args"]
        is_spark = step["Config"]["Jar"] == "command-runner.jar" and arguments[:1] == ["spark-submit"]
        given_up = lambda: status["State"] == "CANCEL_PENDING" or cluster.state in ENDING
        logs = f"{cluster.logs.rstrip('/')}/{cluster.id}/steps/{step['Id']}"
        code = self._runner.run(step["Id"], arguments[1:], given_up, logs) if is_spark else 1
        with self._lock:
            if code not in (0, None):
                status["FailureDetails"] = {"Reason": "Unknown Error.", "LogFile": f"{logs}/stderr.gz"}
            self._enter(cluster, step, "CANCELLED" if code is None else "COMPLETED" if code == 0 else "FAILED")
            if code not in (0, None):
                self._after_failure(cluster, step)

    def _after_failure(self, cluster, step):
        if step["ActionOnFailure"] in ("TERMINATE_CLUSTER", "TERMINATE_JOB_FLOW"):
            cluster.state, cluster.reason = "TERMINATED_WITH_ERRORS", {"Code": "STEP_FAILURE", "Message": "Shut down as step failed"}
        elif step["ActionOnFailure"] == "CANCEL_AND_WAIT":
            for other in cluster.waiting():
                self._enter(cluster, other, "CANCELLED")

    def _enter(self, cluster, step, state):
        status = step["Status"]
        status["State"] = state
        status["Timeline"]["StartDateTime" if state == "RUNNING" else "EndDateTime"] = time.time()
        detail = {"severity": "ERROR" if state == "FAILED" else "INFO", "actionOnFailure": step["ActionOnFailure"], "stepId": step["Id"],
                  "name": step["Name"], "clusterId": cluster.id, "state": state, "message": f"Step {step['Id']} is {state}"}
        self._events.emit("aws.emr", "EMR Step Status Change", detail)

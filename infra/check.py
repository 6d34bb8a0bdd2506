"""Checks the expanded templates: that each rule of rules/ can fail, every policy with parliament, the API's routes. Offline.

Usage: check.py EXPANDED_FOLDER CFN_GUARD parliament|guard|routes
"""

import copy
import json
import pathlib
import subprocess
import sys
import tempfile

RULES = pathlib.Path(__file__).parent / "rules" / "security.guard"
DOCUMENT = pathlib.Path(__file__).parent.parent / "docs" / "openapi.json"
ERROR_PAGES = DOCUMENT.parent / "errors"
PLAN_KEY = pathlib.Path(__file__).parent.parent / "crates/app/src/plan_key.rs"
# A function has no figures of its own, and parts of uploads go to the bucket.
WITHOUT_ROUTE = {("get", "/metrics"), ("put", "/uploads/{id}/parts/{number}")}

# What an attacker or a tired colleague might do, and the rule that must see it.
BREAKS = [
    ("storage", "Bucket", lambda p: p.pop("BucketEncryption"), "objects_are_encrypted"),
    ("storage", "Bucket", lambda p: p["PublicAccessBlockConfiguration"].update(BlockPublicAcls=False), "objects_are_encrypted"),
    ("storage", "Bucket", lambda p: p["LifecycleConfiguration"]["Rules"].pop(), "objects_are_encrypted"),
    ("storage", "BucketPolicy", lambda p: p["PolicyDocument"]["Statement"].pop(0), "only_over_tls"),
    ("storage", "Key", lambda p: p.update(EnableKeyRotation=False), "keys_rotate"),
    ("root", "OrchestratorFunction", lambda p: p.pop("KmsKeyArn"), "functions_are_bounded"),
    ("root", "OrchestratorFunction", lambda p: p.pop("ReservedConcurrentExecutions"), "reserve_concurrency"),
    ("root", "GpuProcessingFunction", lambda p: p["Environment"]["Variables"].update(API_SECRET="x"), "no_secret"),
    ("root", "AccessLog", lambda p: p.pop("RetentionInDays"), "logs_are_encrypted"),
    ("root", "Api", lambda p: p.update(ApiKeySourceType="HEADER"), "regional_and_asks"),
    ("root", "Api", lambda p: p["Body"]["paths"]["/process"]["post"].pop("security"), "regional_and_asks"),
    ("root", "Api", lambda p: p["Body"]["paths"]["/jobs"]["get"]["security"].remove({"Callers": []}), "regional_and_asks"),
    ("root", "Api", lambda p: authorizer(p).update(authorizerResultTtlInSeconds=300), "regional_and_asks"),
    ("roles", "AuthorizerRole", lambda p: statement(p, "Keys").update(Resource="*"), "no_role_may_do"),
    ("root", "UsagePlan", lambda p: p["Throttle"].pop("RateLimit"), "keys_are_throttled"),
    ("root", "DeadLetters", lambda p: p.pop("KmsMasterKeyId"), "queues_are_encrypted"),
    ("roles", "OrchestratorRole", lambda p: statement(p, 0).update(Action="s3:*"), "no_role_may_do"),
    ("roles", "OrchestratorRole", lambda p: statement(p, 0).update(Resource="*"), "no_role_may_do"),
    ("roles", "OrchestratorRole", lambda p: p["AssumeRolePolicyDocument"]["Statement"][0].update(Principal={"AWS": "*"}), "services_assume"),
    ("network", "SubnetA", lambda p: p.update(MapPublicIpOnLaunch=True), "subnets_are_private"),
    ("network", "MasterGroup", lambda p: p.update(SecurityGroupIngress=[{"CidrIp": "0.0.0.0/0"}]), "comes_in_from_outside"),
    ("spark", "EmrCluster", lambda p: p.pop("SecurityConfiguration"), "clusters_are_secured"),
    ("spark", "ServerlessLauncherRole", lambda p: statement(p, "JobsRunAsThisRole").pop("Condition"), "no_role_may_do"),
    ("root", "SparkLauncherFunction", lambda p: p.pop("DeadLetterConfig"), "functions_are_bounded"),
    ("watch", "Topic", lambda p: p.pop("KmsMasterKeyId"), "topics_are_encrypted"),
]


def authorizer(properties):
    return properties["Body"]["securityDefinitions"]["Callers"]["x-amazon-apigateway-authorizer"]


def statement(properties, which):
    statements = properties["Policies"][0]["PolicyDocument"]["Statement"]
    return statements[which] if isinstance(which, int) else next(s for s in statements if s.get("Sid") == which)


def guard(cfn_guard, template):
    """The output of cfn-guard on a template, and whether it passed."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(template, file)
        file.flush()
        run = subprocess.run([cfn_guard, "validate", "-r", RULES, "-d", file.name, "-S", "fail"], capture_output=True, text=True)
    return run.stdout + run.stderr, run.returncode == 0


def check_rules(folder, cfn_guard):
    templates = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    for name, template in templates.items():
        output, passed = guard(cfn_guard, template)
        assert passed, f"{name} breaks a rule:\n{output}"
    for name, resource, spoil, rule in BREAKS:
        broken = copy.deepcopy(templates[name])
        spoil(broken["Resources"][resource]["Properties"])
        output, passed = guard(cfn_guard, broken)
        assert not passed and rule in output, f"a broken {resource} of {name} is not seen by {rule}:\n{output}"
    print(f"cfn-guard: {len(templates)} templates keep the rules; {len(BREAKS)} broken ones are refused")


def plain(value):
    """A policy with its intrinsics replaced by something that looks like their value."""
    if isinstance(value, list):
        flat = []
        for item in value:
            branches = item["Fn::If"][1:] if isinstance(item, dict) and "Fn::If" in item else [item]
            flat += [plain(branch) for branch in branches if branch != {"Ref": "AWS::NoValue"}]
        return flat
    if not isinstance(value, dict):
        return value
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        for name, stand_in in {"AWS::Partition": "aws", "AWS::Region": "us-east-1", "AWS::AccountId": "123456789012",
                               "BucketArn": "arn:aws:s3:::bucket", "ClusterId": "j-1", "ApplicationId": "1"}.items():
            text = text.replace("${%s}" % name, stand_in)
        return text.replace("${", "").replace("}", "")
    if "Ref" in value or "Fn::GetAtt" in value:
        name = str(value.get("Ref") or value["Fn::GetAtt"])
        if "Bucket" in name:
            return "arn:aws:s3:::bucket"
        kinds = {"Key": "kms:us-east-1:123456789012:key/1", "DeadLetters": "sqs:us-east-1:123456789012:q",
                 "Role": "iam::123456789012:role/r", "Log": "logs:us-east-1:123456789012:log-group:g:log-stream:s",
                 "Topic": "sns:us-east-1:123456789012:t"}
        return next(("arn:aws:" + arn for kind, arn in kinds.items() if kind in name), "123456789012")
    return {key: plain(item) for key, item in value.items()}


def check_policies(folder):
    import parliament

    seen = 0
    for path in sorted(folder.glob("*.json")):
        for name, resource in json.loads(path.read_text())["Resources"].items():
            for policy in resource.get("Properties", {}).get("Policies", []):
                document = plain(policy["PolicyDocument"])
                findings = parliament.analyze_policy_string(json.dumps(document)).findings
                assert not findings, f"{path.stem}/{name}: {[str(f) for f in findings]}"
                seen += 1
    print(f"parliament: {seen} policies have no finding")


def check_routes(folder):
    """The API has the routes of the OpenAPI document, and no others; what it says itself are problems of documented types."""
    resources = json.loads((folder / "root.json").read_text())["Resources"]
    body = resources["Api"]["Properties"]["Body"]
    paths = body["paths"]
    routes = {(method, path) for path, methods in paths.items() for method in methods if method != "options"}
    documented = {(method, path) for path, methods in json.loads(DOCUMENT.read_text())["paths"].items() for method in methods}
    assert routes == documented - WITHOUT_ROUTE, sorted(routes ^ (documented - WITHOUT_ROUTE))
    print(f"{len(routes)} routes are those of docs/openapi.json")
    answers = body["x-amazon-apigateway-gateway-responses"]
    for kind, answer in answers.items():
        text = answer["responseTemplates"]["application/json"]["Fn::Sub"][0]
        problem = json.loads(text.replace("${Base}", "").replace("$context.error.messageString", '"why"'))
        page = (ERROR_PAGES / f"{problem['type'].rsplit('/', 1)[1]}.md").read_text()
        assert page.startswith(f"# {problem['title']}\n"), (kind, problem)
        status = answer.get("statusCode")
        assert status is None or f"status {status}" in page and int(status) == problem["status"], (kind, problem)
    print(f"{len(answers)} answers of the API itself are problems with a page")
    made = resources["TokensPlanKey"]["Properties"]["Value"]["Fn::Sub"].replace("${AWS::StackName}", "{stack}")
    assert f'format!("{made}")' in PLAN_KEY.read_text(), f"the authorizer names another key than {made}"


if __name__ == "__main__":
    expanded, cfn_guard_path, what = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    match what:
        case "guard":
            check_rules(expanded, cfn_guard_path)
        case "parliament":
            check_policies(expanded)
        case "routes":
            check_routes(expanded)

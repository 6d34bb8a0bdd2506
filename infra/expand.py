"""Turns template.yaml into plain CloudFormation, offline, as `sam deploy` would on the way: for policy checks and test stands.

Usage: expand.py OUT_FOLDER [CODE_BUCKET] writes root.json and, as JSON too, each file of stacks/. Code is said to lie in
s3://CODE_BUCKET/NAME.zip (`code` where none is named), nested templates in http://CODE_BUCKET/NAME.json unless they are
given another base with --base URL.
"""

import argparse
import json
import pathlib

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.sdk.parameter import SamParameterValues
from samtranslator.translator.translator import Translator

HERE = pathlib.Path(__file__).parent


def expanded(code_bucket, base):
    """The root template without SAM, its code and nested templates where the arguments say."""
    template = yaml_parse((HERE / "template.yaml").read_text())
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if "CodeUri" in properties:
            name = pathlib.Path(properties["CodeUri"]).name
            properties["CodeUri"] = {"Bucket": code_bucket, "Key": f"{name}.zip"}
        if "TemplateURL" in properties:
            properties["TemplateURL"] = f"{base}/{pathlib.Path(properties['TemplateURL']).stem}.json"
    values = SamParameterValues({})
    values.add_default_parameter_values(template)
    parameters = values.parameter_values
    parameters.setdefault("AWS::Region", "us-east-1")
    parameters.setdefault("AWS::Partition", "aws")
    return Translator({}, Parser()).translate(template, {k: v for k, v in parameters.items() if k.startswith("AWS::")})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("code_bucket", nargs="?", default="code")
    parser.add_argument("--base", default="https://code.s3.amazonaws.com")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    root = expanded(arguments.code_bucket, arguments.base)
    (arguments.out / "root.json").write_text(json.dumps(root, indent=1))
    for stack in sorted((HERE / "stacks").glob("*.yaml")):
        plain = yaml_parse(stack.read_text())
        (arguments.out / f"{stack.stem}.json").write_text(json.dumps(plain, indent=1, default=str))


if __name__ == "__main__":
    main()

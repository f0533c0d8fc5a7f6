"""A tour of the API with boto3: tour.py ENDPOINT MACHINES

Prints a line for each step, "ok NAME", "skip NAME: why" or "FAIL NAME: why".
"""
import json
import os
import pathlib
import sys
import time
import traceback

import boto3
from botocore.config import Config

endpoint, folder = sys.argv[1], pathlib.Path(sys.argv[2])
sfn = boto3.client("stepfunctions", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=os.environ.get("TOUR_KEY", "any"),
                   aws_secret_access_key=os.environ.get("TOUR_SECRET", "any"), config=Config(retries={"max_attempts": 0}, inject_host_prefix=False))
ROLE = "arn:aws:iam::123456789012:role/tour"
GREET = (folder / "greet.json").read_text()
WAIT = (folder / "wait.json").read_text()
WORK = (folder / "work.json").read_text()
seen = {}  # what later steps need of earlier ones
failed = False


def step(run):
    global failed
    name = run.__name__.replace("_", " ")
    try:
        reason = run()
        print(f"skip {name}: {reason}" if reason else f"ok {name}", flush=True)
    except Exception as e:
        failed = True
        at = traceback.extract_tb(e.__traceback__)[-1]
        print(f"FAIL {name}: {type(e).__name__}: {e} ({at.line})".replace("\n", " "), flush=True)


def refused(kind, call, **args):
    """The call must fail with the client's own class for that error."""
    try:
        call(**args)
    except getattr(sfn.exceptions, kind) as e:
        return e.response["Error"]["Message"]
    raise AssertionError(f"not refused with {kind}")


def ended(arn):
    for _ in range(400):
        x = sfn.describe_execution(executionArn=arn)
        if x["status"] != "RUNNING":
            return x
        time.sleep(0.05)
    raise AssertionError("still running")


@step
def create():
    m = sfn.create_state_machine(name="boto3-greet", definition=GREET, roleArn=ROLE, tags=[{"key": "team", "value": "a"}])
    seen["greet"] = m["stateMachineArn"]
    assert m["creationDate"].year >= 2024, m


@step
def create_again():
    m = sfn.create_state_machine(name="boto3-greet", definition=GREET, roleArn=ROLE, tags=[{"key": "team", "value": "a"}])
    assert m["stateMachineArn"] == seen["greet"], m
    refused("StateMachineAlreadyExists", sfn.create_state_machine, name="boto3-greet", definition=WAIT, roleArn=ROLE)
    text = refused("InvalidDefinition", sfn.create_state_machine, name="boto3-bad", definition="{}", roleArn=ROLE)
    assert "StartAt" in text, text


@step
def describe():
    m = sfn.describe_state_machine(stateMachineArn=seen["greet"])
    assert (m["status"], m["type"], m["definition"]) == ("ACTIVE", "STANDARD", GREET), m
    assert seen["greet"] in [m["stateMachineArn"] for m in sfn.list_state_machines()["stateMachines"]]
    refused("StateMachineDoesNotExist", sfn.describe_state_machine, stateMachineArn=seen["greet"] + "x")
    refused("InvalidArn", sfn.describe_state_machine, stateMachineArn="nonsense")


@step
def validate():
    if not hasattr(sfn, "validate_state_machine_definition"):
        return f"boto3 {boto3.__version__} does not have it"
    assert sfn.validate_state_machine_definition(definition=GREET)["result"] == "OK"
    assert sfn.validate_state_machine_definition(definition="{}")["result"] == "FAIL"


@step
def start_and_succeed():
    x = sfn.start_execution(stateMachineArn=seen["greet"], name="one", input='{"name": "Ada"}')
    seen["one"] = x["executionArn"]
    done = ended(x["executionArn"])
    assert (done["status"], done["output"]) == ("SUCCEEDED", '{"greeting":"Hello Ada"}'), done
    refused("ExecutionAlreadyExists", sfn.start_execution, stateMachineArn=seen["greet"], name="one", input='{"name": "Bob"}')
    refused("InvalidExecutionInput", sfn.start_execution, stateMachineArn=seen["greet"], input="{")
    refused("ExecutionDoesNotExist", sfn.describe_execution, executionArn=seen["one"] + "x")


@step
def fail():
    done = ended(sfn.start_execution(stateMachineArn=seen["greet"], input='{"name": ""}')["executionArn"])
    assert (done["status"], done["error"], done["cause"]) == ("FAILED", "Nobody", "there is no name"), done


@step
def history():
    whole = sfn.get_execution_history(executionArn=seen["one"])["events"]
    types = [e["type"] for e in whole]
    assert types[0] == "ExecutionStarted" and types[-1] == "ExecutionSucceeded" and len(types) == 8, types
    pages = sfn.get_paginator("get_execution_history").paginate(executionArn=seen["one"], PaginationConfig={"PageSize": 2})
    assert [e["type"] for page in pages for e in page["events"]] == types
    back = sfn.get_execution_history(executionArn=seen["one"], reverseOrder=True, includeExecutionData=False)["events"]
    assert [e["id"] for e in back] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert "input" not in back[-1]["executionStartedEventDetails"], back[-1]
    refused("InvalidToken", sfn.get_execution_history, executionArn=seen["one"], nextToken="nonsense")


@step
def list_executions():
    names = [x["name"] for x in sfn.list_executions(stateMachineArn=seen["greet"])["executions"]]
    assert len(names) == 2 and "one" in names, names
    good = sfn.list_executions(stateMachineArn=seen["greet"], statusFilter="SUCCEEDED")["executions"]
    assert [x["name"] for x in good] == ["one"], good
    pages = sfn.get_paginator("list_executions").paginate(stateMachineArn=seen["greet"], PaginationConfig={"PageSize": 1})
    assert [x["name"] for page in pages for x in page["executions"]] == names


@step
def start_twice_and_stop():
    wait = sfn.create_state_machine(name="boto3-wait", definition=WAIT, roleArn=ROLE)["stateMachineArn"]
    first = sfn.start_execution(stateMachineArn=wait, name="same", input="{}")
    again = sfn.start_execution(stateMachineArn=wait, name="same", input="{}")
    assert (first["executionArn"], first["startDate"]) == (again["executionArn"], again["startDate"])
    sfn.stop_execution(executionArn=first["executionArn"], error="Enough", cause="by hand")
    done = ended(first["executionArn"])
    assert (done["status"], done["error"], done["cause"]) == ("ABORTED", "Enough", "by hand"), done
    assert sfn.describe_state_machine_for_execution(executionArn=first["executionArn"])["stateMachineArn"] == wait
    sfn.delete_state_machine(stateMachineArn=wait)


@step
def tags():
    sfn.tag_resource(resourceArn=seen["greet"], tags=[{"key": "stage", "value": "test"}])
    sfn.untag_resource(resourceArn=seen["greet"], tagKeys=["team"])
    assert sfn.list_tags_for_resource(resourceArn=seen["greet"])["tags"] == [{"key": "stage", "value": "test"}]
    refused("ResourceNotFound", sfn.list_tags_for_resource, resourceArn=seen["greet"] + "x")


@step
def activity():
    seen["activity"] = sfn.create_activity(name="boto3-activity")["activityArn"]
    assert seen["activity"] in [a["activityArn"] for a in sfn.list_activities()["activities"]]
    assert sfn.describe_activity(activityArn=seen["activity"])["name"] == "boto3-activity"
    work = sfn.create_state_machine(name="boto3-work", definition=WORK.replace("ACTIVITY", seen["activity"]), roleArn=ROLE)
    seen["work"] = work["stateMachineArn"]
    x = sfn.start_execution(stateMachineArn=seen["work"], input='{"n":1}')
    task = sfn.get_activity_task(activityArn=seen["activity"], workerName="tour")
    assert task["input"] == '{"n":1}', task
    sfn.send_task_heartbeat(taskToken=task["taskToken"])
    sfn.send_task_success(taskToken=task["taskToken"], output='{"n":2}')
    done = ended(x["executionArn"])
    assert (done["status"], done["output"]) == ("SUCCEEDED", '{"n":2}'), done
    refused("TaskTimedOut", sfn.send_task_success, taskToken=task["taskToken"], output="{}")
    refused("InvalidToken", sfn.send_task_heartbeat, taskToken="nonsense")


@step
def task_failure():
    x = sfn.start_execution(stateMachineArn=seen["work"])
    task = sfn.get_activity_task(activityArn=seen["activity"])
    sfn.send_task_failure(taskToken=task["taskToken"], error="Broken", cause="on purpose")
    done = ended(x["executionArn"])
    assert (done["status"], done["error"], done["cause"]) == ("FAILED", "Broken", "on purpose"), done


@step
def callback():
    definition = (folder / "call.json").read_text().replace("MACHINE", seen["greet"])
    call = sfn.create_state_machine(name="boto3-call", definition=definition, roleArn=ROLE)["stateMachineArn"]
    x = sfn.start_execution(stateMachineArn=call)
    called = []  # the execution that the task starts has the token in its input
    while not called:
        executions = sfn.list_executions(stateMachineArn=seen["greet"])["executions"]
        called = [e["executionArn"] for e in executions if e["name"] == "called"]
        time.sleep(0.05)
    token = json.loads(ended(called[0])["input"])["token"]
    sfn.send_task_heartbeat(taskToken=token)
    sfn.send_task_success(taskToken=token, output='"back"')
    done = ended(x["executionArn"])
    assert (done["status"], done["output"]) == ("SUCCEEDED", '"back"'), done
    sfn.delete_state_machine(stateMachineArn=call)


@step
def express():
    m = sfn.create_state_machine(name="boto3-express", definition=GREET, roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    good = sfn.start_sync_execution(stateMachineArn=m, input='{"name": "Ada"}')
    assert (good["status"], good["output"]) == ("SUCCEEDED", '{"greeting":"Hello Ada"}'), good
    assert good["billingDetails"]["billedMemoryUsedInMB"] == 64, good
    bad = sfn.start_sync_execution(stateMachineArn=m, input='{"name": ""}')
    assert (bad["status"], bad["error"], bad["cause"]) == ("FAILED", "Nobody", "there is no name"), bad
    refused("StateMachineTypeNotSupported", sfn.start_sync_execution, stateMachineArn=seen["greet"])
    sfn.delete_state_machine(stateMachineArn=m)


@step
def map_runs():
    if not os.environ.get("MAP_RUNS"):
        return "distributed maps are still to come"
    definition = (folder / "each.json").read_text().replace("ACTIVITY", seen["activity"])
    each = sfn.create_state_machine(name="boto3-each", definition=definition, roleArn=ROLE)["stateMachineArn"]
    x = sfn.start_execution(stateMachineArn=each, input="[1,2]")["executionArn"]
    first = sfn.get_activity_task(activityArn=seen["activity"])
    (run,) = [r["mapRunArn"] for r in sfn.list_map_runs(executionArn=x)["mapRuns"]]
    one = sfn.describe_map_run(mapRunArn=run)
    assert (one["status"], one["maxConcurrency"], one["itemCounts"]["running"]) == ("RUNNING", 1, 1), one
    sfn.update_map_run(mapRunArn=run, maxConcurrency=2)
    second = sfn.get_activity_task(activityArn=seen["activity"])
    for task in first, second:
        sfn.send_task_success(taskToken=task["taskToken"], output=task["input"])
    done = ended(x)
    assert (done["status"], done["output"]) == ("SUCCEEDED", "[1,2]"), done
    assert sfn.describe_map_run(mapRunArn=run)["itemCounts"]["succeeded"] == 2
    sfn.delete_state_machine(stateMachineArn=each)


@step
def update():
    sfn.update_state_machine(stateMachineArn=seen["greet"], definition=WAIT)
    assert sfn.describe_state_machine(stateMachineArn=seen["greet"])["definition"] == WAIT
    assert sfn.describe_state_machine_for_execution(executionArn=seen["one"])["definition"] == GREET
    refused("MissingRequiredParameter", sfn.update_state_machine, stateMachineArn=seen["greet"])


@step
def delete():
    sfn.delete_activity(activityArn=seen["activity"])
    refused("ActivityDoesNotExist", sfn.describe_activity, activityArn=seen["activity"])
    for arn in seen["greet"], seen["work"]:
        sfn.delete_state_machine(stateMachineArn=arn)
        refused("StateMachineDoesNotExist", sfn.start_execution, stateMachineArn=arn)


sys.exit(failed)

#!/usr/bin/env bash
# A tour of the API with the AWS CLI: tour.sh AWS ENDPOINT MACHINES
#
# Prints a line for each step, "ok NAME", "skip NAME: why" or "FAIL NAME: why".
set -uo pipefail

aws=$1
endpoint=$2
machines=$3
export AWS_ACCESS_KEY_ID=${TOUR_KEY:-any} AWS_SECRET_ACCESS_KEY=${TOUR_SECRET:-any} AWS_REGION=us-east-1 AWS_MAX_ATTEMPTS=1 AWS_PAGER=
export AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null
role=arn:aws:iam::123456789012:role/tour
failed=0

sfn() { "$aws" --endpoint-url "$endpoint" --output text stepfunctions "$@"; }

# step NAME FUNCTION: runs it in this shell, so that it can leave variables for
# later ones, and stops it at the first thing that is not as it should be.
step() {
  why=
  if "$2" && [ -z "$why" ]; then echo "ok $1"; else echo "FAIL $1: $why"; failed=1; fi
}

# is GOT WANT
is() { [ "$1" = "$2" ] || { why="got '$1', want '$2'"; return 1; }; }

# refused ERROR ARGS...: the call must fail with that error.
refused() {
  local kind=$1 said
  shift
  if said=$(sfn "$@" 2>&1); then why="$1 was not refused with $kind"; return 1; fi
  [[ $said == *"($kind)"* ]] || { why="$1 was not refused with $kind but: ${said//$'\n'/ }"; return 1; }
}

# ended ARN: waits, and leaves "STATUS ERROR CAUSE OUTPUT" in $end.
ended() {
  for _ in $(seq 100); do
    end=$(sfn describe-execution --execution-arn "$1" --query '[status,error,cause,output]') || return 1
    [[ $end == RUNNING* ]] || { end=${end//$'\t'/ }; return; }
  done
  why="still running"
  return 1
}

create() {
  greet=$(sfn create-state-machine --name cli-greet --definition "file://$machines/greet.json" --role-arn $role --tags key=team,value=a --query stateMachineArn) &&
    is "$greet" arn:aws:states:us-east-1:123456789012:stateMachine:cli-greet
}

create_again() {
  is "$(sfn create-state-machine --name cli-greet --definition "file://$machines/greet.json" --role-arn $role --tags key=team,value=a --query stateMachineArn)" "$greet" &&
    refused StateMachineAlreadyExists create-state-machine --name cli-greet --definition "file://$machines/wait.json" --role-arn $role &&
    refused InvalidDefinition create-state-machine --name cli-bad --definition '{}' --role-arn $role
}

describe() {
  is "$(sfn describe-state-machine --state-machine-arn "$greet" --query '[status,type,name]')" $'ACTIVE\tSTANDARD\tcli-greet' &&
    is "$(sfn list-state-machines --query "stateMachines[?name=='cli-greet'].stateMachineArn")" "$greet" &&
    refused StateMachineDoesNotExist describe-state-machine --state-machine-arn "${greet}x" &&
    refused InvalidArn describe-state-machine --state-machine-arn nonsense
}

start_and_succeed() {
  one=$(sfn start-execution --state-machine-arn "$greet" --name one --input '{"name": "Ada"}' --query executionArn) &&
    ended "$one" && is "$end" 'SUCCEEDED None None {"greeting":"Hello Ada"}' &&
    refused ExecutionAlreadyExists start-execution --state-machine-arn "$greet" --name one --input '{"name": "Bob"}' &&
    refused InvalidExecutionInput start-execution --state-machine-arn "$greet" --input '{' &&
    refused ExecutionDoesNotExist describe-execution --execution-arn "${one}x"
}

fail() {
  local x
  x=$(sfn start-execution --state-machine-arn "$greet" --input '{"name": ""}' --query executionArn) &&
    ended "$x" && is "$end" 'FAILED Nobody there is no name None'
}

history() {
  local forward='1 2 3 4 5 6 7 8'
  is "$(sfn get-execution-history --execution-arn "$one" --query 'events[].id' | tr '\t\n' '  ' | sed 's/ *$//')" "$forward" &&
    is "$(sfn get-execution-history --execution-arn "$one" --page-size 2 --query 'events[].id' | tr '\t\n' '  ' | sed 's/ *$//')" "$forward" &&
    is "$(sfn get-execution-history --execution-arn "$one" --reverse-order --query 'events[0].type')" ExecutionSucceeded &&
    is "$(sfn get-execution-history --execution-arn "$one" --no-include-execution-data --query 'events[0].executionStartedEventDetails.input')" None
}

list_executions() {
  is "$(sfn list-executions --state-machine-arn "$greet" --query 'length(executions)')" 2 &&
    is "$(sfn list-executions --state-machine-arn "$greet" --status-filter SUCCEEDED --query 'executions[].name')" one
}

start_twice_and_stop() {
  local wait first again
  wait=$(sfn create-state-machine --name cli-wait --definition "file://$machines/wait.json" --role-arn $role --query stateMachineArn) &&
    first=$(sfn start-execution --state-machine-arn "$wait" --name same --input '{}' --query '[executionArn,startDate]') &&
    again=$(sfn start-execution --state-machine-arn "$wait" --name same --input '{}' --query '[executionArn,startDate]') &&
    is "$again" "$first" && first=${first%%$'\t'*} &&
    sfn stop-execution --execution-arn "$first" --error Enough --cause 'by hand' >/dev/null &&
    ended "$first" && is "$end" 'ABORTED Enough by hand None' &&
    is "$(sfn describe-state-machine-for-execution --execution-arn "$first" --query stateMachineArn)" "$wait" &&
    sfn delete-state-machine --state-machine-arn "$wait"
}

tags() {
  sfn tag-resource --resource-arn "$greet" --tags key=stage,value=test &&
    sfn untag-resource --resource-arn "$greet" --tag-keys team &&
    is "$(sfn list-tags-for-resource --resource-arn "$greet" --query 'tags[].[key,value]')" $'stage\ttest' &&
    refused ResourceNotFound list-tags-for-resource --resource-arn "${greet}x"
}

# take ARN: starts an execution of $work and takes its task; leaves $x, $token.
take() {
  local task
  x=$(sfn start-execution --state-machine-arn "$work" --input '{"n":1}' --query executionArn) &&
    task=$(sfn get-activity-task --activity-arn "$activity" --worker-name tour --query '[input,taskToken]') &&
    is "${task%%$'\t'*}" '{"n":1}' && token=${task#*$'\t'}
}

activity() {
  activity=$(sfn create-activity --name cli-activity --query activityArn) &&
    is "$(sfn describe-activity --activity-arn "$activity" --query name)" cli-activity &&
    is "$(sfn list-activities --query "activities[?name=='cli-activity'].activityArn")" "$activity" &&
    work=$(sfn create-state-machine --name cli-work --definition "$(sed "s/ACTIVITY/$activity/" "$machines/work.json")" --role-arn $role --query stateMachineArn) &&
    take &&
    sfn send-task-heartbeat --task-token "$token" &&
    sfn send-task-success --task-token "$token" --task-output '{"n":2}' &&
    ended "$x" && is "$end" 'SUCCEEDED None None {"n":2}' &&
    refused TaskTimedOut send-task-success --task-token "$token" --task-output '{}' &&
    refused InvalidToken send-task-heartbeat --task-token nonsense
}

task_failure() {
  take && sfn send-task-failure --task-token "$token" --error Broken --cause 'on purpose' &&
    ended "$x" && is "$end" 'FAILED Broken on purpose None'
}

callback() {
  local call x called=None token
  call=$(sfn create-state-machine --name cli-call --definition "$(sed "s/MACHINE/$greet/" "$machines/call.json")" --role-arn $role --query stateMachineArn) &&
    x=$(sfn start-execution --state-machine-arn "$call" --query executionArn) || return 1
  for _ in $(seq 100); do # the execution that the task starts has the token in its input
    called=$(sfn list-executions --state-machine-arn "$greet" --query "executions[?name=='called'].executionArn")
    [ -z "$called" ] || break
  done
  ended "$called" &&
    token=$(sfn describe-execution --execution-arn "$called" --query input | sed 's/.*"token":"\([^"]*\)".*/\1/') &&
    sfn send-task-heartbeat --task-token "$token" &&
    sfn send-task-success --task-token "$token" --task-output '"back"' &&
    ended "$x" && is "$end" 'SUCCEEDED None None "back"' &&
    sfn delete-state-machine --state-machine-arn "$call"
}

# The CLI puts sync- before the host: as a proxy, the server hears all hosts.
express() {
  local m good='[status,error,output,billingDetails.billedMemoryUsedInMB]'
  m=$(sfn create-state-machine --name cli-express --type EXPRESS --definition "file://$machines/greet.json" --role-arn $role --query stateMachineArn) &&
    is "$(http_proxy=$endpoint no_proxy='' NO_PROXY='' sfn start-sync-execution --state-machine-arn "$m" --input '{"name": "Ada"}' --query "$good")" $'SUCCEEDED\tNone\t{"greeting":"Hello Ada"}\t64' &&
    sfn delete-state-machine --state-machine-arn "$m"
}

map_runs() {
  local each x run first second task
  each=$(sfn create-state-machine --name cli-each --definition "$(sed "s/ACTIVITY/$activity/" "$machines/each.json")" --role-arn $role --query stateMachineArn) &&
    x=$(sfn start-execution --state-machine-arn "$each" --input '[1,2]' --query executionArn) &&
    first=$(sfn get-activity-task --activity-arn "$activity" --query taskToken) &&
    run=$(sfn list-map-runs --execution-arn "$x" --query 'mapRuns[].mapRunArn') &&
    is "$(sfn describe-map-run --map-run-arn "$run" --query '[status,maxConcurrency,itemCounts.running]')" $'RUNNING\t1\t1' &&
    sfn update-map-run --map-run-arn "$run" --max-concurrency 2 &&
    second=$(sfn get-activity-task --activity-arn "$activity" --query taskToken) || return 1
  for task in "$first" "$second"; do sfn send-task-success --task-token "$task" --task-output 1 || return 1; done
  ended "$x" && is "$end" 'SUCCEEDED None None [1,1]' &&
    is "$(sfn describe-map-run --map-run-arn "$run" --query '[status,itemCounts.succeeded]')" $'SUCCEEDED\t2' &&
    sfn delete-state-machine --state-machine-arn "$each"
}

update() {
  sfn update-state-machine --state-machine-arn "$greet" --definition "file://$machines/wait.json" >/dev/null &&
    is "$(sfn describe-state-machine --state-machine-arn "$greet" --query 'contains(definition, `Greet`)')" False &&
    is "$(sfn describe-state-machine-for-execution --execution-arn "$one" --query 'contains(definition, `Greet`)')" True &&
    refused MissingRequiredParameter update-state-machine --state-machine-arn "$greet"
}

delete() {
  sfn delete-activity --activity-arn "$activity" &&
    refused ActivityDoesNotExist describe-activity --activity-arn "$activity" &&
    for arn in "$greet" "$work"; do
      sfn delete-state-machine --state-machine-arn "$arn" &&
        refused StateMachineDoesNotExist start-execution --state-machine-arn "$arn" || return 1
    done
}

step create create
step "create again" create_again
step describe describe
if sfn validate-state-machine-definition help >/dev/null 2>&1; then
  validate() { is "$(sfn validate-state-machine-definition --definition '{}' --query result)" FAIL; }
  step validate validate
else
  echo "skip validate: $("$aws" --version 2>&1 | cut -d' ' -f1) does not have it"
fi
step "start and succeed" start_and_succeed
step fail fail
step history history
step "list executions" list_executions
step "start twice and stop" start_twice_and_stop
step tags tags
step activity activity
step "task failure" task_failure
step callback callback
step express express
if [ -n "${MAP_RUNS:-}" ]; then step "map runs" map_runs; else echo "skip map runs: distributed maps are still to come"; fi
step update update
step delete delete
exit $failed

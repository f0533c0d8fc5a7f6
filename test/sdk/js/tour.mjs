// A tour of the API with the AWS SDK for JavaScript: tour.mjs ENDPOINT MACHINES
// Every action that the SDK knows is called, and its answer looked at; those on
// map runs with MAP_RUNS=yes in the environment.
//
// Prints a line for each step, "ok NAME", "skip NAME: why" or "FAIL NAME: why".
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import * as aws from "@aws-sdk/client-sfn";

const [endpoint, folder] = process.argv.slice(2);
const sfn = new aws.SFNClient({
  endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: process.env.TOUR_KEY ?? "any", secretAccessKey: process.env.TOUR_SECRET ?? "any" },
  maxAttempts: 1,
  disableHostPrefix: true,
});
const roleArn = "arn:aws:iam::123456789012:role/tour";
const read = (name) => readFileSync(`${folder}/${name}.json`, "utf8");
const greet = read("greet");
const wait = read("wait");
const seen = {}; // what later steps need of earlier ones

async function step(name, run) {
  try {
    const reason = await run();
    console.log(reason ? `skip ${name}: ${reason}` : `ok ${name}`);
  } catch (e) {
    process.exitCode = 1;
    console.log(`FAIL ${name}: ${e.name}: ${e.message}`.replaceAll("\n", " "));
  }
}

const called = new Set(); // the actions that have answered well

async function call(command, args = {}) {
  const answer = await sfn.send(new aws[`${command}Command`](args));
  called.add(command);
  return answer;
}

// The call must fail with the client's own class for that error.
const refused = (kind, command, args) =>
  assert.rejects(call(command, args), (e) => {
    assert.ok(e instanceof aws[kind], `not refused with ${kind} but ${e.name}: ${e.message}`);
    return true;
  });

async function ended(executionArn) {
  for (let i = 0; i < 400; i++) {
    const x = await call("DescribeExecution", { executionArn });
    if (x.status !== "RUNNING") return x;
    await pause(50);
  }
  throw new Error("still running");
}

async function pages(pager, args, member, pageSize) {
  const all = [];
  for await (const page of pager({ client: sfn, pageSize }, args)) all.push(...page[member]);
  return all;
}

await step("create", async () => {
  const m = await call("CreateStateMachine", { name: "js-greet", definition: greet, roleArn, tags: [{ key: "team", value: "a" }] });
  seen.greet = m.stateMachineArn;
  assert.ok(m.creationDate.getFullYear() >= 2024);
});

await step("create again", async () => {
  const m = await call("CreateStateMachine", { name: "js-greet", definition: greet, roleArn, tags: [{ key: "team", value: "a" }] });
  assert.equal(m.stateMachineArn, seen.greet);
  await refused("StateMachineAlreadyExists", "CreateStateMachine", { name: "js-greet", definition: wait, roleArn });
  await refused("InvalidDefinition", "CreateStateMachine", { name: "js-bad", definition: "{}", roleArn });
});

await step("describe", async () => {
  const m = await call("DescribeStateMachine", { stateMachineArn: seen.greet });
  assert.deepEqual([m.status, m.type, m.definition], ["ACTIVE", "STANDARD", greet]);
  const all = await call("ListStateMachines");
  assert.ok(all.stateMachines.some((x) => x.stateMachineArn === seen.greet));
  await refused("StateMachineDoesNotExist", "DescribeStateMachine", { stateMachineArn: `${seen.greet}x` });
  await refused("InvalidArn", "DescribeStateMachine", { stateMachineArn: "nonsense" });
});

await step("validate", async () => {
  const good = await call("ValidateStateMachineDefinition", { definition: greet });
  assert.deepEqual([good.result, good.diagnostics], ["OK", []]);
  const bad = await call("ValidateStateMachineDefinition", { definition: "{}" });
  assert.equal(bad.result, "FAIL");
  assert.equal(bad.diagnostics[0].severity, "ERROR");
});

await step("start and succeed", async () => {
  const x = await call("StartExecution", { stateMachineArn: seen.greet, name: "one", input: '{"name": "Ada"}' });
  seen.one = x.executionArn;
  const done = await ended(x.executionArn);
  assert.deepEqual([done.status, done.output], ["SUCCEEDED", '{"greeting":"Hello Ada"}']);
  await refused("ExecutionAlreadyExists", "StartExecution", { stateMachineArn: seen.greet, name: "one", input: '{"name": "Bob"}' });
  await refused("InvalidExecutionInput", "StartExecution", { stateMachineArn: seen.greet, input: "{" });
  await refused("ExecutionDoesNotExist", "DescribeExecution", { executionArn: `${seen.one}x` });
});

await step("fail", async () => {
  const x = await call("StartExecution", { stateMachineArn: seen.greet, input: '{"name": ""}' });
  const done = await ended(x.executionArn);
  assert.deepEqual([done.status, done.error, done.cause], ["FAILED", "Nobody", "there is no name"]);
});

await step("history", async () => {
  const { events } = await call("GetExecutionHistory", { executionArn: seen.one });
  const types = events.map((e) => e.type);
  assert.deepEqual([types[0], types.at(-1), types.length], ["ExecutionStarted", "ExecutionSucceeded", 8]);
  const paged = await pages(aws.paginateGetExecutionHistory, { executionArn: seen.one }, "events", 2);
  assert.deepEqual(paged.map((e) => e.type), types);
  const back = await call("GetExecutionHistory", { executionArn: seen.one, reverseOrder: true, includeExecutionData: false });
  assert.deepEqual(back.events.map((e) => e.id), [8, 7, 6, 5, 4, 3, 2, 1]);
  assert.equal(back.events.at(-1).executionStartedEventDetails.input, undefined);
  await refused("InvalidToken", "GetExecutionHistory", { executionArn: seen.one, nextToken: "nonsense" });
});

await step("list executions", async () => {
  const { executions } = await call("ListExecutions", { stateMachineArn: seen.greet });
  const names = executions.map((x) => x.name);
  assert.equal(names.length, 2);
  const good = await call("ListExecutions", { stateMachineArn: seen.greet, statusFilter: "SUCCEEDED" });
  assert.deepEqual(good.executions.map((x) => x.name), ["one"]);
  const paged = await pages(aws.paginateListExecutions, { stateMachineArn: seen.greet }, "executions", 1);
  assert.deepEqual(paged.map((x) => x.name), names);
});

await step("start twice and stop", async () => {
  const { stateMachineArn } = await call("CreateStateMachine", { name: "js-wait", definition: wait, roleArn });
  const first = await call("StartExecution", { stateMachineArn, name: "same", input: "{}" });
  const again = await call("StartExecution", { stateMachineArn, name: "same", input: "{}" });
  assert.deepEqual([again.executionArn, again.startDate], [first.executionArn, first.startDate]);
  await call("StopExecution", { executionArn: first.executionArn, error: "Enough", cause: "by hand" });
  const done = await ended(first.executionArn);
  assert.deepEqual([done.status, done.error, done.cause], ["ABORTED", "Enough", "by hand"]);
  const m = await call("DescribeStateMachineForExecution", { executionArn: first.executionArn });
  assert.equal(m.stateMachineArn, stateMachineArn);
  await call("DeleteStateMachine", { stateMachineArn });
});

await step("tags", async () => {
  await call("TagResource", { resourceArn: seen.greet, tags: [{ key: "stage", value: "test" }] });
  await call("UntagResource", { resourceArn: seen.greet, tagKeys: ["team"] });
  const { tags } = await call("ListTagsForResource", { resourceArn: seen.greet });
  assert.deepEqual(tags, [{ key: "stage", value: "test" }]);
  await refused("ResourceNotFound", "ListTagsForResource", { resourceArn: `${seen.greet}x` });
});

await step("activity", async () => {
  seen.activity = (await call("CreateActivity", { name: "js-activity" })).activityArn;
  const all = await call("ListActivities");
  assert.ok(all.activities.some((a) => a.activityArn === seen.activity));
  assert.equal((await call("DescribeActivity", { activityArn: seen.activity })).name, "js-activity");
  const work = await call("CreateStateMachine", { name: "js-work", definition: read("work").replace("ACTIVITY", seen.activity), roleArn });
  seen.work = work.stateMachineArn;
  const x = await call("StartExecution", { stateMachineArn: seen.work, input: '{"n":1}' });
  const { taskToken, input } = await call("GetActivityTask", { activityArn: seen.activity, workerName: "tour" });
  assert.equal(input, '{"n":1}');
  await call("SendTaskHeartbeat", { taskToken });
  await call("SendTaskSuccess", { taskToken, output: '{"n":2}' });
  const done = await ended(x.executionArn);
  assert.deepEqual([done.status, done.output], ["SUCCEEDED", '{"n":2}']);
  await refused("TaskTimedOut", "SendTaskSuccess", { taskToken, output: "{}" });
  await refused("InvalidToken", "SendTaskHeartbeat", { taskToken: "nonsense" });
});

await step("task failure", async () => {
  const x = await call("StartExecution", { stateMachineArn: seen.work });
  const { taskToken } = await call("GetActivityTask", { activityArn: seen.activity });
  await call("SendTaskFailure", { taskToken, error: "Broken", cause: "on purpose" });
  const done = await ended(x.executionArn);
  assert.deepEqual([done.status, done.error, done.cause], ["FAILED", "Broken", "on purpose"]);
});

// Starts an execution of a machine and takes the task that it waits for.
async function take(stateMachineArn) {
  const { executionArn } = await call("StartExecution", { stateMachineArn });
  const { taskToken } = await call("GetActivityTask", { activityArn: seen.activity });
  return { executionArn, taskToken };
}

await step("redrive", async () => {
  const { executionArn, taskToken } = await take(seen.work);
  await refused("ExecutionNotRedrivable", "RedriveExecution", { executionArn });
  await call("SendTaskFailure", { taskToken, error: "Broken" });
  assert.equal((await ended(executionArn)).redriveStatus, "REDRIVABLE");
  const { redriveDate } = await call("RedriveExecution", { executionArn });
  const task = await call("GetActivityTask", { activityArn: seen.activity });
  await call("SendTaskSuccess", { taskToken: task.taskToken, output: "2" });
  const done = await ended(executionArn);
  assert.deepEqual([done.status, done.output, done.redriveCount, done.redriveDate], ["SUCCEEDED", "2", 1, redriveDate]);
});

await step("callback", async () => {
  const definition = read("call").replace("MACHINE", seen.greet);
  const { stateMachineArn } = await call("CreateStateMachine", { name: "js-call", definition, roleArn });
  const { executionArn } = await call("StartExecution", { stateMachineArn });
  let started; // by the task; it has the token in its input
  while (!started) {
    const { executions } = await call("ListExecutions", { stateMachineArn: seen.greet });
    started = executions.find((x) => x.name === "called");
    await pause(50);
  }
  const { token } = JSON.parse((await ended(started.executionArn)).input);
  await call("SendTaskHeartbeat", { taskToken: token });
  await call("SendTaskSuccess", { taskToken: token, output: '"back"' });
  const done = await ended(executionArn);
  assert.deepEqual([done.status, done.output], ["SUCCEEDED", '"back"']);
  await call("DeleteStateMachine", { stateMachineArn });
});

await step("versions", async () => {
  const made = await call("CreateStateMachine", { name: "js-versions", definition: greet, roleArn, publish: true, versionDescription: "first" });
  const stateMachineArn = (seen.published = made.stateMachineArn);
  assert.equal(made.stateMachineVersionArn, `${stateMachineArn}:1`);
  const second = await call("UpdateStateMachine", { stateMachineArn, definition: wait, publish: true });
  assert.equal(second.stateMachineVersionArn, `${stateMachineArn}:2`);
  const { revisionId } = await call("UpdateStateMachine", { stateMachineArn, definition: greet });
  await refused("ConflictException", "PublishStateMachineVersion", { stateMachineArn, revisionId: second.revisionId });
  for (let i = 0; i < 2; i++) {
    const third = await call("PublishStateMachineVersion", { stateMachineArn, revisionId, description: "third" });
    assert.equal(third.stateMachineVersionArn, `${stateMachineArn}:3`);
  }
  const { stateMachineVersions } = await call("ListStateMachineVersions", { stateMachineArn });
  assert.deepEqual(stateMachineVersions.map((v) => v.stateMachineVersionArn), [3, 2, 1].map((n) => `${stateMachineArn}:${n}`));
  const v = await call("DescribeStateMachine", { stateMachineArn: `${stateMachineArn}:1` });
  assert.deepEqual([v.stateMachineArn, v.description, v.definition], [`${stateMachineArn}:1`, "first", greet]);
  const x = await call("StartExecution", { stateMachineArn: `${stateMachineArn}:1`, input: '{"name": "Ada"}' });
  const done = await ended(x.executionArn);
  assert.deepEqual([done.status, done.stateMachineArn, done.stateMachineVersionArn], ["SUCCEEDED", stateMachineArn, `${stateMachineArn}:1`]);
});

await step("aliases", async () => {
  const version = (n) => `${seen.published}:${n}`;
  const first = [{ stateMachineVersionArn: version(1), weight: 100 }];
  const { stateMachineAliasArn } = await call("CreateStateMachineAlias", { name: "live", routingConfiguration: first });
  assert.equal(stateMachineAliasArn, version("live"));
  await refused("ConflictException", "DeleteStateMachineVersion", { stateMachineVersionArn: version(1) });
  const x = await call("StartExecution", { stateMachineArn: stateMachineAliasArn, input: '{"name": "Ada"}' });
  const done = await ended(x.executionArn);
  assert.deepEqual([done.stateMachineAliasArn, done.stateMachineVersionArn], [stateMachineAliasArn, version(1)]);
  const half = [1, 3].map((n) => ({ stateMachineVersionArn: version(n), weight: 50 }));
  await call("UpdateStateMachineAlias", { stateMachineAliasArn, description: "half", routingConfiguration: half });
  const now = await call("DescribeStateMachineAlias", { stateMachineAliasArn });
  assert.deepEqual([now.name, now.description, now.routingConfiguration], ["live", "half", half]);
  const { stateMachineAliases } = await call("ListStateMachineAliases", { stateMachineArn: seen.published });
  assert.deepEqual(stateMachineAliases.map((a) => a.stateMachineAliasArn), [stateMachineAliasArn]);
  await call("DeleteStateMachineAlias", { stateMachineAliasArn });
  await refused("ResourceNotFound", "DescribeStateMachineAlias", { stateMachineAliasArn });
  await call("DeleteStateMachineVersion", { stateMachineVersionArn: version(1) });
  await refused("StateMachineDoesNotExist", "DescribeStateMachine", { stateMachineArn: version(1) });
});

await step("express", async () => {
  const { stateMachineArn } = await call("CreateStateMachine", { name: "js-express", definition: greet, roleArn, type: "EXPRESS" });
  const good = await call("StartSyncExecution", { stateMachineArn, input: '{"name": "Ada"}' });
  assert.deepEqual([good.status, good.output, good.billingDetails.billedMemoryUsedInMB], ["SUCCEEDED", '{"greeting":"Hello Ada"}', 64]);
  const bad = await call("StartSyncExecution", { stateMachineArn, input: '{"name": ""}' });
  assert.deepEqual([bad.status, bad.error, bad.cause], ["FAILED", "Nobody", "there is no name"]);
  await refused("StateMachineTypeNotSupported", "StartSyncExecution", { stateMachineArn: seen.greet });
  await call("DeleteStateMachine", { stateMachineArn });
});

await step("test state", async () => {
  const whole = await call("TestState", { definition: greet, stateName: "Greet", input: '{"name":"Ada"}', inspectionLevel: "DEBUG" });
  assert.deepEqual([whole.status, whole.output, whole.nextState], ["SUCCEEDED", '{"greeting":"Hello Ada"}', "Known"]);
  assert.equal(whole.inspectionData.afterParameters, '{"greeting":"Hello Ada"}');
  const definition = JSON.stringify({
    Type: "Task", Resource: "arn:aws:states:::lambda:invoke", Parameters: { FunctionName: "f" }, OutputPath: "$.Payload",
    Retry: [{ ErrorEquals: ["Busy"] }], End: true,
  });
  const good = await call("TestState", { definition, mock: { result: '{"StatusCode":200,"Payload":7}' } });
  assert.deepEqual([good.status, good.output], ["SUCCEEDED", "7"]);
  const again = await call("TestState", { definition, mock: { errorOutput: { error: "Busy", cause: "too much" } } });
  assert.deepEqual([again.status, again.error, again.cause], ["RETRIABLE", "Busy", "too much"]);
  await refused("InvalidDefinition", "TestState", { definition: '{"Type":"Paas"}' });
});

// A map works on two items, first one at a time, then both at once.
await step("map runs", async () => {
  if (!process.env.MAP_RUNS) return "distributed maps are still to come";
  const definition = read("each").replace("ACTIVITY", seen.activity);
  const { stateMachineArn } = await call("CreateStateMachine", { name: "js-each", definition, roleArn });
  const { executionArn } = await call("StartExecution", { stateMachineArn, input: "[1,2]" });
  const first = await call("GetActivityTask", { activityArn: seen.activity });
  const { mapRuns } = await call("ListMapRuns", { executionArn });
  assert.deepEqual(mapRuns.map((r) => [r.executionArn, r.stateMachineArn]), [[executionArn, `${stateMachineArn}/each`]]);
  const { mapRunArn } = mapRuns[0];
  const one = await call("DescribeMapRun", { mapRunArn });
  assert.deepEqual([one.status, one.maxConcurrency, one.itemCounts.running], ["RUNNING", 1, 1]);
  await call("UpdateMapRun", { mapRunArn, maxConcurrency: 2, toleratedFailureCount: 1 });
  const second = await call("GetActivityTask", { activityArn: seen.activity });
  const both = await call("DescribeMapRun", { mapRunArn });
  assert.deepEqual([both.maxConcurrency, both.toleratedFailureCount, both.executionCounts.running, both.itemCounts.total], [2, 1, 2, 2]);
  const { executions } = await call("ListExecutions", { mapRunArn });
  assert.deepEqual(executions.map((x) => x.mapRunArn), [mapRunArn, mapRunArn]);
  for (const { taskToken, input } of [first, second]) await call("SendTaskSuccess", { taskToken, output: input });
  const done = await ended(executionArn);
  assert.deepEqual([done.status, done.output], ["SUCCEEDED", "[1,2]"]);
  const end = await call("DescribeMapRun", { mapRunArn });
  assert.deepEqual([end.status, end.itemCounts.succeeded], ["SUCCEEDED", 2]);
  await refused("ValidationException", "UpdateMapRun", { mapRunArn, maxConcurrency: 3 });
  await call("DeleteStateMachine", { stateMachineArn });
});

await step("update", async () => {
  await call("UpdateStateMachine", { stateMachineArn: seen.greet, definition: wait });
  assert.equal((await call("DescribeStateMachine", { stateMachineArn: seen.greet })).definition, wait);
  assert.equal((await call("DescribeStateMachineForExecution", { executionArn: seen.one })).definition, greet);
  await refused("MissingRequiredParameter", "UpdateStateMachine", { stateMachineArn: seen.greet });
});

await step("delete", async () => {
  await call("DeleteActivity", { activityArn: seen.activity });
  await refused("ActivityDoesNotExist", "DescribeActivity", { activityArn: seen.activity });
  for (const stateMachineArn of [seen.greet, seen.work, seen.published]) {
    await call("DeleteStateMachine", { stateMachineArn });
    await refused("StateMachineDoesNotExist", "StartExecution", { stateMachineArn });
  }
});

await step("every action", async () => {
  const actions = Object.keys(aws).filter((name) => /^[A-Z].*[a-z]Command$/.test(name)).map((name) => name.replace(/Command$/, ""));
  const missing = actions.filter((name) => !called.has(name) && (process.env.MAP_RUNS || !name.includes("MapRun")));
  assert.deepEqual(missing, []);
  assert.ok(actions.length >= 37, `only ${actions.length} actions`);
});

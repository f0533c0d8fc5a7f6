// A tour of the API with the AWS SDK for JavaScript: tour.mjs ENDPOINT MACHINES
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
  credentials: { accessKeyId: "any", secretAccessKey: "any" },
  maxAttempts: 1,
});
const roleArn = "arn:aws:iam::123456789012:role/tour";
const read = (name) => readFileSync(`${folder}/${name}.json`, "utf8");
const greet = read("greet");
const wait = read("wait");
const seen = {}; // what later steps need of earlier ones

async function step(name, run) {
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (e) {
    process.exitCode = 1;
    console.log(`FAIL ${name}: ${e.name}: ${e.message}`.replaceAll("\n", " "));
  }
}

const call = (command, args = {}) => sfn.send(new aws[`${command}Command`](args));

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

await step("update", async () => {
  await call("UpdateStateMachine", { stateMachineArn: seen.greet, definition: wait });
  assert.equal((await call("DescribeStateMachine", { stateMachineArn: seen.greet })).definition, wait);
  assert.equal((await call("DescribeStateMachineForExecution", { executionArn: seen.one })).definition, greet);
  await refused("MissingRequiredParameter", "UpdateStateMachine", { stateMachineArn: seen.greet });
});

await step("delete", async () => {
  await call("DeleteActivity", { activityArn: seen.activity });
  await refused("ActivityDoesNotExist", "DescribeActivity", { activityArn: seen.activity });
  for (const stateMachineArn of [seen.greet, seen.work]) {
    await call("DeleteStateMachine", { stateMachineArn });
    await refused("StateMachineDoesNotExist", "StartExecution", { stateMachineArn });
  }
});

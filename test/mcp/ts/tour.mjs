// The whole life of a task, by the TypeScript SDK: node tour.mjs URL LOCKSTEP.
// It prints a line for each step: ok NAME, or FAIL NAME: WHY.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";

const [url, lockstep] = process.argv.slice(2);

// What the person at the machine does goes over REST.
async function person(path, body) {
  const res = await fetch(`${url}/api/v1/${path}`, { method: "POST", body: JSON.stringify(body) });
  const text = await res.text();
  if (!res.ok) throw new Error(`${path}: ${res.status} ${text}`);
  return text ? JSON.parse(text) : null;
}

async function connect(transport) {
  const client = new Client({ name: "tour", version: "1" });
  await client.connect(transport);
  return {
    close: () => client.close(),
    tools: async () => (await client.listTools()).tools.map((t) => t.name),
    async call(name, args) {
      const res = await client.callTool({ name, arguments: args ?? {} });
      const text = res.content.at(-1).text;
      if (text !== JSON.stringify(res.structuredContent)) throw new Error(`${name}: the text is not the structured content: ${text}`);
      return { ...res.structuredContent, failed: res.isError === true };
    },
  };
}

const overHTTP = (key) => new StreamableHTTPClientTransport(new URL(`${url}/mcp`), { requestInit: { headers: { Authorization: `Bearer ${key}` } } });
const overStdio = (key) => new StdioClientTransport({
  command: lockstep, args: ["mcp", "--stdio"], env: { ...process.env, LOCKSTEP_URL: url, LOCKSTEP_KEY: key }, stderr: "inherit",
});

function equal(got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

let failed = false;
async function step(name, does) {
  try {
    await does();
    console.log(`ok ${name}`);
  } catch (e) {
    failed = true;
    console.log(`FAIL ${name}: ${String(e.message ?? e).replaceAll("\n", " ")}`);
  }
}

async function life(way, project, transport) {
  const key = async (slug, role) => {
    await person("agents", { slug, role, projects: [project] });
    return (await person(`agents/${slug}/keys`, {})).key;
  };
  await person("projects", { key: project });
  const worker = await connect(transport(await key(`writer-${way}`, "worker")));
  const lead = await connect(transport(await key(`boss-${way}`, "lead")));
  const task = `${project}-1`;
  let lease, review;
  const held = (more) => ({ task, lease, ...more });

  await step(`${way} tools`, async () => {
    equal((await worker.tools()).includes("review_list"), false);
    equal((await lead.tools()).length, 17);
  });
  await step(`${way} waits`, async () => {
    const [got] = await Promise.all([
      worker.call("task_next", { wait_s: 50 }),
      person("tasks", { project, title: "Draft", assignee: `@writer-${way}`, output_schema: { type: "object", required: ["headline"] } }),
    ]);
    equal([got.task, got.brief.title], [task, "Draft"]);
    lease = got.lease;
  });
  await step(`${way} whoami`, async () => {
    const me = await worker.call("whoami");
    equal([me.agent.slug, me.leases[0].lease], [`writer-${way}`, lease]);
  });
  await step(`${way} progress`, async () => {
    await person(`tasks/${task}/comments`, { body: `@writer-${way} shorter` });
    const p = await worker.call("task_progress", held({ note: "half", percent: 50 }));
    equal(p.comments[0].body, `@writer-${way} shorter`);
  });
  await step(`${way} deliverable`, async () => {
    equal((await worker.call("deliverable_add", held({ kind: "text", title: "page.md", content: "# Hi" }))).version, 1);
  });
  await step(`${way} refused`, async () => {
    const refused = await worker.call("task_submit", held({ summary: "s", output: {} }));
    equal([refused.failed, refused.error.code], [true, "output_invalid"]);
  });
  await step(`${way} submit`, async () => {
    const s = await worker.call("task_submit", held({ summary: "s", output: { headline: "Hi" } }));
    equal([s.status, s.next], ["review", "submitted; stop here, you will be woken"]);
    review = s.review;
  });
  await step(`${way} changes`, async () => {
    await person(`reviews/${review}/decision`, { verdict: "changes_requested", comment: "bolder" });
    equal((await worker.call("task_get", { task })).reviews[0].verdicts[0].comment, "bolder");
    equal((await worker.call("task_progress", held())).error.code, "lease_lost");
  });
  await step(`${way} resubmit`, async () => {
    lease = (await worker.call("task_claim", { task })).lease;
    review = (await worker.call("task_submit", held({ summary: "bolder", output: { headline: "HI" } }))).review;
    await person(`reviews/${review}/decision`, { verdict: "approve" });
    equal((await worker.call("task_get", { task })).status, "done");
  });
  await step(`${way} block`, async () => {
    await person("tasks", { project, title: "Ask", assignee: `@writer-${way}` });
    const got = await worker.call("task_next");
    equal((await worker.call("task_block", { task: got.task, lease: got.lease, kind: "question", reason: "r", action: "answer", question: "Which?" })).status, "blocked");
    await person(`tasks/${got.task}/answer`, { answer: "That." });
    const again = await worker.call("task_next");
    equal(again.brief.reviews[0].verdicts[0].comment, "That.");
    equal((await worker.call("task_release", { task: got.task, lease: again.lease, note: "n" })).status, "assigned");
    const third = await worker.call("task_claim", { task: got.task });
    equal((await worker.call("task_fail", { task: got.task, lease: third.lease, category: "tool", message: "m", retryable: false })).status, "failed");
  });
  await step(`${way} lead`, async () => {
    const made = await lead.call("task_create", { project, title: "More", description: "d", assignee: `@writer-${way}`, review_mode: "lead", idempotency_key: "k" });
    equal((await lead.call("task_create", { project, title: "More", description: "d", idempotency_key: "k" })).task, made.task);
    const got = await worker.call("task_next");
    equal(got.brief.description, { quoted_from: `@boss-${way}`, said: "d" });
    await worker.call("task_submit", { task: made.task, lease: got.lease, summary: "s" });
    const { reviews } = await lead.call("review_list");
    equal((await lead.call("review_decide", { review: reviews[0].review, verdict: "approve" })).status, "approved");
  });
  await step(`${way} handoff`, async () => {
    await person("tasks", { project, title: "Over", assignee: `@writer-${way}` });
    const got = await worker.call("task_next");
    const h = await worker.call("handoff", { task: got.task, lease: got.lease, to: `@boss-${way}`, mode: "transfer", summary: "yours" });
    equal([h.state, h.to], ["accepted", `@boss-${way}`]);
    equal((await lead.call("task_comment", { task: got.task, body: `thanks @writer-${way}` })).mentions, [`@writer-${way}`]);
  });
  await step(`${way} usage`, async () => {
    equal((await worker.call("usage_report", { provider: "p", model: "m", input: 10, idempotency_key: "k" })).counted, true);
  });
  await worker.close();
  await lead.close();
}

await step("http wrong key", async () => {
  try {
    await connect(overHTTP("lsa_wrong"));
  } catch (e) {
    return;
  }
  throw new Error("let in");
});
await life("http", "WEB", overHTTP);
await life("stdio", "OPS", overStdio);
process.exit(failed ? 1 : 0);

// The oracle reads one JSON request per line, {"e": expression, "d": input}, and
// answers each with one line: {"v": result}, {"u": true} for nothing, {"f": true}
// for a function, or {"c": code, "m": message} for an error.
//
// The library evaluates the items of an array and the members of an object
// concurrently, so which of several errors is reported depends on how many
// promises lie before each. Here they are evaluated one after the other. And
// where an object is made of an empty array, the library puts something
// undefined into that array, which may be the input. Here it takes another array.
const fs = require("fs");
const path = require.resolve("jsonata");
const source = fs.readFileSync(path, "utf8").replace(
  /Promise\.all\(([\w.()]+)\s*\.map\((async \([\w, ]+\) => \{[\s\S]*?\n +\})\)\);/g,
  "(async () => { const out = []; let i = 0; for (const x of $1) out.push(await ($2)(x, i++)); return out; })();",
).replace("input.push(undefined);", "input = createSequence(undefined);");
if (source.includes("Promise.all(") || source.includes("input.push(undefined)")) throw new Error("the library does not look as expected");
const module_ = new (require("module"))(path);
module_._compile(source, path);
const jsonata = module_.exports;
const lines = require("readline").createInterface({ input: process.stdin });

function isFunction(v) {
  return typeof v === "function" || (v && (v._jsonata_function === true || v._jsonata_lambda === true));
}

// Functions inside of a result become null and NaN and infinities too; what is
// undefined in an array becomes null as JSON.stringify has it.
function plain(v) {
  return JSON.stringify(v, (k, x) => (isFunction(x) ? null : x));
}

async function answer(request) {
  const { e, d } = JSON.parse(request);
  try {
    const r = await jsonata(e, { timeboxing: false }).evaluate(d === undefined ? undefined : d);
    if (r === undefined) return '{"u":true}';
    if (isFunction(r)) return '{"f":true}';
    return '{"v":' + plain(r) + "}";
  } catch (err) {
    return JSON.stringify({ c: err.code || "", m: String(err.message), p: err.position });
  }
}

(async () => {
  for await (const line of lines) process.stdout.write((await answer(line)) + "\n");
})();

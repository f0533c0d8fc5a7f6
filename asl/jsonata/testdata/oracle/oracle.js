// The oracle reads one JSON request per line, {"e": expression, "d": input}, and
// answers each with one line: {"v": result}, {"u": true} for nothing, {"f": true}
// for a function, or {"c": code, "m": message} for an error.
//
// The library evaluates the items of an array and the members of an object
// concurrently, so which of several errors is reported depends on how many
// promises lie before each. Here they are evaluated one after the other. And
// where an object is made of an empty array, the library puts something
// undefined into that array, which may be the input. Here it takes another array.
//
// How far Math.pow may be off is left to the engine, and V8's is off in the last
// digit now and then; and so are the digits of a large integer in another radix
// than 10. Here both are exact, as in the package.
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

const BITS = 256n;
const ONE = 1n << BITS;

// halfLog is half the logarithm of n/d, near 1, as a multiple of 1/ONE.
function halfLog(n, d) {
  const z = ((n - d) << BITS) / (n + d);
  const square = (z * z) >> BITS;
  let sum = 0n;
  for (let power = z, k = 1n; power !== 0n && power !== -1n; k += 2n, power = (power * square) >> BITS) sum += power / k;
  return sum;
}

// exact takes a positive number apart: m times 2 to the power of e.
function exact(a) {
  let e = 0;
  for (; a < 2 ** 52; a *= 2) e--;
  for (; a >= 2 ** 53; a /= 2) e++;
  return [BigInt(a), e];
}

// nearest is n/d times 2 to the power of e, rounded once.
function nearest(n, d, e) {
  const shift = 160 + d.toString(2).length - n.toString(2).length;
  let q = shift > 0 ? (n << BigInt(shift)) / d : n / (d << BigInt(-shift));
  if (shift > 0 ? (n << BigInt(shift)) % d : n % (d << BigInt(-shift))) q |= 1n;
  e -= shift;
  const half = Math.trunc(e / 2);
  return Number(q) * 2 ** half * 2 ** (e - half);
}

const native = Math.pow;
Math.pow = (a, b) => {
  const rough = native(a, b);
  if (!isFinite(rough) || rough === 0 || !isFinite(a) || !isFinite(b) || b === 0) return rough;
  const sign = Math.sign(rough);
  const [m, e] = exact(Math.abs(a));
  if (Number.isInteger(b) && Math.abs(b) <= 1100) {
    const power = m ** BigInt(Math.abs(b));
    return sign * (b > 0 ? nearest(power, 1n, e * b) : nearest(1n, power, e * b));
  }
  const log2 = halfLog(2n, 1n);
  const [n, f] = exact(Math.abs(b));
  let x = ((halfLog(m, 1n << 53n) + log2 * BigInt(e + 53)) * n * 2n * (b < 0 ? -1n : 1n));
  x = f > 0 ? x << BigInt(f) : x >> BigInt(-f);
  const k = x / (2n * log2);
  x -= k * 2n * log2;
  let sum = 0n;
  for (let term = ONE, i = 1n; term !== 0n && term !== -1n; i++) {
    sum += term;
    term = ((term * x) >> BITS) / i;
  }
  return sign * nearest(sum, ONE, Number(k));
};

const inRadix = Number.prototype.toString;
Number.prototype.toString = function (radix) {
  const v = Number(this);
  if (radix !== undefined && radix !== 10 && Number.isInteger(v) && Math.abs(v) >= 2 ** 53) return BigInt(v).toString(radix);
  return inRadix.call(v, radix);
};

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

// Runs a Lambda handler: node bootstrap.mjs, with _HANDLER=handler.handle for
// what handler.mjs (or .js, .cjs) exports as handle.
import { existsSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`
const agent = new http.Agent({ keepAlive: true })
const ask = (method, path, value) => new Promise((resolve, reject) => {
  const body = method === 'POST' ? Buffer.from(JSON.stringify(value) ?? 'null') : Buffer.alloc(0)
  const request = http.request(api + path, { method, agent, headers: { 'Content-Length': body.length } }, async answer => {
    const parts = await answer.toArray().catch(reject)
    resolve({ status: answer.statusCode, headers: answer.headers, text: Buffer.concat(parts ?? []).toString() })
  })
  request.on('error', reject).end(body)
})
const described = e => ({ errorType: e?.name ?? 'Error', errorMessage: e?.message ?? String(e), trace: String(e?.stack ?? e).split('\n') })

let handle
try {
  const [file, name] = (process.env._HANDLER || 'handler.handle').split('.')
  const base = join(process.env.LAMBDA_TASK_ROOT ?? process.cwd(), file)
  const path = ['.mjs', '.js', '.cjs'].map(ending => base + ending).find(p => existsSync(p)) ?? base
  const module = await import(pathToFileURL(path))
  handle = module[name] ?? module.default?.[name]
  if (typeof handle !== 'function') throw new TypeError(`${path} exports no function ${name}`)
} catch (e) {
  await ask('POST', '/init/error', described(e))
  process.exit(1)
}

for (;;) {
  const call = await ask('GET', '/invocation/next')
  if (call.status !== 200) process.exit(0)
  const id = call.headers['lambda-runtime-aws-request-id']
  const deadline = Number(call.headers['lambda-runtime-deadline-ms'])
  process.env._X_AMZN_TRACE_ID = call.headers['lambda-runtime-trace-id'] ?? ''
  const context = {
    awsRequestId: id, functionName: process.env.AWS_LAMBDA_FUNCTION_NAME, functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: call.headers['lambda-runtime-invoked-function-arn'], memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  }
  let outcome
  try {
    outcome = ['response', await handle(JSON.parse(call.text), context)]
  } catch (e) {
    outcome = ['error', described(e)]
  }
  await ask('POST', `/invocation/${id}/${outcome[0]}`, outcome[1])
}

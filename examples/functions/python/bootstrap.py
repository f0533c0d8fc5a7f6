"""Runs a Lambda handler: python3 bootstrap.py, with _HANDLER=handler.handle for
the function handle of handler.py."""
import http.client, importlib, json, os, sys, time, traceback

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

def ask(method, path, value=None):
    api.request(method, "/2018-06-01/runtime" + path, None if method == "GET" else json.dumps(value))
    answer = api.getresponse()
    return answer, answer.read()

def described(e):
    return {"errorType": type(e).__name__, "errorMessage": str(e), "stackTrace": traceback.format_tb(e.__traceback__)}

class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return self.deadline - int(time.time() * 1000)

try:
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, name = (os.environ.get("_HANDLER") or "handler.handle").rsplit(".", 1)
    handle = getattr(importlib.import_module(module), name)
except Exception as e:
    ask("POST", "/init/error", described(e))
    sys.exit(1)

while True:
    call, event = ask("GET", "/invocation/next")
    if call.status != 200:
        sys.exit(0)
    context = Context(call.headers)
    os.environ["_X_AMZN_TRACE_ID"] = call.headers.get("Lambda-Runtime-Trace-Id", "")
    try:
        path, answer = "response", json.loads(json.dumps(handle(json.loads(event), context)))
    except Exception as e:
        path, answer = "error", described(e)
    sys.stdout.flush()
    ask("POST", f"/invocation/{context.aws_request_id}/{path}", answer)

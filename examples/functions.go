package examples

import _ "embed"

// File is a file to write.
type File struct{ Name, Text string }

// Runtime is a language that functions can be written in: files to start from,
// how they are run, and what _HANDLER is then.
type Runtime struct {
	Files   []File
	Command []string
	Handler string
}

var (
	//go:embed functions/node/bootstrap.mjs
	nodeBootstrap string
	//go:embed functions/node/handler.mjs
	nodeHandler string
	//go:embed functions/python/bootstrap.py
	pythonBootstrap string
	//go:embed functions/python/handler.py
	pythonHandler string
)

// Runtimes are those that lockstep fn init knows, by name.
var Runtimes = map[string]Runtime{
	"node": {
		Files:   []File{{"bootstrap.mjs", nodeBootstrap}, {"handler.mjs", nodeHandler}},
		Command: []string{"node", "bootstrap.mjs"}, Handler: "handler.handle",
	},
	"python": {
		Files:   []File{{"bootstrap.py", pythonBootstrap}, {"handler.py", pythonHandler}},
		Command: []string{"python3", "bootstrap.py"}, Handler: "handler.handle",
	},
}

package mtest

import (
	"fmt"
	"time"

	"github.com/lockstep-run/lockstep/asl/value"
)

// mock is what a state's task answers: the first answer that fits the call and
// is not used up.
type mock struct {
	answers []answer
	line    *int // in the file
}

// answer is a task's outcome: a result, an error, or none at all.
type answer struct {
	output     string // JSON
	fails      bool
	err, cause *string
	timeout    bool
	after      time.Duration
	when       value.Value // part of the input it is for; absent: any
	times      int         // calls it serves; 0: any number
}

// answers hands out the answers of a case's mocks.
type answers struct {
	own  map[string]mock
	all  map[string]mock
	used map[string][]int // by state and answer
}

// next finds the answer to a call, or says what is missing.
func (m *answers) next(state string, input value.Value) (a answer, problem string) {
	found, ok := m.own[state]
	if !ok {
		found, ok = m.all[state]
	}
	if !ok {
		return a, fmt.Sprintf("no mock says what that returns. Write under mocks:\n  %s: {return: {...}}    or    {error: Some.Error, cause: why}    or    {timeout: true}", key(state))
	}
	if m.used == nil {
		m.used = map[string][]int{}
	}
	if m.used[state] == nil {
		m.used[state] = make([]int, len(found.answers))
	}
	used := m.used[state]
	for i, a := range found.answers {
		if a.times > 0 && used[i] >= a.times || !a.when.IsAbsent() && len(differences("", a.when, input, true)) > 0 {
			continue
		}
		used[i]++
		return a, ""
	}
	return a, fmt.Sprintf("its mock (line %d) has no answer left for call %d. Add one to the list, or give the last one times: always",
		*found.line, m.total(state)+1)
}

// total counts the calls of a state that were answered.
func (m *answers) total(state string) int {
	n := 0
	for _, used := range m.used[state] {
		n += used
	}
	return n
}

// key writes a state's name as a key in YAML.
func key(name string) string {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '_' && r != '-' {
			return value.Str(name).JSON()
		}
	}
	return name
}

package awsapi

import (
	"strconv"
	"strings"

	"github.com/lockstep-run/lockstep/internal/arn"
)

// prefixes are what the ARNs of our own resources begin with.
type prefixes struct{ machine, activity, execution string }

// forbidden are the characters, beside white space and the ranges in
// nameAllows, that AWS refuses in names (recorded for most of them).
const forbidden = "<>{}[]?*\"#%\\^|~`$&,;:/"

// checkName applies AWS's rules to the name of a machine, an execution or an
// activity. Its length is a constraint of its own.
func checkName(name string) error {
	if strings.IndexFunc(name, func(r rune) bool { return !nameAllows(r) }) >= 0 {
		return invalidName(name)
	}
	return nil
}

func nameAllows(r rune) bool {
	switch {
	case r <= 0x20, r >= 0x7F && r <= 0x9F: // control characters and the space
		return false
	case r < 0x7F:
		return strings.IndexByte(forbidden, byte(r)) < 0
	case r == 0xA0, r == 0x1680, r >= 0x2000 && r <= 0x200A, r == 0x2028, r == 0x2029, r == 0x202F, r == 0x205F, r == 0x3000:
		return false // Unicode's white space
	}
	return r < 0xFFFE || r > 0xFFFF && r < 0x10FFFF
}

// resource takes an ARN of one type apart. Parts is what follows the type, the
// first of them as it is kept. It is ours only when it names our partition and
// region, and an account that is served.
func (s *Server) resource(text, typ string) (parts []string, ours bool, err error) {
	name, ok := arn.Parse(text)
	if !ok || name.Service != "states" {
		return nil, false, invalidArn(text)
	}
	if name.Type != typ {
		return nil, false, invalidArnType(name.Type)
	}
	if kept, ok := s.scheme.Find(name); ok {
		name.Parts[0], ours = kept, true
	}
	return name.Parts, ours, nil
}

// machineName is the name in a state machine's ARN, as it is kept. It is "" for
// ARNs that are valid but name no machine that we have: of accounts that are not
// served, versions and aliases.
func (s *Server) machineName(text string) (string, error) {
	name, qualifier, err := s.machineNames(text)
	if qualifier != "" {
		name = ""
	}
	return name, err
}

// machineNames are the name in a state machine's ARN and what follows it in
// those of versions and aliases, "" in the machine's own. The name is "" if it
// cannot be ours.
func (s *Server) machineNames(text string) (name, qualifier string, err error) {
	if rest, ok := strings.CutPrefix(text, s.prefixes.machine); ok && rest != "" && strings.IndexByte(rest, ':') < 0 {
		if strings.IndexByte(rest, '/') >= 0 {
			return "", "", labelledArn()
		}
		return rest, "", nil
	}
	parts, ours, err := s.resource(text, "stateMachine")
	switch {
	case err != nil:
		return "", "", err
	case strings.Contains(parts[0], "/"):
		return "", "", labelledArn()
	case !ours || len(parts) > 2:
		return "", "", nil
	case len(parts) == 2:
		qualifier = parts[1]
	}
	return parts[0], qualifier, nil
}

// versionNumber reads the qualifier of a version's ARN: a whole number from 1
// on. Every other qualifier is the name of an alias, which holds more than
// digits.
func versionNumber(qualifier string) (number int64, ok bool) {
	number, err := strconv.ParseInt(qualifier, 10, 64)
	return number, err == nil && number > 0 && strconv.FormatInt(number, 10) == qualifier
}

// activityName is the name in an activity's ARN, "" if it cannot be ours.
func (s *Server) activityName(text string) (string, error) {
	parts, ours, err := s.resource(text, "activity")
	if err != nil || !ours || len(parts) != 1 {
		return "", err
	}
	return parts[0], nil
}

// executionNames are the names of the machine and of the execution in an
// execution's ARN, "" if it cannot be ours.
func (s *Server) executionNames(text string) (machine, name string, err error) {
	if rest, ok := strings.CutPrefix(text, s.prefixes.execution); ok {
		machine, name, _ = strings.Cut(rest, ":")
		if machine != "" && name != "" && strings.IndexByte(name, ':') < 0 {
			return machine, name, nil
		}
	}
	parts, ours, err := s.resource(text, "execution")
	if err != nil || !ours || len(parts) != 2 {
		return "", "", err
	}
	return parts[0], parts[1], nil
}

// checkRole refuses what is no ARN of a role. Which account it is in does not
// matter here.
func checkRole(text string) error {
	if !strings.HasPrefix(text, "arn:") || !strings.Contains(text, ":iam:") || strings.Count(text, ":") < 5 {
		return invalidRole(text)
	}
	return nil
}

package asl

// CodeNotYet marks what is valid in AWS and not supported by Lockstep yet.
const CodeNotYet = "NOT_YET_SUPPORTED"

// notYet refuses something that is valid. Every use of it is a feature to come:
// delete the call when the engine has it.
func (p *parser) notYet(at *place, what string) {
	if p.opts.Untried {
		return
	}
	p.add(&p.unsupported, Diagnostic{
		Severity: Error, Code: CodeNotYet, Message: what + " is not supported by Lockstep yet",
		Location: at.location(), Pointer: at.pointer(),
	})
}

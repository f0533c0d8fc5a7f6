package asl

// Succeed ends its scope with its input.
type Succeed struct{ Common }

func (*Succeed) isState() {}

func (s *stateParser) succeed(base Common) State { return &Succeed{Common: base} }

package asl

import "github.com/lockstep-run/lockstep/asl/value"

// graph is a scope as its states lead to each other.
type graph struct {
	at      *place
	startAt string
	nodes   []*node
	broken  bool // something is wrong that makes reachability a guess
}

type node struct {
	name     string
	at       *place
	v        value.Value // as written
	terminal bool
	edges    []edge
	inner    []*graph
}

type edge struct {
	target string
	at     *place // the field that names the target
}

func (n *node) leadsTo(target string, at *place) {
	n.edges = append(n.edges, edge{target, at})
}

// checkGraphs reports targets that do not exist, a machine that cannot end, and
// states that nothing leads to: in this order, as AWS does. Where there is no top
// level, the first scope is one inside the single state.
func (p *parser) checkGraphs(top bool) {
	schemaErrors := len(p.errors) > 0
	for _, g := range p.graphs {
		p.checkTargets(g)
	}
	if schemaErrors || len(p.graphs) == 0 {
		return // what is reachable can be said when the states can be read
	}
	if top && !canEnd(p.graphs[0]) {
		// AWS asks this of the top level alone, and then nothing more.
		p.add(&p.errors, Diagnostic{Severity: Error, Code: CodeMissingEnd, Message: "Workflow has no terminal state"})
		return
	}
	for _, g := range p.graphs {
		p.checkReachable(g)
	}
}

func (p *parser) checkTargets(g *graph) {
	names := make(map[string]bool, len(g.nodes))
	for _, n := range g.nodes {
		names[n.name] = true
	}
	if !g.broken && !names[g.startAt] {
		p.missingTarget(edge{g.startAt, g.at.key("StartAt")})
	}
	for _, n := range g.nodes {
		for _, e := range n.edges {
			if !names[e.target] {
				p.missingTarget(e)
			}
		}
	}
}

// missingTarget reports an edge to nowhere. AWS says 'Next' whatever the field.
func (p *parser) missingTarget(e edge) {
	p.report(CodeMissingTarget, e.at, e.at, "Missing 'Next' target: %s", shorten(e.target))
}

func canEnd(g *graph) bool {
	for _, n := range g.nodes {
		if n.terminal {
			return true
		}
	}
	return false
}

// checkReachable reports the states that no path from StartAt leads to. AWS
// refuses them.
func (p *parser) checkReachable(g *graph) {
	nodes := make(map[string]*node, len(g.nodes))
	for _, n := range g.nodes {
		nodes[n.name] = n
	}
	seen := make(map[string]bool, len(g.nodes))
	todo := []string{g.startAt}
	for len(todo) > 0 {
		n := nodes[todo[len(todo)-1]]
		todo = todo[:len(todo)-1]
		if n == nil || seen[n.name] {
			continue
		}
		seen[n.name] = true
		for _, e := range n.edges {
			todo = append(todo, e.target)
		}
	}
	for _, n := range g.nodes {
		if !seen[n.name] {
			p.report(CodeMissingTarget, n.at, n.at, "State \"%s\" is not reachable.", shorten(n.name))
		}
	}
}

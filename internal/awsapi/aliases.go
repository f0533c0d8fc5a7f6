package awsapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lockstep-run/lockstep/internal/store"
)

// maxAliases is AWS's quota for a machine.
const maxAliases = 100

// aliasName is what the service model says of an alias's name.
var aliasName = bounds{required: true, min: 1, max: 80, pattern: &pattern{`^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$`, isAliasName}}

// isAliasName asks for at least one character that no version's number has.
func isAliasName(s string) bool {
	const digits, others = "0123456789", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-."
	return strings.Trim(s, digits+others) == "" && strings.ContainsAny(s, others)
}

// routing is one item of a routingConfiguration.
type routing struct {
	arn    string
	weight int64
}

// routing reads a routingConfiguration, nil if there is none.
func (in *input) routing(required bool) (list []routing) {
	items, given := in.structures("routingConfiguration", required)
	if !given {
		return nil
	}
	var shown []string
	for _, item := range items {
		if !item.has("weight") {
			item.violate("weight", "null", "Member must not be null")
		}
		r := routing{item.text("stateMachineVersionArn", arnText), item.integer("weight", 0, 100)}
		list = append(list, r)
		shown = append(shown, fmt.Sprintf("RoutingConfigurationListItem(stateMachineVersionArn=%s, weight=%d)", r.arn, r.weight))
	}
	value := "'[" + strings.Join(shown, ", ") + "]'"
	if len(list) > 2 {
		in.violate("routingConfiguration", value, "Member must have length less than or equal to 2")
	}
	if len(list) < 1 {
		in.violate("routingConfiguration", value, "Member must have length greater than or equal to 1")
	}
	return list
}

// routes turns a routingConfiguration into the routes of an alias and the name
// of the machine that its versions are of. Whether those are there is not
// looked at.
func (s *Server) routes(list []routing) (machine string, routes []store.Route, err error) {
	var arns, weights []string
	sum := int64(0)
	for _, r := range list {
		arns, weights = append(arns, r.arn), append(weights, fmt.Sprint(r.weight))
		sum += r.weight
	}
	received := "Received: [" + strings.Join(arns, ", ") + "]"
	for i, r := range list {
		name, qualifier, err := s.machineNames(r.arn)
		if err != nil {
			return "", nil, err
		}
		number, ok := versionNumber(qualifier)
		switch {
		case !ok:
			return "", nil, invalidRouting("Routing configuration must contain state machine version ARNs. %s", received)
		case i > 0 && name != machine: // not recorded
			return "", nil, invalidRouting("Routing configuration must contain versions of one state machine. %s", received)
		case i > 0 && number == routes[0].Number:
			return "", nil, invalidRouting("Routing configuration must contain distinct state machine version ARNs. %s", received)
		}
		machine, routes = name, append(routes, store.Route{Number: number, Weight: r.weight})
	}
	if sum != 100 {
		return "", nil, invalidRouting("Sum of routing configuration weights must equal 100. Received: [%s]", strings.Join(weights, ", "))
	}
	return machine, routes, nil
}

// routable finds a machine by name, as something that an alias may lead into.
func (s *Server) routable(ctx context.Context, tx store.Tx, machine string, routes []store.Route) (store.Machine, error) {
	m, err := tx.Machine(ctx, machine)
	if err != nil {
		return m, orMissing(err, resourceMissing(s.scheme.Machine(machine)))
	}
	if m.Deleting {
		return m, machineDeleting(s.scheme.Machine(machine))
	}
	for _, r := range routes {
		if _, err := tx.Version(ctx, m.ID, r.Number); err != nil {
			return m, orMissing(err, resourceMissing(s.scheme.Version(machine, r.Number)))
		}
	}
	return m, nil
}

// createStateMachineAlias answers a repeated call as the first one (recorded).
func (s *Server) createStateMachineAlias(ctx context.Context, in *input, out []byte) ([]byte, error) {
	a := store.Alias{Description: in.keep("description", descriptionText), Name: in.keep("name", aliasName), CreatedAt: s.millis()}
	a.UpdatedAt = a.CreatedAt
	list := in.routing(true)
	err := in.err()
	if err != nil {
		return nil, err
	}
	machine, routes, err := s.routes(list)
	if err != nil {
		return nil, err
	}
	a.Routes = routes
	defer s.machines.forget(machine)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, err := s.routable(ctx, tx, machine, routes)
		if err != nil {
			return err
		}
		a.Machine = m.ID
		old, err := tx.Alias(ctx, m.ID, a.Name)
		if err == nil {
			if old.Description != a.Description || !slices.Equal(old.Routes, a.Routes) {
				return aliasExists()
			}
			a = old
			return nil
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
		others, err := tx.Aliases(ctx, m.ID, "", maxAliases)
		if err != nil {
			return err
		}
		if len(others) >= maxAliases {
			return overQuota("aliases", maxAliases)
		}
		return tx.SaveAlias(ctx, a)
	})
	if err != nil {
		return nil, err
	}
	o := newObject(out)
	o.text("stateMachineAliasArn", s.scheme.Alias(machine, a.Name))
	o.time("creationDate", a.CreatedAt)
	return o.end(), nil
}

// aliasNames are the names of the machine and of the alias in an alias's ARN.
// What else an ARN of ours may name is no alias that is there.
func (s *Server) aliasNames(arn string) (machine, name string, err error) {
	machine, name, err = s.machineNames(arn)
	if err == nil && !isAliasName(name) {
		err = resourceMissing(arn)
	}
	return machine, name, err
}

// aliasNamed reads the ARN of a request that has nothing else in it.
func (s *Server) aliasNamed(in *input) (arn, machine, name string, err error) {
	arn = in.text("stateMachineAliasArn", arnText)
	if err := in.err(); err != nil {
		return arn, "", "", err
	}
	machine, name, err = s.aliasNames(arn)
	return arn, machine, name, err
}

// updateStateMachineAlias changes what is given and leaves the rest.
func (s *Server) updateStateMachineAlias(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineAliasArn", arnText)
	description := in.pointer("description", descriptionText)
	list := in.routing(false)
	if err := in.err(); err != nil {
		return nil, err
	}
	machine, name, err := s.aliasNames(arn)
	if err != nil {
		return nil, err
	}
	if description == nil && list == nil {
		return nil, nothingToRoute()
	}
	var routes []store.Route
	if list != nil {
		var of string
		if of, routes, err = s.routes(list); err != nil {
			return nil, err
		}
		if of != machine { // not recorded
			return nil, invalidRouting("Routing configuration must contain versions of the state machine that the alias is of. Received: %s", s.scheme.Machine(of))
		}
	}
	now := s.millis()
	defer s.machines.forget(machine)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, err := s.routable(ctx, tx, machine, routes)
		if err != nil {
			return err
		}
		a, err := tx.Alias(ctx, m.ID, name)
		if err != nil {
			return err
		}
		if a.UpdatedAt = now; description != nil {
			a.Description = *description
		}
		if routes != nil {
			a.Routes = routes
		}
		return tx.SaveAlias(ctx, a)
	})
	if err != nil {
		return nil, orMissing(err, resourceMissing(arn))
	}
	o := newObject(out)
	o.time("updateDate", now)
	return o.end(), nil
}

// deleteStateMachineAlias succeeds for an alias that is not there, too
// (recorded).
func (s *Server) deleteStateMachineAlias(ctx context.Context, in *input, out []byte) ([]byte, error) {
	_, machine, name, err := s.aliasNamed(in)
	if err != nil {
		return nil, err
	}
	defer s.machines.forget(machine)
	err = s.write(ctx, func(ctx context.Context, tx store.Tx) error {
		m, err := tx.Machine(ctx, machine)
		if err != nil {
			return err
		}
		return tx.DeleteAlias(ctx, m.ID, name)
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	return append(out, "{}"...), nil
}

func (s *Server) describeStateMachineAlias(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn, machine, name, err := s.aliasNamed(in)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(ctx, machine)
	if err != nil {
		return nil, orMissing(err, resourceMissing(arn))
	}
	a, err := s.store.Alias(ctx, m.ID, name)
	if err != nil {
		return nil, orMissing(err, resourceMissing(arn))
	}
	o := newObject(out)
	o.text("stateMachineAliasArn", arn)
	o.text("name", a.Name)
	o.textIf("description", a.Description)
	o.list("routingConfiguration")
	for _, r := range a.Routes {
		o.item()
		o.text("stateMachineVersionArn", s.scheme.Version(machine, r.Number))
		o.number("weight", r.Weight)
		o.close()
	}
	o.endList()
	o.time("creationDate", a.CreatedAt)
	o.time("updateDate", a.UpdatedAt)
	return o.end(), nil
}

// listStateMachineAliases lists a machine's aliases, or those that lead to a
// version, by name.
func (s *Server) listStateMachineAliases(ctx context.Context, in *input, out []byte) ([]byte, error) {
	arn := in.text("stateMachineArn", arnText)
	p, err := in.page(maxToken, "ListStateMachineAliases", arn)
	if err != nil {
		return nil, err
	}
	name, qualifier, err := s.machineNames(arn)
	if err != nil {
		return nil, err
	}
	m, err := s.machine(ctx, name)
	if err != nil {
		return nil, orMissing(err, machineMissing(arn))
	}
	if m.Deleting {
		return nil, machineDeleting(arn)
	}
	list, err := s.store.Aliases(ctx, m.ID, p.after, maxAliases)
	if err != nil {
		return nil, err
	}
	if qualifier != "" {
		v, err := s.version(ctx, m, qualifier)
		if err != nil {
			return nil, orMissing(err, resourceMissing(arn))
		}
		list = leadingTo(list, v.Number)
	}
	o := newObject(out)
	o.list("stateMachineAliases")
	for _, a := range list[:min(len(list), p.limit)] {
		o.item()
		o.text("stateMachineAliasArn", s.scheme.Alias(name, a.Name))
		o.time("creationDate", a.CreatedAt)
		o.close()
	}
	o.endList()
	if len(list) > p.limit {
		o.text("nextToken", p.token(list[p.limit-1].Name))
	}
	return o.end(), nil
}

// leadingTo are those of the aliases that lead to a version.
func leadingTo(aliases []store.Alias, number int64) (list []store.Alias) {
	for _, a := range aliases {
		if slices.ContainsFunc(a.Routes, func(r store.Route) bool { return r.Number == number }) {
			list = append(list, a)
		}
	}
	return list
}

func names(aliases []store.Alias) (list []string) {
	for _, a := range aliases {
		list = append(list, a.Name)
	}
	return list
}

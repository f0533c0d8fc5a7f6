package control

import (
	"context"
	"strings"
)

// scopes says which scope a service key needs for what need is asked about.
// Settings and users are for people.
var scopes = map[string]string{"read": "read", "comment": "comment", "edit": "edit", "manage": "manage"}

// Service names a service key as a party by its id.
func Service(id string) Party { return Party("service:" + id) }

// UpdateUser is what may be changed of a user apart from the role; what is nil
// stays.
type UpdateUser struct {
	Name    *string `json:"name,omitempty"` // as in @name
	Display *string `json:"display,omitempty"`
	Email   *string `json:"email,omitempty"`
}

// UpdateUser changes what is said of a user: owners do, and everyone does it for
// themselves but for the name, by which others know them.
func (b *Board) UpdateUser(ctx context.Context, c Call, user string, in UpdateUser) (*Person, error) {
	return write(ctx, b, c, "update_user", func(x *op) (*Person, error) {
		u, err := x.user(user)
		if err != nil {
			return nil, err
		}
		if x.By != User(u.ID) || in.Name != nil {
			if err := x.need("", "own"); err != nil {
				return nil, err
			}
		}
		if err := x.same(u); err != nil {
			return nil, err
		}
		for _, text := range []*string{in.Display, in.Email} {
			if text != nil && (len(*text) > 200 || strings.ContainsAny(*text, "\r\n")) {
				return nil, invalid("a display name or e-mail address is one line of at most 200 bytes")
			}
		}
		if in.Name != nil && *in.Name != u.Name {
			if err := x.freeName(*in.Name); err != nil {
				return nil, err
			}
			u.Name = *in.Name
		}
		if in.Display != nil {
			u.Display = *in.Display
		}
		if in.Email != nil {
			u.Email = *in.Email
		}
		x.put(u)
		return u, x.emit(Event{Type: "user.updated", Data: map[string]any{"user": u.ID, "name": u.Name}})
	})
}

// keepOwner refuses what would leave the workspace without an owner.
func (x *op) keepOwner(u *Person) error {
	if u.Role != Owner {
		return nil
	}
	all, err := list[Person](x, "name/"+x.Workspace+"/", many)
	if err != nil {
		return err
	}
	for _, other := range all {
		if other.ID != u.ID && other.Role == Owner && !other.Removed {
			return nil
		}
	}
	return refuse(ProjectNeedsAnOwner, nil, "@%s is the only owner: make another user owner first", u.Name)
}

// MayManage refuses a caller who may not manage an agent.
func (b *Board) MayManage(ctx context.Context, c Call, agent string) error {
	x := b.view(ctx, c)
	a, err := x.seeAgent(agent)
	if err != nil {
		return err
	}
	return x.needManage(a)
}

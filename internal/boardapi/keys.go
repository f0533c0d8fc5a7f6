package boardapi

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/lockstep-run/lockstep/internal/control"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Key is a key of an agent. The key itself is shown once and kept as its hash,
// which is the id of its record.
type Key struct {
	ID        string    `json:"id"` // the beginning of the key
	Agent     string    `json:"agent"`
	CreatedAt time.Time `json:"created_at"`
	Key       string    `json:"key,omitempty"` // in the answer to its making alone
}

const (
	keyKind   = "agent_key"
	keyPrefix = "lsa_"
)

func keyHash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// newKey makes a key for an agent.
func (a *API) newKey(r *request) (any, error) {
	agent, err := r.managed()
	if err != nil {
		return nil, err
	}
	k, record, err := makeKey(r, agent)
	if err != nil {
		return nil, err
	}
	err = a.bell.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		return r.keepKey(ctx, tx, agent, k, record)
	})
	return k, err
}

// makeKey makes a key up, with the record that keeps it.
func makeKey(r *request, agent *control.Agent) (k Key, record store.Record, err error) {
	var secret [24]byte
	rand.Read(secret[:])
	key := keyPrefix + base64.RawURLEncoding.EncodeToString(secret[:])
	k = Key{ID: key[:len(keyPrefix)+6], Agent: agent.ID, CreatedAt: r.call.At.UTC().Truncate(time.Millisecond)}
	data, err := json.Marshal(k)
	k.Key = key
	return k, store.Record{Kind: keyKind, ID: keyHash(key), Keys: []string{"agent/" + agent.ID + "/" + k.ID}, Data: data}, err
}

// keepKey has a key count, and tells of it.
func (r *request) keepKey(ctx context.Context, tx store.Tx, agent *control.Agent, k Key, record store.Record) error {
	if err := tx.SaveRecord(ctx, record); err != nil {
		return err
	}
	return r.tell(ctx, tx, "agent.key_created", agent, k.ID)
}

func (a *API) keys(r *request) (any, error) {
	agent, err := r.managed()
	if err != nil {
		return nil, err
	}
	found, err := a.store.Records(r.Context(), store.Prefix(keyKind, "agent/"+agent.ID+"/", 1000))
	if err != nil {
		return nil, err
	}
	list := make([]Key, len(found))
	for i, f := range found {
		if err := json.Unmarshal(f.Data, &list[i]); err != nil {
			return nil, err
		}
	}
	return map[string]any{"keys": list}, nil
}

// revoke ends a key: the next call with it is refused.
func (a *API) revoke(r *request) (any, error) {
	agent, err := r.managed()
	if err != nil {
		return nil, err
	}
	id := r.PathValue("key")
	return nil, a.bell.Write(r.Context(), func(ctx context.Context, tx store.Tx) error {
		at := "agent/" + agent.ID + "/" + id
		found, err := tx.Records(ctx, store.Prefix(keyKind, at, 2))
		if err != nil {
			return err
		}
		if len(found) == 0 || found[0].Key != at {
			return rest.NotFound("@%s has no key %q.", agent.Slug, id)
		}
		if err := tx.DeleteRecord(ctx, keyKind, found[0].ID); err != nil {
			return err
		}
		return r.tell(ctx, tx, "agent.key_revoked", agent, id)
	})
}

// managed is the agent of the path, for who may manage it.
func (r *request) managed() (*control.Agent, error) {
	if err := r.people(); err != nil {
		return nil, err
	}
	if err := r.a.board.MayManage(r.Context(), r.call, r.PathValue("agent")); err != nil {
		return nil, err
	}
	return r.a.board.Agent(r.Context(), r.call, r.PathValue("agent"))
}

// tell adds to the feed what happened to a key.
func (r *request) tell(ctx context.Context, tx store.Tx, kind string, agent *control.Agent, key string) error {
	e := control.Event{At: r.call.At.UTC(), Type: kind, Workspace: workspace, By: r.call.By, Agent: agent.ID, Data: map[string]any{"key": key}}
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	topics := []string{"workspace/" + workspace, "agent/" + agent.ID, control.AuditTopic}
	_, err = tx.AddEvent(ctx, store.Event{At: e.At.UnixMilli(), Type: kind, Topics: topics, Data: data})
	return err
}

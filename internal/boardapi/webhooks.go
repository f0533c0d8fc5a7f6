package boardapi

import (
	"encoding/json"
	"errors"

	"github.com/lockstep-run/lockstep/internal/notices"
	"github.com/lockstep-run/lockstep/internal/rest"
	"github.com/lockstep-run/lockstep/internal/store"
)

func (a *API) registerWebhooks(handle func(string, func(*request) (any, error))) {
	handle = with(handle, func(a *API) bool { return a.told != nil })
	manages := func(do func(r *request) (any, error)) func(*request) (any, error) {
		return func(r *request) (any, error) {
			if err := r.managing(); err != nil {
				return nil, err
			}
			v, err := do(r)
			if errors.Is(err, store.ErrNotFound) {
				err = rest.NotFound("There is no such webhook or delivery.")
			}
			return v, noGood(err)
		}
	}
	handle("GET /api/v1/webhooks", manages(func(r *request) (any, error) {
		list, err := a.told.Hooks(r.Context())
		return map[string]any{"webhooks": list}, err
	}))
	handle("POST /api/v1/webhooks", manages(a.newWebhook))
	handle("GET /api/v1/webhooks/{webhook}", manages(func(r *request) (any, error) {
		return a.told.Hook(r.Context(), r.PathValue("webhook"))
	}))
	handle("DELETE /api/v1/webhooks/{webhook}", manages(func(r *request) (any, error) {
		return nil, a.told.RemoveHook(r.Context(), r.call, r.PathValue("webhook"))
	}))
	handle("POST /api/v1/webhooks/{webhook}/enable", manages(func(r *request) (any, error) {
		in, err := read[enableBody](r)
		if err != nil {
			return nil, err
		}
		return nil, a.told.EnableHook(r.Context(), r.PathValue("webhook"), in.Skip)
	}))
	handle("GET /api/v1/webhooks/{webhook}/deliveries", manages(a.webhookDeliveries))
	handle("POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", manages(func(r *request) (any, error) {
		return nil, a.told.Redeliver(r.Context(), r.PathValue("webhook"), r.PathValue("delivery"))
	}))
}

// newWebhook makes a webhook. Its secret is in this answer alone.
func (a *API) newWebhook(r *request) (any, error) {
	in, err := read[notices.NewHook](r)
	if err != nil {
		return nil, err
	}
	for i, ref := range in.Projects {
		p, err := a.board.Project(r.Context(), r.call, ref)
		if err != nil {
			return nil, err
		}
		in.Projects[i] = p.ID
	}
	h, secret, err := a.told.AddHook(r.Context(), r.call, in)
	return madeWebhook{h, secret}, err
}

func (a *API) webhookDeliveries(r *request) (any, error) {
	q, err := r.query("limit", "cursor")
	if err != nil {
		return nil, err
	}
	n, err := limit(q["limit"])
	if err != nil {
		return nil, err
	}
	h, err := a.told.Hook(r.Context(), r.PathValue("webhook"))
	if err != nil {
		return nil, err
	}
	rows, next, err := r.records(notices.KindDelivery, []string{notices.LogPrefix(h.ID)}, q["cursor"], n, func(rec store.Record) (any, error) {
		var d notices.HookDelivery
		return &d, json.Unmarshal(rec.Data, &d)
	})
	return answer("deliveries", rows, next, err)
}

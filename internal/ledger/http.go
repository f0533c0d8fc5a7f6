package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/lockstep-run/lockstep/internal/cost"
	"github.com/lockstep-run/lockstep/internal/store"
)

// Register adds the ledger's calls to mux: GET /api/v1/usage, GET and PUT
// /api/v1/prices, PUT /api/v1/prices/overrides, POST /api/v1/prices/reprice, and
// GET, PUT and DELETE of /api/v1/budgets.
// Who may call them is for whoever stands in front.
func (l *Ledger) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/usage", answering(l.serveUsage))
	mux.HandleFunc("GET /api/v1/usage/summary", answering(l.serveUsage))
	mux.HandleFunc("GET /api/v1/prices", answering(l.servePrices))
	mux.HandleFunc("PUT /api/v1/prices", answering(l.serveImport))
	mux.HandleFunc("PUT /api/v1/prices/overrides", answering(l.serveOverride))
	mux.HandleFunc("POST /api/v1/prices/reprice", answering(l.serveReprice))
	mux.HandleFunc("GET /api/v1/budgets", answering(l.serveBudgets))
	mux.HandleFunc("PUT /api/v1/budgets/{id}", answering(l.serveSaveBudget))
	mux.HandleFunc("DELETE /api/v1/budgets/{id}", answering(l.serveDeleteBudget))
}

// badRequest is an error of the caller's.
type badRequest struct{ error }

// answering writes what a call returns as JSON, and its error in the form that
// all of /api/v1 has.
func answering(call func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		out, err := call(r)
		status := http.StatusOK
		if err != nil {
			code, message := "internal", "Something went wrong; the server's log says what."
			status = http.StatusInternalServerError
			if bad := (badRequest{}); errors.As(err, &bad) {
				status, code, message = http.StatusBadRequest, "invalid", bad.Error()
			}
			out = map[string]any{"error": map[string]any{"code": code, "message": message}}
		}
		text, _ := json.Marshal(out) // made of what JSON has
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		w.Write(append(text, '\n'))
	}
}

// usageAnswer is the answer to GET /api/v1/usage. Money is in nano-USD.
type usageAnswer struct {
	GroupBy string     `json:"group_by"`
	Since   string     `json:"since"` // the first day
	Until   string     `json:"until"` // the last day, included
	Zone    string     `json:"time_zone"`
	Rows    []usageRow `json:"rows"`
	Total   usageRow   `json:"total"`
}

type usageRow struct {
	Name   string      `json:"name"`
	Events int64       `json:"events"`
	Tokens cost.Tokens `json:"tokens"`
	Billed int64       `json:"billed"`
	Shadow int64       `json:"shadow"`
	// Unpriced counts events whose model has no known price; Marked those whose
	// cost is not certain, for whatever reason.
	Unpriced int64 `json:"unpriced"`
	Marked   int64 `json:"marked"`
}

func rowOf(name string, t store.UsageTotals) usageRow {
	return usageRow{
		Name: name, Events: t.Events, Billed: t.Billed, Shadow: t.Shadow, Unpriced: t.Unpriced, Marked: t.Marked,
		Tokens: cost.Tokens{Input: t.Input, CacheRead: t.CacheRead, CacheWrite5m: t.CacheWrite5m, CacheWrite1h: t.CacheWrite1h, Output: t.Output},
	}
}

func (l *Ledger) serveUsage(r *http.Request) (any, error) {
	q := r.URL.Query()
	by := q.Get("group_by")
	if by == "" {
		by = "model"
	}
	last, err := l.day("until", q.Get("until"), cost.DayOf(time.Now(), l.cfg.Zone))
	if err != nil {
		return nil, err
	}
	first, err := l.day("since", q.Get("since"), last.Add(-6))
	if err != nil {
		return nil, err
	}
	limit := 100
	if text := q.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MaxRows {
			return nil, badRequest{fmt.Errorf("limit must be a number from 1 to %d", MaxRows)}
		}
	}
	s, err := l.Summarise(r.Context(), by, first, last, limit)
	if err != nil {
		if s == nil {
			return nil, badRequest{err}
		}
		return nil, err
	}
	a := usageAnswer{GroupBy: by, Since: first.String(), Until: last.String(), Zone: l.cfg.Zone.String(), Rows: []usageRow{}, Total: rowOf("", s.Total)}
	for _, sum := range s.Rows {
		name := sum.Name
		if by == "day" {
			name = cost.Day(sum.Day).String()
		}
		a.Rows = append(a.Rows, rowOf(name, sum.UsageTotals))
	}
	return a, nil
}

// day reads a date, or a time, which is in the day that it has where the
// workspace is.
func (l *Ledger) day(name, text string, otherwise cost.Day) (cost.Day, error) {
	if text == "" {
		return otherwise, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return cost.DayOf(t, time.UTC), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, badRequest{fmt.Errorf("%s must be a date such as 2026-11-20, or a time such as 2026-11-20T15:04:05Z, not %.60q", name, text)}
	}
	return cost.DayOf(t, l.cfg.Zone), nil
}

func (l *Ledger) servePrices(*http.Request) (any, error) {
	return map[string]any{"models": l.Prices()}, nil
}

func body(r *http.Request) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, cost.MaxImport+1))
	if err != nil {
		return nil, badRequest{fmt.Errorf("read the request: %w", err)}
	}
	if len(text) > cost.MaxImport {
		return nil, badRequest{fmt.Errorf("the request has more than %d bytes", cost.MaxImport)}
	}
	return text, nil
}

func (l *Ledger) serveImport(r *http.Request) (any, error) {
	text, err := body(r)
	if err != nil {
		return nil, err
	}
	source := r.URL.Query().Get("source")
	if source == "" || len(source) > maxText {
		source = "imported"
	}
	in, err := cost.Import(text, source)
	if err != nil {
		return nil, badRequest{err}
	}
	if err := l.savePrices(r.Context(), imported, in.Models); err != nil {
		return nil, err
	}
	return map[string]any{"format": in.Format, "models": len(in.Models), "left": append([]string{}, in.Left...)}, nil
}

func (l *Ledger) serveOverride(r *http.Request) (any, error) {
	text, err := body(r)
	if err != nil {
		return nil, err
	}
	var in struct {
		Models []cost.Model `json:"models"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return nil, badRequest{fmt.Errorf("the request must be {\"models\": […]}: %w", err)}
	}
	for i := range in.Models {
		if err := in.Models[i].Check(); err != nil {
			return nil, badRequest{err}
		}
	}
	if err := l.Override(r.Context(), in.Models); err != nil {
		return nil, err
	}
	return map[string]any{"models": len(in.Models)}, nil
}

func (l *Ledger) serveReprice(r *http.Request) (any, error) {
	changed, err := l.Reprice(r.Context())
	return map[string]any{"changed": changed}, err
}

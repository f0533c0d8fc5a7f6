package views_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lockstep-run/lockstep/internal/engine"
	"github.com/lockstep-run/lockstep/internal/store/memory"
	"github.com/lockstep-run/lockstep/internal/task"
)

// maker writes a random machine whose payloads say in which iterations they are:
// "who" is the index in each Map around, from the outside in.
type maker struct {
	*rand.Rand
	names int
}

func (m *maker) scope(depth int) string {
	n := 1 + m.IntN(3)
	var names []string
	for range n {
		m.names++
		names = append(names, fmt.Sprint("S", m.names))
	}
	var states []string
	for i, name := range names {
		next := `"End":true`
		if i+1 < n {
			next = fmt.Sprintf(`"Next":%q`, names[i+1])
		}
		states = append(states, fmt.Sprintf("%q:{%s,%s}", name, m.state(depth), next))
	}
	return fmt.Sprintf(`{"StartAt":%q,"States":{%s}}`, names[0], strings.Join(states, ","))
}

func (m *maker) state(depth int) string {
	again := ""
	if m.IntN(2) == 0 {
		again = `,"Retry":[{"ErrorEquals":["Again"],"IntervalSeconds":1,"MaxAttempts":2}]`
	}
	kind := m.IntN(7)
	if depth == 0 {
		kind = m.IntN(4)
	}
	switch kind {
	case 0:
		return `"Type":"Pass"`
	case 1:
		return fmt.Sprintf(`"Type":"Wait","Seconds":%d`, 1+m.IntN(4))
	case 2, 3:
		return lambda + again
	case 4:
		var branches []string
		for range 1 + m.IntN(3) {
			branches = append(branches, m.scope(depth-1))
		}
		return `"Type":"Parallel","ResultPath":null,"Branches":[` + strings.Join(branches, ",") + "]" + again
	}
	return fmt.Sprintf(`"Type":"Map","ItemsPath":"$.items","ResultPath":null,"MaxConcurrency":%d,"ItemProcessor":%s,`+
		`"ItemSelector":{"items.$":"$.items","who.$":"States.Format('{}/{}', $.who, $$.Map.Item.Index)"}%s`, m.IntN(3), m.scope(depth-1), again)
}

var anIndex = regexp.MustCompile(`S\d+#(\d+)/`)

// Whatever happens in an execution, each visit stands where its payloads say, none
// is missing, and none is left open at the end; after a redrive as well.
func TestVisitsOfAnything(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			r, luck := rand.New(rand.NewPCG(seed, 7)), rand.New(rand.NewPCG(seed, 8))
			w := begin(t, memory.New())
			mk := &maker{Rand: r}
			definition := mk.scope(3)
			maps := map[string]bool{}
			for _, m := range regexp.MustCompile(`"(S\d+)":\{"Type":"Map"`).FindAllStringSubmatch(definition, -1) {
				maps[m[1]] = true
			}
			w.fails = func(int, *task.Call) error {
				switch luck.IntN(8) {
				case 0, 1:
					return failing("Again")
				case 2:
					return failing("Bad")
				}
				return nil
			}
			x := w.start(w.machine("m", definition), "x", `{"items":[0,0,0],"who":""}`)
			check := func() engine.Status {
				found, err := w.Lookup(t.Context(), "m", "x")
				if err != nil {
					t.Fatal(err)
				}
				entered, exited, ended := map[int64]string{}, map[string]int{}, found.Status != engine.Running
				err = w.store.History(t.Context(), found.ID, 0, false, func(c engine.Chunk) bool {
					events, err := engine.DecodeHistory(c)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range events {
						switch name := e.Type.String(); {
						case strings.HasSuffix(name, "StateEntered"):
							entered[e.ID] = e.Name
						case strings.HasSuffix(name, "StateExited"):
							exited[e.Name]++
						}
					}
					return true
				})
				if err != nil {
					t.Fatal(err)
				}
				for next := ""; ; {
					page := w.get(x + "/visits?limit=200" + next)
					for _, v := range list(page["visits"]) {
						id, path := int64(v["id"].(float64)), v["path"].(string)
						if entered[id] != v["state"] {
							t.Errorf("seed %d: visit %d is of %v, the event of %q", seed, id, v["state"], entered[id])
						}
						delete(entered, id)
						who := ""
						for _, part := range anIndex.FindAllStringSubmatch(path, -1) {
							if maps[strings.Split(part[0], "#")[0]] {
								who += "/" + part[1]
							}
						}
						for _, which := range []string{"input", "output"} {
							p, ok := v[which].(fields)
							if !ok {
								continue
							}
							var data struct{ Who string }
							if json.Unmarshal([]byte(p["text"].(string)), &data) != nil || data.Who != who {
								t.Errorf("seed %d: %s has the %s of %q", seed, path, which, data.Who)
							}
						}
						switch status := v["status"]; {
						case status == "succeeded":
							exited[v["state"].(string)]--
						case ended && status != "failed" && status != "aborted":
							t.Errorf("seed %d: %s is %v, and the execution has ended", seed, path, status)
						}
					}
					if page["next_cursor"] == nil {
						break
					}
					next = "&cursor=" + page["next_cursor"].(string)
				}
				for id, name := range entered {
					t.Errorf("seed %d: there is no visit for event %d, which enters %s", seed, id, name)
				}
				for name, n := range exited {
					if n != 0 {
						t.Errorf("seed %d: %s was left %d times more often than it succeeded", seed, name, n)
					}
				}
				detail := w.get(x)
				if open := detail["open_visits"]; ended && open != 0.0 {
					t.Errorf("seed %d: %v visits are open, and the execution has ended", seed, open)
				}
				return found.Status
			}
			for range 3 {
				for range 4 {
					time.Sleep(time.Duration(r.IntN(4000)) * time.Millisecond)
					synctest.Wait()
					check()
				}
				found, err := w.Lookup(t.Context(), "m", "x")
				if err != nil {
					t.Fatal(err)
				}
				if found.Status == engine.Running && r.IntN(2) == 0 {
					if err := w.Deliver(t.Context(), found.ID, engine.Stopped{At: time.Now()}); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				if check() == engine.Succeeded {
					return
				}
				if err := w.Deliver(t.Context(), found.ID, engine.Redriven{At: time.Now()}); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				check()
			}
		})
		if t.Failed() {
			return
		}
	}
}

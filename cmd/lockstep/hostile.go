package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hostileResult is what hostile expressions cost, and what they cost others.
type hostileResult struct {
	Alone   latency       `json:"ordinary_alone"`   // executions one after the other
	Beside  latency       `json:"ordinary_beside"`  // the same while hostile ones run
	Ended   int64         `json:"hostile_ended"`    // meanwhile
	RSS     float64       `json:"peak_rss_mib"`     // of the process
	Slowest float64       `json:"slowest_cpu_ms"`   // of the expressions
	Largest float64       `json:"largest_made_mib"` // of the expressions
	Each    []hostileCost `json:"expressions"`
}

type latency struct {
	P50 float64 `json:"p50_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

// hostileCost is one expression, evaluated alone.
type hostileCost struct {
	Expression string  `json:"expression"`
	CPU        float64 `json:"cpu_ms"`   // of the process, the call included
	Made       float64 `json:"made_mib"` // allocated from begin to end, much of it in use for a moment only
	End        string  `json:"end"`
}

// hostileExpressions would run for ever or take all memory if they could.
var hostileExpressions = []string{
	`($f := function(){$f()}; $f())`,
	`($f := function($n){1 + $f($n + 1)}; $f(0))`,
	`($f := function($s){$f($s & $s)}; $f("xxxxxxxx"))`,
	`($f := function($a){$f($append($a, $a))}; $f([1]))`,
	`[1..9e6]`,
	`$sum([1..9e6].($ * 2))`,
	`[1..9e6][[1..9e6][$ < 0]]`,
	`$map([1..3000], function($x){$map([1..3000], function($y){$x * $y})})`,
	`$reduce([1..9e6], function($a, $b){$reduce([1..9e6], function($c, $d){$c + $d})})`,
	`$filter([1..1e7], function($x){$filter([1..1e7], function($y){false})})`,
	`$contains($pad("a", 200, "a"), /^(a+)+$b/)`,
	`$contains($pad("a", 40, "a") & "!", /^(a|a)*$/)`,
	`$match($pad("x", 3000, "xy"), /(x*y*)*(x*y*)*z/)`,
	`$replace($pad("x", 1e6), / /, function($m){$pad("y", 1e6)})`,
	`$reduce([1..100], function($s, $i){$replace($s, "x", "xxxx")}, "x")`,
	`$split($pad("a", 9e6, "a"), "")`,
	`$split($pad("a", 9e6, "ab"), /(a|b)/)`,
	`$pad("x", 1e9)`,
	`$pad("x", 9e15)`,
	`$join([1..1e6].$pad("x", 1000))`,
	`$join($map([1..9e6], $string), $pad("-", 1e6))`,
	`$formatNumber(1, $pad("0", 3e7, "0"))`,
	`$formatNumber(1e300, $pad("0", 100000, "0,"))`,
	`$formatInteger(1e300, "I")`,
	`$formatInteger(123456789012345, $pad("#", 1e6, "#,") & "0")`,
	`$fromMillis(0, $pad("[Y", 1e6, "[Y0001]"))`,
	`$sort([1..1e6], function($a, $b){true})`,
	`$sort([1..1e5], function($a, $b){$sum([1..1000]) > 0})`,
	`[1..9e6]^(-$, $ % 7, $string($))`,
	`$reduce([1..60], function($a, $b){[[$a, $a]]}, 1)`,
	`$string($reduce([1..60], function($a, $b){[[$a, $a]]}, 1))`,
	`$reduce([1..9000], function($a, $b){[[$a]]}, 0) = $reduce([1..9000], function($a, $b){[[$a]]}, 1)`,
	`$reduce([1..9], function($a, $b){$a ~> |**|{"x": $, "y": $}|}, {"a": {"b": {}}})`,
	`[1..9e6]{$string($): $}`,
	`[1..2000]{$string($): [1..2000]{$string($): $}}`,
	`[1..1e6]@$x.[1..1e6]@$y.($x + $y)`,
	`[1..3000]@$x.[1..3000]@$y[$x = $y].{"x": $x, "y": $y}`,
	`$distinct([1..1e5].{"a": $, "b": [$, $]})`,
	`$merge([1..1e6].{"k" & $: $})`,
	`$zip([1..9e6], [1..9e6], [1..9e6])`,
	`$spread($merge([1..1e5].{"k" & $: $pad("v", 500)}))`,
	`$base64encode($pad("x", 3e7, "x"))`,
	`$encodeUrl($pad("x", 1e7, "é"))`,
	`$uppercase($pad("x", 4e7, "ß"))`,
	`$shuffle([1..9e6])`,
	`$partition([1..9e6], 1)`,
	`($y := function($f){$f($f)}; $y($y))`,
	`$lookup([1..1e6].{"a": [1..10]}, "a")`,
	`$parseInteger($pad("one", 5e6, " thousand"), "w")`,
	`$toMillis($pad("1", 1e7, "1"), $pad("[Y]", 1e6, "[M]"))`,
	`$length($string([1..1e6].[$, $]))`,
	`**.**.**.**[**.**.** = **.**]`,
}

func hostileDefinition(expression string) string {
	text, _ := json.Marshal("{% " + expression + " %}") // a string
	return `{"QueryLanguage":"JSONata","StartAt":"S","States":{"S":{"Type":"Pass","End":true,"Output":` + string(text) + `}}}`
}

// runHostile starts ordinary executions one after the other, first alone, then
// while as many callers as --concurrency start hostile ones, half of them
// Standard and half Express.
func runHostile(ctx context.Context, f benchFlags) (*benchResult, error) {
	srv, err := openBenchServer(ctx, f)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(srv.data)
	defer srv.closeSoon(ctx)
	f.url = srv.url
	ordinary := &works[slices.IndexFunc(works, func(w work) bool { return w.name == "pass10" })]
	target, err := newRemoteTarget(ctx, ordinary, f)
	if err != nil {
		return nil, err
	}
	defer target.close()
	h, err := target.createHostile(ctx)
	if err != nil {
		return nil, err
	}
	result := &benchResult{Work: f.work, Executions: f.executions, Concurrency: f.concurrency, Hostile: &hostileResult{}}
	if result.Hostile.Each, err = h.costs(ctx); err != nil {
		return nil, err
	}
	for _, c := range result.Hostile.Each {
		result.Hostile.Slowest = max(result.Hostile.Slowest, c.CPU)
		result.Hostile.Largest = max(result.Hostile.Largest, c.Made)
	}
	if result.Hostile.Alone, err = target.latency(ctx); err != nil {
		return nil, err
	}
	began := time.Now()
	stop := h.start(ctx, f.concurrency, &result.Hostile.Ended)
	result.Hostile.Beside, err = target.latency(ctx)
	if stopped := stop(); err != nil || stopped != nil {
		return nil, errors.Join(err, stopped)
	}
	result.Seconds = round(time.Since(began).Seconds())
	result.P50, result.P99, result.Hostile.RSS = result.Hostile.Beside.P50, result.Hostile.Beside.P99, peakRSS()
	result.RSS = rss()
	target.describe(result)
	return result, nil
}

// latency runs ordinary executions, one after the other.
func (t *remoteTarget) latency(ctx context.Context) (latency, error) {
	one := *t
	one.f.concurrency = 1
	var done atomic.Int64
	times, err := one.load(ctx, nil, &done)
	if err != nil {
		return latency{}, err
	}
	slices.Sort(times)
	return latency{millis(percentile(times, 50)), millis(percentile(times, 99)), millis(times[len(times)-1])}, nil
}

// hostile is a machine of each type for each hostile expression.
type hostile struct {
	*remoteTarget
	standard, express []string
}

func (t *remoteTarget) createHostile(ctx context.Context) (*hostile, error) {
	h := &hostile{remoteTarget: t}
	for i, expression := range hostileExpressions {
		for _, kind := range []string{"STANDARD", "EXPRESS"} {
			var made struct{ StateMachineArn string }
			err := t.call(ctx, "CreateStateMachine", map[string]any{
				"name": "hostile-" + kind + "-" + strconv.Itoa(i), "definition": hostileDefinition(expression), "roleArn": benchRole, "type": kind,
			}, &made)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", expression, err)
			}
			if kind == "EXPRESS" {
				h.express = append(h.express, made.StateMachineArn)
			} else {
				h.standard = append(h.standard, made.StateMachineArn)
			}
		}
	}
	return h, nil
}

// costs runs each expression alone.
func (h *hostile) costs(ctx context.Context) ([]hostileCost, error) {
	var list []hostileCost
	for i, expression := range hostileExpressions {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		cpu := cpuTime()
		end, err := h.sync(ctx, i)
		if err != nil {
			return nil, err
		}
		spent := cpuTime() - cpu
		runtime.ReadMemStats(&after)
		list = append(list, hostileCost{expression, millis(spent), round(float64(after.TotalAlloc-before.TotalAlloc) / (1 << 20)), end})
	}
	return list, nil
}

// sync runs the i-th expression and says how it ended.
func (h *hostile) sync(ctx context.Context, i int) (string, error) {
	var x struct{ Status, Cause string }
	err := h.call(ctx, "StartSyncExecution", map[string]any{"stateMachineArn": h.express[i], "input": benchInput}, &x)
	if err != nil {
		return "", err
	}
	if _, why, found := strings.Cut(x.Cause, "during evaluation. "); found {
		return why, nil
	}
	if len(x.Cause) > 80 {
		x.Cause = "…" + x.Cause[len(x.Cause)-80:]
	}
	return strings.TrimSpace(x.Status + " " + x.Cause), nil
}

// start sets callers in motion, each running one hostile expression after the
// other from a place of its own in the list.
func (h *hostile) start(ctx context.Context, callers int, ended *int64) (stop func() error) {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for c := range callers {
		all.Go(func() {
			for i := c * len(hostileExpressions) / callers; ctx.Err() == nil; i++ {
				var err error
				if n := i % len(hostileExpressions); c%2 == 0 {
					err = h.call(ctx, "StartExecution", map[string]any{"stateMachineArn": h.standard[n], "input": benchInput}, &struct{}{})
				} else {
					_, err = h.sync(ctx, n)
				}
				if err != nil && ctx.Err() == nil {
					failed.CompareAndSwap(nil, &err)
					return
				}
				atomic.AddInt64(ended, 1)
			}
		})
	}
	return func() error {
		cancel()
		all.Wait()
		if err := failed.Load(); err != nil {
			return *err
		}
		return nil
	}
}

// peakRSS is the most memory that this process has had, in MiB, 0 where the
// system does not say.
func peakRSS() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kib, _ := strconv.ParseFloat(fields[1], 64)
			return round(kib / 1024)
		}
	}
	return 0
}

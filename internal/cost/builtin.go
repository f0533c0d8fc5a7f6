package cost

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed prices.txt
var prices string

// Builtin lists the models whose prices come with the program.
func Builtin() []Model {
	models, err := parsePrices(prices)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return models
}

var builtinLayer = sync.OnceValue(func() layer { return newLayer(Builtin()) })

// parsePrices reads the form that prices.txt has.
func parsePrices(text string) ([]Model, error) {
	var list []Model
	at := map[string]int{}
	sources := map[string]string{}
	current := -1
	for i, line := range strings.Split(text, "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0][0] == '#' {
			continue
		}
		bad := func(err error) ([]Model, error) { return nil, fmt.Errorf("line %d: %w", i+1, err) }
		if fields[0] == "source" && len(fields) > 2 {
			sources[fields[1]] = strings.Join(fields[2:], " ")
			continue
		}
		if len(fields) < 7 {
			return bad(fmt.Errorf("has %d fields", len(fields)))
		}
		rates, err := parseRates(fields[2:7])
		if err != nil {
			return bad(err)
		}
		if fields[0] == "above" {
			above, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil || current < 0 {
				return bad(fmt.Errorf("no tier: %w", err))
			}
			p := &list[current].Prices[len(list[current].Prices)-1]
			p.Tiers = append(p.Tiers, Tier{Above: above, Rates: rates})
			continue
		}
		price := Price{Rates: rates}
		if len(fields) == 9 && fields[7] == "from" {
			if price.From, err = time.Parse(time.DateOnly, fields[8]); err != nil {
				return bad(err)
			}
		}
		key := fields[0] + " " + fields[1]
		if n, ok := at[key]; ok {
			current = n
		} else {
			current = len(list)
			at[key] = current
			list = append(list, Model{Provider: fields[0], ID: fields[1], Source: sources[fields[0]]})
		}
		list[current].Prices = append(list[current].Prices, price)
	}
	return list, nil
}

func parseRates(fields []string) (Rates, error) {
	var rates [5]Rate
	for i, text := range fields {
		if rates[i] = Unknown; text == "-" {
			continue
		}
		var err error
		if rates[i], err = rateOf(text, 9); err != nil {
			return Rates{}, err
		}
	}
	return Rates{rates[0], rates[1], rates[2], rates[3], rates[4]}, nil
}

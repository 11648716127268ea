package web

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// period is what the charts of a site show, and how wide one of their steps is.
type period struct {
	Name     string // of a range that ends now; "" for one with a beginning and an end of its own
	Words    string // "24 hours", or what a clock says
	From, To time.Time
	Step     time.Duration
}

// chartRange is a period that ends now.
type chartRange struct {
	Name, Words string
	Length      time.Duration
	Card        bool // its figures have a place of their own
}

func chartRanges() []chartRange {
	const day = 24 * time.Hour
	return []chartRange{
		{"1h", "1 hour", time.Hour, false}, {"24h", "24 hours", day, true}, {"7d", "7 days", 7 * day, true}, {"30d", "30 days", 30 * day, true},
		{"90d", "90 days", 90 * day, false}, {"1y", "1 year", 365 * day, false},
	}
}

const (
	maxSteps   = 400
	minPeriod  = 10 * time.Minute
	maxPeriod  = 366 * 24 * time.Hour
	detailKept = 90 * 24 * time.Hour // how long InfluxDB has detail
)

// stepOf is the finest step that keeps a chart readable. Detail comes each minute, not always at the same second, so no step is shorter than two.
func stepOf(length time.Duration) time.Duration {
	return nextStep((length + maxSteps - 1) / maxSteps)
}

// nextStep is the shortest step that is no shorter than that; all of them divide a day.
func nextStep(least time.Duration) time.Duration {
	for _, minutes := range []int{2, 5, 10, 15, 30, 60, 120, 180, 360, 720} {
		if step := time.Duration(minutes) * time.Minute; step >= least {
			return step
		}
	}
	return 24 * time.Hour
}

// stepFor makes a step at least twice as long as the time between two lines: else their jitter alone would leave steps empty, as if nothing had been known there.
func stepFor(step, every time.Duration) time.Duration {
	if every = every.Round(30 * time.Second); step >= 2*every {
		return step
	}
	return nextStep(2 * every)
}

// periodOf reads range, or from and to, of an address. Times without a zone are the site's. The error says what to write.
func periodOf(q url.Values, now time.Time, zone *time.Location) (period, error) {
	to := now.UTC().Truncate(time.Minute)
	if q.Get("from") == "" && q.Get("to") == "" {
		name := q.Get("range")
		if name == "" {
			name = "24h"
		}
		for _, r := range chartRanges() {
			if r.Name == name {
				return period{r.Name, r.Words, to.Add(-r.Length), to, stepOf(r.Length)}, nil
			}
		}
		return period{}, errors.New("range is none of 1h, 24h, 7d, 30d, 90d, 1y")
	}
	var p period
	var err error
	for _, one := range []struct {
		name string
		into *time.Time
	}{{"from", &p.From}, {"to", &p.To}} {
		if one.name == "to" && q.Get("to") == "" {
			p.To = to
			continue
		}
		if *one.into, err = localTime(q.Get(one.name), zone); err != nil {
			return period{}, fmt.Errorf("%s is no time; write it as 2026-11-27T14:30, by the clock of the site, or with a zone as 2026-11-27T09:30Z", one.name)
		}
	}
	p.From, p.To = p.From.UTC().Truncate(time.Minute), p.To.UTC().Truncate(time.Minute)
	switch length := p.To.Sub(p.From); {
	case length < minPeriod:
		return period{}, errors.New("to is less than 10 minutes after from; choose a longer period")
	case length > maxPeriod:
		return period{}, errors.New("to is more than a year after from; choose a shorter period")
	case p.From.After(now):
		return period{}, errors.New("from is in the future; choose an earlier one")
	case p.From.Year() < 2000:
		return period{}, errors.New("from is before there was any nabz; choose a later one")
	default:
		p.Step = stepOf(length)
	}
	p.Words = between(p.From, p.To, now.In(zone))
	return p, nil
}

// query is the part of an address that chooses the period.
func (p period) query() string {
	if p.Name != "" {
		return "range=" + p.Name
	}
	const form = "2006-01-02T15:04Z"
	return url.Values{"from": {p.From.Format(form)}, "to": {p.To.Format(form)}}.Encode()
}

// until is where what can be known ends: a period may reach into the future.
func (p period) until(now time.Time) time.Time {
	if p.To.After(now) {
		return now
	}
	return p.To
}

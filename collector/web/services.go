package web

import (
	"context"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// readiness is how long a service could have been used in its own opening hours, as far as its agent has told. What is not told counts for neither.
type readiness struct {
	Service  string   `json:"service"`
	Agent    string   `json:"agent"`
	ReadyMs  int64    `json:"ready_ms"`
	WindowMs int64    `json:"window_ms"`
	Ready    *float64 `json:"ready"` // 0 to 1; null where it was not open in what is told
	parts    []readyPart
	From     time.Time `json:"from"` // of the first hour
	To       time.Time `json:"to"`
	stepMs   int64
}

// readyPart is one step in which the service was open.
type readyPart struct{ at, ready, window int64 }

// services lists the readiness of each service over a period, in steps of whole hours. Of a service that several agents watch, the one that tells of most time is shown.
func (s *server) services(ctx context.Context, site string, p period, until time.Time) ([]readiness, error) {
	step := hourStep(p.Step)
	first := p.From.Truncate(step)
	series, err := s.Store.Query(ctx, telemetry.Ledger, fmt.Sprintf(`SELECT sum("ready_ms"), sum("window_ms") FROM "hour_service" WHERE "site" = '%s' AND time >= %dms AND time < %dms GROUP BY time(%dms), "service", "agent" fill(none)`,
		site, first.UnixMilli(), p.To.UnixMilli(), step.Milliseconds()))
	if err != nil {
		return nil, fmt.Errorf("read services of %s: %w", site, err)
	}
	best := map[string]readiness{}
	for _, one := range series {
		r := readiness{Service: one.Tags["service"], Agent: one.Tags["agent"], From: first, To: until, stepMs: step.Milliseconds()}
		r.sum(one)
		if was, ok := best[r.Service]; !ok || r.WindowMs > was.WindowMs {
			best[r.Service] = r
		}
	}
	out := []readiness{}
	for _, name := range sortedKeys(best) {
		out = append(out, best[name])
	}
	return out, nil
}

func (r *readiness) sum(one store.Series) {
	for _, row := range one.Values {
		at, _ := numberAt(row, 0)
		ready, ok1 := numberAt(row, 1)
		window, ok2 := numberAt(row, 2)
		if !ok1 || !ok2 || window <= 0 {
			continue
		}
		r.parts = append(r.parts, readyPart{int64(at), int64(ready), int64(window)})
		r.ReadyMs += int64(ready)
		r.WindowMs += int64(window)
	}
	if r.WindowMs > 0 {
		v := math.Round(1e6*float64(r.ReadyMs)/float64(r.WindowMs)) / 1e6
		r.Ready = &v
	}
}

// ribbon draws each step in which the service was open: the higher, the longer it could have been used. What is blank was closed, or is not known.
func (r *readiness) ribbon(zone *time.Location) template.HTML {
	a, b := r.From.UnixMilli(), max(r.To.UnixMilli(), r.From.UnixMilli()+1)
	var svg strings.Builder
	svg.WriteString(`<svg class="ribbon" viewBox="0 0 1440 24" preserveAspectRatio="none" role="img" aria-label="`)
	svg.WriteString("Ready " + share(r.Ready, 1) + " of " + span(time.Duration(r.WindowMs)*time.Millisecond) + " that it was open")
	svg.WriteString(`"><rect class="r-base" x="0" y="22" width="1440" height="2"/>`)
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }
	for _, p := range r.parts {
		part := float64(p.ready) / float64(p.window)
		class := "r-down"
		switch {
		case part >= 0.95:
			class = "r-up"
		case part >= 0.5:
			class = "r-degraded"
		}
		end := min(p.at+r.stepMs, b)
		x, w := float64(p.at-a)*ribbonWidth/float64(b-a), float64(end-p.at)*ribbonWidth/float64(b-a)
		h := max(3, 24*part)
		svg.WriteString(`<rect class="` + class + `" x="` + number(x) + `" y="` + number(24-h) + `" width="` + number(max(w*0.94, 1)) + `" height="` + number(h) + `"><title>`)
		svg.WriteString(time.UnixMilli(p.at).In(zone).Format("2 Jan 15:04") + ": ready " + span(time.Duration(p.ready)*time.Millisecond) + " of " + span(time.Duration(p.window)*time.Millisecond))
		svg.WriteString(`</title></rect>`)
	}
	svg.WriteString(`</svg>`)
	return template.HTML(svg.String()) //nolint:gosec // numbers and own words only
}

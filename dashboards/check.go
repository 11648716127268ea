package dashboards

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/telemetry"
)

// Querier is what Check needs of the store.
type Querier interface {
	Query(ctx context.Context, tier telemetry.Tier, influxQL string) ([]store.Series, error)
}

// Tried is what became of one query.
type Tried struct {
	Dashboard, Panel string // Panel is "$name" for a variable
	Ref, Query       string // as it was asked
	Rows             int    // with a value in them
	Took             time.Duration
	Err              error
	Series           []store.Series
}

// Check asks every query of the dashboards, as Grafana would for the time between from and to: first those of the variables, which fill in the
// others. All is chosen where a variable has it, else the first value. An error of a query is in its row; the error returned is that ctx ended.
func Check(ctx context.Context, q Querier, all []Dashboard, from, to time.Time) ([]Tried, error) {
	var out []Tried
	for _, d := range all {
		f := filler{from: from, to: to, values: map[string]string{}}
		for _, v := range d.Variables {
			if v.Kind != "query" {
				f.values[v.Name] = strings.Split(v.Query, ",")[0]
				continue
			}
			t := ask(ctx, q, v.Source, Tried{Dashboard: d.Title, Panel: "$" + v.Name, Query: f.fill(v.Query, "")})
			f.values[v.Name] = v.chosen(t.Series)
			if v.Name == "scope" {
				f.values["scope"] = v.scope(t.Series, f.values["district"] == ".*" && f.values["operator"] == ".*")
			}
			out = append(out, t)
		}
		for _, p := range d.Panels {
			for _, query := range p.Queries {
				out = append(out, ask(ctx, q, p.Source, Tried{Dashboard: d.Title, Panel: p.Title, Ref: query.Ref, Query: f.fill(query.Text, p.Interval)}))
			}
		}
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	return out, nil
}

func ask(ctx context.Context, q Querier, source Source, t Tried) Tried {
	tier := telemetry.Detail
	if source == Ledger {
		tier = telemetry.Ledger
	}
	began := time.Now()
	t.Series, t.Err = q.Query(ctx, tier, t.Query)
	t.Took = time.Since(began)
	for _, s := range t.Series {
		first := 1 // the time
		if s.Columns[0] != "time" {
			first = 0
		}
		for _, row := range s.Values {
			if slices.ContainsFunc(row[min(first, len(row)):], func(v any) bool { return v != nil }) {
				t.Rows++
			}
		}
	}
	return t
}

// filler puts values in the place of variables, as Grafana does.
type filler struct {
	from, to time.Time
	values   map[string]string
}

// variable is a name behind a dollar.
var variable = regexp.MustCompile(`\$(?:(__interval_ms|__interval|__from|__to|timeFilter|[a-z]+)\b|\{[a-z_]+(:pipe)?\})`)

func (f filler) fill(query, least string) string {
	step := interval(f.to.Sub(f.from), least)
	return variable.ReplaceAllStringFunc(query, func(name string) string {
		switch name = strings.TrimSuffix(strings.Trim(name, "${}"), ":pipe"); name {
		case "timeFilter":
			return fmt.Sprintf("time >= %dms and time <= %dms", f.from.UnixMilli(), f.to.UnixMilli())
		case "__from":
			return strconv.FormatInt(f.from.UnixMilli(), 10)
		case "__to":
			return strconv.FormatInt(f.to.UnixMilli(), 10)
		case "__interval":
			return fmt.Sprintf("%ds", int64(step.Seconds()))
		case "__interval_ms":
			return strconv.FormatInt(step.Milliseconds(), 10)
		}
		if v, ok := f.values[name]; ok {
			return v
		}
		return "$" + name // left in, InfluxDB would refuse it
	})
}

// interval is about a five-hundredth of the range, not less than least, nor than a minute.
func interval(length time.Duration, least string) time.Duration {
	step := time.Minute
	for _, s := range []time.Duration{2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour} {
		if length/500 >= s {
			step = s
		}
	}
	if days, ok := strings.CutSuffix(least, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil {
			return max(step, time.Duration(n)*24*time.Hour)
		}
	}
	if d, err := time.ParseDuration(least); err == nil {
		step = max(step, d)
	}
	return step
}

// chosen is what stands in a query for the variable when nothing was chosen by hand.
func (v Variable) chosen(series []store.Series) string {
	if v.All && v.AllValue != "" {
		return v.AllValue
	}
	values := v.Values(series)
	for i := range values {
		values[i] = escape(values[i])
	}
	switch {
	case len(values) == 0:
		return ""
	case v.All:
		return "(" + strings.Join(values, "|") + ")"
	}
	return values[0]
}

// scope does in Go, which knows no lookahead, what the variable's Regex does in Grafana.
func (v Variable) scope(series []store.Series, all bool) string {
	var ids []string
	for _, s := range series {
		for _, row := range s.Values {
			if f := strings.Split(fmt.Sprint(row[1]), ";"); len(f) == 4 {
				if all {
					return f[3]
				}
				ids = append(ids, f[2])
			}
		}
	}
	return strings.Join(ids, "|")
}

// escape writes a text so that it stands for itself in a regular expression of InfluxQL.
func escape(s string) string { return strings.ReplaceAll(regexp.QuoteMeta(s), "/", `\/`) }

// Values are what the answer to the variable's query gives to choose from.
func (v Variable) Values(series []store.Series) (values []string) {
	pick, err := regexp.Compile(strings.Trim(v.Regex, "/"))
	if err != nil { // it is for Grafana alone
		return nil
	}
	group := pick.SubexpIndex("value")
	for _, s := range series {
		for _, row := range s.Values {
			if len(row) < 2 || row[1] == nil {
				continue
			}
			text := fmt.Sprint(row[1])
			if m := pick.FindStringSubmatch(text); group >= 0 {
				if m == nil {
					continue
				}
				text = m[group]
			}
			if !slices.Contains(values, text) {
				values = append(values, text)
			}
		}
	}
	return values
}

package web

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/report"
)

// question is a report that somebody asks for.
type question struct {
	report.Question
	Language string
}

// questionOf reads an address.
func questionOf(q url.Values) question {
	out := question{Language: q.Get("lang")}
	out.Period, out.TimeZone, out.PeakHours = strings.TrimSpace(q.Get("period")), strings.TrimSpace(q.Get("time_zone")), strings.TrimSpace(q.Get("peak_hours"))
	for _, s := range q["sites"] {
		if s = strings.TrimSpace(s); s != "" {
			out.Sites = append(out.Sites, s)
		}
	}
	if q.Has("benchmarks") {
		out.Benchmarks = append([]string{}, q["benchmarks"]...)
	}
	return out
}

// The values of the form's field period that are not those of report.ParsePeriod.
const (
	exactly = "exactly" // as the field exact has it
	days    = "days"    // from and to
)

// questionOfForm reads what the form sends. The faults are of fields that are empty and must not be; the rest is report.Desk's to judge.
func questionOfForm(f url.Values) (out question, faults map[string]string) {
	faults = map[string]string{}
	get := func(name string) string { return strings.TrimSpace(f.Get(name)) }
	out.Language, out.TimeZone, out.PeakHours = get("lang"), get("time_zone"), get("peak_hours")
	switch out.Period = get("period"); out.Period {
	case exactly:
		if out.Period = get("exact"); out.Period == "" {
			faults["period"] = "Write a month as 2026-10, a quarter as 2026-Q4, or a year as 2026."
		}
	case days:
		out.Period = get("from") + "/" + get("to")
		if get("from") == "" || get("to") == "" {
			faults["period"] = "Choose the first and the last day."
		}
	}
	choose := get("choose")
	switch choose {
	case "district", "operator":
		out.Sites = []string{choose + "=" + get(choose)}
		if get(choose) == "" {
			faults["sites"] = "Choose the " + choose + "."
		}
	case "list":
		for _, id := range strings.FieldsFunc(f.Get("list"), func(c rune) bool { return c == ',' || c == '\n' || c == '\r' }) {
			if id = strings.TrimSpace(id); id != "" {
				out.Sites = append(out.Sites, id)
			}
		}
		if len(out.Sites) == 0 {
			faults["sites"] = "Write the ids of the sites, with commas between."
		}
	default:
		out.Sites = []string{report.AllSites}
	}
	if out.Benchmarks = f["benchmarks"]; len(out.Benchmarks) == 0 {
		out.Benchmarks = []string{report.NoBenchmark}
	}
	return out, faults
}

// formOf is a question as the form has it.
func formOf(q question) url.Values {
	f := url.Values{"lang": {q.Language}, "time_zone": {q.TimeZone}, "peak_hours": {q.PeakHours}, "period": {exactly}, "exact": {q.Period}}
	if a, b, ok := strings.Cut(q.Period, "/"); ok && len(a) == len("2026-10-01") && len(b) == len(a) {
		f["period"], f["from"], f["to"] = []string{days}, []string{a}, []string{b}
		delete(f, "exact")
	} else if q.Period == "" || strings.HasPrefix(q.Period, "last-") || strings.HasPrefix(q.Period, "this-") {
		f["period"] = []string{q.Period}
		delete(f, "exact")
	}
	key, value, _ := strings.Cut(strings.Join(q.Sites, ", "), "=")
	switch {
	case len(q.Sites) == 0 || slices.Equal(q.Sites, []string{report.AllSites}):
		f.Set("choose", "all")
	case len(q.Sites) == 1 && (key == "district" || key == "operator"):
		f.Set("choose", key)
		f.Set(key, value)
	default:
		f.Set("choose", "list")
		f.Set("list", strings.Join(q.Sites, ", "))
	}
	for _, text := range q.Benchmarks {
		f["benchmarks"] = append(f["benchmarks"], strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' })...)
	}
	return f
}

// questionAddress is the one address of what is asked: the same month next year too.
func questionAddress(a report.Ask, language string) url.Values {
	q := url.Values{"period": {a.Period.Text}, "sites": a.Terms, "time_zone": {a.Period.Zone.String()}, "peak_hours": {a.PeakHours}, "lang": {language}}
	for _, b := range a.Benchmarks {
		q.Add("benchmarks", b.ID)
	}
	if len(a.Benchmarks) == 0 {
		q.Set("benchmarks", report.NoBenchmark)
	}
	return q
}

// addressOfReport asks the question of a report again.
func addressOfReport(r *report.Report, language string) url.Values {
	q := url.Values{"period": {r.Asked.Period}, "sites": r.Asked.Sites, "time_zone": {r.Asked.TimeZone}, "peak_hours": {r.Asked.PeakHours}, "lang": {language}}
	for _, b := range r.Asked.Benchmarks {
		q.Add("benchmarks", b.ID)
	}
	if len(r.Asked.Benchmarks) == 0 {
		q.Set("benchmarks", report.NoBenchmark)
	}
	return q
}

// faultsOfQuestion sorts what is wrong with a question by the field of the form.
func faultsOfQuestion(err error) map[string]string {
	faults := map[string]string{}
	for _, err := range parted(err) {
		field := ""
		for _, k := range []struct {
			is   error
			name string
		}{{report.ErrPeriod, "period"}, {report.ErrSites, "sites"}, {report.ErrZone, "time_zone"}, {report.ErrPeakHours, "peak_hours"}, {benchmark.ErrUnknown, "benchmarks"}} {
			if errors.Is(err, k.is) {
				field = k.name
			}
		}
		if faults[field] == "" {
			faults[field] = sentence(err.Error())
		}
	}
	return faults
}

// parted are the errors that errors.Join has put together, in any depth.
func parted(err error) (all []error) {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var texts []string
	for _, e := range many.Unwrap() {
		texts, all = append(texts, e.Error()), append(all, parted(e)...)
	}
	if strings.Join(texts, "\n") != err.Error() { // a sentence that holds several
		return []error{err}
	}
	return all
}

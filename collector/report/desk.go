package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/fleet"
)

// What is wrong with a question, beside ErrPeriod, ErrSites, ErrZone and benchmark.ErrUnknown.
var (
	ErrZone      = errors.New("no such time zone")
	ErrPeakHours = errors.New("no such hours")
)

// Desk answers questions for reports of one programme.
type Desk struct {
	Querier    Querier
	Sites      func() []fleet.Site // the sites file, as it is now
	Benchmarks *benchmark.Set
	Programme  string         // its name
	Zone       *time.Location // where a question names none
	PeakHours  string         // "" is PeakHours
	Chosen     []string       // benchmarks, where a question names none
	Now        func() time.Time
}

// Question is a report that a person asks for, in words. What is "" or nil is as the programme has it.
type Question struct {
	Period     string   // see ParsePeriod; "" is last-month
	Sites      []string // see Select; nil is all
	TimeZone   string   // IANA name
	PeakHours  string   // such as "19:00-23:00"
	Benchmarks []string // ids; ["none"] is none
}

// LastMonth is the period where a question names none.
const LastMonth = "last-month"

// NoBenchmark is the choice of none.
const NoBenchmark = "none"

// Ask turns a question into what can be made. Its error joins all that is wrong with it, each with one of the Err… in it.
func (d *Desk) Ask(q Question) (Ask, error) {
	a := Ask{Programme: d.Programme, PeakHours: q.PeakHours, Now: d.Now()}
	if a.PeakHours == "" {
		a.PeakHours = d.PeakHours
	}
	var faults []error
	fault := func(err error) {
		if err != nil {
			faults = append(faults, err)
		}
	}
	zone, err := d.Zone, error(nil)
	if q.TimeZone != "" {
		zone, err = LoadZone(q.TimeZone)
		fault(err)
	}
	if zone == nil || zone.String() == "Local" {
		zone = time.UTC
	}
	if q.Period == "" {
		q.Period = LastMonth
	}
	a.Period, err = ParsePeriod(q.Period, zone, a.Now)
	fault(err)
	if len(q.Sites) == 0 {
		q.Sites = []string{AllSites}
	}
	a.Terms, a.Sites, err = Select(d.Sites(), q.Sites)
	fault(err)
	if a.PeakHours != "" {
		_, err = parsePeak(a.PeakHours)
		fault(err)
	}
	a.Benchmarks, err = d.choose(q.Benchmarks)
	fault(err)
	if len(faults) == 0 {
		_, err = a.asked()
		fault(err)
	}
	return a, errors.Join(faults...)
}

func (d *Desk) choose(ids []string) ([]benchmark.Benchmark, error) {
	if ids == nil {
		ids = d.Chosen
	}
	var list []string
	for _, text := range ids {
		for id := range strings.SplitSeq(text, ",") {
			if id = strings.TrimSpace(id); id != "" && id != NoBenchmark {
				list = append(list, id)
			}
		}
	}
	if len(list) == 0 {
		return nil, nil
	}
	if d.Benchmarks == nil {
		return nil, fmt.Errorf("benchmark %q %w; there are none", list[0], benchmark.ErrUnknown)
	}
	return d.Benchmarks.Choose(list)
}

// Make asks the ledger; see the function of that name.
func (d *Desk) Make(ctx context.Context, a Ask, tell func(done float64)) (Report, error) {
	return Make(ctx, d.Querier, a, tell)
}

// Key is the same for the same question about the same sites as of the same hour, and for no other: a SHA-256 in hexadecimal digits.
func (a Ask) Key() (string, error) {
	asked, err := a.asked()
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(asked)
	if err != nil {
		return "", fmt.Errorf("encode what is asked: %w", err)
	}
	return Hash(b), nil
}

// ID is a name under which a report can be kept: its period, how its sites were chosen, and six digits that tell it from one of another
// zone, other peak hours or other benchmarks, such as "2026-10-district-islamabad-3f9a0c". A report that is made again, when more is known, has the same.
func (r *Report) ID() string {
	parts := append([]string{r.Asked.Period, r.Asked.TimeZone, r.Asked.PeakHours}, r.Asked.Sites...)
	for _, b := range r.Asked.Benchmarks {
		parts = append(parts, "benchmark", b.ID)
	}
	const longest = 50
	id := slug(r.Asked.Period + " " + strings.Join(r.Asked.Sites, " "))
	return strings.TrimRight(id[:min(len(id), longest)], "-") + "-" + Hash([]byte(strings.Join(parts, "\n")))[:6]
}

// slug keeps what an id may hold: a-z, 0-9, and one "-" between.
func slug(text string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(text) {
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-")
}

// Today is what the same words would ask for today: the sites that the terms choose, as the sites file has them, and the benchmarks of these ids. Figures that verify
// may still stand on sites, targets or limits that whoever made the file has chosen. The error joins what there is no more.
func (d *Desk) Today(a Asked) (Asked, error) {
	_, sites, err := Select(d.Sites(), a.Sites)
	ids := []string{}
	for _, b := range a.Benchmarks {
		ids = append(ids, b.ID)
	}
	chosen, missing := d.choose(ids)
	a.Roster, a.Benchmarks = entries(sites), append([]benchmark.Benchmark{}, chosen...)
	return a, errors.Join(err, missing)
}

// Differs tells what a report was asked and what the ledger says today: the bytes of the one, and of the other made anew.
func Differs(ctx context.Context, q Querier, file []byte, tell func(done float64)) (old, now []byte, err error) {
	r, old, err := Parse(file)
	if err != nil {
		return nil, nil, err
	}
	again, err := Again(ctx, q, r.Asked, tell)
	if err != nil {
		return old, nil, err
	}
	now, err = again.Canonical()
	return old, now, err
}

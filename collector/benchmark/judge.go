package benchmark

import (
	"math"
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Verdict is one of Pass, Fail and NotEnoughData.
type Verdict string

const (
	Pass          Verdict = "pass"
	Fail          Verdict = "fail"
	NotEnoughData Verdict = "not_enough_data"
)

// Reason is why a verdict is what it is, to be put into words of any language; the other fields of the result are its parameters.
type Reason string

const (
	Met            Reason = "met"
	Missed         Reason = "missed"
	NoTests        Reason = "no_tests"         // none in the window
	FewTests       Reason = "few_tests"        // tests, least
	NeverTested    Reason = "never_tested"     // the ledger has no test of the site, of whatever time
	NoHours        Reason = "no_hours"         // nothing was counted
	FewHours       Reason = "few_hours"        // hours, least
	NoTarget       Reason = "no_target"        // in the sites file
	NoStudents     Reason = "no_students"      // in the sites file
	Between        Reason = "between"          // over, up_to: the limit lies within what is known as a range only
	NothingKnown   Reason = "nothing_observed" // of the site's state in the whole period
	Incomplete     Reason = "incomplete"       // completeness: the figure is not citable
	NotInTheLedger Reason = "not_in_ledger"    // the measure is kept for a while only, and no report is made of it
)

// Reasons are all there are, for tables of words.
func Reasons() []Reason {
	return []Reason{Met, Missed, NoTests, FewTests, NeverTested, NoHours, FewHours, NoTarget, NoStudents, Between, NothingKnown, Incomplete, NotInTheLedger}
}

// Result is what comes of one criterion at one site. Numbers are rounded to six decimals, and judged as rounded.
type Result struct {
	Criterion string   `json:"criterion"`
	Verdict   Verdict  `json:"verdict"`
	Reason    Reason   `json:"reason"`
	Unit      string   `json:"unit"`                   // of value, over, up_to and limit: bit/s, ms, fraction, days
	Value     *float64 `json:"value,omitempty"`        // absent where nothing is behind it, or a range only is known
	Over      *float64 `json:"over,omitempty"`         // of a range: the value is more than this; of a share, this at least
	UpTo      *float64 `json:"up_to,omitempty"`        // of a range: and at most this; absent where it has no end
	Limit     *float64 `json:"limit,omitempty"`        // that the value had to reach, or not to exceed; absent where it is not known
	TestLimit *float64 `json:"test_limit,omitempty"`   // of a share: what each test or answer had to reach, in the unit of the measure
	Tests     int64    `json:"tests"`                  // that stand behind it
	Hours     int64    `json:"hours"`                  // that stand behind it
	Least     int64    `json:"least,omitempty"`        // tests or hours that are needed
	Complete  *float64 `json:"completeness,omitempty"` // of the site's period, with availability
}

// Judge holds one site against the criterion.
func (c *Criterion) Judge(m *Measures) Result {
	r := Result{Criterion: c.ID, Unit: c.Unit()}
	kind, _ := measureOf(c.Measure)
	limit, lacks := c.limit(m)
	switch {
	case lacks != "":
	case c.Statistic == statShare:
		share := c.Share
		r.Limit, r.TestLimit = &share, &limit
	default:
		r.Limit = &limit
	}
	switch kind.origin {
	case fromTests:
		c.byTests(m, &r, lacks)
	case fromAnswers:
		c.byAnswers(m, &r)
	case fromLoss:
		if r.byHours(c, m, m.Sent > 0) {
			r.decide(float64(m.Lost)/float64(max(m.Sent, 1)), true)
		}
	case fromLedger:
		c.byLedger(m, &r)
	case fromLast:
		c.byLastTest(m, &r)
	default:
		r.lack(NotInTheLedger)
	}
	return r
}

// limit is what each value must reach, or the reason why it is not known.
func (c *Criterion) limit(m *Measures) (float64, Reason) {
	limit := max(c.AtLeast, c.AtMost)
	if c.AtLeastOfTarget > 0 {
		target := m.target(c.Measure)
		if target <= 0 {
			return 0, NoTarget
		}
		limit = max(limit, math.Round(c.AtLeastOfTarget*float64(target)))
	}
	if c.AtLeastAStudent > 0 {
		if m.Students <= 0 {
			return 0, NoStudents
		}
		limit = max(limit, math.Round(c.AtLeastAStudent*float64(m.Students)))
	}
	return six(limit), ""
}

func (r *Result) lack(why Reason) { r.Verdict, r.Reason = NotEnoughData, why }

// decide judges a value that is known. Fewer: it must not exceed the limit.
func (r *Result) decide(value float64, fewer bool) {
	value = six(value)
	r.Value = &value
	r.Verdict, r.Reason = Fail, Missed
	if fewer && value <= *r.Limit || !fewer && value >= *r.Limit {
		r.Verdict, r.Reason = Pass, Met
	}
}

func (c *Criterion) byTests(m *Measures, r *Result, lacks Reason) {
	values := m.values(c)
	r.Tests, r.Least = int64(len(values)), c.LeastTests
	p, quantile := percentOf(c.Statistic)
	slices.Sort(values)
	if quantile && len(values) > 0 {
		v := values[rank(p, r.Tests)-1]
		r.Value = &v
	}
	kind, _ := measureOf(c.Measure)
	switch {
	case lacks != "":
		r.lack(lacks)
	case len(values) == 0:
		r.lack(NoTests)
	case r.Tests < c.LeastTests:
		r.lack(FewTests)
	case quantile:
		r.decide(*r.Value, kind.Fewer)
	default:
		good := 0
		for _, v := range values {
			if kind.Fewer && v <= *r.TestLimit || !kind.Fewer && v >= *r.TestLimit {
				good++
			}
		}
		r.decide(float64(good)/float64(len(values)), false)
	}
}

// rank is the place, from 1, of the p-th percentile among n values in order: the nearest rank, so that it is one of them.
func rank(p, n int64) int64 { return max(1, (p*n+99)/100) }

// byHours tells whether enough hours stand behind a count.
func (r *Result) byHours(c *Criterion, m *Measures, any bool) bool {
	r.Hours, r.Least = m.Hours, c.LeastHours
	switch {
	case !any:
		r.lack(NoHours)
	case m.Hours < c.LeastHours:
		r.lack(FewHours)
	default:
		return true
	}
	return false
}

// byAnswers judges what a histogram knows: that a value lies over one edge and not over the next.
func (c *Criterion) byAnswers(m *Measures, r *Result) {
	edges := telemetry.HistogramEdgesMs()
	all := int64(0)
	if len(m.AnswersLE) == len(edges)+1 {
		all = m.AnswersLE[len(edges)]
	}
	if !r.byHours(c, m, all > 0) {
		return
	}
	if c.Statistic == statShare {
		within, perhaps := int64(0), all // answers that are, and that may be, within the limit
		for i, edge := range edges {
			if float64(edge) <= *r.TestLimit {
				within = m.AnswersLE[i]
			}
			if float64(edge) >= *r.TestLimit {
				perhaps = m.AnswersLE[i]
				break
			}
		}
		r.decideShare(float64(within)/float64(all), float64(perhaps)/float64(all))
		return
	}
	p, _ := percentOf(c.Statistic)
	over := 0.0
	for i, edge := range edges {
		if m.AnswersLE[i] >= rank(p, all) {
			upTo := float64(edge)
			r.UpTo = &upTo
			break
		}
		over = float64(edge)
	}
	r.Over = &over
	switch {
	case r.UpTo != nil && *r.UpTo <= *r.Limit:
		r.Verdict, r.Reason = Pass, Met
	case over >= *r.Limit:
		r.Verdict, r.Reason = Fail, Missed
	default:
		r.lack(Between)
	}
}

func (r *Result) decideShare(low, high float64) {
	low, high = six(low), six(high)
	if low == high {
		r.decide(low, false)
		return
	}
	r.Over, r.UpTo = &low, &high
	switch {
	case low >= *r.Limit:
		r.Verdict, r.Reason = Pass, Met
	case high < *r.Limit:
		r.Verdict, r.Reason = Fail, Missed
	default:
		r.lack(Between)
	}
}

func (c *Criterion) byLedger(m *Measures, r *Result) {
	value := map[string]*float64{"availability": m.Availability, "availability_without_power": m.WithoutPower, "completeness": m.Completeness}[c.Measure]
	r.Hours, r.Least, r.Value = m.ObservedHours, c.LeastHours, value
	if c.Measure == "availability_without_power" {
		r.Hours = m.PoweredHours
	}
	if c.Measure != "completeness" {
		r.Complete = m.Completeness
	}
	switch {
	case value == nil:
		r.lack(NothingKnown)
	case !m.Citable && c.Measure != "completeness":
		r.lack(Incomplete)
	case r.Hours < c.LeastHours:
		r.lack(FewHours)
	default:
		r.decide(*value, false)
	}
}

func (c *Criterion) byLastTest(m *Measures, r *Result) {
	r.Tests = int64(len(m.Tests))
	if m.LastTest.IsZero() {
		r.lack(NeverTested)
		return
	}
	r.decide(max(0, m.End.Sub(m.LastTest)).Seconds()/(24*time.Hour).Seconds(), true)
}

package benchmark

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/telemetry"
)

const (
	maxFile     = 64 << 10 // bytes of a file
	maxLine     = 200      // bytes of a text on one line
	maxNote     = 4000     // bytes of a note
	maxCriteria = 50
	maxLimit    = 1e15
	maxLeast    = 100000

	defaultTests = 5
	defaultHours = 24

	statMedian, statShare = "median", "share"
	windowAll, windowPeak = "all", "peak"
)

var (
	dated      = regexp.MustCompile(`^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$`)
	percentile = regexp.MustCompile(`^p([1-9]\d?)$`)
)

// Parse reads a benchmark from TOML and fills defaults in. File is used in messages only. The error joins every fault, each with
// file, line and key.
func Parse(file string, data []byte) (Benchmark, error) {
	if len(data) > maxFile {
		return Benchmark{}, fmt.Errorf("%s: has %d bytes, a benchmark has at most %d", file, len(data), maxFile)
	}
	var b Benchmark
	doc, broken := conf.Parse(file, data, &b)
	if doc == nil {
		return Benchmark{}, broken
	}
	for _, text := range []*string{&b.Note, &b.Source.Checked} {
		*text = strings.TrimSpace(strings.ReplaceAll(*text, "\r\n", "\n"))
	}
	f := checker{Faults: conf.NewFaults(doc), doc: doc, draft: true, broken: broken != nil}
	b.check(f)
	if err := errors.Join(broken, f.Err()); err != nil {
		return Benchmark{}, err
	}
	b.fill()
	return b, nil
}

// Check joins every fault of a benchmark that comes from elsewhere than Parse, such as from a report. Nothing may be left to defaults.
func (b *Benchmark) Check() error {
	f := checker{Faults: conf.NewFaults(nil)}
	b.check(f)
	return f.Err()
}

// fill puts defaults where nothing is said.
func (b *Benchmark) fill() {
	if b.ShareOfSites == 0 {
		b.ShareOfSites = 1
	}
	for i := range b.Criteria {
		c := &b.Criteria[i]
		m, _ := measureOf(c.Measure)
		if c.Window == "" {
			c.Window = windowAll
		}
		if c.LeastTests == 0 && m.origin == fromTests {
			c.LeastTests = defaultTests
		}
		if c.LeastHours == 0 && m.byHour() {
			c.LeastHours = defaultHours
		}
	}
}

// checker gathers faults.
type checker struct {
	*conf.Faults
	doc    *conf.Doc
	draft  bool // what has a default may be missing
	broken bool // some of the file could not be read, and is told already; what is missing may be just that
}

func (b *Benchmark) check(f checker) {
	f.id("id", "benchmark", b.ID)
	f.line("name", b.Name, "give it a name for people")
	f.note("note", b.Note)
	f.number("share_of_sites", b.ShareOfSites, 1, f.draft)
	f.line("source.title", b.Source.Title, "say which text asks for it")
	f.line("source.publisher", b.Source.Publisher, "say whose text it is")
	f.note("source.checked", b.Source.Checked)
	f.filled("source.checked", b.Source.Checked, "say against which text the limits were checked, or that they were not")
	if d := b.Source.Date; !dated.MatchString(d) && !(d == "" && f.broken) {
		f.Add("source.date", "got %q, want the date of the text, such as 2022-09-27, 2022-09 or 2022", b.Source.Date)
	}
	if u := b.Source.URL; u != "" {
		if p, err := url.Parse(u); err != nil || p.Scheme != "https" && p.Scheme != "http" || p.Host == "" || len(u) > 500 {
			f.Add("source.url", "got %q, want an address such as https://example.org/text", u)
		}
	}
	if n := len(b.Criteria); n == 0 && !f.broken || n > maxCriteria {
		f.Add("criterion", "there are %d, want 1 to %d sections [[criterion]]", n, maxCriteria)
	}
	seen := map[string]bool{}
	for i := range b.Criteria {
		c, key := &b.Criteria[i], fmt.Sprintf("criterion[%d].", i)
		if seen[c.ID] && c.ID != "" {
			f.Add(key+"id", "criterion %q is there twice", c.ID)
		}
		seen[c.ID] = true
		c.check(f, key)
	}
}

func (c *Criterion) check(f checker, key string) {
	f.id(key+"id", "criterion", c.ID)
	f.line(key+"name", c.Name, "give it a name for people")
	m, known := measureOf(c.Measure)
	if c.Measure == "" && f.broken {
		return
	}
	if !known {
		var names []string
		for _, m := range Measured() {
			names = append(names, m.Name)
		}
		f.OneOf(key+"measure", c.Measure, names...)
		return // what else may stand here depends on it
	}
	many := m.origin == fromTests || m.origin == fromAnswers
	_, quantile := percentOf(c.Statistic)
	switch {
	case many && c.Statistic == "" && f.broken:
	case many && !quantile && c.Statistic != statShare:
		f.Add(key+"statistic", "got %q, want median, p1 to p99, or share", c.Statistic)
	case !many && c.Statistic != "":
		f.Add(key+"statistic", "%s is one figure already; leave it out", c.Measure)
	}
	switch {
	case c.Window != "" && c.Window != windowAll && c.Window != windowPeak || c.Window == "" && !f.draft:
		f.Add(key+"window", "got %q, want all or peak", c.Window)
	case c.Window == windowPeak && m.origin != fromTests:
		f.Add(key+"window", "%s is not known for peak hours alone; only speed tests are", c.Measure)
	}
	c.checkLimits(f, key, m)
	if c.Statistic == statShare {
		f.number(key+"share", c.Share, 1, false)
	} else {
		f.absent(key+"share", c.Share, "goes with statistic = \"share\" only")
	}
	f.least(key+"least_tests", c.LeastTests, m.origin == fromTests, "%s is not measured by tests; leave it out", c.Measure)
	f.least(key+"least_hours", c.LeastHours, m.byHour(), "%s is not counted by the hour; leave it out", c.Measure)
}

func (c *Criterion) checkLimits(f checker, key string, m Measure) {
	most := maxLimit
	if m.Unit == "fraction" {
		most = 1
	}
	if m.Fewer {
		f.number(key+"at_most", c.AtMost, most, false)
		for _, l := range []struct {
			key   string
			value float64
		}{{"at_least", c.AtLeast}, {"at_least_of_target", c.AtLeastOfTarget}, {"at_least_a_student", c.AtLeastAStudent}} {
			f.absent(key+l.key, l.value, "the less of "+c.Measure+" the better; use at_most")
		}
		return
	}
	f.absent(key+"at_most", c.AtMost, "the more of "+c.Measure+" the better; use at_least")
	rate := m.Unit == "bit/s"
	if !rate {
		f.absent(key+"at_least_of_target", c.AtLeastOfTarget, "only down_bps and up_bps have a target")
		f.absent(key+"at_least_a_student", c.AtLeastAStudent, "only down_bps and up_bps can be a student's")
	}
	f.number(key+"at_least", c.AtLeast, most, rate && (c.AtLeastOfTarget != 0 || c.AtLeastAStudent != 0))
	if rate {
		f.number(key+"at_least_of_target", c.AtLeastOfTarget, 10, true)
		f.number(key+"at_least_a_student", c.AtLeastAStudent, maxLimit, true)
	}
}

// number wants one above 0, at most hi. An optional one may be missing, but not stand there as 0.
func (f checker) number(key string, got, hi float64, optional bool) {
	if got == 0 && (f.broken || optional && !f.doc.Has(key)) {
		return
	}
	if !(got > 0 && got <= hi) { // so written, it refuses NaN too
		f.Add(key, "got %v, want a number above 0, at most %v", got, hi)
	}
}

func (f checker) absent(key string, got float64, why string) {
	if got != 0 || f.doc.Has(key) {
		f.Add(key, "%s", why)
	}
}

func (f checker) least(key string, got int64, fits bool, why string, a ...any) {
	switch {
	case !fits && (got != 0 || f.doc.Has(key)):
		f.Add(key, why, a...)
	case got == 0 && (f.broken || f.draft && !f.doc.Has(key)):
	case fits:
		conf.Between(f.Faults, key, got, 1, maxLeast)
	}
}

func (f checker) id(key, what, got string) {
	if got != "" || !f.broken {
		f.Check(key, telemetry.CheckID(what, got))
	}
}

func (f checker) filled(key, got, todo string) {
	if !f.broken {
		f.Filled(key, strings.TrimSpace(got), todo)
	}
}

// line wants a text on one line.
func (f checker) line(key, got, todo string) {
	f.filled(key, got, todo)
	switch {
	case len(got) > maxLine:
		f.Add(key, "text of %d bytes, at most %d are allowed", len(got), maxLine)
	case !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl):
		f.Add(key, "has a sign in it that cannot be shown; write it on one line")
	}
}

func (f checker) note(key, got string) {
	switch {
	case len(got) > maxNote:
		f.Add(key, "text of %d bytes, at most %d are allowed", len(got), maxNote)
	case !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }):
		f.Add(key, "has a sign in it that cannot be shown")
	}
}

// percentOf is the percentile that a statistic names; the median is the 50th.
func percentOf(statistic string) (p int64, ok bool) {
	if statistic == statMedian {
		return 50, true
	}
	if m := percentile.FindStringSubmatch(statistic); m != nil {
		p, _ = strconv.ParseInt(m[1], 10, 64)
		return p, true
	}
	return 0, false
}

// six rounds to six decimals, as all fractions of a report are.
func six(v float64) float64 { return math.Round(v*1e6) / 1e6 }

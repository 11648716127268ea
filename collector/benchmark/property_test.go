package benchmark

import (
	"encoding/json"
	"math/rand"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func rate() *rapid.Generator[*int64] {
	return rapid.Custom(func(t *rapid.T) *int64 {
		if rapid.IntRange(0, 5).Draw(t, "without") == 0 {
			return nil
		}
		v := rapid.Int64Range(0, 40e6).Draw(t, "bps")
		return &v
	})
}

func anyTest() *rapid.Generator[Test] {
	return rapid.Custom(func(t *rapid.T) Test {
		rtt := rapid.Float64Range(0, 200).Draw(t, "rtt")
		return Test{DownBps: rate().Draw(t, "down"), UpBps: rate().Draw(t, "up"), MinRTTMs: &rtt, Peak: rapid.Bool().Draw(t, "peak")}
	})
}

func anySite() *rapid.Generator[Measures] {
	fraction := rapid.Custom(func(t *rapid.T) *float64 {
		if rapid.Bool().Draw(t, "unknown") {
			return nil
		}
		return some(rapid.Float64Range(0, 1).Draw(t, "fraction"))
	})
	return rapid.Custom(func(t *rapid.T) Measures {
		m := Measures{Site: rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "site"), End: end, Tests: rapid.SliceOfN(anyTest(), 0, 30).Draw(t, "tests"),
			Hours: rapid.Int64Range(0, 100).Draw(t, "hours"), Sent: rapid.Int64Range(0, 1000).Draw(t, "sent"), Availability: fraction.Draw(t, "availability"),
			WithoutPower: fraction.Draw(t, "powered"), Completeness: fraction.Draw(t, "completeness"), Citable: rapid.Bool().Draw(t, "citable"),
			TargetDownBps: rapid.Int64Range(0, 40e6).Draw(t, "target"), TargetUpBps: rapid.Int64Range(0, 40e6).Draw(t, "target up"), Students: rapid.IntRange(0, 900).Draw(t, "students")}
		m.Lost = rapid.Int64Range(0, m.Sent).Draw(t, "lost")
		if rapid.Bool().Draw(t, "answers") {
			m.AnswersLE = histogram(rapid.SliceOfN(rapid.Int64Range(0, 9), 8, 8).Draw(t, "bands")...)
		}
		if rapid.Bool().Draw(t, "tested") {
			m.LastTest = end.Add(-time.Duration(rapid.Int64Range(0, int64(40*24*time.Hour)).Draw(t, "ago")))
		}
		return m
	})
}

// anyCriterion is one that a file may hold, of whatever measure.
func anyCriterion() *rapid.Generator[Criterion] {
	return rapid.Custom(func(t *rapid.T) Criterion {
		m := rapid.SampledFrom(Measured()).Draw(t, "measure")
		c := Criterion{ID: "c", Name: "C", Measure: m.Name}
		limit := map[string]*rapid.Generator[float64]{"bit/s": rapid.Float64Range(1, 40e6), "ms": rapid.Float64Range(1, 2000), "fraction": rapid.Float64Range(0.001, 1), "days": rapid.Float64Range(0.1, 40)}[m.Unit].Draw(t, "limit")
		if m.Fewer {
			c.AtMost = limit
		} else {
			c.AtLeast = limit
		}
		if m.origin == fromTests || m.origin == fromAnswers {
			c.Statistic = rapid.SampledFrom([]string{"median", "p1", "p5", "p80", "p99", "share"}).Draw(t, "statistic")
			if c.Statistic == "share" {
				c.Share = rapid.Float64Range(0.01, 1).Draw(t, "share")
			}
		}
		if m.origin == fromTests && rapid.Bool().Draw(t, "peak") {
			c.Window = "peak"
		}
		if m.Unit == "bit/s" && rapid.Bool().Draw(t, "relative") {
			c.AtLeast, c.AtLeastOfTarget, c.AtLeastAStudent = 0, rapid.Float64Range(0.1, 2).Draw(t, "of target"), rapid.SampledFrom([]float64{0, 50e3}).Draw(t, "a student")
		}
		b := Benchmark{ID: "b", Name: "B", Source: Source{Title: "T", Publisher: "P", Date: "2026", Checked: "C"}, Criteria: []Criterion{c}}
		b.fill()
		if err := b.Check(); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		return b.Criteria[0]
	})
}

func TestNoDataIsNeverAPass(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCriterion().Draw(t, "criterion")
		for name, m := range map[string]Measures{"nothing": {End: end}, "contract and students only": {End: end, TargetDownBps: 1, TargetUpBps: 1, Students: 1, Citable: true, Hours: 1000}} {
			if r := c.Judge(&m); r.Verdict != NotEnoughData || r.Reason == "" {
				t.Fatalf("%s: got %+v", name, r)
			}
			b := Benchmark{ShareOfSites: 0.01, Criteria: []Criterion{c}}
			if j := b.Judge([]Measures{m}); j.Verdict != NotEnoughData {
				t.Fatalf("%s: got %+v", name, j)
			}
		}
	})
}

func TestAPassingTestMoreNeverTurnsAPassIntoAFail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := anyCriterion().Filter(func(c Criterion) bool { m, _ := measureOf(c.Measure); return m.origin == fromTests }).Draw(t, "criterion")
		m := anySite().Draw(t, "site")
		before := c.Judge(&m)
		limit, lacks := c.limit(&m)
		if lacks != "" {
			return
		}
		bps := int64(limit) + 1
		better := Test{DownBps: &bps, UpBps: &bps, MinRTTMs: &limit, Peak: true}
		m.Tests = append(m.Tests, better)
		after := c.Judge(&m)
		if before.Verdict == Pass && after.Verdict != Pass {
			t.Fatalf("was %+v, is %+v", before, after)
		}
		if before.Verdict == Fail && after.Verdict == NotEnoughData {
			t.Fatalf("a test more, and less known: was %+v, is %+v", before, after)
		}
	})
}

func TestTheOrderOfTestsAndSitesChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sites := rapid.SliceOfNDistinct(anySite(), 1, 5, func(m Measures) string { return m.Site }).Draw(t, "sites")
		b := Benchmark{ID: "b", ShareOfSites: rapid.Float64Range(0.01, 1).Draw(t, "share"), Criteria: rapid.SliceOfN(anyCriterion(), 1, 4).Draw(t, "criteria")}
		first, err := json.Marshal(b.Judge(sites))
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed")))
		r.Shuffle(len(sites), func(i, k int) { sites[i], sites[k] = sites[k], sites[i] })
		for _, m := range sites {
			r.Shuffle(len(m.Tests), func(i, k int) { m.Tests[i], m.Tests[k] = m.Tests[k], m.Tests[i] })
		}
		second, err := json.Marshal(b.Judge(sites))
		if err != nil || string(first) != string(second) {
			t.Fatalf("got  %s, %v\nwant %s", second, err, first)
		}
	})
}

// What is known of a site only as a range is never judged otherwise than every value in the range would be.
func TestAVerdictOnARangeHoldsForEveryValueInIt(t *testing.T) {
	edges := []float64{0, 25, 50, 100, 150, 300, 600, 1200, 5000}
	rapid.Check(t, func(t *rapid.T) {
		c := anyCriterion().Filter(func(c Criterion) bool { return c.Measure == "rtt_ms" }).Draw(t, "criterion")
		bands, values := make([]int64, 8), []float64{}
		for range rapid.IntRange(1, 40).Draw(t, "answers") {
			band := rapid.IntRange(0, 7).Draw(t, "band")
			bands[band]++
			values = append(values, edges[band]+rapid.Float64Range(0.001, 1).Draw(t, "within")*(edges[band+1]-edges[band]))
		}
		m := Measures{AnswersLE: histogram(bands...), Hours: 24}
		got := c.Judge(&m)
		slices.Sort(values)
		truth := Fail
		if p, ok := percentOf(c.Statistic); ok {
			if values[rank(p, int64(len(values)))-1] <= c.AtMost {
				truth = Pass
			}
		} else {
			n := 0
			for _, v := range values {
				if v <= c.AtMost {
					n++
				}
			}
			if six(float64(n)/float64(len(values))) >= c.Share {
				truth = Pass
			}
		}
		if got.Verdict != NotEnoughData && got.Verdict != truth {
			t.Fatalf("got %+v, every value of %v says %s", got, values, truth)
		}
	})
}

func TestASiteMoreThatPassesNeverTurnsTheProgrammesPassIntoAFail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Benchmark{ShareOfSites: rapid.Float64Range(0.01, 1).Draw(t, "share"), Criteria: []Criterion{{ID: "a", Measure: "completeness", AtLeast: 0.5}}}
		sites := rapid.SliceOfN(anySite(), 0, 10).Draw(t, "sites")
		before := b.Judge(sites)
		after := b.Judge(append(sites, Measures{Completeness: some(1)}))
		if before.Verdict == Pass && after.Verdict != Pass || after.Pass != before.Pass+1 {
			t.Fatalf("was %+v, is %+v", before, after)
		}
		for i := range before.Criteria {
			if o := before.Criteria[i]; o.Pass+o.Fail+o.NotEnoughData != len(sites) {
				t.Fatalf("%+v does not count %d sites", o, len(sites))
			}
		}
	})
}

package prose_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

// said is a report in English, as plain text.
func said(t *testing.T, r *report.Report) string {
	t.Helper()
	return bare(plain(prose.Document(r, header(), texts(t)["en"])))
}

func TestAPercentileOfRoundTripsIsNotToldAsMostOfThem(t *testing.T) {
	got := said(t, october()) // of 1,000 answers 60 took more than 1,200 ms
	if !strings.Contains(got, "The median of round trips is more than 50 ms, at most 100 ms; their 95th percentile is more than 1,200 ms.") {
		t.Error("the sentence of the percentiles of round trips is not there")
	}
}

func TestTheSentenceToCiteInTheDocsIsThatOfTheReport(t *testing.T) {
	r := october()
	r.Distribution = report.Distribution{}
	finish(r, r.Sites[1])
	cite, _, _ := strings.Cut(bare(prose.Headline(r, texts(t)["en"])), "\n")
	page, err := os.ReadFile("../../docs/figures.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), "To cite it: \""+cite+"\"") {
		t.Errorf("docs/figures.md does not cite its example as a report does: %s", cite)
	}
}

func TestATableOfSitesMarksWhatUnknownTimeMakesUncertain(t *testing.T) {
	r := shapes()["no site is citable"]
	for _, b := range prose.Document(r, header(), texts(t)["en"]).Blocks {
		switch v := b.(type) {
		case press.Cards:
			for _, c := range v.Cards {
				if c.Mark.Text != "not citable" {
					t.Errorf("the card %q has no mark", c.Label)
				}
			}
		case press.Table:
			columns := map[string][]int{"Outages by cause": {1, 3}, "Figures of each site": {1, 2, 4, 5}}[v.Caption]
			if strings.HasPrefix(v.Caption, "October 2026 and") {
				v.Rows, columns = v.Rows[:2], []int{2, 3}
			}
			for _, row := range v.Rows {
				for _, i := range columns {
					if row[i].Mark.Text != "not citable" {
						t.Errorf("%s: %q in column %q has no mark", v.Caption, row[i].Text, v.Columns[i].Name)
					}
				}
			}
		}
	}
}

func TestWhereNothingWasObservedNobodySaysThatThereWasNoOutage(t *testing.T) {
	r := shapes()["nothing but time"]
	for i := range r.Sites {
		r.Sites[i].Time = figures(744, report.Times{OffAgentMs: hour})
	}
	r.Programme.Time = report.Together(r.Sites[0].Time, r.Sites[1].Time)
	for _, got := range []string{said(t, r), bare(prose.Headline(r, texts(t)["en"]))} {
		if strings.Contains(got, "No outage was seen.") || !strings.Contains(got, "Nothing was observed, so nothing is known of outages.") {
			t.Error("what nobody observed reads as time without an outage")
		}
	}
}

func TestAVillageThatNeverHadPowerHasNoUptimeOfItsLink(t *testing.T) {
	r := october()
	for i := range r.Sites {
		r.Sites[i].Time = figures(744, report.Times{OffPowerMs: 744 * hour})
	}
	r.Distribution = report.Distribution{}
	finish(r, r.Sites...)
	got := said(t, r) + bare(prose.Headline(r, texts(t)["en"]))
	if strings.Contains(got, "nothing observed") {
		t.Errorf("all of the time was observed, and it says that nothing was:\n%s", got)
	}
	for _, want := range []string{"* Availability of the link while powered | never with power", "power cuts included (completeness 100.00 %); there was no power in all that time."} {
		if !strings.Contains(got, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	for _, b := range prose.Document(r, header(), texts(t)["en"]).Blocks {
		if v, ok := b.(press.Table); ok && v.Caption == "Sites from the best to the worst" {
			for _, row := range v.Rows {
				if row[2].Bar >= 0 {
					t.Error("a figure that there is none of has a bar of nought")
				}
			}
		}
	}
}

func TestARankingSaysOfWhatPartOfThePeriodASiteIsKnown(t *testing.T) {
	r := october()
	r.Sites[0].Time = figures(100, report.Times{UpMs: 100 * hour}) // counted from the 27th
	r.Distribution = report.Distribution{}
	finish(r, r.Sites...)
	_, ranking, _ := strings.Cut(said(t, r), "= Sites from the best to the worst")
	if !strings.Contains(strings.Split(ranking, "##")[0], "counted from 27 October 2026") {
		t.Error("a site of four days leads the ranking, and nothing says so")
	}
}

func TestAZoneWhoseClocksChangeWithinThePeriodHasNoOneDistanceToUTC(t *testing.T) {
	r := october()
	r.Asked.TimeZone, r.Asked.Period = "Europe/London", "2026"
	r.From, r.To = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := said(t, r); !strings.Contains(got, "Time zone | Europe/London\n") {
		t.Error("a year of London has one distance to UTC")
	}
}

func TestALimitIsNeverRoundedToWhatFailsIt(t *testing.T) {
	r := october()
	b := benchmark.Benchmark{ID: "ours", Name: "Ours", ShareOfSites: 1, Criteria: []benchmark.Criterion{
		{ID: "down", Name: "Down", Measure: "down_bps", Statistic: "median", AtLeastOfTarget: 0.8, LeastTests: 1},
		{ID: "up", Name: "Available", Measure: "availability", AtLeast: 0.99}}}
	down, whole, none := int64(4_245_000), 1., 0.
	r.Asked.Benchmarks = []benchmark.Benchmark{b}
	r.Benchmarks = []benchmark.Judgement{b.Judge([]benchmark.Measures{{Site: "sihala-bhu", TargetDownBps: 5_312_000, Tests: []benchmark.Test{{DownBps: &down}}, Availability: &none, Completeness: &whole, Citable: true}})}
	got := said(t, r)
	if !strings.Contains(got, "4.24 Mbit/s | at least 4.25 Mbit/s") {
		t.Error("4.245 Mbit/s fails 4.2496 Mbit/s, and the two read alike")
	}
	if strings.Contains(got, "the time of the last test") {
		t.Error("an availability says that the time of the last test stands behind it")
	}
}

func TestEachReasonOfAVerdictHasWords(t *testing.T) {
	r := october()
	b := &r.Asked.Benchmarks[0]
	j := benchmark.Judgement{Benchmark: b.ID, Criteria: []benchmark.Outcome{{}, {}}}
	for _, reason := range benchmark.Reasons() {
		j.Sites = append(j.Sites, benchmark.SiteResult{Site: string(reason), Results: []benchmark.Result{{Verdict: benchmark.NotEnoughData, Reason: reason}}})
	}
	r.Benchmarks = []benchmark.Judgement{j}
	if got := said(t, r); strings.Contains(got, "reason ") || !strings.Contains(got, "= Why there is no verdict") {
		t.Errorf("a reason has no words:\n%s", got)
	}
}

func TestAChartOfTimeLostSaysHowMuchIsNotKnown(t *testing.T) {
	_, chart, _ := strings.Cut(said(t, october()), "~ Time lost a day")
	if chart, _, _ = strings.Cut(chart, "##"); !strings.Contains(chart, "Behind this: 2 sites, 31 days, 2 d 16 h of site time unknown.") {
		t.Errorf("days of which nothing is known read as days without loss: %s", chart)
	}
}

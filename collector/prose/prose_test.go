package prose_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/benchmark"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/press"
	"github.com/smartvillage/nabz/collector/prose"
	"github.com/smartvillage/nabz/collector/report"
)

var update = flag.Bool("update", false, "write testdata anew")

func texts(t *testing.T) map[string]*language.Text {
	t.Helper()
	set, err := language.Load("")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*language.Text{}
	for _, code := range set.Codes() {
		if out[code], err = set.Text(code); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func header() prose.Header {
	return prose.Header{SHA256: strings.Repeat("0123456789abcdef", 4), Link: "https://nabz.example.org/reports/2026-10/2", Revision: 2, Published: time.Date(2026, 11, 3, 1, 0, 0, 0, time.UTC)}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = "testdata/" + name
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what is written; run go test ./collector/prose -update and look at the difference. Written:\n%s", name, got)
	}
}

func TestAReportReadsAsItShould(t *testing.T) {
	for code, text := range texts(t) {
		golden(t, "october."+code+".txt", bare(plain(prose.Document(october(), header(), text))))
		golden(t, "headline."+code+".txt", bare(prose.Title(october(), text)+"\n"+prose.Headline(october(), text))+"\n")
	}
}

// shapes are reports of every form that there is.
func shapes() map[string]*report.Report {
	all := map[string]*report.Report{"october": october()}
	shape := func(name string, change func(*report.Report)) {
		r := october()
		change(r)
		all[name] = r
	}
	shape("nothing but time", func(r *report.Report) {
		for _, f := range []*report.Findings{&r.Programme, &r.Sites[0].Findings, &r.Sites[1].Findings} {
			*f = report.Findings{Sites: f.Sites, Time: f.Time, Outages: outages(kind(f.Outages.Causes[1]), kind(f.Outages.Causes[3])), Latency: report.Latency{Within: r.Sites[0].Latency.Within}}
		}
		r.Before, r.Benchmarks, r.Asked.Benchmarks, r.LeftOut = report.Before{Period: "2026-09"}, nil, nil, nil
		for i := range r.Days {
			r.Days[i] = report.Day{Day: r.Days[i].Day}
		}
	})
	shape("no site is citable", func(r *report.Report) {
		for i := range r.Sites {
			r.Sites[i].Time = figures(744, report.Times{UpMs: 100 * hour})
		}
		r.Distribution = report.Distribution{}
		finish(r, r.Sites...)
	})
	shape("switched off throughout", func(r *report.Report) {
		for i := range r.Sites {
			r.Sites[i].Time = figures(744, report.Times{OffShutdownMs: 744 * hour})
		}
		r.Distribution = report.Distribution{}
		finish(r, r.Sites...)
	})
	shape("provisional", func(r *report.Report) {
		asOf := time.Date(2026, 10, 17, 5, 0, 0, 0, time.UTC)
		r.Provisional, r.To, r.Asked.AsOf = true, asOf, &asOf
	})
	shape("no site", func(r *report.Report) {
		r.Sites, r.Programme = nil, report.Findings{Outages: outages(kind(r.Programme.Outages.Causes[1]), kind(r.Programme.Outages.Causes[3])), Time: report.Together()}
		r.Distribution, r.Benchmarks = report.Distribution{}, []benchmark.Judgement{r.Asked.Benchmarks[0].Judge(nil)}
	})
	shape("a year", func(r *report.Report) {
		r.Asked.Period, r.Days = "2026", nil
		for i := range 365 {
			r.Days = append(r.Days, report.Day{Day: time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC).Format("2006-01-02"), DownDNSMs: int64(i) * 60_000})
		}
	})
	shape("days of a zone that nobody knows", func(r *report.Report) {
		r.Asked.Period, r.Asked.TimeZone, r.Asked.Programme, r.Asked.Sites = "2026-10-01/2026-10-15T08:00", "Mars/Olympus", "", []string{"all"}
		r.Before.Period = "2026-09-16/2026-10-01"
		r.Asked.Benchmarks = nil
	})
	shape("a quarter of many terms, with names that mean to break out", func(r *report.Report) {
		r.Asked.Period, r.Asked.Programme = "2026-Q4", "<script>{n}\u202e"
		r.Asked.Sites = nil
		for i := range 20 {
			r.Asked.Sites = append(r.Asked.Sites, fmt.Sprintf("operator=<b>%d", i), "technology=VSAT", "upstream=hub", "site=nilore", "x=y")
		}
		r.Asked.Roster[1].Name = `"><img src=x>`
	})
	many := october()
	var sites []report.SiteReport
	for i := range 1000 {
		s := many.Sites[i%2]
		s.Site = fmt.Sprintf("site-%04d", i)
		sites = append(sites, s)
	}
	many.Distribution = report.Distribution{}
	all["1,000 sites"] = finish(many, sites...)
	return all
}

func TestEveryShapeOfReportIsWrittenInEveryLanguage(t *testing.T) {
	for name, r := range shapes() {
		for code, text := range texts(t) {
			t.Run(name+" in "+code, func(t *testing.T) {
				t.Parallel()
				d := prose.Document(r, header(), text)
				said := plain(d)
				if strings.Contains(strings.ReplaceAll(said, "<script>{n}", ""), "{") {
					t.Errorf("a placeholder is left:\n%s", said)
				}
				for line := range strings.Lines(bare(said)) {
					for cell := range strings.SplitSeq(strings.TrimSuffix(line, "\n"), " | ") {
						if strings.Trim(cell, " –-") == "" && line != "\n" {
							t.Errorf("a cell is empty or a bare dash: %q", line)
						}
					}
				}
				if err := press.Page(io.Discard, d); err != nil {
					t.Error(err)
				}
				var pdf bytes.Buffer
				if err := press.PDF(&pdf, d); err != nil || !bytes.HasPrefix(pdf.Bytes(), []byte("%PDF-")) {
					t.Errorf("PDF of %d bytes: %v", pdf.Len(), err)
				}
				if h := prose.Headline(r, text); h == "" || strings.Contains(strings.ReplaceAll(h, "<script>{n}", ""), "{") {
					t.Errorf("headline %q", h)
				}
			})
		}
	}
}

func TestEveryTableSaysWhatStandsBehindIt(t *testing.T) {
	for name, r := range shapes() {
		for _, b := range prose.Document(r, header(), texts(t)["en"]).Blocks {
			switch v := b.(type) {
			case press.Table:
				if !strings.HasPrefix(v.Behind, "Behind this: ") || !strings.ContainsAny(v.Behind, "0123456789") {
					t.Errorf("%s: the table %q says %q behind it", name, v.Caption, v.Behind)
				}
				if len(v.Rows) == 0 && v.Empty == "" {
					t.Errorf("%s: the table %q has no row and does not say why", name, v.Caption)
				}
			case press.Chart:
				if !strings.HasPrefix(v.Behind, "Behind this: ") || v.Description == "" {
					t.Errorf("%s: the chart %q says %q behind it, and %q to who does not see it", name, v.Caption, v.Behind, v.Description)
				}
			}
		}
	}
}

func TestFiguresThatAreNotCitableAreMarkedWhereverTheyStand(t *testing.T) {
	r := shapes()["no site is citable"]
	d := prose.Document(r, header(), texts(t)["en"])
	said := bare(plain(d))
	share := "100.00 %" // of what was observed
	for line := range strings.Lines(said) {
		if strings.Contains(line, share) && !strings.Contains(line, "not citable") && strings.Contains(line, "vailability") {
			t.Errorf("a figure stands without its mark: %q", line)
		}
	}
	for _, want := range []string{"! Not citable. | The state of the links is known for 13.44 % of the time only; 90 % is needed.", "No site has a figure that can be cited"} {
		if !strings.Contains(said, want) {
			t.Errorf("the document does not say %q", want)
		}
	}
	if strings.Contains(said, "To cite it") {
		t.Error("it offers a sentence to cite")
	}
	for _, b := range d.Blocks {
		if table, ok := b.(press.Table); ok && table.Caption == "Figures of each site" {
			for _, row := range table.Rows {
				if row[1].Mark.Text != "not citable" || row[2].Mark.Text != "not citable" {
					t.Errorf("%s: marks %q, %q; want both not citable", row[0].Text, row[1].Mark.Text, row[2].Mark.Text)
				}
			}
		}
	}
	if h := bare(prose.Headline(r, texts(t)["en"])); !strings.HasPrefix(h, "October 2026: not citable (13.44 % of the time was observed, 90 % is needed).") {
		t.Errorf("headline %q", h)
	}
}

func TestTheTwoUptimesStandSideBySide(t *testing.T) {
	for _, b := range prose.Document(october(), header(), texts(t)["en"]).Blocks {
		if c, ok := b.(press.Cards); ok {
			if c.Cards[0].Label != "Availability as the village felt it" || c.Cards[1].Label != "Availability of the link while powered" {
				t.Errorf("the first cards are %q and %q", c.Cards[0].Label, c.Cards[1].Label)
			}
			return
		}
	}
	t.Error("there are no cards")
}

func TestAFigureNeverLooksBetterThanItIs(t *testing.T) {
	r := october()
	r.Programme.Time.Availability, r.Programme.Time.Completeness, r.Programme.Time.Citable = to(0.999999), to(0.999999), true
	said := bare(plain(prose.Document(r, prose.Header{}, texts(t)["en"])))
	if !strings.Contains(said, "* Availability as the village felt it | 99.99 %") || !strings.Contains(said, "4.19 Mbit/s") {
		t.Error("0.999999 does not read as 99.99 %, or 4,199,999 bit/s not as 4.19 Mbit/s")
	}
	if !strings.Contains(said, "which is 3.01 %") {
		t.Error("a loss of 0.030068 does not read as 3.01 %")
	}
}

func TestThePeriodIsInWords(t *testing.T) {
	for text, want := range map[string][2]string{
		"2026-10":                           {"October 2026", "اکتوبر 2026"},
		"2026-Q4":                           {"fourth quarter of 2026", "2026 کی چوتھی سہ ماہی"},
		"2026":                              {"2026", "2026"},
		"2026-10-01/2026-10-15":             {"1 October 2026 to 15 October 2026", "1 اکتوبر 2026 تا 15 اکتوبر 2026"},
		"2026-10-01T08:00/2026-10-15T17:30": {"1 October 2026, 08:00 to 15 October 2026, 17:30", "1 اکتوبر 2026، 08:00 تا 15 اکتوبر 2026، 17:30"},
		"2026-13":                           {"2026-13", "2026-13"},
		"?":                                 {"?", "?"},
	} {
		for i, code := range []string{"en", "ur"} {
			if got := bare(prose.Period(text, texts(t)[code])); got != want[i] {
				t.Errorf("%s in %s: got %q, want %q", text, code, got, want[i])
			}
		}
	}
}

func TestTheFiguresOfTheDocumentAreThoseOfTheReport(t *testing.T) {
	r := shapes()["1,000 sites"]
	percent := func(v *float64) string { // cut off after two decimals, in whole millionths so that nothing is lost on the way
		n := int64(math.Round(*v*1e6)) / 100
		return fmt.Sprintf("%d.%02d %%", n/100, n%100)
	}
	for _, b := range prose.Document(r, header(), texts(t)["en"]).Blocks {
		table, ok := b.(press.Table)
		if !ok || table.Caption != "Figures of each site" {
			continue
		}
		if len(table.Rows) != len(r.Sites) {
			t.Fatalf("got %d rows for %d sites", len(table.Rows), len(r.Sites))
		}
		for i, s := range r.Sites {
			row := table.Rows[i]
			for column, want := range map[int]string{1: percent(s.Time.Availability), 2: percent(s.Time.WithoutPower), 3: percent(s.Time.Completeness), 4: fmt.Sprint(s.Outages.All.Count)} {
				if got := bare(row[column].Text); got != want {
					t.Fatalf("%s, column %d: got %q, want %q", s.Site, column, got, want)
				}
			}
			if (row[1].Mark.Text == "not citable") == s.Time.Citable {
				t.Fatalf("%s: mark %q of a figure that is citable %v", s.Site, row[1].Mark.Text, s.Time.Citable)
			}
		}
		return
	}
	t.Fatal("the table of the sites is not there")
}

package benchmark

import (
	"encoding/json"
	"testing"
	"time"
)

var end = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// tests has one speed test for each pair of rates, Mbit/s, with that round trip, in peak hours.
func tests(rtt float64, mbps ...float64) []Test {
	var out []Test
	for _, v := range mbps {
		down, up, ms := int64(v*1e6), int64(v*5e5), rtt
		out = append(out, Test{DownBps: &down, UpBps: &up, MinRTTMs: &ms, Peak: true})
	}
	return out
}

func some(v float64) *float64 { return &v }

// histogram has that many answers in each band.
func histogram(bands ...int64) []int64 {
	out := make([]int64, 8)
	sum := int64(0)
	for i := range out {
		if i < len(bands) {
			sum += bands[i]
		}
		out[i] = sum
	}
	return out
}

// fine is a site that meets whatever can be met.
func fine() Measures {
	return Measures{Site: "fine", End: end, LastTest: end.Add(-24 * time.Hour), Tests: tests(12, 30, 31, 32, 33, 34, 35), AnswersLE: histogram(60, 40), Sent: 1000, Lost: 2, Hours: 700,
		Availability: some(0.98), WithoutPower: some(0.995), Completeness: some(0.97), Citable: true, ObservedHours: 720, PoweredHours: 700, TargetDownBps: 30e6, TargetUpBps: 10e6, Students: 430}
}

func TestEveryCriterionOfEveryPresetCanPassFailAndLackData(t *testing.T) {
	type change func(*Measures)
	slow := func(m *Measures) { m.Tests = tests(12, 1, 1, 1, 1, 1) }
	two := func(m *Measures) { m.Tests = m.Tests[:2] }
	rows := []struct {
		preset, criterion string
		fail              change
		none              change
		why               Reason
	}{
		{"fcc-80-80", "consistent-download", func(m *Measures) { m.Tests = tests(12, 23, 23, 30, 30, 30) }, func(m *Measures) {
			for i := range m.Tests {
				m.Tests[i].Peak = i < 4
			}
		}, FewTests},
		{"giga", "download-of-contract", slow, func(m *Measures) { m.TargetDownBps = 0 }, NoTarget},
		{"giga", "live", func(m *Measures) { m.LastTest = end.AddDate(0, 0, -21).Add(-time.Second) }, func(m *Measures) { m.LastTest = time.Time{} }, NeverTested},
		{"itu-un-2030", "school-download", func(m *Measures) { m.Students = 700 }, func(m *Measures) { m.Students = 0 }, NoStudents},
		{"pta-qos-2022", "download", slow, two, FewTests},
		{"pta-qos-2022", "upload", slow, func(m *Measures) {
			for i := range m.Tests {
				m.Tests[i].UpBps = nil
			}
		}, NoTests},
		{"pta-qos-2022", "download-of-rate", func(m *Measures) { m.Tests = tests(12, 30, 30, 30, 30, 23) }, two, FewTests},
		{"pta-survey", "latency-local", func(m *Measures) { m.Tests = tests(40.1, 30, 30, 30, 30, 30) }, func(m *Measures) { m.Tests = nil }, NoTests},
		{"pta-survey", "latency-international", func(m *Measures) { m.AnswersLE = histogram(1, 1, 1, 0, 50) }, func(m *Measures) { m.AnswersLE = histogram(1, 1, 1, 50) }, Between},
		{"pta-survey", "jitter", nil, nil, NotInTheLedger}, // whatever is known: the ledger has no jitter
		{"pta-survey", "availability", func(m *Measures) { m.WithoutPower = some(0.989999) }, func(m *Measures) { m.Citable, m.Completeness = false, some(0.5) }, Incomplete},
	}
	for _, b := range loaded(t) {
		for _, c := range b.Criteria {
			found := false
			for _, row := range rows {
				if row.preset != b.ID || row.criterion != c.ID {
					continue
				}
				found = true
				check := func(what string, change change, want Verdict, why Reason) {
					t.Helper()
					m := fine()
					if change != nil {
						change(&m)
					}
					if got := c.Judge(&m); got.Verdict != want || got.Reason != why {
						t.Errorf("%s/%s, %s: got %s, want %s because %s", b.ID, c.ID, what, c.English(got), want, why)
					}
				}
				check("too little known", row.none, NotEnoughData, row.why)
				if row.fail != nil {
					check("a good site", nil, Pass, Met)
					check("a bad site", row.fail, Fail, Missed)
				}
			}
			if !found {
				t.Errorf("the table has no row for %s/%s", b.ID, c.ID)
			}
		}
	}
}

func TestValuesAtTheLimitPassAndWhatStandsBehindThemIsTold(t *testing.T) {
	rows := []struct {
		name   string
		c      Criterion
		change func(*Measures)
		want   string
	}{
		{"median of an even number is a measured value", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 32e6, LeastTests: 5}, nil, "pass: 32 Mbit/s; at least 32 Mbit/s asked (6 tests)"},
		{"a hair below", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 32e6 + 1, LeastTests: 5}, nil, "fail: 32 Mbit/s; at least 32.001 Mbit/s asked (6 tests)"},
		{"shown to its worse side", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 4e6, LeastTests: 5}, func(m *Measures) { m.Tests = tests(1, 3.999999, 3.999999, 3.999999, 4, 4) }, "fail: 3.999 Mbit/s; at least 4 Mbit/s asked (5 tests)"},
		{"of the target of its direction", Criterion{Measure: "up_bps", Statistic: "p95", AtLeastOfTarget: 1.75, LeastTests: 6}, nil, "pass: 17.5 Mbit/s; at least 17.5 Mbit/s asked (6 tests)"},
		{"400 students need what a school needs", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 20e6, AtLeastAStudent: 50e3, LeastTests: 5}, func(m *Measures) { m.Students = 400 }, "pass: 32 Mbit/s; at least 20 Mbit/s asked (6 tests)"},
		{"401 need more", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 20e6, AtLeastAStudent: 50e3, LeastTests: 5}, func(m *Measures) { m.Students = 401 }, "pass: 32 Mbit/s; at least 20.05 Mbit/s asked (6 tests)"},
		{"four of five", Criterion{Measure: "down_bps", Statistic: "share", Share: 0.8, AtLeast: 30e6, LeastTests: 5}, func(m *Measures) { m.Tests = tests(1, 29, 30, 30, 30, 30) }, "pass: 80 % of tests at least 30 Mbit/s; at least 80 % asked (5 tests)"},
		{"share of short round trips", Criterion{Measure: "test_rtt_ms", Statistic: "share", Share: 1, AtMost: 12, LeastTests: 5}, nil, "pass: 100 % of tests at most 12 ms; at least 100 % asked (6 tests)"},
		{"two tests", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 1, LeastTests: 5}, func(m *Measures) { m.Tests = m.Tests[:1] }, "not enough data: 1 test, 5 are needed"},
		{"none in peak hours", Criterion{Measure: "down_bps", Statistic: "median", AtLeast: 1, LeastTests: 5, Window: "peak"}, func(m *Measures) {
			for i := range m.Tests {
				m.Tests[i].Peak = false
			}
		}, "not enough data: no test in peak hours"},
		{"no target", Criterion{Measure: "up_bps", Statistic: "median", AtLeastOfTarget: 0.8, LeastTests: 5}, func(m *Measures) { m.TargetUpBps = 0 }, "not enough data: no target in the sites file"},
		{"within an edge", Criterion{Measure: "rtt_ms", Statistic: "median", AtMost: 25, LeastHours: 24}, nil, "pass: at most 25 ms; at most 25 ms asked (700 hours)"},
		{"the limit lies between edges", Criterion{Measure: "rtt_ms", Statistic: "p95", AtMost: 40, LeastHours: 24}, nil, "not enough data: over 25, at most 50 ms; at most 40 ms asked"},
		{"beyond an edge", Criterion{Measure: "rtt_ms", Statistic: "p95", AtMost: 25, LeastHours: 24}, nil, "fail: over 25, at most 50 ms; at most 25 ms asked (700 hours)"},
		{"beyond the last edge", Criterion{Measure: "rtt_ms", Statistic: "p95", AtMost: 1200, LeastHours: 24}, func(m *Measures) { m.AnswersLE = histogram(1, 0, 0, 0, 0, 0, 0, 1) }, "fail: over 1200 ms; at most 1200 ms asked (700 hours)"},
		{"beyond the last edge, and the limit too", Criterion{Measure: "rtt_ms", Statistic: "p95", AtMost: 2000, LeastHours: 24}, func(m *Measures) { m.AnswersLE = histogram(1, 0, 0, 0, 0, 0, 0, 1) }, "not enough data: over 1200 ms; at most 2000 ms asked"},
		{"share at an edge", Criterion{Measure: "rtt_ms", Statistic: "share", Share: 0.6, AtMost: 25, LeastHours: 24}, nil, "pass: 60 % of answers at most 25 ms; at least 60 % asked (700 hours)"},
		{"share between edges", Criterion{Measure: "rtt_ms", Statistic: "share", Share: 0.8, AtMost: 40, LeastHours: 24}, nil, "not enough data: between 60 % and 100 % of answers at most 40 ms; at least 80 % asked"},
		{"share that is enough in any case", Criterion{Measure: "rtt_ms", Statistic: "share", Share: 0.6, AtMost: 40, LeastHours: 24}, nil, "pass: between 60 % and 100 % of answers at most 40 ms; at least 60 % asked (700 hours)"},
		{"a day and no more", Criterion{Measure: "rtt_ms", Statistic: "median", AtMost: 25, LeastHours: 24}, func(m *Measures) { m.Hours = 23 }, "not enough data: 23 hours, 24 are needed"},
		{"loss", Criterion{Measure: "loss", AtMost: 0.002, LeastHours: 24}, nil, "pass: 0.2 %; at most 0.2 % asked (700 hours)"},
		{"more loss", Criterion{Measure: "loss", AtMost: 0.002, LeastHours: 24}, func(m *Measures) { m.Sent = 999 }, "fail: 0.21 %; at most 0.2 % asked (700 hours)"},
		{"nothing sent", Criterion{Measure: "loss", AtMost: 0.002, LeastHours: 24}, func(m *Measures) { m.Sent, m.Lost = 0, 0 }, "not enough data: nothing was counted"},
		{"availability", Criterion{Measure: "availability", AtLeast: 0.99}, nil, "fail: 98 %; at least 99 % asked (720 hours)"},
		{"availability that cannot be cited", Criterion{Measure: "availability", AtLeast: 0.9}, func(m *Measures) { m.Citable, m.Completeness = false, some(0.8999) }, "not enough data: 89.99 % of the time is known, too little to cite a figure"},
		{"availability of an hour", Criterion{Measure: "availability", AtLeast: 0.9, LeastHours: 24}, func(m *Measures) { m.ObservedHours = 1 }, "not enough data: 1 hour, 24 are needed"},
		{"a link that had power for an hour", Criterion{Measure: "availability_without_power", AtLeast: 0.9, LeastHours: 24}, func(m *Measures) { m.PoweredHours = 1 }, "not enough data: 1 hour, 24 are needed"},
		{"completeness needs none", Criterion{Measure: "completeness", AtLeast: 0.5}, func(m *Measures) { m.Citable = false }, "pass: 97 %; at least 50 % asked (720 hours)"},
		{"nothing known", Criterion{Measure: "availability", AtLeast: 0.9}, func(m *Measures) { *m = Measures{} }, "not enough data: nothing is known of the site"},
		{"a test a moment ago", Criterion{Measure: "days_since_test", AtMost: 21}, func(m *Measures) { m.LastTest = end }, "pass: 0 days; at most 21 days asked (6 tests)"},
		{"a day ago", Criterion{Measure: "days_since_test", AtMost: 0.5}, nil, "fail: 1 day; at most 0.5 days asked (6 tests)"},
		{"no test ever", Criterion{Measure: "days_since_test", AtMost: 21}, func(m *Measures) { *m = Measures{} }, "not enough data: the ledger has no speed test of the site"},
		{"jitter", Criterion{Measure: "jitter_ms", AtMost: 15}, nil, "not enough data: it is not kept in the ledger"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			m := fine()
			if row.change != nil {
				row.change(&m)
			}
			if got := row.c.English(row.c.Judge(&m)); got != row.want {
				t.Errorf("got  %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestTheProgrammeCountsWhatIsNotKnownNeitherWay(t *testing.T) {
	b := &Benchmark{ID: "x", ShareOfSites: 0.8, Criteria: []Criterion{{ID: "a", Measure: "completeness", AtLeast: 0.5}}}
	rows := []struct {
		pass, fail, none int
		want             string
	}{
		{0, 0, 0, "not enough data: there is no site"},
		{4, 1, 0, "pass: 80 % of sites; at least 80 % asked (4 pass, 1 fail, 0 not enough data)"},
		{4, 0, 1, "pass: between 80 % and 100 % of sites; at least 80 % asked (4 pass, 0 fail, 1 not enough data)"},
		{3, 1, 1, "not enough data: between 60 % and 80 % of sites; at least 80 % asked (3 pass, 1 fail, 1 not enough data)"},
		{2, 2, 1, "fail: between 40 % and 60 % of sites; at least 80 % asked (2 pass, 2 fail, 1 not enough data)"},
		{0, 0, 5, "not enough data: between 0 % and 100 % of sites; at least 80 % asked (0 pass, 0 fail, 5 not enough data)"},
	}
	for _, row := range rows {
		var sites []Measures
		for n, value := range map[*float64]int{some(1): row.pass, some(0.1): row.fail, nil: row.none} {
			for range value {
				sites = append(sites, Measures{Completeness: n})
			}
		}
		j := b.Judge(sites)
		if got := j.Criteria[0].English(); got != row.want || j.Verdict != j.Criteria[0].Verdict || j.Pass != row.pass || j.Fail != row.fail || j.NotEnoughData != row.none {
			t.Errorf("got  %s (%s; %d, %d, %d)\nwant %s", got, j.Verdict, j.Pass, j.Fail, j.NotEnoughData, row.want)
		}
	}
}

func TestASiteFailsWithOneCriterionAndPassesOnlyWithAll(t *testing.T) {
	b := preset(t, "pta-survey")
	m := fine()
	m.WithoutPower = some(0.5)
	if j := b.Judge([]Measures{fine(), m}); j.Sites[0].Verdict != NotEnoughData || j.Sites[1].Verdict != Fail || j.Verdict != Fail || j.Pass != 0 || j.Fail != 1 || j.NotEnoughData != 1 {
		t.Errorf("got %+v", j)
	}
}

func TestAResultIsTheSameJSONEachTime(t *testing.T) {
	b := preset(t, "itu-un-2030")
	m := fine()
	m.Site = "b"
	got, err := json.Marshal(b.Judge([]Measures{m, {Site: "a"}}))
	want := `{"benchmark":"itu-un-2030","verdict":"not_enough_data","pass":1,"fail":0,"not_enough_data":1,"criteria":[{"criterion":"school-download","verdict":"not_enough_data","pass":1,"fail":0,"not_enough_data":1,"least_share":0.5,"most_share":1,"needed_share":1}],` +
		`"sites":[{"site":"a","verdict":"not_enough_data","results":[{"criterion":"school-download","verdict":"not_enough_data","reason":"no_students","unit":"bit/s","tests":0,"hours":0,"least":5}]},` +
		`{"site":"b","verdict":"pass","results":[{"criterion":"school-download","verdict":"pass","reason":"met","unit":"bit/s","value":32000000,"limit":21500000,"tests":6,"hours":0,"least":5}]}]}`
	if string(got) != want || err != nil {
		t.Errorf("got  %s %v\nwant %s", got, err, want)
	}
}

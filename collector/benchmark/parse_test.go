package benchmark

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

const good = `id = "ours"
name = "Our contract"
[source]
title = "Contract"
publisher = "The programme"
date = "2026-01"
checked = "By both sides."
[[criterion]]
id = "down"
name = "Download"
measure = "down_bps"
statistic = "median"
at_least = 1e6
`

func TestFaultsOfABenchmarkNameFileLineAndWhatWouldBeTaken(t *testing.T) {
	crit := func(lines string) string { return good[:strings.Index(good, "measure")] + lines }
	tests := []struct{ name, text, want string }{
		{"misspelt key", strings.Replace(good, "at_least =", "at_lest =", 1),
			`b.toml:13: unknown key "at_lest" in [criterion[0]]; did you mean "at_least"?`},
		{"what could not be read is told once, beside what is wrong elsewhere", strings.NewReplacer("1e6", "\"4 Mbit/s\"", "2026-01", "soon").Replace(good),
			`b.toml:13: criterion[0].at_least: got text "4 Mbit/s", want a number
b.toml:6: source.date: got "soon", want the date of the text, such as 2022-09-27, 2022-09 or 2022`},
		{"empty", "", `b.toml: id: benchmark id "": use a-z, 0-9 and "-", beginning with a letter or a digit, at most 63 characters
b.toml: name: is empty; give it a name for people
b.toml: source.title: is empty; say which text asks for it
b.toml: source.publisher: is empty; say whose text it is
b.toml: source.checked: is empty; say against which text the limits were checked, or that they were not
b.toml: source.date: got "", want the date of the text, such as 2022-09-27, 2022-09 or 2022
b.toml: criterion: there are 0, want 1 to 50 sections [[criterion]]`},
		{"a date that is none, an address that is none", strings.NewReplacer("2026-01", "2026-13", "[source]", "[source]\nurl = \"ftp://x\"").Replace(good),
			`b.toml:7: source.date: got "2026-13", want the date of the text, such as 2022-09-27, 2022-09 or 2022
b.toml:4: source.url: got "ftp://x", want an address such as https://example.org/text`},
		{"twice the same criterion, a zero share", "share_of_sites = 0\n" + good + good[strings.Index(good, "[[crit"):],
			`b.toml:1: share_of_sites: got 0, want a number above 0, at most 1
b.toml:16: criterion[1].id: criterion "down" is there twice`},
		{"a measure that is none", crit(`measure = "speed"`),
			`b.toml:11: criterion[0].measure: "speed" is none of down_bps, up_bps, test_rtt_ms, rtt_ms, loss, jitter_ms, availability, availability_without_power, completeness, days_since_test`},
		{"no statistic", crit("measure = \"down_bps\"\nat_least = 1"), `b.toml: criterion[0].statistic: got "", want median, p1 to p99, or share`},
		{"p0 and p100", crit("measure = \"rtt_ms\"\nstatistic = \"p100\"\nat_most = 1"), `b.toml:12: criterion[0].statistic: got "p100", want median, p1 to p99, or share`},
		{"a statistic of one figure", crit("measure = \"loss\"\nstatistic = \"median\"\nat_most = 0.1"), `b.toml:12: criterion[0].statistic: loss is one figure already; leave it out`},
		{"the wrong direction", crit("measure = \"rtt_ms\"\nstatistic = \"p95\"\nat_least = 5"),
			`b.toml: criterion[0].at_most: got 0, want a number above 0, at most 1e+15
b.toml:13: criterion[0].at_least: the less of rtt_ms the better; use at_most`},
		{"the other wrong direction", crit("measure = \"availability\"\nat_most = 0.99\nat_least_of_target = 0.5"),
			`b.toml:12: criterion[0].at_most: the more of availability the better; use at_least
b.toml:13: criterion[0].at_least_of_target: only down_bps and up_bps have a target
b.toml: criterion[0].at_least: got 0, want a number above 0, at most 1`},
		{"percent for a fraction", crit("measure = \"availability\"\nat_least = 99"), `b.toml:12: criterion[0].at_least: got 99, want a number above 0, at most 1`},
		{"a share without its statistic, and the reverse", crit("measure = \"down_bps\"\nstatistic = \"share\"\nat_least = 1\n[[criterion]]\nid = \"up\"\nname = \"Up\"\nmeasure = \"up_bps\"\nstatistic = \"median\"\nat_least = 1\nshare = 0.5"),
			`b.toml: criterion[0].share: got 0, want a number above 0, at most 1
b.toml:20: criterion[1].share: goes with statistic = "share" only`},
		{"peak hours of what is not known for them", crit("measure = \"rtt_ms\"\nstatistic = \"median\"\nat_most = 1\nwindow = \"peak\""),
			`b.toml:14: criterion[0].window: rtt_ms is not known for peak hours alone; only speed tests are`},
		{"a window that is none", crit("measure = \"down_bps\"\nstatistic = \"median\"\nat_least = 1\nwindow = \"night\""), `b.toml:14: criterion[0].window: got "night", want all or peak`},
		{"hours of tests, no tests at all", crit("measure = \"down_bps\"\nstatistic = \"median\"\nat_least = 1\nleast_hours = 5\nleast_tests = 0"),
			`b.toml:15: criterion[0].least_tests: 0 is outside 1 to 100000
b.toml:14: criterion[0].least_hours: down_bps is not counted by the hour; leave it out`},
		{"signs that cannot be shown", strings.NewReplacer("Our contract", `a\u0007`).Replace(good), `b.toml:2: name: has a sign in it that cannot be shown; write it on one line`},
		{"too large", strings.Repeat("#", maxFile+1), `b.toml: has 65537 bytes, a benchmark has at most 65536`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("b.toml", []byte(tt.text))
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestDefaultsAreFilledIn(t *testing.T) {
	b, err := Parse("b.toml", []byte(good+"[[criterion]]\nid = \"loss\"\nname = \"Loss\"\nmeasure = \"loss\"\nat_most = 0.02\n"))
	if err != nil {
		t.Fatal(err)
	}
	d, l := b.Criteria[0], b.Criteria[1]
	if b.ShareOfSites != 1 || d.Window != "all" || d.LeastTests != 5 || d.LeastHours != 0 || l.LeastHours != 24 || l.LeastTests != 0 {
		t.Errorf("got %+v", b)
	}
}

// Whatever is taken means the same when it is written and read again, and nothing makes it panic.
func FuzzParse(f *testing.F) {
	f.Add(good)
	s, err := Load("")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range s.all {
		f.Add(e.text)
	}
	f.Add("share_of_sites = nan\n[[criterion]]\nmeasure = \"loss\"\nat_most = inf\n")
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Parse("f.toml", []byte(text))
		if err != nil {
			return
		}
		if err := b.Check(); err != nil {
			t.Fatalf("taken, and refused afterwards: %v", err)
		}
		var out bytes.Buffer
		if err := toml.NewEncoder(&out).Encode(b); err != nil {
			t.Fatal(err)
		}
		if out.Len() > maxFile {
			return
		}
		back, err := Parse("f.toml", out.Bytes())
		if err != nil || !reflect.DeepEqual(back, b) {
			t.Fatalf("got  %+v, %v\nwant %+v\nfrom\n%s", back, err, b, out.String())
		}
		b.Judge([]Measures{{Site: "x", AnswersLE: []int64{1, 2, 3, 4, 5, 6, 7, 8}, Hours: 100, TargetDownBps: 1, Students: 1}})
	})
}

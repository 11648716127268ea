package collector

import (
	"bytes"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/language"
	"github.com/smartvillage/nabz/collector/report"
)

func TestTheTextOfAReportRoundsNothingUp(t *testing.T) {
	almost, whole := 0.999996, 1.0
	f := report.Figures{PeriodMs: 1000, ObservedMs: 1000, Availability: &almost, Completeness: &whole, Citable: true}
	r := report.Report{Definition: report.Definition, Asked: report.Asked{Period: "2026-10", TimeZone: "UTC", Sites: []string{"all"}},
		Sites: []report.SiteReport{{Site: "a", Findings: report.Findings{Sites: 1, Time: f}}}, Programme: report.Findings{Sites: 1, Time: f}}
	doc, err := r.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	set, err := language.Load("")
	if err != nil {
		t.Fatal(err)
	}
	text, err := set.Text("en")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := (Printer{Text: text}).Print(&b, FormText, doc, archive.Revision{}); err != nil {
		t.Fatal(err)
	}
	line := ""
	for l := range strings.Lines(strings.ReplaceAll(b.String(), "\u00a0", " ")) {
		if strings.HasPrefix(l, "a ") {
			line = strings.Join(strings.Fields(l), " ")
		}
	}
	if want := "a 99.99 % never with power 100.00 % 0 0 yes"; line != want {
		t.Errorf("got %q, want %q", line, want)
	}
}

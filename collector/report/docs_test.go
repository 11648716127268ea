package report

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

// docs is docs/figures.md, its blanks made one.
func docs(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/figures.md")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(b)), " ")
}

func TestTheWorkedExampleOfTheDocsComesToWhatTheySay(t *testing.T) {
	zone := time.FixedZone("", 0)
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, zone).UnixMilli()
	to := time.Date(2026, 11, 1, 0, 0, 0, 0, zone).UnixMilli()
	at, tl := from, timeline.Timeline{}
	put := func(hours int64, state telemetry.State, cause telemetry.Cause) {
		tl.Insert(timeline.Segment{Start: at, End: at + hours*hourMs, State: state, Cause: cause})
		at += hours * hourMs
	}
	put(300, telemetry.StateUp, "")
	put(8, telemetry.StateDown, telemetry.CauseBackhaul)
	put(300, telemetry.StateUp, "")
	put(20, telemetry.StateOff, telemetry.CausePower)
	put(50, telemetry.StateUp, "")
	put(2, telemetry.StateDown, telemetry.CauseBackhaul)
	put(50, telemetry.StateUp, "")
	f := Of(&tl, from, to)
	o := (&told{notUp: tl, gaps: true}).outages("site", from, to)
	text := docs(t)
	percent := func(share float64) string { return fmt.Sprintf("%.2f %%", math.Floor(1e4*share)/100) } // as a page has it
	for _, want := range []string{
		"700 / 730 = " + percent(*f.Availability), "700 / 710 = " + percent(*f.WithoutPower), "730 / 744 = " + percent(*f.Completeness) + ": citable",
		"700 / 744 = " + percent(*f.Lower) + " to 714 / 744 = " + percent(*f.Upper+0.0001), fmt.Sprintf("(8 + 2) / 2 = %d hours", *o.Causes[1].MeanMs/hourMs),
		"`" + Definition + "`",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("docs/figures.md does not say %q", want)
		}
	}
	if !f.Citable || f.UnknownMs != 14*hourMs {
		t.Errorf("the example is %+v", f)
	}
}

func TestTheDocsNameEachPartOfAReport(t *testing.T) {
	text := docs(t)
	for _, part := range []string{"Availability", "Outages", "Throughput", "Latency and loss", "Volume, clients", "Services", "The period before", "left out", PeakHours[:5]} {
		if !strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
			t.Errorf("docs/figures.md says nothing of %q", part)
		}
	}
	for _, edge := range telemetry.HistogramEdgesMs() {
		if !strings.Contains(text, fmt.Sprint(edge)) {
			t.Errorf("docs/figures.md does not name the edge at %d ms", edge)
		}
	}
}

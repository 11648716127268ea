package report

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/timeline"
	"github.com/smartvillage/nabz/telemetry"
)

func TestEverySiteIsInTheDistributionOrCountedAsNotCitable(t *testing.T) {
	site := func(id string, ts Times) SiteReport {
		return SiteReport{Site: id, Findings: Findings{Sites: 1, Time: figures(100*minute, ts)}}
	}
	d := distribution([]SiteReport{site("good", Times{UpMs: 100 * minute}), site("half", Times{UpMs: 50 * minute, SilentMs: 50 * minute}),
		site("silent", Times{SilentMs: 100 * minute}), site("off", Times{OffShutdownMs: 100 * minute})})
	if d.Sites != 1 || d.NotCitable != 3 {
		t.Errorf("of four sites %d are in it and %d are not citable, want 1 and 3", d.Sites, d.NotCitable)
	}
}

func TestTheLongestOutagesOfAllSitesMayBeOfOneSite(t *testing.T) {
	var bad, good told
	for i := range int64(6) {
		bad.notUp.Insert(timeline.Segment{Start: i * 100 * minute, End: (i*100 + 60) * minute, State: telemetry.StateDown, Cause: telemetry.CauseDNS})
	}
	good.notUp.Insert(timeline.Segment{Start: 0, End: minute, State: telemetry.StateDown, Cause: telemetry.CauseDNS})
	end := 1000 * minute
	r := Report{}
	m := maker{period: Period{Zone: time.UTC}}
	m.sum(&r, []piece{{sites: []SiteReport{
		{Site: "bad", Findings: Findings{Latency: latency(make([]int64, 8)), Outages: bad.outages("bad", 0, end)}},
		{Site: "good", Findings: Findings{Latency: latency(make([]int64, 8)), Outages: good.outages("good", 0, end)}}}}})
	if got := r.Programme.Outages.Longest; len(got) != 7 || got[5].Site != "bad" || got[6].Site != "good" {
		t.Errorf("the longest of all sites are %+v", got)
	}
	if got := r.Sites[0].Outages.Longest; len(got) != longestOfSite {
		t.Errorf("a site alone lists %d", len(got))
	}
}

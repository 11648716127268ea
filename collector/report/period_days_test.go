package report

import (
	"testing"
	"time"
)

// In some zones clocks are changed at midnight: that day begins at 01:00, or has two midnights.
func TestADayBeginsAtItsFirstInstantWhereClocksAreChangedAtMidnight(t *testing.T) {
	now := time.Date(2029, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ zone, period, from, to, before string }{
		{"America/Santiago", "2028-09-03/2028-09-03", "2028-09-03T04:00Z", "2028-09-04T03:00Z", "2028-09-02T04:00Z"}, // 23 hours, from 01:00
		{"America/Santiago", "2028-09-01/2028-09-02", "2028-09-01T04:00Z", "2028-09-03T04:00Z", "2028-08-30T04:00Z"},
		{"America/Santiago", "2028-09-04/2028-09-04", "2028-09-04T03:00Z", "2028-09-05T03:00Z", "2028-09-03T04:00Z"},
		{"America/Santiago", "2028-04-01/2028-04-01", "2028-04-01T03:00Z", "2028-04-02T04:00Z", "2028-03-31T03:00Z"}, // 25 hours
		{"America/Havana", "2028-11-05/2028-11-05", "2028-11-05T04:00Z", "2028-11-06T05:00Z", "2028-11-04T04:00Z"},   // two midnights: the first
		{"Africa/Cairo", "2028-04-28/2028-04-28", "2028-04-27T22:00Z", "2028-04-28T21:00Z", "2028-04-26T22:00Z"},
		{"Asia/Beirut", "2028-03-26/2028-03-26", "2028-03-25T22:00Z", "2028-03-26T21:00Z", "2028-03-24T22:00Z"},
		{"Europe/Lisbon", "2028-03-26/2028-03-26", "2028-03-26T00:00Z", "2028-03-26T23:00Z", "2028-03-25T00:00Z"},
		{"Pacific/Apia", "2011-12-29/2011-12-31", "2011-12-29T10:00Z", "2011-12-31T10:00Z", "2011-12-26T10:00Z"}, // a day that never was
	} {
		zone, err := LoadZone(tt.zone)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParsePeriod(tt.period, zone, now)
		if err != nil {
			t.Fatal(err)
		}
		const form = "2006-01-02T15:04Z"
		b := p.Before()
		if got, want := p.From.UTC().Format(form)+" "+p.To.UTC().Format(form)+" "+b.From.UTC().Format(form)+" "+b.To.UTC().Format(form), tt.from+" "+tt.to+" "+tt.before+" "+tt.from; got != want {
			t.Errorf("%s in %s:\n got %s\nwant %s", tt.period, tt.zone, got, want)
		}
		m, err := newMaker(nil, Asked{Period: tt.period, TimeZone: tt.zone, PeakHours: PeakHours})
		if err != nil {
			t.Fatal(err)
		}
		edges, days := m.midnights()
		if len(edges) != len(days)+1 || edges[0] != p.From.UnixMilli() || edges[len(days)] != p.To.UnixMilli() {
			t.Errorf("%s in %s: %d days with edges %v", tt.period, tt.zone, len(days), edges)
		}
		for i, d := range days {
			if local := time.UnixMilli(edges[i]).In(zone); local.Format(dayForm) != d.Day || local.Add(-time.Millisecond).Format(dayForm) == d.Day {
				t.Errorf("%s in %s: day %s begins at %v", tt.period, tt.zone, d.Day, local)
			}
		}
	}
}

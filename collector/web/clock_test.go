package web

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

func TestTheTurnOfTheYearHidesNoHour(t *testing.T) {
	newYear := time.Date(2027, 1, 1, 8, 0, 0, 0, time.UTC)
	for _, tt := range []struct{ got, want string }{
		{moment(newYear.Add(-10*time.Hour), newYear), "31 Dec 2026 22:00"},
		{moment(newYear.Add(-time.Hour), newYear), "07:00"},
		{moment(newYear.Add(48*time.Hour), newYear), "3 Jan 08:00"},
		{between(newYear.Add(-10*time.Hour), newYear, newYear.Add(-24*time.Hour)), "22:00 to 1 Jan 2027 08:00"},
		{between(newYear.Add(-10*time.Hour), newYear.Add(-9*time.Hour), newYear), "31 Dec 2026 22:00 to 23:00"},
	} {
		if tt.got != tt.want {
			t.Errorf("it says %q, want %q", tt.got, tt.want)
		}
	}
}

// The site is in Karachi; whoever planned the window has the clock of Kampala, two hours behind.
func TestTimesOfAWindowOnASitesPageAreThoseOfTheSite(t *testing.T) {
	c := newClosed(t, noon) // 15:30 in Karachi, 13:30 in Kampala
	c.settle()
	c.does("aisha", "/maintenance", url.Values{"site": {"passu"}, "from": {"2026-11-20T13:20"}, "to": {"2026-11-20T16:00"}, "zone": {"Africa/Kampala"}, "reason": {"mast"}})
	page := c.reads("wall", "/sites/passu")
	says(t, "the page", page, "Maintenance until 18:00", "13:20 to 16:00 (Africa/Kampala (UTC&#43;03:00))")
	c.does("aisha", "/maintenance/1/cancel", url.Values{})
	says(t, "the page of all", c.reads("wall", "/maintenance"), "Africa/Kampala (UTC&#43;03:00) · cancelled 13:30 by aisha")
	if strings.Contains(c.reads("wall", "/maintenance"), "runs until") {
		t.Error("a window that was cancelled is said to run")
	}
}

func TestMaintenanceLastsSinceItsWindowBegan(t *testing.T) {
	w := openWorld(t, nothing{}, noon, t.TempDir(), withJournal(t)) // a Friday, 15:30 in Karachi
	w.settle()
	for site, win := range map[string]journal.Window{
		"karimabad": {From: noon.Add(-time.Minute), To: noon.Add(time.Hour)},
		"misgar":    {From: noon.Add(-time.Minute), Weekly: "Fr 14:00-16:00", Zone: "Asia/Karachi"},
		"nagar":     {From: noon.Add(-300 * 24 * time.Hour), Weekly: "Fr 15:29-16:00", Zone: "Asia/Karachi"},
	} {
		win.Scope, win.Reason = journal.Scope{Site: site}, "x"
		if _, err := w.notes.Plan("amina", win); err != nil {
			t.Fatal(err)
		}
		w.tell(telemetry.Address{Site: site, Agent: "router"}, noon, open(telemetry.StateUp, "", 20*time.Minute))
		w.want("/sites/"+site, 200, `for <time datetime="2026-11-20T10:29:00Z" data-ago>1 min</time>, since 15:29`)
		w.want("/?q="+site, 200, `<time datetime="2026-11-20T10:29:00Z" data-ago>1 min</time>`)
	}
}

package alert

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

func TestEachRuleHasItsTimeAndItsBoundAndCanBeSwitchedOff(t *testing.T) {
	mb := func(n float64) int64 { return int64(n * 1e6) }
	for _, tt := range []struct {
		name   string
		off    func(*Settings)
		begin  func(*world)
		after  time.Duration // and not before
		title  string
		end    func(*world)
		ending time.Duration
	}{
		{"unreachable", func(s *Settings) { s.UnreachableAfter = 0 }, func(w *world) { w.out("a") }, 5 * time.Minute, "a is unreachable", func(w *world) { w.up("a") }, 2 * time.Minute},
		{"down", func(s *Settings) { s.DownAfter = 0 }, func(w *world) { w.is(fleet.Down, telemetry.CauseDNS, "a") }, 2 * time.Minute, "a is down", func(w *world) { w.up("a") }, 2 * time.Minute},
		{"degraded", func(s *Settings) { s.DegradedAfter = 0 }, func(w *world) { w.is(fleet.Degraded, "", "a") }, 30 * time.Minute, "a is degraded", func(w *world) { w.up("a") }, 2 * time.Minute},
		{"battery", func(s *Settings) { s.BatteryBelowPct = 0 }, func(w *world) { w.set("a", func(s *site) { s.battery(19, false) }) }, time.Second, "a has a low battery",
			func(w *world) { w.set("a", func(s *site) { s.Heard = w.now; s.battery(30, true) }) }, 2 * time.Minute},
		{"disk", func(s *Settings) { s.DiskAbovePct = 0 }, func(w *world) { w.set("a", func(s *site) { full := 90.0; s.DiskPct, s.DiskAt = &full, w.now }) }, time.Second, "a has a full disk",
			func(w *world) { w.set("a", func(s *site) { less := 84.0; s.DiskPct, s.DiskAt = &less, w.now }) }, 2 * time.Minute},
		{"spool", func(s *Settings) { s.SpoolAbovePct = 0 }, func(w *world) { w.set("a", func(s *site) { s.BacklogBytes = 2 << 20 }) }, 30 * time.Minute, "a has much waiting to be sent",
			func(w *world) { w.set("a", func(s *site) { s.BacklogBytes = 0 }) }, 3 * time.Minute},
		{"clock", func(s *Settings) { s.ClockAfter = 0 }, func(w *world) { w.set("a", func(s *site) { s.Clock = telemetry.ClockEstimated }) }, 30 * time.Minute, "a does not know the time",
			func(w *world) { w.set("a", func(s *site) { s.Clock = telemetry.ClockSynced }) }, 3 * time.Minute},
		{"budget", func(s *Settings) { s.BudgetMB = 0 }, func(w *world) { w.set("a", func(s *site) { s.WireBytes += mb(13.5) }) }, time.Second, "a has nearly used the data of this month",
			func(w *world) { w.now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC) }, 4 * time.Minute},
		{"certificate", func(s *Settings) { s.CertificateWithin = 0 }, func(w *world) {
			w.expiries = []Expiry{{Name: "server.pem", End: w.now.Add(720*time.Hour - time.Second)}}
		}, time.Second,
			"a certificate ends soon", func(w *world) { w.expiries[0].End = w.now.AddDate(2, 0, 0) }, time.Second},
		{"InfluxDB", func(s *Settings) { s.OwnAfter = 0 }, func(w *world) { w.checks = []Check{{"InfluxDB", errors.New("gone")}} }, 61 * time.Second,
			"InfluxDB cannot be used: nothing is stored, and agents keep what they measure", func(w *world) { w.checks = []Check{{"InfluxDB", nil}} }, 62 * time.Second},
		{"broker", func(s *Settings) { s.OwnAfter = 0 }, func(w *world) { w.checks = []Check{{"MQTT broker", errors.New("gone")}} }, 61 * time.Second,
			"the collector is in trouble: MQTT broker", func(w *world) { w.checks = nil }, 62 * time.Second},
	} {
		for _, switched := range []bool{false, true} {
			t.Run(map[bool]string{false: tt.name, true: tt.name + " switched off"}[switched], func(t *testing.T) {
				s := Defaults()
				if switched {
					tt.off(&s)
				}
				w := newWorld(t, s).begin()
				w.add("a", "b")
				w.set("a", func(s *site) { s.WireBytes = 1000 })
				w.pass(w.Grace)
				w.up("a", "b")
				w.want()
				tt.begin(w)
				w.pass(tt.after - time.Second)
				w.want()
				if w.pass(2 * time.Second); switched {
					w.pass(time.Hour)
					w.want()
					return
				}
				w.want(tt.title)
				tt.end(w)
				w.pass(tt.ending + 3*time.Second)
				w.want()
				if r := w.engine.Recent(10); len(r) != 1 || r[0].Title != tt.title || r[0].Ended.IsZero() {
					t.Errorf("of the past there is %+v, want %q once", r, tt.title)
				}
			})
		}
	}
}

func TestOneCutFibreIsOneAlertThatNamesWhatTheSitesShare(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	ids := strings.Fields("s01 s02 s03 s04 s05 s06 s07 s08 s09 s10 s11 s12 s13 s14 s15")
	w.add(ids...)
	w.add("x1", "x2", "x3", "x4")
	for _, id := range []string{"x1", "x2", "x3", "x4"} {
		w.sites[id].Site.Operator = "Margalla Net"
	}
	w.pass(w.Grace)
	w.up(w.order...)
	w.out("s01")
	w.pass(5*time.Minute + time.Second)
	w.deliver()
	w.want("s01 is unreachable")
	w.out(ids[1:14]...) // the rest falls a little later, as each switch gives up in its own time
	w.pass(4 * time.Minute)
	w.deliver()
	w.want("14 of 15 sites of Karakoram Link in Hunza are unreachable")
	a := w.engine.Active()[0]
	if a.Group != "Karakoram Link in Hunza" || !strings.Contains(a.Cause, "the network of Karakoram Link in Hunza") || len(a.Sites) != 14 || a.Site != "s01" {
		t.Errorf("alert is %+v", a)
	}
	w.up(ids[:10]...)
	w.pass(10 * time.Minute)
	w.want("4 of 15 sites of Karakoram Link in Hunza are unreachable")
	w.up(ids[10:14]...)
	w.pass(3 * time.Minute)
	w.deliver()
	w.want()
	if got := sink.told(); len(got) != 2 || got[0] != "raised s01 is unreachable" || !strings.HasPrefix(got[1], "recovered 14 sites of Karakoram Link in Hunza") {
		t.Errorf("people were told %q, want one alert and its end", got)
	}
}

func TestSitesWithOneUpstreamAreOneAlertWhoeverRunsThem(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l")
	w.sites["b"].Site.Operator, w.sites["c"].Site.District = "Pamir Satellite", "Nagar"
	for _, id := range []string{"a", "b", "c"} {
		w.sites[id].Site.Upstream = "tower Duikar"
	}
	w.pass(w.Grace)
	w.up(w.order...)
	w.out("a", "b", "c", "d")
	w.pass(6 * time.Minute)
	w.want("3 of 3 sites of tower Duikar are unreachable", "d is unreachable")
}

func TestAnOutageLongAgoIsNotPartOfTodaysCut(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b", "c", "d", "e", "f", "g", "h")
	w.pass(w.Grace)
	w.up(w.order...)
	w.out("a")
	w.pass(time.Hour)
	w.out("b", "c", "d")
	w.pass(6 * time.Minute)
	w.want("a is unreachable", "3 of 8 sites of Karakoram Link in Hunza are unreachable")
}

func TestASiteThatFlapsIsOneAlertAndALongOutageOfItAnother(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a")
	w.pass(w.Grace)
	w.up("a")
	flap := func(n int) {
		for range n {
			w.out("a")
			w.pass(2 * time.Minute)
			w.up("a")
			w.pass(4 * time.Minute)
			w.deliver()
		}
	}
	flap(3)
	w.want()
	flap(10)
	w.want("a goes out and comes back again and again")
	w.out("a")
	w.pass(29 * time.Minute)
	w.want("a goes out and comes back again and again")
	w.pass(2 * time.Minute)
	w.want("a is unreachable")
	w.deliver()
	w.up("a")
	w.pass(2*time.Hour + time.Minute)
	w.deliver()
	w.want()
	if got, want := sink.told(), []string{"raised a goes out and comes back again and again", "raised a is unreachable", "recovered a is unreachable"}; !slices.Equal(got, want) {
		t.Errorf("people were told %q, want %q", got, want)
	}
}

func TestAnOutageThatFlapsBeforeItEndsIsOneAlert(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a")
	w.pass(w.Grace)
	for range 8 {
		w.out("a")
		w.pass(6 * time.Minute)
		w.up("a")
		w.pass(90 * time.Second)
		w.deliver()
	}
	w.pass(40 * time.Minute)
	w.deliver()
	w.want()
	if got, want := sink.told(), []string{"raised a is unreachable", "recovered a is unreachable"}; !slices.Equal(got, want) {
		t.Errorf("people were told %q, want %q", got, want)
	}
}

func TestWhatIsTheNOCsFaultBlamesNoSiteAndSitesHaveTimeToComeBack(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b", "c")
	w.pass(w.Grace)
	w.checks = []Check{{"InfluxDB", errors.New("gone")}}
	w.pass(30 * time.Second)
	w.out("a", "b", "c")
	w.pass(time.Hour)
	w.want("InfluxDB cannot be used: nothing is stored, and agents keep what they measure")
	w.checks = []Check{{"InfluxDB", nil}}
	w.pass(2 * time.Minute)
	w.up("a", "b")
	w.pass(2 * time.Minute)
	w.want()
	w.pass(2 * time.Minute)
	w.want("c is unreachable") // which has not come back in its time of grace
}

func TestWhenMostSitesAreLostAtOnceItIsTheNOCsOwnLine(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a", "b", "c", "d", "e", "f", "g", "h", "i", "j")
	for _, id := range []string{"f", "g", "h", "i", "j"} {
		w.sites[id].Site.Operator = "Margalla Net"
	}
	w.pass(w.Grace)
	w.up(w.order...)
	w.out(w.order[:9]...)
	w.pass(time.Hour)
	w.want("most sites were lost at once")
	w.up(w.order[:8]...)
	w.pass(4 * time.Minute)
	w.want()
	w.pass(4 * time.Minute)
	w.want("i is unreachable")
	w.deliver()
	if got := sink.told(); len(got) != 2 || !strings.HasPrefix(got[0], "recovered most sites were lost at once") {
		t.Errorf("people were told %q", got)
	}
}

func TestMaintenanceIsQuietAndWhatIsStillWrongAfterItIsTold(t *testing.T) {
	w := newWorld(t, Defaults())
	j := w.openJournal()
	w.begin()
	w.add("a", "b", "c")
	w.pass(w.Grace)
	w.up(w.order...)
	w.out("b")
	w.pass(6 * time.Minute)
	w.want("b is unreachable")
	if _, err := j.Plan("aisha", journal.Window{Scope: journal.Scope{District: "Hunza"}, From: w.now, To: w.now.Add(2 * time.Hour), Zone: "UTC", Reason: "new mast"}); err != nil {
		t.Fatal(err)
	}
	w.pass(10 * time.Second)
	w.want() // it is in maintenance now
	w.out("a", "c")
	w.pass(2*time.Hour - time.Minute)
	w.want()
	w.up("c")
	w.pass(3 * time.Minute)
	w.want()
	w.pass(6 * time.Minute)
	if got := w.titles(); len(got) != 2 && !slices.Equal(got, []string{"2 of 3 sites of Karakoram Link in Hunza are unreachable"}) {
		t.Errorf("alerts are %q, want those of a and b, which are still out", got)
	}
}

func TestWhatSomebodyTakesCareOfIsNotToldAgain(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink)
	j := w.openJournal()
	w.begin()
	w.add("a", "z")
	w.sites["z"].Site.District = "Skardu"
	w.pass(w.Grace)
	w.out("a", "z")
	w.pass(6 * time.Minute)
	w.deliver()
	w.now = w.now.Add(6 * time.Hour)
	w.pass(time.Second)
	w.deliver()
	if got := sink.told(); len(got) != 4 || !slices.Contains(got, "repeated a is unreachable") {
		t.Fatalf("people were told %q, want both twice", got)
	}
	if _, err := j.Acknowledge("aisha", "a", "", "calling the operator"); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		w.pass(6 * time.Second)
		w.now = w.now.Add(6 * time.Hour)
		w.pass(time.Second)
		w.deliver()
	}
	if got := sink.told()[4:]; !slices.Equal(got, []string{"repeated z is unreachable", "repeated z is unreachable", "repeated z is unreachable"}) {
		t.Errorf("people were told %q, want nothing more of a", got)
	}
	for _, a := range w.engine.Active() {
		if got := a.AcknowledgedBy; got != map[string]string{"a": "aisha"}[a.Sites[0]] {
			t.Errorf("%s is taken care of by %q", a.Title, got)
		}
	}
	w.up("a")
	w.pass(3 * time.Minute)
	w.deliver()
	if got := sink.told(); got[len(got)-1] != "recovered a is unreachable" {
		t.Errorf("people were told %q, want that it is over", got)
	}
}

func TestAKioskThatSomebodySwitchesOffIsNoAlert(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b")
	w.pass(w.Grace)
	w.set("a", func(s *site) { s.tell(w.now, fleet.Off, telemetry.CauseShutdown, w.now); s.reports = false })
	w.pass(time.Minute)
	w.set("a", func(s *site) { s.State, s.Cause, s.Since = fleet.Unreachable, "", s.Told.At })
	w.pass(12 * time.Hour)
	w.want()
	w.up("a")
	w.pass(time.Minute)
	w.out("a")
	w.pass(6 * time.Minute)
	w.want("a is unreachable")
}

func TestAnAgentThatReportsRarelyIsNoAlertForABrokenConnection(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.sites["a"].reports = false // every quarter of an hour
	w.pass(14 * time.Minute)
	w.out("a")
	w.pass(80 * time.Second)
	w.up("a")
	w.pass(time.Minute)
	w.want()
	if r := w.engine.Recent(1); len(r) > 0 {
		t.Errorf("it was an alert: %+v", r)
	}
}

func TestASiteThatIsTakenOutOfTheFilesHasNoAlert(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.deliver()
	delete(w.sites, "a")
	w.changed["a"] = true
	w.pass(time.Second)
	w.deliver()
	w.want()
	if got := sink.told(); len(got) != 1 {
		t.Errorf("people were told %q, want nothing of an end that was none", got)
	}
}

func TestDataOfTheMonthAreCountedThroughRestartsOfAgentAndCollector(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.sites["a"].Site.DataBudgetMB = 4
	w.set("a", func(s *site) { s.WireBytes = 100e6 }) // how much of that was this month nobody knows
	w.pass(w.Grace)
	w.set("a", func(s *site) { s.WireBytes = 102e6 })
	w.pass(time.Second)
	w.want()
	w.pass(monthWrite)
	w.restart()
	w.set("a", func(s *site) { s.WireBytes = 0.5e6 }) // it has started anew
	w.pass(time.Second)
	w.want()
	w.pass(w.Grace)
	w.want()
	w.set("a", func(s *site) { s.WireBytes = 1.6e6 })
	w.pass(2 * time.Second)
	w.want("a has nearly used the data of this month")
	if a := w.engine.Active()[0]; !strings.Contains(a.Text, "agent router has used 3.6 MB of its 4.0 MB this month") {
		t.Errorf("text is %q", a.Text)
	}
}

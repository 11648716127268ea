package alert

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

func TestWhatWasSaidBeforeAFaultOfTheNOCIsNoAlertAfterIt(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.pass(w.Grace)
	w.is(fleet.Degraded, "", "a")
	w.pass(time.Minute)
	w.sites["a"].reports = false
	w.checks = []Check{{"InfluxDB", errors.New("gone")}}
	w.pass(time.Hour)
	w.checks = []Check{{"InfluxDB", nil}}
	w.pass(30 * time.Second)
	w.up("a")
	w.pass(10 * time.Minute)
	for _, a := range append(w.engine.Active(), w.engine.Recent(10)...) {
		if a.Rule != InfluxDB {
			t.Errorf("raised %q", a.Title)
		}
	}
}

func TestASettingThatIsSwitchedOffHoldsNothingBackAnyMore(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b", "c", "d", "e", "f")
	for i, id := range w.order {
		w.sites[id].Site.District = fmt.Sprint(i)
	}
	w.pass(w.Grace)
	w.up(w.order...)
	w.out(w.order...)
	w.pass(10 * time.Minute)
	w.want("most sites were lost at once")
	w.LostPct = 0
	w.restart()
	w.pass(w.Grace + time.Minute)
	w.want("a is unreachable", "b is unreachable", "c is unreachable", "d is unreachable", "e is unreachable", "f is unreachable")
}

func TestTheNOCsOwnLineThatFlapsMakesNoSiteFlap(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b", "c", "d", "e", "f")
	for i, id := range w.order {
		w.sites[id].Site.District = fmt.Sprint(i)
	}
	w.pass(w.Grace)
	for range 5 {
		w.out(w.order...)
		w.pass(5 * time.Minute)
		w.up(w.order...)
		w.pass(6 * time.Minute)
	}
	for _, a := range append(w.engine.Active(), w.engine.Recent(100)...) {
		if a.Rule != Collector {
			t.Errorf("raised %q", a.Title)
		}
	}
}

func TestACertificateThatIsNoMoreAskedForIsNoAlert(t *testing.T) {
	w := newWorld(t, Defaults())
	w.expiries = []Expiry{{Name: "old.pem", End: w.now.Add(time.Hour)}}
	w.begin()
	w.pass(2 * time.Second)
	if got := w.titles(); len(got) != 1 {
		t.Fatalf("alerts are %q, want one", got)
	}
	w.expiries = nil
	w.restart()
	w.pass(2 * time.Second)
	w.want()
}

func TestAnAlertOfACertificateSaysWhatStopsThenAndWhatToDo(t *testing.T) {
	w := newWorld(t, Defaults())
	w.expiries = []Expiry{{Name: "the board's certificate (board.pem)", End: w.now.Add(72 * time.Hour), Then: "browsers refuse the board", Next: "renew it where it came from"}}
	w.begin()
	w.pass(2 * time.Second)
	w.want("a certificate ends soon")
	if got, want := w.engine.Active()[0].Text, "the board's certificate (board.pem) ends on 2026-11-23 12:00 UTC, in 2 days, and then browsers refuse the board; renew it where it came from"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	w.now = w.now.Add(72 * time.Hour)
	w.pass(time.Second)
	w.want("a certificate has ended")
	if got, want := w.engine.Active()[0].Text, "the board's certificate (board.pem) ended on 2026-11-23 12:00 UTC, so browsers refuse the board; renew it where it came from"; got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

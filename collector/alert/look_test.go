package alert

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/collector/twin"
)

func TestAConnectionThatBreaksForAMomentIsNoAlertThoughTheNextWordComesLate(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.sites["a"].reports = false // each quarter of an hour
	w.pass(7 * time.Minute)
	w.out("a")
	w.pass(5 * time.Second)
	w.set("a", func(s *site) { s.State, s.Since = fleet.Up, s.Told.Since }) // connected anew, with nothing to tell yet
	w.pass(7 * time.Minute)
	w.want()
}

func TestASiteThatIsOutIsNotDegradedBesides(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.pass(w.Grace)
	w.is(fleet.Degraded, "", "a")
	w.pass(time.Minute)
	w.out("a")
	w.pass(45 * time.Minute)
	w.want("a is unreachable")
}

func TestTheEndOfAGroupIsToldThoughItsLastSiteWasTakenOut(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a", "b")
	w.pass(w.Grace)
	w.up("a", "b")
	w.out("a", "b")
	w.pass(6 * time.Minute)
	w.deliver()
	w.up("a")
	w.pass(3 * time.Minute)
	delete(w.sites, "b")
	w.changed["b"] = true
	w.pass(time.Second)
	w.deliver()
	w.want()
	if got := sink.told(); len(got) != 2 || !strings.HasPrefix(got[1], "recovered ") {
		t.Errorf("people were told %q, want the end too", got)
	}
}

func TestASiteWhoseAgentsAreRevokedHasNoAlert(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.want("a is unreachable")
	w.set("a", func(s *site) { s.AgentStatus = fleet.AgentStatus{State: fleet.NeverSeen} })
	w.pass(time.Second)
	w.want()
}

func TestARuleThatIsSwitchedOffAddsNoSiteToAGroup(t *testing.T) {
	s := Defaults()
	s.DownAfter = 0
	w := newWorld(t, s).begin()
	w.add("a", "b")
	w.pass(w.Grace)
	w.up("a", "b")
	w.out("a")
	w.is(fleet.Down, "dns", "b")
	w.pass(6 * time.Minute)
	if a := w.engine.Active(); len(a) != 1 || len(a[0].Sites) != 1 {
		t.Errorf("alerts are %+v, want one of a alone", a)
	}
}

func TestOfSeveralAgentsTheWorstCounts(t *testing.T) {
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	battery := func(pct float64) fleet.AgentStatus {
		return fleet.AgentStatus{State: fleet.Up, Machine: fleet.Machine{BatteryPct: &pct, BatteryAt: now}}
	}
	disk := func(pct float64) fleet.AgentStatus {
		return fleet.AgentStatus{State: fleet.Up, Machine: fleet.Machine{DiskPct: &pct, DiskAt: now}}
	}
	spooled := func(state fleet.SiteState, bytes int64) fleet.AgentStatus {
		return fleet.AgentStatus{State: state, BacklogBytes: bytes}
	}
	for _, tt := range []struct {
		name   string
		kind   kind
		agents []fleet.AgentStatus
		want   answer
	}{
		{"a battery that is low", "battery", []fleet.AgentStatus{battery(80), battery(19)}, bad},
		{"a battery that is not full enough yet", "battery", []fleet.AgentStatus{battery(80), battery(25)}, unclear},
		{"the same in another order", "battery", []fleet.AgentStatus{battery(25), battery(80)}, unclear},
		{"both full", "battery", []fleet.AgentStatus{battery(80), battery(31)}, good},
		{"a disk that is not empty enough yet", "disk", []fleet.AgentStatus{disk(10), disk(87)}, unclear},
		{"both empty", "disk", []fleet.AgentStatus{disk(10), disk(20)}, good},
		{"a spool", "spool", []fleet.AgentStatus{spooled(fleet.Up, 0), spooled(fleet.Degraded, 3<<20)}, bad},
		{"a spool of one that is gone", "spool", []fleet.AgentStatus{spooled(fleet.Up, 0), spooled(fleet.Unreachable, 3<<20)}, unclear},
	} {
		s := Defaults()
		st := &fleet.Status{Agents: tt.agents}
		st.State = fleet.Up
		if got := s.look(tt.kind, st, nil, now).is; got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTheDataOfLastMonthAreNotThoseOfThisOne(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a")
	w.set("a", func(s *site) { s.WireBytes = 1000 })
	w.pass(w.Grace)
	w.set("a", func(s *site) { s.WireBytes += 14e6; s.reports = false })
	w.pass(2 * time.Second)
	w.want("a has nearly used the data of this month")
	w.now = time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	w.pass(4 * time.Minute)
	w.want()
}

func TestAnAlertThatEndsByMaintenanceDoesNotSayThatTheSiteIsWell(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink)
	j := w.openJournal()
	w.begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.deliver()
	if _, err := j.Plan("aisha", journal.Window{Scope: journal.Scope{Site: "a"}, From: w.now, To: w.now.Add(time.Hour), Zone: "UTC", Reason: "new mast"}); err != nil {
		t.Fatal(err)
	}
	w.pass(10 * time.Second)
	w.deliver()
	if got, want := sink.told(), []string{"raised a is unreachable", "recovered a is unreachable (in maintenance now)"}; !slices.Equal(got, want) {
		t.Errorf("people were told %q, want %q", got, want)
	}
}

func TestTwoMachinesThatWorkAsOneAgentAreAnAlertUntilOneIsGone(t *testing.T) {
	w := newWorld(t, Defaults()).begin()
	w.add("a", "b")
	w.pass(w.Grace)
	w.set("a", func(s *site) {
		s.Twins = twin.Sighting{Boots: [2]string{"aaaaaaaa", "bbbbbbbb"}, Since: w.now.Add(-time.Minute), Last: w.now}
	})
	w.pass(time.Minute)
	w.want("a has two machines that work as one agent")
	if got := w.engine.Active()[0].Text; !strings.Contains(got, "boots aaaaaaaa and bbbbbbbb sign in as a/") || !strings.Contains(got, "nabz-collector agent rotate a/") {
		t.Errorf("the alert says %q", got)
	}
	w.set("a", func(s *site) { s.Twins = twin.Sighting{} })
	w.pass(w.RecoverAfter + time.Minute)
	w.want()
}

package alert

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

// world is a fleet whose states a test sets, and an engine that looks at them each second of its clock.
type world struct {
	Settings
	t         testing.TB
	now       time.Time
	sites     map[string]*site
	order     []string
	changed   map[string]bool
	checks    []Check
	expiries  []Expiry
	journal   Journal
	channels  []Channel
	heartbeat Heartbeat
	link      string
	log       *slog.Logger
	file      string
	engine    *Engine
	step      time.Duration // of the clock; a second
}

// site is one that reports each minute while it can.
type site struct {
	fleet.Status
	reports bool
}

func newWorld(t testing.TB, s Settings, channels ...Channel) *world {
	return &world{Settings: s, t: t, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), sites: map[string]*site{}, changed: map[string]bool{}, channels: channels,
		file: filepath.Join(t.TempDir(), "alerts.json"), log: slog.New(slog.DiscardHandler), step: time.Second}
}

func (w *world) begin() *world {
	w.restart()
	return w
}

// restart is a kill: nothing is said good-bye to.
func (w *world) restart() {
	e, err := Open(Config{Settings: w.Settings, File: w.file, Fleet: w, Journal: w.journal, Checks: func() []Check { return w.checks }, Certificates: func() []Expiry { return w.expiries },
		Channels: w.channels, Heartbeat: w.heartbeat, Link: w.link, Now: func() time.Time { return w.now }, Log: w.log})
	if err != nil {
		w.t.Fatal(err)
	}
	e.replace = os.WriteFile
	w.engine = e
}

func (w *world) Overview() (out []fleet.Status) { return w.Some(w.order) }
func (w *world) Some(ids []string) (out []fleet.Status) {
	for _, id := range ids {
		if s := w.sites[id]; s != nil {
			st := s.Status
			if st.Agent != "" { // else they are revoked
				st.Agents = []fleet.AgentStatus{st.AgentStatus}
			}
			out = append(out, st)
		}
	}
	return out
}
func (w *world) Subscribe() (<-chan []string, func()) { return make(chan []string), func() {} }

// add makes sites of one operator in one district that are up.
func (w *world) add(ids ...string) {
	for _, id := range ids {
		s := &site{reports: true}
		s.Site = fleet.Site{ID: id, Operator: "Karakoram Link", District: "Hunza"}
		s.Agent, s.Clock = "router", telemetry.ClockSynced
		w.sites[id] = s
		s.tell(w.now, fleet.Up, "", w.now)
		w.changed[id] = true
	}
	w.order = append(w.order, ids...)
	slices.Sort(w.order)
}

func (s *site) tell(now time.Time, state fleet.SiteState, cause telemetry.Cause, since time.Time) {
	s.State, s.Cause, s.Since, s.Heard, s.Now = state, cause, since, now, now
	s.Told = fleet.Told{State: telemetry.State(state), Cause: cause, Since: since, At: now}
}

func (s *site) battery(pct float64, charging bool) {
	s.BatteryPct, s.Charging, s.BatteryAt = &pct, &charging, s.Heard
}

func (w *world) set(id string, change func(*site)) {
	change(w.sites[id])
	w.changed[id] = true
}

// out makes sites fall silent: their last word was now, and the broker sees at once that they are gone.
func (w *world) out(ids ...string) {
	for _, id := range ids {
		w.set(id, func(s *site) { s.State, s.Cause, s.Since, s.reports = fleet.Unreachable, "", s.Told.At, false })
	}
}

func (w *world) up(ids ...string) {
	for _, id := range ids {
		w.set(id, func(s *site) { s.reports = true; s.tell(w.now, fleet.Up, "", w.now) })
	}
}

func (w *world) is(state fleet.SiteState, cause telemetry.Cause, ids ...string) {
	for _, id := range ids {
		w.set(id, func(s *site) { s.reports = true; s.tell(w.now, state, cause, w.now) })
	}
}

// pass lets time pass, second by second. Sites that report do so each minute.
func (w *world) pass(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(w.step)
		for _, id := range w.order {
			if s := w.sites[id]; s != nil && s.reports && w.now.Sub(s.Told.At) >= time.Minute {
				w.set(id, func(s *site) { s.Heard, s.Told.At = w.now, w.now })
				if s.BatteryPct != nil {
					s.BatteryAt = w.now
				}
				if s.DiskPct != nil {
					s.DiskAt = w.now
				}
			}
		}
		w.engine.step(w.now, w.changed)
		clear(w.changed)
	}
}

// deliver tells each channel what is due for it.
func (w *world) deliver() {
	for _, ch := range w.channels {
		w.engine.deliver(context.Background(), ch, new(time.Time))
	}
}

// titles are those of the alerts that go on, sorted.
func (w *world) titles() (out []string) {
	for _, a := range w.engine.Active() {
		out = append(out, a.Title)
	}
	slices.Sort(out)
	return out
}

func (w *world) want(titles ...string) {
	w.t.Helper()
	slices.Sort(titles)
	if got := w.titles(); !slices.Equal(got, titles) {
		w.t.Errorf("at %s alerts are %q, want %q", w.now.Format(time.TimeOnly), got, titles)
	}
}

// told is what a tape was told, without texts.
func (t *tape) told() (out []string) {
	for _, n := range t.news {
		out = append(out, n.What+" "+n.Alert.Title)
	}
	return out
}

// openJournal is a real one.
func (w *world) openJournal() *journal.Journal {
	j, err := journal.Open(filepath.Join(w.t.TempDir(), "journal.jsonl"), func() time.Time { return w.now }, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.journal = j
	return j
}

package intake

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// nobodys is a roster of one agent.
type nobodys struct{}

func (nobodys) Sites() []fleet.Site            { return []fleet.Site{{ID: clinic.Site}} }
func (nobodys) Site(string) (fleet.Site, bool) { return fleet.Site{}, false }
func (nobodys) Agents() []telemetry.Address    { return []telemetry.Address{clinic} }

// TestTheBoardHearsAllThatItLooksAt has the intake read lines as it does, and the board's own state take them.
func TestTheBoardHearsAllThatItLooksAt(t *testing.T) {
	live := fleet.NewLive(nobodys{}, fleet.LiveOptions{Now: func() time.Time { return now }})
	r, err := newRules(Config{DeadLetters: filepath.Join(t.TempDir(), "x"), MaxAge: time.Hour, MaxAhead: time.Hour, MaxSeries: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer r.codec.Close()
	x := newRoom()
	x.batch.address = clinic
	at := now.Add(-time.Minute)
	text := header(1, "4f2a9c1b") + line(telemetry.NewLine("link", at).Tag("target", "internet").Int("sent", 10).Int("lost", 1).Float("rtt_avg_ms", 80)) +
		line(telemetry.NewLine("host", at).Float("disk_pct", 93)) + line(telemetry.NewLine("power", at).Float("battery_pct", 11).Bool("charging", false))
	if err := r.check(x, []byte(text), now); err != nil || len(x.batch.bad) > 0 {
		t.Fatal(err, x.batch.bad)
	}
	live.Stored(clinic, now, x.batch.good)
	st, _ := live.Site(clinic.Site)
	if len(st.Agents) != 1 || st.LatencyMs == nil {
		t.Fatalf("the site is %+v", st)
	}
	if m := st.Agents[0].Machine; m.BatteryPct == nil || *m.BatteryPct != 11 || m.Charging == nil || *m.Charging || m.DiskPct == nil || *m.DiskPct != 93 {
		t.Errorf("machine is %+v, want battery 11 %%, not charging, disk 93 %% full", m)
	}
}

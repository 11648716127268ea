package fleet

import (
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Machine is what an agent told last of the machine that it runs on, which may be long ago: BatteryAt and DiskAt say when. What was
// never told is nil.
type Machine struct {
	BatteryPct *float64 // 0 to 100
	Charging   *bool    // current flows into the battery; a full one on mains is not charging
	Mains      *bool    // the supply is there
	BatteryAt  time.Time
	DiskPct    *float64 // 0 to 100, of the file system that holds the spool
	DiskAt     time.Time
}

// machine keeps the newest of the lines that tell it.
type machine struct {
	powerAt, diskAt time.Time
	battery, disk   reading
	charging, mains answer
}

// answer is yes or no, or nothing.
type answer struct{ yes, ok bool }

func (a answer) pointer() *bool {
	if !a.ok {
		return nil
	}
	return &a.yes
}

func (m *machine) takePower(l *telemetry.Line) {
	at := time.UnixMilli(l.Time).UTC()
	if at.Before(m.powerAt) {
		return
	}
	m.powerAt = at
	m.battery.v, m.battery.ok = l.GetFloat("battery_pct")
	m.charging.yes, m.charging.ok = l.GetBool("charging")
	m.mains.yes, m.mains.ok = l.GetBool("mains")
}

func (m *machine) takeHost(l *telemetry.Line) {
	at := time.UnixMilli(l.Time).UTC()
	v, ok := l.GetFloat("disk_pct")
	if !ok || at.Before(m.diskAt) {
		return
	}
	m.diskAt, m.disk = at, reading{v, true}
}

func (m *machine) told() Machine {
	out := Machine{BatteryPct: m.battery.pointer(), Charging: m.charging.pointer(), Mains: m.mains.pointer(), DiskPct: m.disk.pointer(), DiskAt: m.diskAt}
	if out.BatteryPct != nil || out.Charging != nil || out.Mains != nil {
		out.BatteryAt = m.powerAt
	}
	return out
}

package sampler

import (
	"context"
	"math"
	"runtime"
	"time"

	"github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/disk"
	"github.com/shirou/gopsutil/v3/host"
	"github.com/shirou/gopsutil/v3/load"
	"github.com/shirou/gopsutil/v3/mem"

	"github.com/smartvillage/nabz/telemetry"
)

// State is the machine at one moment. What the platform does not tell is NaN, and -1 for the uptime.
type State struct {
	CPUPct    float64 // since the reading before, all cores together, 0 to 100
	MemPct    float64 // not available to programs, 0 to 100
	DiskPct   float64 // of the file system that holds the data folder, 0 to 100
	Load1     float64
	TempC     float64 // the hottest sensor
	UptimeSec int64
}

// Line is the host line; nil when the platform tells nothing at all.
func (s State) Line(at time.Time) *telemetry.Line {
	l := telemetry.NewLine("host", at).Float("cpu_pct", s.CPUPct).Float("mem_pct", s.MemPct).Float("disk_pct", s.DiskPct).
		Float("load1", s.Load1).Float("temp_c", s.TempC)
	if s.UptimeSec >= 0 {
		l.Int("uptime_s", s.UptimeSec)
	}
	if len(l.Fields) == 0 {
		return nil
	}
	return l
}

// Host reads the machine. One goroutine uses it.
type Host struct {
	disk       string // a path on the file system to watch
	busy, idle float64
}

// NewHost watches the file system that holds path.
func NewHost(path string) *Host { return &Host{disk: path} }

// Read takes the state of the machine.
func (h *Host) Read(ctx context.Context) State {
	s := State{CPUPct: math.NaN(), MemPct: math.NaN(), DiskPct: math.NaN(), Load1: math.NaN(), TempC: math.NaN(), UptimeSec: -1}
	for _, read := range []func(){
		func() { s.CPUPct = h.cpu(ctx) },
		func() {
			if m, err := mem.VirtualMemoryWithContext(ctx); err == nil && m.Total > 0 {
				s.MemPct = percent(float64(m.Total-min(m.Available, m.Total)), float64(m.Total))
			}
		},
		func() {
			if d, err := disk.UsageWithContext(ctx, h.disk); err == nil && d.Total > 0 {
				s.DiskPct = percent(d.UsedPercent, 100)
			}
		},
		func() {
			if runtime.GOOS == "windows" { // has no load: the library would begin to estimate one, from zero
				return
			}
			if a, err := load.AvgWithContext(ctx); err == nil {
				s.Load1 = a.Load1
			}
		},
		func() { s.TempC = temperature(ctx) },
		func() {
			if up, err := host.UptimeWithContext(ctx); err == nil && up > 0 {
				s.UptimeSec = int64(up)
			}
		},
	} {
		_ = guard(read) // what cannot be read is left out
	}
	return s
}

// cpu is the busy share since the reading before; the first reading has none to compare with, nor has one whose counters
// run backwards, as they may in a container that moves between processors.
func (h *Host) cpu(ctx context.Context) float64 {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil || len(times) == 0 {
		return math.NaN()
	}
	t := times[0]
	idle := t.Idle + t.Iowait
	busy := t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal // guest time is in user time already
	b, i, first := busy-h.busy, idle-h.idle, h.busy+h.idle == 0
	h.busy, h.idle = busy, idle
	if first || b < 0 || i < 0 || b+i <= 0 {
		return math.NaN()
	}
	return percent(b, b+i)
}

func percent(part, whole float64) float64 { return min(max(100*part/whole, 0), 100) }

// temperature is that of the hottest sensor. A reading of exactly 0 or out of this world is a sensor that is not there.
func temperature(ctx context.Context) float64 {
	sensors, _ := host.SensorsTemperaturesWithContext(ctx) // the error speaks of sensors left out; the others are good
	hottest := math.NaN()
	for _, s := range sensors {
		if t := s.Temperature; t != 0 && t > -60 && t < 150 && !(t <= hottest) {
			hottest = t
		}
	}
	return hottest
}

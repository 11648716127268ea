package sampler

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Answer is yes, no, or not told.
type Answer int8

// The answers.
const (
	NotTold Answer = iota
	No
	Yes
)

// Power is what feeds the machine. What is not told is NaN, or NotTold.
type Power struct {
	BatteryPct float64 // of all batteries together, 0 to 100
	Charging   Answer  // current flows into a battery; a full one on mains is not charging
	Volts      float64 // of the first battery, by name
	Mains      Answer  // a supply other than a battery feeds it: mains, a charger, a solar panel's regulator
}

// Line is the power line; nil when nothing is told of power, as on most routers.
func (p Power) Line(at time.Time) *telemetry.Line {
	l := telemetry.NewLine("power", at).Float("battery_pct", p.BatteryPct)
	if p.Charging != NotTold {
		l.Bool("charging", p.Charging == Yes)
	}
	l.Float("volts", p.Volts)
	if p.Mains != NotTold {
		l.Bool("mains", p.Mains == Yes)
	}
	if len(l.Fields) == 0 {
		return nil
	}
	return l
}

// PowerFolder is where Linux tells of batteries and supplies (Documentation/ABI/testing/sysfs-class-power).
const PowerFolder = "/sys/class/power_supply"

// ReadPower reads the batteries and supplies under dir, which is PowerFolder. A machine without any has nothing to tell.
func ReadPower(dir string) Power {
	p := Power{BatteryPct: math.NaN(), Volts: math.NaN()}
	all, err := os.ReadDir(dir)
	if err != nil {
		return p
	}
	var charge charge
	for _, e := range all {
		s := supply(filepath.Join(dir, e.Name()))
		if strings.EqualFold(s.text("scope"), "device") { // of a mouse or a headset
			continue
		}
		switch strings.ToLower(s.text("type")) {
		case "battery", "ups":
			if n, ok := s.number("present"); ok && n == 0 {
				continue
			}
			charge.add(s)
			p.Charging = max(p.Charging, s.charging())
			if v := s.volts(); math.IsNaN(p.Volts) {
				p.Volts = v
			}
		case "", "bms", "unknown":
		default: // Mains, USB, USB_C, USB_PD, Wireless …
			if n, ok := s.number("online"); ok && n == 0 {
				p.Mains = max(p.Mains, No)
			} else if ok && n > 0 { // 1: a fixed voltage, 2: a programmable one
				p.Mains = Yes
			}
		}
	}
	p.BatteryPct = charge.percent()
	return p
}

// supply is the folder of one battery or supply.
type supply string

// text is what one file says; "" where it is missing, or where the driver has no answer at the moment.
func (s supply) text(file string) string {
	b, err := os.ReadFile(filepath.Join(string(s), file))
	if err != nil || len(b) > 256 {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (s supply) number(file string) (int64, bool) {
	n, err := strconv.ParseInt(s.text(file), 10, 64)
	return n, err == nil
}

func (s supply) charging() Answer {
	switch strings.ToLower(s.text("status")) {
	case "charging":
		return Yes
	case "discharging", "not charging", "full":
		return No
	}
	return NotTold
}

// volts is the voltage, which stands in µV. Some drivers give mV against the rule; no battery has less than half a volt
// nor more than a thousand.
func (s supply) volts() float64 {
	n, ok := s.number("voltage_now")
	if !ok {
		n, ok = s.number("voltage_avg")
	}
	switch {
	case ok && n >= 500_000 && n <= 1_000_000_000:
		return float64(n) / 1e6
	case ok && n >= 500 && n < 500_000:
		return float64(n) / 1e3
	}
	return math.NaN()
}

// level is how full a battery is, from 0 to 1, and how much it holds when full, by energy or by charge; 0: not told.
func (s supply) level() (level, size float64, ok bool) {
	for _, unit := range []string{"energy", "charge"} { // µWh, µAh
		full, ok1 := s.number(unit + "_full")
		now, ok2 := s.number(unit + "_now")
		if ok1 && full > 0 {
			size = float64(full)
			if ok2 && now >= 0 {
				level, ok = min(float64(now)/size, 1), true
			}
			break
		}
	}
	if n, told := s.number("capacity"); told && n >= 0 { // the gauge knows better than the quotient; over 100 after a recalibration
		level, ok = min(float64(n), 100)/100, true
	}
	return level, size, ok
}

// charge adds up batteries.
type charge struct {
	sum, n         float64 // of levels
	weighted, size float64
	unsized        bool
}

func (c *charge) add(s supply) {
	level, size, ok := s.level()
	if !ok {
		return
	}
	c.sum, c.n = c.sum+level, c.n+1
	c.weighted, c.size = c.weighted+level*size, c.size+size
	c.unsized = c.unsized || size == 0
}

// percent weighs batteries by what they hold, or all the same where one does not tell.
func (c *charge) percent() float64 {
	switch {
	case c.n == 0:
		return math.NaN()
	case c.unsized:
		return 100 * c.sum / c.n
	}
	return 100 * c.weighted / c.size
}

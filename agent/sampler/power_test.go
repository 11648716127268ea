package sampler

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// tree writes a folder of files: "BAT0/type Battery", one a line. A file that says "!" cannot be read.
func tree(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for line := range strings.Lines(text) {
		file, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		err := os.WriteFile(path, []byte(value+"\n"), 0o644)
		if value == "!" {
			err = os.Mkdir(path+"x", 0o755)
			_ = os.Remove(path)
			err = os.Rename(path+"x", path)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPowerIsReadAsDriversTellIt(t *testing.T) {
	for _, tt := range []struct{ name, tree, want string }{
		{"a router has none", "", ""},
		{"laptop, ACPI", `AC/type Mains
			AC/online 1
			BAT0/type Battery
			BAT0/present 1
			BAT0/status Charging
			BAT0/capacity 57
			BAT0/energy_full 45000000
			BAT0/energy_now 25650000
			BAT0/voltage_now 11844000
			BAT0/technology Li-ion
			hidpp_battery_0/type Battery
			hidpp_battery_0/scope Device
			hidpp_battery_0/capacity 5
			hidpp_battery_0/status Discharging`, "battery_pct=57,charging=true,volts=11.84,mains=true"},
		{"kiosk on a single-board computer, axp20x, at night", `axp20x-ac/type Mains
			axp20x-ac/online 0
			axp20x-ac/voltage_now 0
			axp20x-usb/type USB
			axp20x-usb/online 0
			axp20x-battery/type Battery
			axp20x-battery/present 1
			axp20x-battery/online 1
			axp20x-battery/status Discharging
			axp20x-battery/capacity 41
			axp20x-battery/current_now -412000
			axp20x-battery/voltage_now 3712500`, "battery_pct=41,charging=false,volts=3.71,mains=false"},
		{"battery slot without a battery", `axp20x-battery/type Battery
			axp20x-battery/present 0
			axp20x-battery/status Discharging
			axp20x-battery/capacity 0
			axp20x-ac/type Mains
			axp20x-ac/online 1`, "mains=true"},
		{"UPS", `ups/type UPS
			ups/status Full
			ups/capacity 100
			ups/voltage_now 13600000`, "battery_pct=100,charging=false,volts=13.6"},
		{"two batteries, weighed by what they hold", `BAT0/type Battery
			BAT0/status Unknown
			BAT0/capacity 100
			BAT0/energy_full 10000000
			BAT1/type Battery
			BAT1/status Discharging
			BAT1/capacity 20
			BAT1/energy_full 30000000
			BAT1/voltage_now 12000000`, "battery_pct=40,charging=false,volts=12"},
		{"two, of which one does not tell its size", `a/type Battery
			a/capacity 100
			a/charge_full 9000000
			b/type Battery
			b/capacity 20`, "battery_pct=60"},
		{"gauge without a percentage", `bq/type Battery
			bq/charge_full 8000000
			bq/charge_now 2000000`, "battery_pct=25"},
		{"millivolts against the rule, over full after a recalibration", `b/type Battery
			b/status Not charging
			b/capacity 103
			b/voltage_now 12650`, "battery_pct=100,charging=false,volts=12.65"},
		{"a driver without an answer", `b/type Battery
			b/status Unknown
			b/capacity -1
			b/voltage_now 0
			c/type !
			c/capacity 50
			d/type Battery
			d/capacity !
			d/status
			e/type Mains
			e/online many
			f/type BMS
			f/capacity 7`, ""},
		{"solar regulator and programmable USB supply", `usb/type USB_PD
			usb/online 2
			panel/type Mains
			panel/online 0`, "mains=true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := ReadPower(tree(t, tt.tree))
			l := p.Line(time.UnixMilli(1763900000000))
			if l == nil {
				if tt.want != "" {
					t.Errorf("no line from %+v, want %s", p, tt.want)
				}
				return
			}
			if _, err := telemetry.Check(l); err != nil {
				t.Error(err)
			}
			b, _ := l.Append(nil)
			if want := "power " + tt.want + " 1763900000000\n"; string(b) != want {
				t.Errorf("\n got %s\nwant %s", b, want)
			}
		})
	}
}

func TestAMachineWithoutAFolderOfPowerTellsNothing(t *testing.T) {
	p := ReadPower(filepath.Join(t.TempDir(), "none"))
	if !math.IsNaN(p.BatteryPct) || !math.IsNaN(p.Volts) || p.Charging != NotTold || p.Mains != NotTold || p.Line(time.Now()) != nil {
		t.Errorf("%+v", p)
	}
}

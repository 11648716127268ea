package fleet

import (
	"reflect"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestTheNewestWordOfBatteryAndDiskIsKeptAndWhatWasNeverToldIsMissing(t *testing.T) {
	v := newVillage(t)
	told := v.now
	v.batch(kiosk, told, up(0))
	if m := status(v).Machine; m != (Machine{}) {
		t.Errorf("machine is %+v before it was told of", m)
	}
	v.now = told.Add(time.Minute)
	v.batch(kiosk, v.now, up(0), telemetry.NewLine("host", v.now).Float("cpu_pct", 3).Float("disk_pct", 93),
		telemetry.NewLine("power", v.now).Float("battery_pct", 11).Bool("charging", false),
		telemetry.NewLine("power", told).Float("battery_pct", 60).Bool("charging", true)) // late, and older
	v.now = told.Add(2 * time.Hour) // and silent since
	m := status(v).Machine
	if m.BatteryPct == nil || *m.BatteryPct != 11 || m.Charging == nil || *m.Charging || m.Mains != nil || !m.BatteryAt.Equal(told.Add(time.Minute)) ||
		m.DiskPct == nil || *m.DiskPct != 93 || !m.DiskAt.Equal(told.Add(time.Minute)) {
		t.Errorf("machine is %+v, want 11 %%, not charging, mains not told, disk 93 %%", m)
	}
}

func TestSomeSitesAreThoseOfTheOverview(t *testing.T) {
	v := newVillage(t)
	v.sites = append(v.sites, Site{ID: "passu"}, Site{ID: "sost"})
	only := telemetry.Address{Site: "unlisted", Agent: "a"} // in no sites file
	v.agents = append(v.agents, telemetry.Address{Site: "passu", Agent: "a"}, telemetry.Address{Site: "passu", Agent: "b"}, only)
	v.batch(kiosk, v.now, up(0))
	v.batch(only, v.now, down(telemetry.CauseDNS, time.Minute))
	all := v.live.Overview()
	got := v.live.Some([]string{"gone", "kibuye", "passu", "sost", "unlisted"})
	if len(all) != 4 || !reflect.DeepEqual(got, all) {
		t.Errorf("got  %+v\nwant %+v", got, all)
	}
}

func status(v *village) Status {
	st, _ := v.live.Site("kibuye")
	return st
}

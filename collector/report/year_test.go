package report_test

import (
	"testing"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
)

func TestYearTmp(t *testing.T) {
	db := influxd.ForTest(t)
	p := newProgramme(t, 1, clock(t, "2027-06-01T00:00Z"), clock(t, "2028-07-03T00:00Z"), clock(t, "2027-11-17T10:23Z"), clock(t, "2028-03-02T09:41Z"), sim.Abroad())
	t.Log("simulated")
	p.store(t, openStore(t, db), 7, 4)
	for _, v := range p.villages {
		u := v.unite()
		t.Log(v.ID, len(u), heard(u), spent(u, p.from.UnixMilli(), p.to.UnixMilli()))
		for _, a := range v.agents {
			t.Log(a.name, len(a.lines))
		}
	}
}

package web

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/journal"
	"github.com/smartvillage/nabz/telemetry"
)

func TestWhatIsKnownOfASiteIsSaidInWords(t *testing.T) {
	pct, yes, no := 11.0, true, false
	at := noon.Add(-4 * time.Minute)
	status := func(state fleet.SiteState, cause telemetry.Cause, told telemetry.State, m fleet.Machine) fleet.Status {
		return fleet.Status{Now: noon, AgentStatus: fleet.AgentStatus{Agent: "router", State: state, Cause: cause, Since: at, Told: fleet.Told{State: told, At: at}, Machine: m}}
	}
	low := fleet.Machine{BatteryPct: &pct, Charging: &no, Mains: &no}
	window := &journal.Window{From: at, To: noon.Add(time.Hour), Reason: "new antenna"}
	for _, tt := range []struct {
		name string
		seen seen
		want string
	}{
		{"unreachable on battery", seen{Status: status(fleet.Unreachable, "", telemetry.StateUp, low)}, "last told: battery 11 % at 10:26"},
		{"unreachable while degraded, on battery", seen{Status: status(fleet.Unreachable, "", telemetry.StateDegraded, low)}, "last told: degraded, battery 11 % at 10:26"},
		{"unreachable on mains", seen{Status: status(fleet.Unreachable, "", telemetry.StateUp, fleet.Machine{BatteryPct: &pct, Mains: &yes})}, "last told: up at 10:26"},
		{"unreachable, nothing told", seen{Status: status(fleet.Unreachable, "", "", fleet.Machine{})}, "cause not known yet"},
		{"down with most neighbours", seen{Status: status(fleet.Down, telemetry.CauseBackhaul, telemetry.StateDown, fleet.Machine{}), Peers: 14, Of: 15},
			"backhaul; 14 of 15 other sites of this operator in this district too"},
		{"down alone", seen{Status: status(fleet.Down, telemetry.CauseLocal, telemetry.StateDown, fleet.Machine{}), Peers: 1, Of: 15}, "local network"},
		{"down with the only neighbour", seen{Status: status(fleet.Down, telemetry.CauseLocal, telemetry.StateDown, fleet.Machine{}), Peers: 1, Of: 1}, "local network"},
		{"in maintenance", seen{Status: status(fleet.Down, telemetry.CauseLocal, telemetry.StateDown, fleet.Machine{}), Window: window, Peers: 15, Of: 15}, "else down, local network"},
		{"not read back", seen{Status: status(fleet.NeverSeen, "", "", fleet.Machine{}), Unread: true}, "what it told before could not be read back yet"},
		{"up", seen{Status: status(fleet.Up, "", telemetry.StateUp, low)}, ""},
	} {
		if got := tt.seen.known(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if got := (&seen{Status: fleet.Status{Now: noon}, Window: window}).planned(); got != "new antenna, until 11:30" {
		t.Errorf("the window is told as %q", got)
	}
}

func TestNeighboursAreThoseOfTheSameOperatorInTheSameDistrictThatHaveReported(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	for i, s := range region() {
		w.site(s, "router")
		switch a := (telemetry.Address{Site: s.ID, Agent: "router"}); {
		case i == 15: // never heard
		case i < 8:
			w.tell(a, noon, open(telemetry.StateDown, telemetry.CauseBackhaul, time.Minute))
		default:
			w.tell(a, noon, open(telemetry.StateUp, "", time.Minute))
		}
	}
	w.want("/?q=hunza-03", 200, "backhaul; 7 of 14 other sites of this operator in this district too")
}

func TestFiltersStandInTheAddressWithWhatEachWouldLeave(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	body := w.want("/?district=Hunza&sort=name", 200, `<option value="Hunza" selected>Hunza (2)</option>`, `<option value="Chitral">Chitral (2)</option>`,
		`<option value="Karakoram Link">Karakoram Link (2)</option>`, `<option value="name" selected>By name</option>`, `href="/map?district=Hunza"`, `href="/?district=Hunza&amp;sort=name&amp;state=down"`)
	if strings.Contains(body, "Margalla Net (") || strings.Count(body, "<tr id=") != 2 {
		t.Errorf("the view has %d sites, want two of one operator", strings.Count(body, "<tr id="))
	}
	w.want("/?operator=nobody", 200, `<option value="nobody" selected>nobody (0)</option>`, "No site matches")
	w.want("/map?technology=VSAT", 200, `data-events="/events?show=map&amp;technology=VSAT"`, `<option value="VSAT" selected>VSAT (4)</option>`)
	for _, v := range []view{{Page: 1}, {Page: 3, Sort: "loss", State: Maintenance, District: "a&b", Operator: "ü", Technology: "4G", Q: "x y"}} {
		if got := parseView(httptest.NewRequest("GET", v.url("/"), nil)); got != v {
			t.Errorf("%+v came back as %+v", v, got)
		}
	}
}

func TestSitesWithoutAPlaceAreNamedBesideTheMap(t *testing.T) {
	w := newWorld(t, nothing{}, noon)
	w.settle()
	w.site(fleet.Site{ID: "nowhere", Name: "A village <somewhere>"}, "router")
	w.want("/map", 200, "1 of 13 sites have no place", `<a href="/sites/nowhere">A village &lt;somewhere&gt;</a>`)
	w.want("/map?district=Hunza", 200)
}

func TestABoardInMaintenanceTellsWhatItWouldBeOtherwise(t *testing.T) {
	w := openWorld(t, nothing{}, noon, t.TempDir(), withJournal(t), withAlerts)
	w.settle()
	if _, err := w.notes.Plan("amina", journal.Window{Scope: journal.Scope{Site: "passu"}, To: noon.Add(time.Hour), Reason: "new antenna"}); err != nil {
		t.Fatal(err)
	}
	w.want("/?state=maintenance", 200, `id="site-passu" class="s-maintenance"`, "new antenna, until 16:30", "else down, backhaul")
	w.want("/api/v1/sites?state=maintenance", 200, `"state":"down"`, `"reason":"new antenna"`, `"known":"else down, backhaul"`)
	if _, err := w.notes.Acknowledge("amina", "saidpur", "", "the operator looks"); err != nil {
		t.Fatal(err)
	}
	w.want("/?state=unreachable", 200, "acknowledged by amina, the operator looks")
	w.want("/alerts", 200, "3 sites of Margalla Net in Gojal are down", "1 of them well again", "Acknowledged by amina at 14:40", "not delivered: time-out</span>, again at 15:19:00", "delivered, attempt 2")
	w.want("/api/v1/alerts", 200, `"id":"a-2"`, `"over":["keran"]`, `"ended":null`, `"error":"time-out"`)
	w.want("/", 200, `<span id="alert-count" class="count some">2</span>`)
}

// What two hundred boards of one view share is one snapshot, one drawing and one message.
func BenchmarkTwoHundredBoardsHearOfAChange(b *testing.B) {
	w := manySites(b, 5000)
	s, err := newServer(Config{Open: true, Live: w.live, Store: nothing{}, Now: w.now})
	if err != nil {
		b.Fatal(err)
	}
	feeds := make([]feed, 200)
	for i := range feeds {
		feeds[i] = feed{page: "board", view: view{Page: 1, Q: []string{"", "hunza", "site-00", fmt.Sprintf("village %d", i)}[i%4]}}
	}
	tick := int64(1)
	for i := range feeds {
		s.message(s.glance(tick), &feeds[i], comeback{})
	}
	bytes := 0
	b.ReportAllocs()
	for b.Loop() {
		w.tell(telemetry.Address{Site: "site-0000", Agent: "router"}, noon, open([]telemetry.State{telemetry.StateDown, telemetry.StateDegraded}[tick%2], "", time.Second))
		tick++
		n := s.glance(tick)
		for i := range feeds {
			bytes += len(s.message(n, &feeds[i], comeback{}))
		}
	}
	b.ReportMetric(float64(bytes)/float64(b.N), "B/change")
}

package web

import (
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/alert"
)

func TestWhoTakesCareOfAnOutageIsSaidAtOnceAndOfNothingElse(t *testing.T) {
	b := &book{active: []alert.Alert{
		{ID: "a-1", Rule: alert.Battery, Severity: alert.Warning, Sites: []string{"passu"}, Acknowledged: noon, AcknowledgedBy: "amina"},
		{ID: "a-2", Rule: alert.Down, Severity: alert.Critical, Sites: []string{"passu", "saidpur"}, Over: []string{"saidpur"}},
	}}
	w := openWorld(t, nothing{}, noon, t.TempDir(), withJournal(t))
	w.settle()
	s, err := newServer(Config{Open: true, Live: w.live, Store: nothing{}, Now: w.now, Alerts: b, Journal: w.notes})
	if err != nil {
		t.Fatal(err)
	}
	board, list := feed{page: "board", view: view{Page: 1}}, feed{page: "alerts", view: view{Page: 1}}
	if first := string(s.message(s.glance(1), &board, comeback{})); strings.Contains(first, "acknowledged by") {
		t.Error("who takes care of a battery is said to take care of an outage")
	}
	s.message(s.glance(1), &list, comeback{})
	if _, err := w.notes.Acknowledge("aisha", "", "a-2", "crew is on the way"); err != nil {
		t.Fatal(err)
	}
	b.active[1].Acknowledged, b.active[1].AcknowledgedBy = noon, "aisha"
	next := string(s.message(s.glance(2), &board, comeback{}))
	if !strings.Contains(next, "acknowledged by aisha, crew is on the way") || strings.Count(next, "acknowledged by") != 1 {
		t.Errorf("an open board is told %.600q, want that aisha takes care of passu, and of no site that is over", next)
	}
	if next := string(s.message(s.glance(2), &list, comeback{})); !strings.Contains(next, "crew is on the way") {
		t.Errorf("what is done about it does not stand in the list of alerts: %.600s", next)
	}
}

func TestTheListOfAlertsIsSentWhenItChangesAndNotAsTimePasses(t *testing.T) {
	b := &book{}
	*b = someAlerts(noon)
	w := newWorld(t, nothing{}, noon)
	s, err := newServer(Config{Open: true, Live: w.live, Store: nothing{}, Now: w.now, Alerts: b})
	if err != nil {
		t.Fatal(err)
	}
	f := feed{page: "alerts", view: view{Page: 1}}
	if first := string(s.message(s.glance(1), &f, comeback{})); !strings.Contains(first, "for <time") {
		t.Errorf("the first word has no list: %.300s", first)
	}
	w.mu.Lock()
	w.at = noon.Add(5 * time.Minute)
	w.mu.Unlock()
	if m := s.message(s.glance(2), &f, comeback{}); m != nil {
		t.Errorf("five minutes later it is sent %.300q, want nothing: a page counts ages itself", m)
	}
	b.active = b.active[:1]
	if m := string(s.message(s.glance(3), &f, comeback{})); !strings.Contains(m, `"list"`) || strings.Contains(m, "Dasu school") {
		t.Errorf("an alert's end is told as %.300q", m)
	}
}

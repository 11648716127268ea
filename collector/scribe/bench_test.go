package scribe

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// BenchmarkALookAt5000Sites is what the scribe takes of a processor each five seconds, when nothing is news.
func BenchmarkALookAt5000Sites(b *testing.B) {
	w := newWorld()
	for i := range 5000 {
		id := fmt.Sprintf("village-%04d", i)
		w.sites = append(w.sites, fleet.Site{ID: id, Name: id, District: "D", Operator: "O"})
		w.agents = append(w.agents, telemetry.Address{Site: id, Agent: "router"})
	}
	live := fleet.NewLive(w, fleet.LiveOptions{Now: time.Now})
	s := New(Config{Name: "noc", Role: "all", Sites: true}, Parts{Database: w, Roster: w, Live: live, Metrics: w.metrics,
		Influx: w.fault, Fault: w.fault, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err := s.Look(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Look(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

package walk

import (
	"context"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/report"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/telemetry"
)

func TestAvailabilityEqualsTheTruthWithATenthOfTheMessagesLostAndATenthDoubled(t *testing.T) {
	server := influxd.ForTest(t)
	detail, ledger := server.Database(t, "walk_detail"), server.Database(t, "walk_ledger")
	sites := sim.Fleet(14)
	var agents []telemetry.Address
	for _, s := range sites {
		agents = append(agents, s.Address())
	}
	c := newCentre(t, server.URL, server.Token, server.Org, detail, ledger, agents...)
	c.start()
	c.ready()
	middle := newLossy(t, strings.TrimPrefix(c.broker, "tcp://"), 0.1, 0.1)

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	now := time.Now()
	truthFile := filepath.Join(t.TempDir(), "truth.jsonl")
	err := sim.Run(ctx, sim.Config{
		Brokers: []string{middle.url()}, Sites: sites, Secrets: c.secrets, Seed: 42, History: 7 * 24 * time.Hour, Once: true,
		AckTimeout: time.Second, TruthFile: truthFile, StateFile: filepath.Join(t.TempDir(), "state.json"),
		Out: io.Discard, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if middle.lost.Load() < 20 || middle.doubled.Load() < 20 {
		t.Fatalf("only %d messages were lost and %d doubled of %d: the fault was not there", middle.lost.Load(), middle.doubled.Load(), middle.passed.Load())
	}
	t.Logf("%d messages lost, %d doubled, %d passed once", middle.lost.Load(), middle.doubled.Load(), middle.passed.Load())

	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	truth, err := sim.ReadTruth(truthFile)
	if err != nil {
		t.Fatal(err)
	}
	to := now.UTC().Truncate(24 * time.Hour).Add(-24 * time.Hour) // whole days, all of them told: no agent has been away for longer than a day
	from := to.Add(-5 * 24 * time.Hour)
	var ids []string
	for _, s := range sites {
		ids = append(ids, s.ID)
	}
	rep, err := report.Make(ctx, st, asked(from, to, ids), nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Sites) != len(sites) {
		t.Fatalf("report on %d sites, want %d", len(rep.Sites), len(sites))
	}
	cuts := 0
	for _, got := range rep.Sites {
		spans := truth[got.Site]
		sum := func(state telemetry.State, causes ...telemetry.Cause) (d time.Duration) {
			for _, s := range spans {
				if s.State == state && (len(causes) == 0 || s.Cause == causes[0]) {
					d += sim.Total([]sim.True{s}, from, to, state)
				}
			}
			return d
		}
		up := sum(telemetry.StateUp) + sum(telemetry.StateDegraded)
		down, power := sum(telemetry.StateDown), sum(telemetry.StateOff, telemetry.CausePower)
		service := to.Sub(from) - sum(telemetry.StateOff, telemetry.CauseShutdown)
		observed := up + down + power
		if down+power > 0 {
			cuts++
		}
		want := float64(up) / float64(observed)
		if got.Time.Availability == nil || math.Abs(*got.Time.Availability-want) > 0.0001 {
			t.Errorf("%s: availability %v, the truth is %.6f (up %v of %v observed)", got.Site, show(got.Time.Availability), want, up, observed)
		}
		want = float64(observed) / float64(service)
		if got.Time.Completeness == nil || math.Abs(*got.Time.Completeness-want) > 0.0001 {
			t.Errorf("%s: completeness %v, the truth is %.6f", got.Site, show(got.Time.Completeness), want)
		}
	}
	if cuts < len(sites)/2 {
		t.Errorf("only %d of %d sites had a cut: the truth was too kind to prove anything", cuts, len(sites))
	}
}

func show(v *float64) any {
	if v == nil {
		return "none"
	}
	return *v
}

// asked is a question about some sites and a stretch of time that is long over.
func asked(from, to time.Time, ids []string) report.Ask {
	a := report.Ask{Period: report.Between(from, to, time.UTC), Terms: ids, Now: to.AddDate(1, 0, 0)}
	for _, id := range ids {
		a.Sites = append(a.Sites, fleet.Site{ID: id})
	}
	return a
}

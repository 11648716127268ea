package intake

import (
	"log/slog"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestTheLastBatchOfAFormerBootIsFoundInInfluxDB(t *testing.T) {
	db := influxd.ForTest(t)
	s, err := store.Open(store.Config{URL: db.URL, Token: db.Token, Org: db.Org, DetailBucket: db.Database(t, "detail"), LedgerBucket: db.Database(t, "ledger")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	i, _, _ := start(t, nil)
	i.p.Querier = s
	other := telemetry.Address{Site: "mbarara", Agent: "school"}
	put := func(a telemetry.Address, at time.Time, boot string, open telemetry.OpenSpan) telemetry.Header {
		t.Helper()
		h := telemetry.Header{At: at, Boot: boot, Seq: 1, Open: open, Clock: telemetry.ClockSynced}
		b, err := h.Line().Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		good, _, _ := telemetry.Parse(b)
		if err := s.Write(t.Context(), telemetry.Detail, telemetry.AppendStamped(nil, good[0], a)); err != nil {
			t.Fatal(err)
		}
		return h
	}
	down := telemetry.OpenSpan{State: telemetry.StateDown, Cause: telemetry.CauseLocal, Length: time.Minute}
	day := 24 * time.Hour
	ancient := put(clinic, now.Add(-91*day), "0000000a", down)
	old := put(clinic, now.Add(-80*day), "0000000b", telemetry.OpenSpan{})
	put(other, now.Add(-time.Hour), "0000000c", down)
	first := put(clinic, now.Add(-time.Hour), "0000000d", down)
	second := put(clinic, now, "0000000d", down)
	late := put(clinic, now.Add(3*day), "0000000d", down)
	tests := []struct {
		name string
		h    telemetry.Header
		want *telemetry.LastBatch
	}{
		{"an agent without a past", ancient, nil},
		{"right before it", old, &telemetry.LastBatch{At: ancient.At, Open: down}},
		{"right before it, 80 days ago and with nothing open", first, &telemetry.LastBatch{At: old.At}},
		{"behind a batch of its own boot, too far back to be looked for", second, nil},
		{"behind batches of its own boot, three days on", late, nil},
	}
	for _, tt := range tests {
		got, err := i.lookUp(clinic, tt.h, now)
		if err != nil || (got == nil) != (tt.want == nil) || got != nil && *got != *tt.want {
			t.Errorf("%s: got %+v (%v), want %+v", tt.name, got, err, tt.want)
		}
	}
	guess := telemetry.Header{At: now.Add(-day), Boot: "0000000f", Clock: telemetry.ClockEstimated}
	if got, err := i.lookUp(clinic, guess, now); err != nil || got == nil || got.At.Before(guess.At) {
		t.Errorf("a first batch whose time is a guess, too early: got %+v (%v)", got, err)
	}
	reboot := put(clinic, now.Add(4*day), "0000000e", down)
	next := put(clinic, reboot.At.Add(time.Minute), "0000000e", down)
	if got, err := i.lookUp(clinic, next, now); err != nil || got == nil || *got != (telemetry.LastBatch{At: late.At, Open: down}) {
		t.Errorf("the second batch of a boot, as after a kill of the collector: got %+v (%v), want %+v", got, err, late)
	}
}

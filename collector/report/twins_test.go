package report

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// Two machines worked as one agent, as after a card was copied, and half of the time neither did: what both tell of is counted once, and not in the place of the silence.
func TestTimeThatTwoMachinesTellOfAsOneAgentIsCountedOnce(t *testing.T) {
	s := realStore(t)
	from := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	at := func(hours, minutes int) time.Time {
		return from.Add(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute)
	}
	var text []byte
	for h := range 4 {
		for _, one := range []telemetry.Span{
			{Start: at(h, 0), Length: time.Hour, State: telemetry.StateUp}, // the one
			{Start: at(h, 0), Length: 20 * time.Minute, State: telemetry.StateDown, Cause: telemetry.CauseBackhaul}, {Start: at(h, 20), Length: 40 * time.Minute, State: telemetry.StateUp},
		} {
			text = stamped(t, text, "gokina", "main", one)
		}
	}
	event, err := telemetry.NewLine("event", at(1, 7)).Tag("agent", "main").Tag("kind", "twin").Tag("site", "gokina").Str("detail", "another machine").Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(t.Context(), telemetry.Ledger, append(text, event...)); err != nil {
		t.Fatal(err)
	}
	r, err := Make(t.Context(), s, Ask{Period: Between(from, at(10, 0), time.UTC), Terms: []string{"gokina"}, Sites: []fleet.Site{{ID: "gokina"}}, Now: from.AddDate(1, 0, 0)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Sites[0].Time.Times, (Times{UpMs: 4 * hourMs, SilentMs: 6 * hourMs}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

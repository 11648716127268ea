package scribe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// stateAgain is after how long a state is told again that has not changed. What was told longer ago than twice that is not known any more: a
// collector that is gone must not leave its sites up for ever.
const stateAgain = 5 * time.Minute

// states tells what the board shows of each site.
type states struct {
	told map[string]toldState
}

// toldState is what was told last of a site.
type toldState struct {
	state fleet.SiteState
	cause telemetry.Cause
	at    time.Time
}

// stateLine is a site's state as the board shows it, with a number by which the most urgent sorts first.
func stateLine(st *fleet.Status, at time.Time) *telemetry.Line {
	code := map[fleet.SiteState]int64{fleet.Down: 0, fleet.Unreachable: 1, fleet.Off: 2, fleet.Degraded: 3, fleet.NeverSeen: 4, fleet.Up: 5}[st.State]
	l := telemetry.NewLine("state", at).Tag("site", st.Site.ID).Int("code", code).Str("state", string(st.State))
	if st.Cause != telemetry.CauseNone {
		l.Str("cause", string(st.Cause))
	}
	if !st.Since.IsZero() && !st.Since.After(at) {
		l.Int("since_ms", at.Sub(st.Since).Milliseconds())
	}
	return l
}

// write tells of sites whose state is another than was told, and of those told of too long ago. A state that InfluxDB did not take is not told later: by
// then it is the past.
func (s *states) write(ctx context.Context, p Parts) error {
	now, here := p.Now(), map[string]bool{}
	type news struct {
		id   string
		line *telemetry.Line
		told toldState
	}
	var all []news
	for _, st := range p.Live.Overview() {
		here[st.Site.ID] = true
		told := toldState{st.State, st.Cause, now}
		old, ok := s.told[st.Site.ID]
		if ok && old.state == told.state && old.cause == told.cause && now.Sub(old.at) < stateAgain {
			continue
		}
		all = append(all, news{st.Site.ID, stateLine(&st, now), told})
	}
	for id := range s.told {
		if !here[id] {
			delete(s.told, id)
		}
	}
	for some := range slices.Chunk(all, atOnce) {
		var text []byte
		var err error
		for _, n := range some {
			if text, err = n.line.Append(text); err != nil {
				return err
			}
		}
		if err := p.Database.Write(ctx, telemetry.Detail, text); err != nil {
			return fmt.Errorf("tell the states of %d sites: %w", len(some), err)
		}
		for _, n := range some {
			s.told[n.id] = n.told
		}
	}
	return nil
}

package collector

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

func TestTheHeadlineCountsSitesAndNotAgents(t *testing.T) {
	now := time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC)
	site := func(state fleet.SiteState, heardAgo ...time.Duration) fleet.Status {
		s := fleet.Status{Now: now}
		s.State = state
		for _, ago := range heardAgo {
			s.Agents = append(s.Agents, fleet.AgentStatus{State: state, Heard: now.Add(-ago)})
		}
		return s
	}
	never := fleet.Status{Now: now, Agents: []fleet.AgentStatus{{}}}
	tests := []struct {
		name string
		all  []fleet.Status
		want string
	}{
		{"a new programme", nil, "STATUS=0 of 0 sites heard in the last 5 min; 0 down"},
		{"one of two agents speaks", []fleet.Status{site(fleet.Up, time.Hour, time.Minute)}, "STATUS=1 of 1 sites heard in the last 5 min; 0 down"},
		{"down, silent, without an agent, never heard",
			[]fleet.Status{site(fleet.Down, 5*time.Minute), site(fleet.Unreachable, 5*time.Minute+1), site(fleet.NeverSeen), never}, "STATUS=1 of 4 sites heard in the last 5 min; 1 down"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := headline(tt.all); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

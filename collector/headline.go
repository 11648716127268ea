package collector

import (
	"fmt"
	"slices"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

// lately is how old the last word of a site may be that the headline counts: an agent that reports each minute has missed five then.
const lately = 5 * time.Minute

// headline is the line that systemctl status shows: "312 of 320 sites heard in the last 5 min; 3 down".
func headline(all []fleet.Status) string {
	heard, down := 0, 0
	for _, s := range all {
		if slices.ContainsFunc(s.Agents, func(a fleet.AgentStatus) bool { return !a.Heard.IsZero() && s.Now.Sub(a.Heard) <= lately }) {
			heard++
		}
		if s.State == fleet.Down {
			down++
		}
	}
	return fmt.Sprintf("%s%d of %d sites heard in the last %d min; %d down", notifyStatus, heard, len(all), int(lately.Minutes()), down)
}

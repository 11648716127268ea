package ledger

import (
	"slices"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// Answer is what became of a question to one target.
type Answer uint8

// The answers.
const (
	NotAsked Answer = iota
	Answered
	Silent
)

// Reach is what one round found out.
type Reach struct {
	Evidence     bool   // internet traffic was seen to flow, at no cost
	InterfaceUp  bool   // there is a default route, and its interface is up
	Gateway      Answer // NotAsked also when this gateway is known never to answer
	Internet     Answer // Answered when one anchor did, Silent when none of them did
	DNS          Answer
	InternetLoss Quality
}

// Quality is what a minute's probes to the internet looked like.
type Quality struct {
	Sent, Lost int
	RTTs       []time.Duration
}

// Limits say when a link that is up is degraded.
type Limits struct {
	LossPct   float64       // more than this share lost; default 20
	MedianRTT time.Duration // a median round trip above this; default 400 ms, 200 ms each way
}

// Judge turns what a round found into a state. It is false when the round asked nothing that could tell.
//
//   - An anchor that answers, or evidence, means up, whatever the gateway says: many gateways are mute.
//   - Up without name resolution is down for all who live there: cause dns.
//   - All silent: local when the interface is down or the gateway silent, else backhaul.
func Judge(r Reach, l Limits) (telemetry.State, telemetry.Cause, bool) {
	switch {
	case r.Evidence || r.Internet == Answered:
		if r.DNS == Silent {
			return telemetry.StateDown, telemetry.CauseDNS, true
		}
		if r.InternetLoss.Degraded(l) {
			return telemetry.StateDegraded, telemetry.CauseNone, true
		}
		return telemetry.StateUp, telemetry.CauseNone, true
	case !r.InterfaceUp || r.Gateway == Silent:
		return telemetry.StateDown, telemetry.CauseLocal, true
	case r.Internet == Silent:
		return telemetry.StateDown, telemetry.CauseBackhaul, true
	}
	return "", "", false
}

// Degraded tells whether loss or the median round trip is beyond the limits. Nothing sent is not degraded.
func (q Quality) Degraded(l Limits) bool {
	if q.Sent > 0 && 100*float64(q.Lost) > l.LossPct*float64(q.Sent) {
		return true
	}
	return Median(q.RTTs) > l.MedianRTT
}

// Median is the middle value, the mean of the middle two for an even number, 0 for none.
func Median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(d))
	m := len(s) / 2
	if len(s)%2 == 1 {
		return s[m]
	}
	return (s[m-1] + s[m]) / 2
}

package ledger

import (
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

func TestJudge(t *testing.T) {
	limits := Limits{LossPct: 20, MedianRTT: 400 * time.Millisecond}
	ms := func(n ...int) (d []time.Duration) {
		for _, v := range n {
			d = append(d, time.Duration(v)*time.Millisecond)
		}
		return d
	}
	const yes, no, none = Answered, Silent, NotAsked
	for _, tt := range []struct {
		name  string
		r     Reach
		state telemetry.State
		cause telemetry.Cause
	}{
		{"all answer", Reach{InterfaceUp: true, Gateway: yes, Internet: yes, DNS: yes}, "up", ""},
		{"a mute gateway does not matter", Reach{InterfaceUp: true, Gateway: no, Internet: yes}, "up", ""},
		{"evidence alone", Reach{Evidence: true, InterfaceUp: true}, "up", ""},
		{"evidence against silent anchors", Reach{Evidence: true, InterfaceUp: true, Gateway: yes, Internet: no}, "up", ""},
		{"loss at the limit", Reach{Internet: yes, InternetLoss: Quality{Sent: 10, Lost: 2, RTTs: ms(9)}}, "up", ""},
		{"loss beyond the limit", Reach{Internet: yes, InternetLoss: Quality{Sent: 10, Lost: 3, RTTs: ms(9)}}, "degraded", ""},
		{"median at the limit", Reach{Internet: yes, InternetLoss: Quality{Sent: 3, RTTs: ms(400, 1, 900)}}, "up", ""},
		{"median beyond the limit", Reach{Internet: yes, InternetLoss: Quality{Sent: 3, RTTs: ms(401, 1, 900)}}, "degraded", ""},
		{"median of an even number", Reach{Internet: yes, InternetLoss: Quality{Sent: 2, RTTs: ms(300, 502)}}, "degraded", ""},
		{"no name resolves", Reach{InterfaceUp: true, Gateway: yes, Internet: yes, DNS: no}, "down", "dns"},
		{"no name resolves, slow too", Reach{Internet: yes, DNS: no, InternetLoss: Quality{Sent: 2, Lost: 1}}, "down", "dns"},
		{"gateway silent", Reach{InterfaceUp: true, Gateway: no, Internet: no, DNS: no}, "down", "local"},
		{"interface down", Reach{Gateway: none, Internet: no}, "down", "local"},
		{"interface down, nothing else asked", Reach{}, "down", "local"},
		{"gateway answers, no anchor does", Reach{InterfaceUp: true, Gateway: yes, Internet: no, DNS: no}, "down", "backhaul"},
		{"no gateway to ask", Reach{InterfaceUp: true, Gateway: none, Internet: no}, "down", "backhaul"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, c, ok := Judge(tt.r, limits)
			if s != tt.state || c != tt.cause || !ok {
				t.Errorf("got %q %q %v, want %q %q", s, c, ok, tt.state, tt.cause)
			}
		})
	}
	if s, _, ok := Judge(Reach{InterfaceUp: true, Gateway: yes}, limits); ok {
		t.Errorf("judged %s from a gateway alone", s)
	}
}

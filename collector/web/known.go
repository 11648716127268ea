package web

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

// causeLine says why, as far as anyone knows.
func causeLine(st *fleet.Status) string {
	switch {
	case st.State == fleet.NeverSeen && len(st.Agents) == 0:
		return "no agent yet"
	case st.State == fleet.NeverSeen:
		return "agent has not called"
	case st.State == fleet.Unreachable && st.CatchingUp:
		return "back, sending what it kept"
	case st.State == fleet.Unreachable && st.Told.State == "":
		return "cause not known yet"
	case st.State == fleet.Unreachable:
		return lastTold(st)
	case st.State == fleet.Off && st.BatteryPct != nil:
		return joined(causeWord(st.Cause), battery(st))
	}
	return causeWord(st.Cause)
}

// lastTold is what an agent said before it fell silent: "last told: battery 11 %", or its state where the battery gives no hint.
func lastTold(st *fleet.Status) string {
	state := ""
	if st.Told.State != telemetry.StateUp || battery(st) == "" {
		state = strings.ToLower(stateWord(string(st.Told.State)))
		if c := causeWord(st.Told.Cause); c != "" {
			state += " (" + c + ")"
		}
	}
	return "last told: " + joined(state, battery(st)) + " at " + moment(st.Told.At, st.Now)
}

// battery tells what is left, where the machine lives on it.
func battery(st *fleet.Status) string {
	if st.BatteryPct == nil || st.Mains != nil && *st.Mains || st.Mains == nil && st.Charging != nil && *st.Charging {
		return ""
	}
	return "battery " + strconv.FormatFloat(*st.BatteryPct, 'f', 0, 64) + " %"
}

func joined(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	return strings.Join(some, ", ")
}

// known is what is known of a site beside its state: why, and whether its neighbours fare alike.
func (st *seen) known() string {
	if st.Unread {
		return "what it told before could not be read back yet"
	}
	why := causeLine(&st.Status)
	if st.Window != nil {
		why = joined("else "+strings.ToLower(stateWord(string(st.State))), why)
		return why
	}
	if peers := st.peers(); peers != "" {
		if why != "" {
			why += "; "
		}
		why += peers
	}
	return why
}

// peers says so when most sites of the same operator in the district are in trouble too: then it is probably not the village.
func (st *seen) peers() string {
	if st.Of < 2 || 2*st.Peers < st.Of {
		return ""
	}
	return fmt.Sprintf("%d of %d other sites of this operator in this district too", st.Peers, st.Of)
}

// planned says what a maintenance window is for, and until when.
func (st *seen) planned() string {
	w := st.Window
	if w == nil {
		return ""
	}
	text := w.Reason
	if w.Weekly != "" {
		return joined(text, "weekly "+w.Weekly)
	}
	if !w.To.IsZero() {
		text += ", until " + moment(w.To, st.Now)
	}
	return text
}

// care says who looks after a trouble.
func (st *seen) care() string {
	if st.Ack == nil {
		return ""
	}
	return joined("acknowledged by "+st.Ack.Who, st.Ack.Text)
}

// heardAt is when the agent last told its state, for states that are old.
func (st *seen) heardAt() string {
	if st.Told.At.IsZero() || st.State == fleet.NeverSeen {
		return ""
	}
	return moment(st.Told.At.Truncate(time.Second), st.Now)
}

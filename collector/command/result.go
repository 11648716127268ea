package command

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/telemetry"
)

// Result takes in what an agent says of a command. The payload may be anything.
func (c *Commander) Result(a telemetry.Address, payload []byte) {
	if reason := c.result(a, payload); reason != "" {
		c.m.dropped.WithLabelValues(reason).Inc()
		c.p.Log.Debug("result of a command is dropped", "agent", a.String(), "reason", reason)
	}
}

func (c *Commander) result(a telemetry.Address, payload []byte) (dropped string) {
	now := c.p.Now()
	if c.words.Take(a.String(), "", now) > 0 {
		return "rate"
	}
	r, err := telemetry.ParseResult(payload)
	if err != nil {
		return "malformed"
	}
	c.mu.Lock()
	o := c.find(r.ID)
	switch {
	case o == nil || o.Address() != a: // an agent can only say what became of what it was asked
		c.mu.Unlock()
		return "unknown"
	case o.State.Ended() && o.State != Expired, State(r.State) == o.State, // said again
		State(r.State) == Accepted && !now.Before(o.Asked.Add(life+overdue)): // and nobody waits any more
		c.mu.Unlock()
		return ""
	}
	data := ""
	if len(r.Data) > 0 && State(r.State).Ended() {
		if data, err = c.unpack(r.Data); err != nil {
			data, r.Text = "", strings.TrimSpace(r.Text+" (its data could not be read: "+err.Error()+")")
		}
	}
	o.State, o.Changed, o.Text, o.Data = State(r.State), now.Truncate(time.Millisecond), r.Text, data
	if !o.State.Ended() { // its end is asked for, in case that what the agent says then is lost
		o.pause, o.next = againFirst, now.Add(againMost)
	}
	c.keep(o)
	one := o.Command
	c.mu.Unlock()
	c.wake()
	c.ended(one)
	return ""
}

// unpack makes data readable: text, within its bound.
func (c *Commander) unpack(data []byte) (string, error) {
	text, _, err := c.codec.Open(nil, data)
	switch {
	case err != nil:
		return "", err
	case len(text) > telemetry.MaxResultData:
		return "", fmt.Errorf("%d bytes: %w of %d", len(text), telemetry.ErrTooLarge, telemetry.MaxResultData)
	case !utf8.Valid(text):
		return "", fmt.Errorf("not text: %w", telemetry.ErrMalformed)
	}
	return strings.Map(func(r rune) rune {
		if r != '\n' && !strconv.IsPrint(r) { // a terminal must not take it for an order
			return ' '
		}
		return r
	}, string(text)), nil
}

// ended tells of a change, and records an end.
func (c *Commander) ended(one Command) {
	if one.State.Ended() {
		outcome := audit.Failed
		if one.State == Done {
			outcome = audit.Done
		}
		from := "the agent"
		if one.State == Expired {
			from = "the collector"
		}
		if err := c.p.Audit.Record(audit.Entry{Who: one.Who, From: from, What: "command " + string(one.Kind) + " result", On: one.Address().String(), Outcome: outcome,
			Detail: string(one.State) + ", id " + one.ID + ": " + one.Text}); err != nil {
			c.p.Log.Error("the audit log cannot be written", "error", err)
		}
		c.m.ended.WithLabelValues(label(one.Kind), string(one.State)).Inc()
		c.p.Log.Info("command has ended", "id", one.ID, "kind", string(one.Kind), "agent", one.Address().String(), "state", string(one.State), "text", one.Text)
	}
	c.changed()
}

// Run sends commands again that are not answered, and gives up those that never are, until ctx ends.
func (c *Commander) Run(ctx context.Context) error {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wakeup:
		case <-t.C:
		}
		t.Reset(c.look())
	}
}

// idle is how long Run sleeps when nothing is under way.
const idle = time.Hour

// look does what is due, and returns when to look again.
func (c *Commander) look() time.Duration {
	now := c.p.Now()
	wait := idle
	var over []Command
	c.mu.Lock()
	for _, o := range c.all {
		if o.State.Ended() {
			continue
		}
		end := o.Asked.Add(life)
		if o.State == Accepted {
			end = end.Add(overdue)
		}
		switch {
		case !now.Before(end):
			text := fmt.Sprintf("no answer within %v; the agent may be cut off, or older than remote commands", life)
			if o.State == Accepted {
				text = fmt.Sprintf("the agent began at %s and told no end; what became of it is not known", o.Changed.UTC().Format("15:04:05 UTC"))
			}
			o.State, o.Changed, o.Text = Expired, now.Truncate(time.Millisecond), text
			c.keep(o)
			over = append(over, o.Command)
			continue
		case !now.Before(o.next):
			if err := c.send(o, now); err != nil {
				c.p.Log.Debug("command cannot be sent again yet", "id", o.ID, "error", err)
			}
		}
		wait = min(wait, o.next.Sub(now), end.Sub(now))
	}
	c.mu.Unlock()
	for _, one := range over {
		c.ended(one)
	}
	return max(wait, time.Millisecond)
}

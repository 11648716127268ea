package alert

import (
	"context"
	"fmt"
	"time"
)

// Test tells a channel something that is no alert, and returns what was sent and what was answered.
func Test(ctx context.Context, ch Channel, link string, now time.Time) (sent, answer string, err error) {
	a := Alert{ID: now.UTC().Format("20060102-150405") + "-test", Rule: "test", Severity: Critical, Began: now, Raised: now, Ended: now.Add(time.Minute),
		Title: "this is a test of channel " + ch.Name(), Text: "Sent by nabz-collector alert test. Nothing is wrong, and nothing has to be done."}
	m := Message{News: []News{{Tested, a}}, Now: now, Link: link}
	sent = a.Title + "\n" + a.Text
	if p, ok := ch.(*people); ok {
		title, text := p.words(m)
		sent = "title: " + title + "\n" + text
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if answer, err = ch.Send(ctx, m); err != nil {
		return sent, "", fmt.Errorf("channel %s: %w", ch.Name(), err)
	}
	return sent, answer, nil
}

// TestHeartbeat asks for the address of a heartbeat once.
func TestHeartbeat(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	if err := ping(ctx, address); err != nil {
		return fmt.Errorf("%s: %w", HeartbeatName, err)
	}
	return nil
}

package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Heartbeat is what lets others notice that the NOC itself is silent.
type Heartbeat struct {
	URL   string                          // asked for while all is well; secret; "": none
	Every time.Duration                   // 0: no heartbeat at all, to Alertmanager neither
	Well  func(ctx context.Context) error // nil error while what is taken in is stored; required
}

// undelivered is how long news may wait for a channel before the heartbeat stops: then nobody can be told in any other way.
const undelivered = 15 * time.Minute

// firstBeat is when a collector that has just begun says that it is well, however rarely it does later.
const firstBeat = time.Minute

// beat asks each time whether all is well, and says so, until ctx ends.
func (e *Engine) beat(ctx context.Context) {
	h := e.c.Heartbeat
	if h.Every <= 0 {
		return
	}
	timer := time.NewTimer(min(h.Every, firstBeat))
	defer timer.Stop()
	for { // the first after a while: a collector that has just begun is not well yet
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			timer.Reset(h.Every)
			e.beatOnce(ctx)
		}
	}
}

func (e *Engine) beatOnce(ctx context.Context) {
	asked, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	well := e.c.Heartbeat.Well(asked)
	if well == nil {
		well = e.stuck()
	}
	if ctx.Err() != nil {
		return
	}
	var err error
	if well == nil && e.c.Heartbeat.URL != "" {
		err = ping(asked, e.c.Heartbeat.URL)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	fault := ""
	switch {
	case well != nil:
		fault = "not well: " + well.Error()
	case err != nil:
		fault = err.Error()
	}
	if well == nil {
		e.well = e.c.Now()
	}
	if was := e.counts.trouble[HeartbeatName]; fault != "" && was == 0 || fault == "" && was > 0 {
		e.tries = append(e.tries, Delivery{At: e.c.Now(), Channel: HeartbeatName, What: HeartbeatName, Attempt: 1, Err: fault})
		e.lazy = true
		e.tell()
	}
	switch {
	case fault == "":
		e.counts.sent[HeartbeatName]++
	default:
		e.counts.failed[HeartbeatName]++
	}
	e.tellTrouble(HeartbeatName, fault)
}

// stuck tells that the engine itself does not look, or that news cannot be delivered.
func (e *Engine) stuck() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.c.Now()
	if age := now.Sub(e.stepped); age > time.Minute {
		return fmt.Errorf("alerts were looked at %v ago", age.Round(time.Second))
	}
	for _, i := range e.outbox {
		if waits := now.Sub(i.Queued); waits > undelivered && i.What != Noticed { // which wakes nobody anyway
			return fmt.Errorf("news have waited %v for channel %s", waits.Round(time.Second), i.Channel)
		}
	}
	return nil
}

// ping asks for an address.
func ping(ctx context.Context, address string) error {
	v := newVeil(address)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return v.hidden(err)
	}
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return v.hidden(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10))
	if res.StatusCode/100 != 2 {
		return errors.New(res.Status)
	}
	return nil
}

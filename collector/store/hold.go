package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// ErrBusy is in the error when InfluxDB has too much to do and has said for how long it wants to be left alone. The same
// lines may be written again then.
var ErrBusy = errors.New("InfluxDB asks to be left alone for a while")

// mostHold bounds how long an answer may stop the writes.
const mostHold = 5 * time.Minute

// hold keeps writes back until the moment that InfluxDB has named.
type hold struct {
	mu    sync.Mutex
	until time.Time
}

// set takes in a Retry-After header, in seconds or as a date. False: it names no time.
func (h *hold) set(retryAfter string) bool {
	now := time.Now()
	var pause time.Duration
	if seconds, err := strconv.ParseUint(retryAfter, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(retryAfter); err == nil {
		pause = at.Sub(now)
	} else {
		return false
	}
	until := now.Add(min(max(pause, 0), mostHold))
	h.mu.Lock()
	defer h.mu.Unlock()
	if until.After(h.until) {
		h.until = until
	}
	return true
}

// wait returns when writes may go on. Where that is not before ctx ends, it says so at once.
func (h *hold) wait(ctx context.Context) error {
	h.mu.Lock()
	until := h.until
	h.mu.Unlock()
	pause := time.Until(until)
	if pause <= 0 {
		return nil
	}
	if end, ok := ctx.Deadline(); ok && end.Before(until) {
		return fmt.Errorf("%w: %v more", ErrBusy, pause.Round(time.Second))
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

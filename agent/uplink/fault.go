package uplink

import (
	"context"
	"log/slog"
	"time"
)

// fault is something that lasts: it is told once when it begins and once when it ends.
type fault struct {
	kind  string // "" when all is well
	since time.Time
	count int
}

// begin notes that the fault is there (again). It is told when it is new or has changed its kind.
func (f *fault) begin(log *slog.Logger, level slog.Level, kind, msg string, args ...any) {
	f.count++
	if f.kind == kind {
		return
	}
	f.kind, f.since, f.count = kind, time.Now(), 1
	log.Log(context.Background(), level, msg, args...)
}

// end notes that it is gone.
func (f *fault) end(log *slog.Logger, msg string, args ...any) {
	if f.kind == "" {
		return
	}
	args = append(args, "count", f.count, "lasted_s", int(time.Since(f.since).Seconds()))
	*f = fault{}
	log.Info(msg, args...)
}

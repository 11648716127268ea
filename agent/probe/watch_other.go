//go:build !linux

package probe

import (
	"context"
	"log/slog"
	"time"
)

// Watch tells when an interface or a default route changes. On this platform it cannot: the channel is nil, and the route must be
// read now and then.
func Watch(context.Context, *slog.Logger) <-chan time.Time { return nil }

package broker

import (
	"log/slog"
	"net"
	"testing"
	"testing/synctest"
)

// shut is a listener that has nobody to let in.
type shut struct{ net.Listener }

// Close does nothing.
func (shut) Close() error { return nil }

func TestTheGateStopsOnceAllWhoWereLetInAreServedAndLetsNobodyElseIn(t *testing.T) {
	for name, serve := range map[string]func(*guest){
		"served": func(c *guest) { _, _ = c.Read(make([]byte, 1)) },
		"closed": func(c *guest) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate(shut{}, nil, 10, slog.New(slog.DiscardHandler))
				come := func() *guest {
					near, far := net.Pipe()
					t.Cleanup(func() { near.Close(); far.Close() })
					return g.admit(near)
				}
				first, second := come(), come()
				stopped := false
				go func() { g.stop(); stopped = true }()
				synctest.Wait()
				if stopped {
					t.Error("it has stopped, and two who were let in are not served")
				}
				if come() != nil {
					t.Error("somebody is let in while it stops")
				}
				go serve(first)
				synctest.Wait()
				if stopped {
					t.Error("it has stopped, and one who was let in is not served")
				}
				go serve(second)
				synctest.Wait()
				if !stopped {
					t.Error("all who were let in are served, and it has not stopped")
				}
				_ = first.Close()
				_ = second.Close()
			})
		})
	}
}

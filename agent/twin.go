package agent

import (
	"fmt"
	"sync"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// twin is another machine that works as this agent with the same secret, as the collector has it. Safe for concurrent use.
type twin struct {
	mu   sync.Mutex
	boot string    // its boot; "": none is known
	told time.Time // when an event has told of one last
}

// heard takes in what an acknowledgement says, and tells the log when it begins and ends.
func (w *twin) heard(a *agent, k telemetry.Ack) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case k.Twin != "" && w.boot == "":
		a.log.Error("another machine signs in as this agent, with the same secret; each ends the connection of the other", "agent", a.c.Address().String(), "its_boot", k.Twin, "our_boot", a.boot,
			"next", "nabz-agent check")
	case k.Twin == "" && w.boot != "":
		a.log.Info("no other machine signs in as this agent any more", "agent", a.c.Address().String())
	}
	w.boot = k.Twin
}

// other is the boot of the other machine, "" where none is known.
func (w *twin) other() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.boot
}

// event tells the ledger, not more often than of other findings.
func (w *twin) event(a *agent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.boot == "" || !w.told.IsZero() && time.Since(w.told) < tellAgain {
		return
	}
	w.told = time.Now()
	a.recorder.Event("twin", fmt.Sprintf("another machine, of boot %s, works as this agent, of boot %s, with the same secret", w.boot, a.boot))
}

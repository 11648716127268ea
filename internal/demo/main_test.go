//go:build unix

package demo

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is its own child: with this variable set it does what the variable says.
const role = "DEMO_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		goleak.VerifyTestMain(m)
	default:
		os.Exit(play(os.Getenv(role)))
	}
}

func waitFor(t testing.TB, what string, limit time.Duration, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited %v for %s", limit, what)
		}
	}
}

package influxd_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/internal/influxd"
)

// With this variable set the test binary is the parent of an influxd that is about to be killed.
const parentOf = "NABZ_TEST_PARENT_OF_INFLUXD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentOf); dir != "" {
		s, err := influxd.Start(context.Background(), influxd.Options{Path: os.Getenv("NABZ_TEST_INFLUXD"), Dir: dir})
		fmt.Println(s.Pid(), s.URL, err)
		select {}
	}
	goleak.VerifyTestMain(m)
}

// waitFor polls until cond holds, and fails the test after ten seconds.
func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick, late := time.NewTicker(10*time.Millisecond), time.After(10*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("still waiting after 10 s: %s", what)
		}
	}
}

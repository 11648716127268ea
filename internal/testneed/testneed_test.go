package testneed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// recorder stands in for a test and keeps what would have ended it.
type recorder struct {
	testing.TB
	skipped, failed string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Skipf(f string, a ...any)  { r.skipped = fmt.Sprintf(f, a...); panic(r) }
func (r *recorder) Fatalf(f string, a ...any) { r.failed = fmt.Sprintf(f, a...); panic(r) }

func TestAMissingProgramIsNamedAndFailsOnlyInCI(t *testing.T) {
	tests := []struct{ name, ci, skipped, failed string }{
		{"at a desk", "", "needs no-such-program, which this machine lacks (apt-get install it)", ""},
		{"in CI", "true", "", "needs no-such-program, which this machine lacks (apt-get install it); CI=true allows no skipping"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("CI", tt.ci)
			r := &recorder{TB: t}
			func() {
				defer func() { _ = recover() }()
				testneed.Program(r, "no-such-program", "apt-get install it")
			}()
			if r.skipped != tt.skipped || r.failed != tt.failed {
				t.Errorf("got skipped %q failed %q\nwant skipped %q failed %q", r.skipped, r.failed, tt.skipped, tt.failed)
			}
		})
	}
}

func TestAProgramThatIsThereGivesItsPath(t *testing.T) {
	dir := t.TempDir()
	want := filepath.Join(dir, "here")
	if err := os.WriteFile(want, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got := testneed.Program(t, "here", "-"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

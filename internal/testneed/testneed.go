package testneed

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program on PATH. When there is none, the test is skipped with its name and
// the way to get it, such as "apt-get install chromium"; with CI=true the test fails.
func Program(t testing.TB, name, get string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name, get)
	}
	return path
}

// Missing ends the test: what it needs is not here. Get tells how to get it, or why it could not be had.
func Missing(t testing.TB, what, get string) {
	t.Helper()
	if CI() {
		t.Fatalf("needs %s, which this machine lacks (%s); CI=true allows no skipping", what, get)
	}
	t.Skipf("needs %s, which this machine lacks (%s)", what, get)
}

// CI tells whether every test must run, because CI=true is in the environment.
func CI() bool { return os.Getenv("CI") == "true" }

// inside is set for a child that Namespaces has started, to the name of its test.
const inside = "NABZ_TEST_IN_NAMESPACES"

// Inside tells whether this is such a child: what it leaves behind ends with it.
func Inside() bool { return os.Getenv(inside) != "" }

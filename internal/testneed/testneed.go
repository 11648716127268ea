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

// long is set in the environment where tests may take minutes; make test sets it.
const long = "NABZ_LONG_TESTS"

// Minutes tells whether tests may take minutes.
func Minutes() bool { return os.Getenv(long) != "" || CI() }

// Long skips, by name, a test that takes minutes where nobody has asked for such.
func Long(t testing.TB) {
	t.Helper()
	if !Minutes() {
		t.Skipf("takes minutes; %s=1 runs it, and so does make test", long)
	}
}

// inside is set for a child that Namespaces has started, to the name of its test.
const inside = "NABZ_TEST_IN_NAMESPACES"

// Inside tells whether this is such a child: what it leaves behind ends with it.
func Inside() bool { return os.Getenv(inside) != "" }

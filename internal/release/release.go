package release

import (
	_ "embed" // of the table
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

//go:embed releases.txt
var table string

// Release is one that people may have in the field.
type Release struct {
	Version string // such as 0.6.0
	Commit  string // 40 hex digits
	Day     time.Time
}

// All are the releases of the table, the oldest first.
func All() ([]Release, error) { return parse(table) }

var (
	versionForm = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$`)
	commitForm  = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

func parse(text string) (all []Release, err error) {
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		words := strings.Fields(line)
		if len(words) != 3 || !versionForm.MatchString(words[0]) || !commitForm.MatchString(words[1]) {
			return nil, fmt.Errorf("releases.txt:%d: want a version such as 0.6.0, 40 hex digits of its commit, and a day", number)
		}
		r := Release{Version: words[0], Commit: words[1]}
		if r.Day, err = time.Parse(time.DateOnly, words[2]); err != nil {
			return nil, fmt.Errorf("releases.txt:%d: day %q: write it as 2026-11-28", number, words[2])
		}
		if n := len(all); n > 0 && Compare(all[n-1].Version, r.Version) >= 0 {
			return nil, fmt.Errorf("releases.txt:%d: %s comes after %s; the oldest is first", number, r.Version, all[n-1].Version)
		}
		all = append(all, r)
	}
	return all, nil
}

// Compare tells which of two versions is the older: below 0, a; above 0, b. Both are three numbers with points between.
func Compare(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(x), len(y)) {
		m, _ := strconv.Atoi(x[i])
		n, _ := strconv.Atoi(y[i])
		if m != n {
			return m - n
		}
	}
	return len(x) - len(y)
}

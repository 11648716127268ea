package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTicks is the unit of times in /proc/PID/stat, the same on every Linux that Go runs on.
const clockTicks = 100

// usage is what a process has used.
type usage struct {
	at      time.Time
	cpu     time.Duration
	rss     int64 // bytes in memory now
	peak    int64 // most that it ever was
	anon    int64 // of rss, its own
	written int64 // bytes of pages that it made the file system write
	threads int64
}

// readUsage reads what process pid has used.
func readUsage(pid int) (u usage, err error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	u.at = time.Now()
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		return u, err
	}
	// The name in brackets may hold anything; the state follows it, and is field 3 of proc(5).
	f := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(f) < 13 {
		return u, fmt.Errorf("%sstat is too short: %q", dir, stat)
	}
	for _, v := range []string{f[11], f[12]} { // utime, stime
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return u, fmt.Errorf("%sstat: %w", dir, err)
		}
		u.cpu += time.Duration(n) * time.Second / clockTicks
	}
	if err := table(dir+"status", map[string]*int64{"VmRSS": &u.rss, "VmHWM": &u.peak, "RssAnon": &u.anon, "Threads": &u.threads}); err != nil {
		return u, err
	}
	for _, v := range []*int64{&u.rss, &u.peak, &u.anon} {
		*v *= 1024 // told in kB
	}
	return u, table(dir+"io", map[string]*int64{"write_bytes": &u.written})
}

// table reads "name: number" lines.
func table(file string, want map[string]*int64) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	found := 0
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, ":")
		to, ok := want[name]
		f := strings.Fields(rest)
		if !ok || len(f) == 0 {
			continue
		}
		if *to, err = strconv.ParseInt(f[0], 10, 64); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		found++
	}
	if found < len(want) {
		return fmt.Errorf("%s tells only %d of %d numbers", file, found, len(want))
	}
	return nil
}

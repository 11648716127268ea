package agent

import (
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usageEvery is how often the month's bytes are written down. A kill -9 forgets what came after, at most an hour of it.
const usageEvery = time.Hour

// usage adds up what this agent has had on the wire in a month of UTC. One goroutine uses it.
type usage struct {
	file  string
	limit int64 // 0: none

	month   string // "2026-11"; "" while the clock was not known
	bytes   int64  // in that month
	seen    int64  // of the total since the start
	written time.Time
	saved   int64
}

// openUsage goes on with what the run before wrote down. A file that cannot be read counts as none.
func openUsage(dir string, limitMB float64) *usage {
	u := &usage{file: filepath.Join(dir, "usage"), limit: int64(limitMB * 1e6)}
	text, err := os.ReadFile(u.file)
	if err != nil {
		return u
	}
	if f := strings.Fields(string(text)); len(f) == 3 && f[2] == usageSum(f[0], f[1]) {
		if n, err := strconv.ParseInt(f[1], 10, 64); err == nil && n >= 0 {
			u.month, u.bytes, u.saved = f[0], n, n
		}
	}
	return u
}

func usageSum(month, bytes string) string {
	return strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(month+" "+bytes))), 16)
}

// count takes the total since the start of the agent; now is zero while the clock is not known: bytes then belong to the month that it
// shows first. It returns what to tell when a share of the limit is passed.
func (u *usage) count(now time.Time, total int64) (told string) {
	if now.IsZero() {
		return ""
	}
	more := max(0, total-u.seen)
	u.seen = max(total, u.seen)
	if month := now.UTC().Format("2006-01"); month != u.month {
		u.month, u.bytes, u.written = month, 0, time.Time{}
	}
	before := u.bytes
	u.bytes += more
	for _, pct := range []int64{100, 80} {
		if at := u.limit * pct / 100; u.limit > 0 && before < at && u.bytes >= at {
			return fmt.Sprintf("%d %% of the %s MB for %s are used", pct, strconv.FormatFloat(float64(u.limit)/1e6, 'f', -1, 64), u.month)
		}
	}
	return ""
}

// save writes the sum down, when it is due or last is true.
func (u *usage) save(now time.Time, last bool) error {
	if u.month == "" || u.bytes == u.saved || !last && now.Sub(u.written) < usageEvery {
		return nil
	}
	n := strconv.FormatInt(u.bytes, 10)
	u.written = now
	if err := replaceFile(u.file, []byte(u.month+" "+n+" "+usageSum(u.month, n)+"\n")); err != nil {
		return fmt.Errorf("note the bytes used this month: %w; free space on the file system, or make it writable", err)
	}
	u.saved = u.bytes
	return nil
}

// replaceFile puts text in the place of a small file: after a power cut there is the old text or the new one.
func replaceFile(file string, text []byte) error {
	f, err := os.OpenFile(file+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

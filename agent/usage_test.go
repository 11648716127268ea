package agent

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestUsageOfTheMonthOutlivesARestartAndBeginsAnewWithTheMonth(t *testing.T) {
	dir := t.TempDir()
	november := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	u := openUsage(dir, 1)
	u.count(time.Time{}, 100) // the clock is not known yet
	u.count(november, 1000)
	u.count(november, 900) // a total never falls
	if err := u.save(november, true); err != nil {
		t.Fatal(err)
	}
	u = openUsage(dir, 1)
	u.count(november.Add(time.Hour), 50)
	if u.bytes != 1050 || u.month != "2026-11" {
		t.Errorf("got %d in %s, want 1050 in 2026-11", u.bytes, u.month)
	}
	u.count(november.AddDate(0, 1, 0), 80)
	if u.bytes != 30 || u.month != "2026-12" {
		t.Errorf("got %d in %s, want 30 in 2026-12", u.bytes, u.month)
	}
}

func TestUsageTellsOnceWhenItsLimitComesNear(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	u := openUsage(t.TempDir(), 4)
	var told []string
	for total := int64(0); total <= 5_000_000; total += 250_000 {
		if s := u.count(now, total); s != "" {
			told = append(told, s)
		}
	}
	if len(told) != 2 || told[0] != "80 % of the 4 MB for 2026-11 are used" || told[1] != "100 % of the 4 MB for 2026-11 are used" {
		t.Errorf("got %q", told)
	}
}

func TestADamagedUsageFileCountsAsNone(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"", "2026-11", "2026-11 12 0", "2026-11 -5 " + usageSum("2026-11", "-5"), "\x00\x00\x00"} {
		if err := os.WriteFile(filepath.Join(dir, "usage"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if u := openUsage(dir, 1); u.bytes != 0 || u.month != "" {
			t.Errorf("%q: got %d in %q", text, u.bytes, u.month)
		}
	}
}

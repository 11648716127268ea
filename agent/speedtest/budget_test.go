package speedtest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// flash is a folder that loses power. What was written but not made durable may be gone, torn or there.
type flash struct {
	names map[string][]byte // as a program sees it
	safe  map[string][]byte // as it is after a power cut, at the least
	until int               // steps before power is lost; below 0: never
	steps int
}

var errPower = errors.New("power cut")

func newFlash() *flash {
	return &flash{names: map[string][]byte{}, safe: map[string][]byte{}, until: -1}
}

// step counts; the one at which power is lost happens in part.
func (f *flash) step() (cut bool) {
	f.steps++
	return f.until >= 0 && f.steps > f.until
}

func (f *flash) read(name string) ([]byte, error) {
	b, ok := f.names[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return b, nil
}

func (f *flash) write(name string, b []byte) error {
	if f.step() {
		f.names[name] = b[:len(b)/2]
		return errPower
	}
	f.names[name] = b
	f.safe[name] = b
	return nil
}

func (f *flash) rename(from, to string) error {
	if f.step() {
		return errPower
	}
	f.names[to] = f.names[from]
	delete(f.names, from)
	return nil
}

func (f *flash) sync() error {
	if f.step() {
		return errPower
	}
	f.safe = maps.Clone(f.names)
	return nil
}

// reboot is what a power cut leaves: names that were not synced, or those before.
func (f *flash) reboot(kept bool) {
	if !kept {
		f.names = maps.Clone(f.safe)
	}
	f.safe = maps.Clone(f.names)
	f.until, f.steps = -1, 0
}

// TestAMonthNeverCostsMoreThanItsBudget lets tests run, cost what they like within their grant, be cut off between any two writes of the
// disk, and the clock step over months and back; for each month of the site's clock what was truly spent stays within the budget.
func TestAMonthNeverCostsMoreThanItsBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(minGrant, 40<<20).Draw(t, "limit")
		disk := newFlash()
		truth := map[string]int64{}
		now := time.Date(2026, 11, 3, 12, 0, 0, 0, time.FixedZone("+05:00", 5*3600))
		open := func() *Budget {
			b, err := openBudget(disk, limit, nil)
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		b := open()
		crash := func(kept bool) { disk.reboot(kept); b = open() }
		t.Repeat(map[string]func(*rapid.T){
			"test": func(t *rapid.T) {
				want := rapid.Int64Range(0, limit).Draw(t, "want")
				if disk.until = rapid.IntRange(-1, 6).Draw(t, "power lost after"); disk.until >= 0 {
					disk.until += disk.steps
				}
				kept := rapid.Bool().Draw(t, "names kept")
				g, err := b.Reserve(now, rapid.IntRange(0, 9).Draw(t, "known") > 0, want, rapid.Bool().Draw(t, "paced"))
				if errors.Is(err, errPower) {
					crash(kept)
					return
				}
				if err != nil {
					disk.until = -1
					return
				}
				used := rapid.Int64Range(0, g.Bytes).Draw(t, "used")
				truth[monthOf(now)] += used
				if rapid.IntRange(0, 4).Draw(t, "killed") == 0 {
					crash(true) // kill -9 loses nothing that was written
					return
				}
				if b.Settle(g, used) != nil {
					crash(kept)
				}
				disk.until = -1
			},
			"time passes": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*24*time.Hour)).Draw(t, "by")))
			},
			"the clock steps": func(t *rapid.T) {
				now = now.AddDate(0, rapid.IntRange(-6, 6).Draw(t, "months"), rapid.IntRange(-3, 3).Draw(t, "days"))
				if now.Year() < 2026 || now.Year() > 2027 { // the file remembers two years
					now = time.Date(2026, 11, 3, 12, 0, 0, 0, now.Location())
				}
			},
			"restart": func(t *rapid.T) { b = open() },
			"": func(t *rapid.T) {
				for month, n := range truth {
					if n > limit {
						t.Fatalf("%s: %d bytes spent, the budget is %d\n%s", month, n, limit, disk.names[budgetName])
					}
				}
			},
		})
	})
}

func november(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }

func TestNoTestBeginsWithoutRoomOrAClock(t *testing.T) {
	for name, c := range map[string]struct {
		spent int64
		at    time.Time
		known bool
		paced bool
		want  error
	}{
		"room":                           {0, november(10, 0), true, true, nil},
		"clock unknown":                  {0, november(10, 0), false, true, ErrClock},
		"spent":                          {8 << 20, november(10, 0), true, false, ErrSpent},
		"ahead of the month's course":    {5 << 20, november(10, 0), true, true, ErrPaced},
		"ahead, but asked for":           {5 << 20, november(10, 0), true, false, nil},
		"the month's last minute":        {0, november(30, 23).Add(59 * time.Minute), true, true, ErrMonth},
		"late in the month, much unused": {5 << 20, november(25, 0), true, true, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := openBudget(newFlash(), 8<<20, nil)
			if err != nil {
				t.Fatal(err)
			}
			if c.spent > 0 {
				g, err := b.Reserve(november(1, 1), true, 0, false)
				if err != nil {
					t.Fatal(err)
				}
				if err := b.Settle(g, c.spent); err != nil {
					t.Fatal(err)
				}
			}
			g, err := b.Reserve(c.at, c.known, 0, c.paced)
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if err == nil && g.Bytes != 8<<20-c.spent {
				t.Errorf("granted %d, want all that is left, %d", g.Bytes, 8<<20-c.spent)
			}
		})
	}
}

func TestADamagedRecordMakesThePresentMonthCountAsSpent(t *testing.T) {
	good := formatBudget([]spent{{"2026-10", 5}, {"2026-11", 7}})
	if table, ok := parseBudget(string(good)); !ok || len(table) != 2 || table[1] != (spent{"2026-11", 7}) {
		t.Fatalf("what was written reads as %v, %v", table, ok)
	}
	for i := range good {
		bad := append([]byte{}, good...)
		bad[i] ^= 0x01
		disk := newFlash()
		disk.names[budgetName] = bad
		b, err := openBudget(disk, 8<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Reserve(november(10, 0), true, 0, false); !errors.Is(err, ErrSpent) {
			t.Fatalf("byte %d flipped in %q: a test may begin: %v", i, bad, err)
		}
	}
	disk := newFlash()
	disk.names[budgetName] = good[:len(good)-1]
	b, err := openBudget(disk, 8<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(november(30, 0), true, 0, false); !errors.Is(err, ErrSpent) {
		t.Fatalf("a cut file lets a test begin: %v", err)
	}
	if _, err := b.Reserve(november(31, 0), true, 0, false); err != nil {
		t.Fatalf("the next month stays closed: %v", err)
	}
}

func TestTheBudgetLivesInAFileOfTheFolder(t *testing.T) {
	dir := t.TempDir()
	b, err := OpenBudget(dir, 8<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	g, err := b.Reserve(november(3, 0), true, 3<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := OpenBudget(dir, 8<<20, nil) // as after kill -9
	if err != nil {
		t.Fatal(err)
	}
	if used, limit := again.Month(november(3, 0)); used != 3<<20 || limit != 8<<20 {
		t.Errorf("after a kill %d of %d are spent, want the whole grant", used, limit)
	}
	if err := b.Settle(g, 1<<20); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, budgetName)); err != nil || !strings.HasSuffix(string(text), "\n2026-11 1048576\n") || len(text) > 80 {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if _, err := os.Stat(filepath.Join(dir, budgetTemp)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is left: %v", err)
	}
}

func TestADiskThatTakesNothingStopsTests(t *testing.T) {
	b, err := OpenBudget(filepath.Join(t.TempDir(), "gone"), 8<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Reserve(november(3, 0), true, 0, true); err == nil || !strings.Contains(err.Error(), "free the disk") {
		t.Errorf("got %v", err)
	}
}

func FuzzParseBudget(f *testing.F) {
	f.Add(string(formatBudget([]spent{{"2026-11", 7}})))
	f.Add(string(formatBudget([]spent{{"", 0}})))
	f.Fuzz(func(t *testing.T, text string) {
		table, ok := parseBudget(text)
		if !ok {
			return
		}
		if again, ok := parseBudget(string(formatBudget(table))); !ok || fmt.Sprint(again) != fmt.Sprint(table) {
			t.Fatalf("%q reads as %v and again as %v", text, table, again)
		}
	})
}

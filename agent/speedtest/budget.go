package speedtest

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Why there is nothing to spend.
var (
	ErrClock  = errors.New("the time is not known yet, so the month is not either")
	ErrSpent  = errors.New("the month's budget for speed tests is spent")
	ErrPaced  = errors.New("speed tests have cost more than the month's course allows so far")
	ErrMonth  = errors.New("the month is about to end; a test could run into the next one")
	errEnough = errors.New("a test is under way")
)

const (
	// minGrant is the least that a test begins with; less tells nothing, and half of it may be on its way before we can look.
	minGrant = 1 << 20
	// months is how many months the file remembers, so that a clock that steps over a month and back finds what was spent. The one
	// that was touched longest ago goes first.
	months = 24
	// monthsEnd is how long before a month's end no test begins: as long as one can take.
	monthsEnd = 2 * time.Minute
	// allowance is the part of a budget that tests may be ahead of the month's course, so that a test of a fast link is possible at all.
	allowance = 8
)

// Budget is what speed tests may cost in a month, and have. Safe for concurrent use.
type Budget struct {
	disk  disk
	limit int64
	log   *slog.Logger

	mu    sync.Mutex
	month []spent // latest touched last
	open  *Grant
}

// spent is what a month has cost. A month "" is one that is not known: the file was damaged, and the next month that is begun counts as spent.
type spent struct {
	month string // "2026-11", by the site's clock
	bytes int64  // what tests have cost, and what the one under way may
}

// Grant is what one test may cost.
type Grant struct {
	Bytes int64
	month string
}

// OpenBudget reads what was spent from a folder. Limit is in bytes a month, of all headers down to IP. A test that a crash cut short counts as
// all it might have cost. A damaged file makes the present month count as spent.
func OpenBudget(dir string, limit int64, log *slog.Logger) (*Budget, error) {
	b, err := openBudget(osDisk(dir), limit, log)
	if err != nil {
		return nil, fmt.Errorf("read the budget of speed tests in %s: %w; make the folder readable, or free the disk", dir, err)
	}
	return b, nil
}

func openBudget(d disk, limit int64, log *slog.Logger) (*Budget, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	b := &Budget{disk: d, limit: limit, log: log}
	text, err := d.read(budgetName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return b, nil
	case err != nil:
		return nil, err
	}
	var ok bool
	if b.month, ok = parseBudget(string(text)); !ok {
		b.month = []spent{{}}
		log.Warn("the record of what speed tests have cost is damaged; none runs until next month", "file", budgetName)
	}
	return b, nil
}

// Reserve takes what a test may cost, at most want (0: all that is left), off the budget, on disk, before the test begins. Known tells whether now can
// be believed; its location is the site's. With paced, tests that are ahead of the month's course wait. Settle gives back what was not used.
func (b *Budget) Reserve(now time.Time, known bool, want int64, paced bool) (*Grant, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !known:
		return nil, ErrClock
	case b.open != nil:
		return nil, errEnough
	case monthOf(now) != monthOf(now.Add(monthsEnd)):
		return nil, ErrMonth
	}
	table, s := touch(b.month, monthOf(now), b.limit)
	if len(b.month) == 1 && b.month[0].month == "" { // the month that the damage closes is known now
		if err := b.save(append(table, s)); err != nil {
			return nil, fmt.Errorf("note that the month is spent: %w; free the disk, or make %s writable", err, budgetName)
		}
		return nil, ErrSpent
	}
	left := b.limit - s.bytes
	switch {
	case left < minGrant:
		return nil, ErrSpent
	case paced && s.bytes > b.course(now):
		return nil, ErrPaced
	}
	g := &Grant{Bytes: left, month: s.month}
	if want > 0 {
		g.Bytes = min(left, max(want, minGrant))
	}
	s.bytes += g.Bytes
	if err := b.save(append(table, s)); err != nil {
		return nil, fmt.Errorf("note what a speed test may cost: %w; free the disk, or make %s writable", err, budgetName)
	}
	b.open = g
	return g, nil
}

// Settle tells what the test of g has cost. What the disk does not take stays reserved.
func (b *Budget) Settle(g *Grant, used int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open != g {
		return nil
	}
	b.open = nil
	table, s := touch(b.month, g.month, b.limit)
	s.bytes += used - g.Bytes
	if err := b.save(append(table, s)); err != nil {
		if used > g.Bytes {
			b.month = append(table, s)
		}
		return fmt.Errorf("note what a speed test has cost: %w; until then it counts as %d bytes", err, g.Bytes)
	}
	return nil
}

// Month tells what the month of now has cost, with what the test under way may, and the limit.
func (b *Budget) Month(now time.Time) (used, limit int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, s := touch(b.month, monthOf(now), b.limit)
	return s.bytes, b.limit
}

// course is what may have been spent by now so that the budget lasts: in proportion to the month, and an eighth ahead.
func (b *Budget) course(now time.Time) int64 {
	begin := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, now.Location())
	part := float64(now.Sub(begin)) / float64(begin.AddDate(0, 1, 0).Sub(begin))
	return int64(part*float64(b.limit)) + b.limit/allowance
}

// save replaces the file, and only then what is known in memory. After an error the file may be the old or the new one: before a test neither
// is less than what was spent, and after it neither is, so a crash then does no harm.
func (b *Budget) save(table []spent) error {
	if n := len(table) - months; n > 0 {
		table = table[n:]
	}
	if err := replace(b.disk, formatBudget(table)); err != nil {
		return err
	}
	b.month = table
	return nil
}

func monthOf(t time.Time) string { return t.Format("2006-01") }

// touch takes a month out of the table. One that is not there has cost nothing, unless the table was damaged.
func touch(table []spent, month string, limit int64) ([]spent, spent) {
	rest := slices.Clone(table)
	if i := slices.IndexFunc(rest, func(s spent) bool { return s.month == month }); i >= 0 {
		s := rest[i]
		return slices.Delete(rest, i, i+1), s
	}
	if i := slices.IndexFunc(rest, func(s spent) bool { return s.month == "" }); i >= 0 {
		return slices.Delete(rest, i, i+1), spent{month, limit}
	}
	return rest, spent{month: month}
}

// The file is a line with a version and a checksum of the rest, and then a line for each month: the month and its bytes.
const (
	budgetName = "speedtest-budget"
	budgetTemp = "speedtest-budget.tmp"
	budgetHead = "nabz-speedtest 1 "
	budgetMax  = 4 << 10
)

func formatBudget(table []spent) []byte {
	var body strings.Builder
	for _, s := range table {
		month := s.month
		if month == "" {
			month = "unknown"
		}
		body.WriteString(month + " " + strconv.FormatInt(s.bytes, 10) + "\n")
	}
	return []byte(budgetHead + strconv.FormatUint(uint64(budgetSum(body.String())), 16) + "\n" + body.String())
}

func budgetSum(body string) uint32 {
	return crc32.Checksum([]byte(body), crc32.MakeTable(crc32.Castagnoli))
}

// parseBudget reads what formatBudget wrote; ok is false for anything else.
func parseBudget(text string) (table []spent, ok bool) {
	text, ok = strings.CutPrefix(text, budgetHead)
	sum, body, found := strings.Cut(text, "\n")
	if want, err := strconv.ParseUint(sum, 16, 32); !ok || !found || err != nil || uint32(want) != budgetSum(body) {
		return nil, false
	}
	for line := range strings.Lines(body) {
		month, number, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || len(table) == months {
			return nil, false
		}
		if month == "unknown" {
			month = ""
		} else if _, err := time.Parse("2006-01", month); err != nil {
			return nil, false
		}
		table = append(table, spent{month, n})
	}
	return table, true
}

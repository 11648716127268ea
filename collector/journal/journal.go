package journal

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

const (
	keepFor    = 366 * 24 * time.Hour // how long an entry is kept
	maxBytes   = 16 << 20             // of the file, after which the oldest entries go
	maxWindows = 1000                 // planned or running at once
)

// Journal is the journal in one file. It is safe for concurrent use.
type Journal struct {
	path string
	now  func() time.Time
	log  *slog.Logger
	most int64 // bytes of the file

	mu      sync.RWMutex
	size    int64 // bytes that are known to be whole
	dirty   bool  // there may be more than that behind it
	entries []Entry
	last    uint64              // highest id
	bySite  map[string][]uint64 // ids, rising
	plans   []plan              // not cancelled, by id; those that are over go when somebody asks
	hear    map[chan struct{}]struct{}
}

// Open reads the journal in that file and makes it where there is none. An error says what to do.
func Open(path string, now func() time.Time, log *slog.Logger) (*Journal, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{path: path, now: now, log: log, most: maxBytes, hear: map[chan struct{}]struct{}{}}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open the operators' journal %s: %w; see to the disk and to the owner of the file", path, err)
	}
	return j, nil
}

// Comment writes something down of a site. The errors of this and the next ones hold a *Fault where something typed is wrong; any other says that the entry could not be kept.
func (j *Journal) Comment(who, site, text string) (Entry, error) {
	return j.Note(who, site, text, Comment)
}

// Note writes down a comment, or that something was asked of an agent.
func (j *Journal) Note(who, site, text string, kind Kind) (Entry, error) {
	if kind != Comment && kind != Command {
		return Entry{}, fault("kind", "%q is no kind of note", kind)
	}
	return j.add(Entry{Who: who, Site: site, Text: clean(text), Kind: kind})
}

// Acknowledge says that somebody takes care of a site's trouble, or of an alert. It holds until the site is up again or the alert ends. The text may be empty.
func (j *Journal) Acknowledge(who, site, alert, text string) (Entry, error) {
	return j.add(Entry{Who: who, Site: site, Alert: alert, Text: clean(text), Kind: Acknowledge})
}

// Plan writes a maintenance window down. ID and Who of the window are set; a zero From is now.
func (j *Journal) Plan(who string, w Window) (Entry, error) {
	now := j.now()
	w.Who, w.Reason = who, clean(w.Reason)
	if w.From.IsZero() {
		w.From = now
	}
	w.From, w.To = w.From.UTC().Truncate(time.Millisecond), w.To.UTC().Truncate(time.Millisecond)
	switch {
	case !w.To.IsZero() && !w.To.After(now):
		return Entry{}, fault("to", "is in the past; plan a window that has not ended")
	case w.From.Before(now.Add(-maxLength)):
		return Entry{}, fault("from", "is more than a year ago; begin it now")
	case w.From.After(now.Add(farAway)) || w.To.After(now.Add(2*farAway)):
		return Entry{}, fault("from", "is more than five years ahead; check the year")
	}
	if len(j.Windows()) >= maxWindows {
		return Entry{}, fault("window", "%d windows are planned, which is the most; cancel some", maxWindows)
	}
	e := Entry{Who: who, Site: w.Scope.Site, Kind: Maintenance, Window: &w}
	if err := w.check(); err == nil {
		if _, _, ok := w.Next(now); !ok {
			return Entry{}, fault("weekly", "no such hour lies between beginning and end, so it would never begin; choose another end")
		}
	}
	return j.add(e)
}

// Cancel ends a window that is planned or runs, from now on.
func (j *Journal) Cancel(who string, window uint64) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.now()
	for _, p := range j.plans {
		if p.ID == window && !p.over(now) {
			return j.append(Entry{Who: who, Site: p.Scope.Site, Kind: Cancel, Of: window})
		}
	}
	return Entry{}, fault("window", "it is not planned any more: it has ended, or somebody has cancelled it")
}

func (j *Journal) add(e Entry) (Entry, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(e)
}

// Maintenance tells whether a site is in a maintenance window at that time, and in which: of several, one of its own before one that it shares.
func (j *Journal) Maintenance(site fleet.Site, at time.Time) (Window, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	best := -1
	for i := range j.plans {
		p := &j.plans[i]
		if p.Scope.Has(site) && (best < 0 || p.Scope.Site != "" && j.plans[best].Scope.Site == "") && p.holds(at) {
			best = i
		}
	}
	if best < 0 {
		return Window{}, false
	}
	return j.plans[best].Window, true
}

// Windows lists what is planned and what runs, in the order in which it was planned.
func (j *Journal) Windows() []Window {
	j.mu.RLock()
	defer j.mu.RUnlock()
	now := j.now()
	out := make([]Window, 0, len(j.plans))
	for i := range j.plans {
		if !j.plans[i].over(now) {
			out = append(out, j.plans[i].Window)
		}
	}
	return out
}

// Past is a window that is over, and how it ended.
type Past struct {
	Window
	Ended       time.Time
	CancelledBy string // "" where it ended as planned
}

// Past lists windows that are over, the last to end first, at most so many.
func (j *Journal) Past(most int) []Past {
	j.mu.RLock()
	defer j.mu.RUnlock()
	now, ended := j.now(), map[uint64]Entry{}
	var out []Past
	for _, e := range slices.Backward(j.entries) { // a cancellation comes after its window
		switch {
		case e.Kind == Cancel:
			ended[e.Of] = e
		case e.Kind == Maintenance:
			if c, ok := ended[e.ID]; ok {
				out = append(out, Past{*e.Window, c.At, c.Who})
			} else if !e.Window.To.IsZero() && !now.Before(e.Window.To) {
				out = append(out, Past{*e.Window, e.Window.To, ""})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Past) int { return b.Ended.Compare(a.Ended) })
	return out[:min(len(out), max(most, 0))]
}

// Of is what was written of a site, the newest first. A window that a site shares with others is not among it.
func (j *Journal) Of(site string) []Entry {
	j.mu.RLock()
	defer j.mu.RUnlock()
	ids := j.bySite[site]
	out := make([]Entry, 0, len(ids))
	for _, id := range slices.Backward(ids) {
		if i, ok := j.index(id); ok {
			out = append(out, j.entries[i])
		}
	}
	return out
}

// Acknowledged is the newest acknowledgement of a site's trouble that began at that time. One of an alert that names the site counts too.
func (j *Journal) Acknowledged(site string, since time.Time) (Entry, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, id := range slices.Backward(j.bySite[site]) {
		i, ok := j.index(id)
		if !ok || j.entries[i].At.Before(since.Truncate(time.Millisecond)) {
			break
		}
		if j.entries[i].Kind == Acknowledge {
			return j.entries[i], true
		}
	}
	return Entry{}, false
}

// AcknowledgedAlert is the newest acknowledgement of an alert.
func (j *Journal) AcknowledgedAlert(alert string) (Entry, bool) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	for _, e := range slices.Backward(j.entries) {
		if e.Kind == Acknowledge && e.Alert == alert && alert != "" {
			return e, true
		}
	}
	return Entry{}, false
}

// Subscribe tells of changes: whoever has not read the last word yet gets one for several. A window that begins or ends by the clock is no change.
func (j *Journal) Subscribe() (ch <-chan struct{}, cancel func()) {
	c := make(chan struct{}, 1)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.hear[c] = struct{}{}
	return c, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		delete(j.hear, c)
	}
}

// index is where an entry stands. The mutex is held.
func (j *Journal) index(id uint64) (int, bool) {
	return slices.BinarySearchFunc(j.entries, id, func(e Entry, id uint64) int {
		switch {
		case e.ID < id:
			return -1
		case e.ID > id:
			return 1
		}
		return 0
	})
}

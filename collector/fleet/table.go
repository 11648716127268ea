package fleet

import (
	"log/slog"
	"os"
	"sync"
	"time"
)

// Table is a file of entries of another room, treated as the registry's own: read again when it has changed, kept as it was while
// it is broken, replaced whole. It is safe for concurrent use, and for several processes.
type Table[T any] struct {
	mu     sync.Mutex
	src    source[T]
	looked time.Time
	now    func() time.Time // measures lookEvery
	log    *slog.Logger
}

// OpenTable reads the file. One that is missing is parsed as an empty one, and taken in when it appears. What parse returns must
// not be changed afterwards.
func OpenTable[T any](file string, parse func(file string, data []byte) (T, error)) (*Table[T], error) {
	t := &Table[T]{src: source[T]{file: file, parse: parse}, now: time.Now, log: slog.New(slog.DiscardHandler)}
	var err error
	if t.src.value, err = parse(file, nil); err != nil {
		return nil, err
	}
	t.looked = t.now()
	if _, err = t.src.look(); err != nil {
		return nil, err
	}
	return t, nil
}

// LogTo names the logger that hears of a file that was taken in or refused while in use.
func (t *Table[T]) LogTo(log *slog.Logger) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.log = log
}

// Value is what the file holds, at most a second ago; while it is broken, what it held before.
func (t *Table[T]) Value() T {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	return t.src.value
}

// Fault is why the changed file was not taken in, or nil.
func (t *Table[T]) Fault() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refresh()
	return t.src.fault
}

func (t *Table[T]) refresh() {
	if now := t.now(); now.Sub(t.looked) >= lookEvery {
		t.looked = now
		t.src.refresh(t.log)
	}
}

// Change replaces the file by what comes of its value and text, in one step, and only by what parse accepts.
func (t *Table[T]) Change(mode os.FileMode, with func(value T, text string) (string, error)) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.src.change(mode, with)
}

package spool

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// tape is a file system that remembers each operation, so that the machine can be cut off after any of them, with whatever a
// kernel may by then have made of what was not synced. It fails on demand.
type tape struct {
	names map[string]*taped
	files int
	ops   []op
	fail  func(o op) (keep int, err error) // what goes wrong with an operation, and how much of a write gets down all the same
	deny  error                            // reads fail
}

type taped struct {
	id   int
	data []byte
}

type opKind int

const (
	opCreate opKind = iota
	opWrite
	opTruncate
	opSync
	opRemove
	opRename
	opSyncNames
)

type op struct {
	kind opKind
	name string // of create, remove, rename
	to   string // of rename
	id   int    // the file
	off  int64  // of a write; the size of a truncation
	data []byte
}

func newTape() *tape { return &tape{names: map[string]*taped{}} }

// do decides what becomes of an operation and remembers it; keep is the number of bytes of a write that get down.
func (f *tape) do(o op) (keep int, err error) {
	keep = len(o.data)
	if f.fail != nil {
		if k, e := f.fail(o); e != nil {
			keep, err = min(k, keep), e
		}
	}
	if o.kind == opWrite {
		o.data = slices.Clone(o.data[:keep])
	} else if err != nil {
		return 0, err
	}
	if o.kind != opWrite || keep > 0 {
		f.ops = append(f.ops, o)
	}
	return keep, err
}

func (f *tape) open(name string, create bool) (file, error) {
	i := f.names[name]
	if !create {
		if f.deny != nil {
			return nil, f.deny
		}
		if i == nil {
			return nil, fs.ErrNotExist
		}
		return &tapedFile{f, i}, nil
	}
	if i != nil {
		h := &tapedFile{f, i}
		return h, h.Truncate(0)
	}
	f.files++
	i = &taped{id: f.files}
	if _, err := f.do(op{kind: opCreate, name: name, id: i.id}); err != nil {
		return nil, err
	}
	f.names[name] = i
	return &tapedFile{f, i}, nil
}

func (f *tape) remove(name string) error {
	if f.names[name] == nil {
		return fs.ErrNotExist
	}
	if _, err := f.do(op{kind: opRemove, name: name}); err != nil {
		return err
	}
	delete(f.names, name)
	return nil
}

func (f *tape) rename(from, to string) error {
	if f.names[from] == nil {
		return fs.ErrNotExist
	}
	if _, err := f.do(op{kind: opRename, name: from, to: to}); err != nil {
		return err
	}
	f.names[to] = f.names[from]
	delete(f.names, from)
	return nil
}

func (f *tape) list() ([]string, error) { return slices.Sorted(maps.Keys(f.names)), f.deny }
func (f *tape) sync() error             { _, err := f.do(op{kind: opSyncNames}); return err }
func (f *tape) close() error            { return nil }

type tapedFile struct {
	f *tape
	i *taped
}

func (h *tapedFile) ReadAt(p []byte, off int64) (int, error) {
	if h.f.deny != nil {
		return 0, h.f.deny
	}
	n := 0
	if off < int64(len(h.i.data)) {
		n = copy(p, h.i.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *tapedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := h.f.do(op{kind: opWrite, id: h.i.id, off: off, data: p})
	h.i.write(p[:n], off)
	return n, err
}

func (i *taped) write(p []byte, off int64) {
	if len(p) == 0 {
		return
	}
	i.cut(max(int64(len(i.data)), off+int64(len(p))))
	copy(i.data[off:], p)
}

func (i *taped) cut(size int64) {
	if n := size - int64(len(i.data)); n > 0 {
		i.data = append(i.data, make([]byte, n)...)
	}
	i.data = i.data[:size]
}

func (h *tapedFile) Truncate(size int64) error {
	if _, err := h.f.do(op{kind: opTruncate, id: h.i.id, off: size}); err != nil {
		return err
	}
	h.i.cut(size)
	return nil
}

func (h *tapedFile) Sync() error          { _, err := h.f.do(op{kind: opSync, id: h.i.id}); return err }
func (h *tapedFile) Close() error         { return nil }
func (h *tapedFile) size() (int64, error) { return int64(len(h.i.data)), nil }

// fate is what a cut makes of an operation that no sync had made durable: how many bytes of a write got down, and whether
// the rest of them reads as zeros. 0 bytes and no zeros: the operation never happened.
type fate func(o op, last bool) (happened bool, bytes int, zeros bool)

// cutAfter returns the file system as it is found after a cut behind the first n operations.
func (f *tape) cutAfter(n int, how fate) *tape {
	syncedFile := map[int]int{} // file: the last operation that its sync covers
	syncedNames := 0
	for k, o := range f.ops[:n] {
		switch o.kind {
		case opSync:
			syncedFile[o.id] = k
		case opSyncNames:
			syncedNames = k
		}
	}
	out := newTape()
	all := map[int]*taped{}
	content := func(id int) *taped {
		if all[id] == nil {
			all[id] = &taped{id: id}
		}
		return all[id]
	}
	for k, o := range f.ops[:n] {
		happened, bytes, zeros := true, len(o.data), false
		switch o.kind {
		case opWrite, opTruncate:
			if k > syncedFile[o.id] {
				happened, bytes, zeros = how(o, k == n-1)
			}
		default:
			if k > syncedNames {
				happened, _, _ = how(o, k == n-1)
			}
		}
		if !happened {
			continue
		}
		switch o.kind {
		case opCreate:
			out.names[o.name] = content(o.id)
		case opWrite:
			if zeros {
				content(o.id).write(make([]byte, len(o.data)), o.off)
			}
			content(o.id).write(o.data[:min(bytes, len(o.data))], o.off)
		case opTruncate:
			content(o.id).cut(o.off)
		case opRemove:
			delete(out.names, o.name)
		case opRename:
			if i := out.names[o.name]; i != nil {
				out.names[o.to] = i
				delete(out.names, o.name)
			}
		}
	}
	out.files = f.files
	return out
}

// fates are the ways in which a cut is tried behind each operation.
func fates(r *rand.Rand) map[string]fate {
	names := func(o op) bool { return o.kind != opWrite && o.kind != opTruncate }
	torn := func(size func(int) int) fate {
		return func(o op, last bool) (bool, int, bool) {
			if last && o.kind == opWrite {
				return true, size(len(o.data)), false
			}
			return true, len(o.data), false
		}
	}
	return map[string]fate{
		"killed":                 torn(func(n int) int { return n }),
		"torn at once":           torn(func(int) int { return 1 }),
		"torn in a header":       torn(func(n int) int { return min(n, frameLen-1) }),
		"torn in the middle":     torn(func(n int) int { return n / 2 }),
		"torn at the end":        torn(func(n int) int { return n - 1 }),
		"nothing but the synced": func(op, bool) (bool, int, bool) { return false, 0, false },
		"names without contents": func(o op, _ bool) (bool, int, bool) { return names(o), 0, false },
		"contents without names": func(o op, _ bool) (bool, int, bool) { return !names(o), len(o.data), false },
		"sizes without contents": func(o op, _ bool) (bool, int, bool) { return true, 0, true },
		"some, in another order": func(o op, _ bool) (bool, int, bool) { return r.IntN(2) == 0, len(o.data), false },
		"some, in pieces":        func(o op, _ bool) (bool, int, bool) { return r.IntN(3) > 0, r.IntN(len(o.data) + 1), r.IntN(2) == 0 },
	}
}

func TestTheTapeCutsWhereItSays(t *testing.T) {
	f := newTape()
	h, err := f.open("a", true)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { _, err := h.WriteAt([]byte("one"), 0); return err },
		h.Sync, f.sync,
		func() error { _, err := h.WriteAt([]byte("two"), 3); return err },
		func() error { return f.rename("a", "b") },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	how := fates(rng(1))
	for _, r := range []struct {
		how        string
		name, want string
	}{
		{"killed", "b", "onetwo"}, {"nothing but the synced", "a", "one"}, {"names without contents", "b", "one"},
		{"contents without names", "a", "onetwo"}, {"sizes without contents", "b", "one\x00\x00\x00"},
	} {
		g := f.cutAfter(len(f.ops), how[r.how])
		if i := g.names[r.name]; len(g.names) != 1 || i == nil || string(i.data) != r.want {
			t.Errorf("%s: %v", r.how, g.names)
		}
	}
	if g := f.cutAfter(5, how["torn at once"]); string(g.names["a"].data) != "onet" {
		t.Errorf("torn: %q", g.names["a"].data)
	}
}

package spool

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

var errDead = errors.New("the machine is down")

// disk is a file system with faults: it fills up, fails syncs, dies in the middle of a write, and forgets at a power cut what
// was not synced.
type disk struct {
	now      map[string]*inode // what a running kernel sees
	durable  map[string]*inode // the names that survive a power cut
	ops      int               // operations that change something, so far
	dieAt    int               // die in this operation; 0 never
	keep     int               // bytes that the dying write still gets down
	dead     bool
	limit    int64 // bytes of all files; 0 unlimited
	badSync  bool  // syncs fail
	falseBad bool  // failing syncs get the bytes down all the same
	badCut   bool  // truncate fails
	noPower  bool  // no power cut will come, so syncs need not remember anything
}

type inode struct{ now, durable []byte }

func newDisk() *disk { return &disk{now: map[string]*inode{}, durable: map[string]*inode{}} }

// step counts an operation; true when the machine dies in it.
func (d *disk) step() bool {
	d.ops++
	if d.ops == d.dieAt {
		d.dead = true
	}
	return d.dead
}

// reboot brings the machine up again. After a mere kill the kernel still has all that was written. After a power cut
// each name and each file is as last synced, or as last written, or something between.
func (d *disk) reboot(power bool, rng *rand.Rand) {
	d.dead, d.dieAt, d.keep = false, 0, 0
	if !power {
		return
	}
	names := map[string]*inode{}
	all := map[string]bool{}
	for n := range d.now {
		all[n] = true
	}
	for n := range d.durable {
		all[n] = true
	}
	for _, n := range slices.Sorted(maps.Keys(all)) {
		from := d.now
		if rng.IntN(2) == 0 {
			from = d.durable
		}
		if i := from[n]; i != nil {
			names[n] = i
		}
	}
	for _, n := range slices.Sorted(maps.Keys(names)) {
		i := names[n]
		switch rng.IntN(3) {
		case 0:
			i.now = slices.Clone(i.durable)
		case 1:
			if len(i.now) > len(i.durable) {
				i.now = i.now[:len(i.durable)+rng.IntN(len(i.now)-len(i.durable)+1)]
			}
		case 2: // the size got down, the blocks did not
			for k := len(i.durable); k < len(i.now); k++ {
				i.now[k] = 0
			}
		}
		i.durable = slices.Clone(i.now)
	}
	d.now, d.durable = names, maps.Clone(names)
}

func (d *disk) used() (n int64) {
	for _, i := range d.now {
		n += int64(len(i.now))
	}
	return n
}

func (d *disk) open(name string, create bool) (file, error) {
	if d.dead {
		return nil, errDead
	}
	i := d.now[name]
	if create {
		if d.step() {
			return nil, errDead
		}
		i = &inode{}
		d.now[name] = i
	}
	if i == nil {
		return nil, fs.ErrNotExist
	}
	return &handle{d: d, i: i}, nil
}

func (d *disk) remove(name string) error {
	if d.step() {
		return errDead
	}
	if d.now[name] == nil {
		return fs.ErrNotExist
	}
	delete(d.now, name)
	return nil
}

func (d *disk) rename(from, to string) error {
	if d.step() {
		return errDead
	}
	d.now[to] = d.now[from]
	delete(d.now, from)
	return nil
}

func (d *disk) list() ([]string, error) { return slices.Sorted(maps.Keys(d.now)), nil }

func (d *disk) sync() error {
	if d.step() {
		return errDead
	}
	d.durable = maps.Clone(d.now)
	return nil
}

func (d *disk) close() error { return nil }

type handle struct {
	d *disk
	i *inode
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	if h.d.dead {
		return 0, errDead
	}
	if off >= int64(len(h.i.now)) {
		return 0, io.EOF
	}
	n := copy(p, h.i.now[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	if h.d.dead {
		return 0, errDead
	}
	var err error
	if h.d.step() {
		p, err = p[:min(h.d.keep, len(p))], errDead
	}
	if grow := off + int64(len(p)) - int64(len(h.i.now)); h.d.limit > 0 && grow > 0 && h.d.used()+grow > h.d.limit {
		room := max(0, int64(len(p))-(h.d.used()+grow-h.d.limit))
		p, err = p[:room], syscall.ENOSPC
	}
	if need := int(off) + len(p); need > len(h.i.now) {
		h.i.now = append(h.i.now, make([]byte, need-len(h.i.now))...)
	}
	return copy(h.i.now[off:], p), err
}

func (h *handle) Truncate(size int64) error {
	if h.d.step() {
		return errDead
	}
	if h.d.badCut {
		return syscall.EIO
	}
	h.i.now = h.i.now[:min(size, int64(len(h.i.now)))]
	return nil
}

func (h *handle) Sync() error {
	if h.d.step() {
		return errDead
	}
	if h.d.badSync {
		if h.d.falseBad {
			h.i.durable, h.d.durable = slices.Clone(h.i.now), maps.Clone(h.d.now)
		}
		return syscall.EIO
	}
	if !h.d.noPower {
		h.i.durable = slices.Clone(h.i.now)
	}
	return nil
}

func (h *handle) Close() error         { return nil }
func (h *handle) size() (int64, error) { return int64(len(h.i.now)), nil }

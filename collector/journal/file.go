package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// open reads the file, makes it where there is none, cuts a torn tail off and lets go what is too old.
func (j *Journal) open() error {
	if err := os.MkdirAll(filepath.Dir(j.path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(j.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if made := err == nil; made {
		dir := filepath.Dir(j.path)
		err = errors.Join(wholefile.KeepOwner(f, j.path+".none", dir), f.Close(), wholefile.SyncFolder(dir))
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err == nil {
		err = j.readFile()
	}
	if err != nil {
		return err
	}
	if len(j.entries) > 0 && j.entries[0].At.Before(j.now().Add(-keepFor)) || j.size > j.most {
		j.compact()
	}
	return nil
}

// readFile takes the file in as it is now.
func (j *Journal) readFile() error {
	data, err := os.ReadFile(j.path)
	if err != nil {
		return err
	}
	return j.read(data)
}

// read takes the content of the file in.
func (j *Journal) read(data []byte) error {
	whole := bytes.LastIndexByte(data, '\n') + 1
	if whole < len(data) {
		j.log.Warn("the operators' journal ended in the midst of an entry, which was never confirmed; it is cut off", "file", j.path, "bytes", len(data)-whole)
		if err := cut(j.path, int64(whole)); err != nil {
			return fmt.Errorf("cut a torn tail off: %w", err)
		}
	}
	j.size = int64(whole)
	j.entries, j.last, j.plans, j.bySite = nil, 0, nil, map[string][]uint64{}
	n := 0
	for line := range bytes.Lines(data[:whole]) {
		n++
		e, err := decode(bytes.TrimSuffix(line, []byte("\n")))
		if err == nil && e.ID <= j.last {
			err = fmt.Errorf("id %d does not follow %d", e.ID, j.last)
		}
		if err != nil {
			j.log.Warn("a line of the operators' journal cannot be read and is skipped", "file", j.path, "line", n, "error", err)
			continue
		}
		j.take(e)
	}
	return nil
}

// take puts an entry into memory. The mutex is held.
func (j *Journal) take(e Entry) {
	j.entries, j.last = append(j.entries, e), e.ID
	if e.Site != "" {
		j.bySite[e.Site] = append(j.bySite[e.Site], e.ID)
	}
	switch e.Kind {
	case Maintenance:
		j.plans = append(j.plans, newPlan(*e.Window))
	case Cancel:
		j.drop(func(p plan) bool { return p.ID == e.Of })
	}
}

// drop takes plans away. Those who hold the old list keep it whole.
func (j *Journal) drop(gone func(plan) bool) {
	var left []plan
	for _, p := range j.plans {
		if !gone(p) {
			left = append(left, p)
		}
	}
	j.plans = left
}

// append writes an entry and takes it in when it is on the disk. The mutex is held.
func (j *Journal) append(e Entry) (Entry, error) {
	e.At, e.ID = j.now().UTC().Truncate(time.Millisecond), j.last+1
	if e.Window != nil {
		w := *e.Window
		w.ID = e.ID
		e.Window = &w
	}
	if err := e.check(); err != nil {
		return Entry{}, err
	}
	line, err := e.encode()
	if err != nil {
		return Entry{}, err
	}
	if j.size+int64(len(line)) > j.most {
		j.compact()
	}
	if err := j.write(line); err != nil {
		return Entry{}, fmt.Errorf("write to the operators' journal %s: %w; see to the disk and to the owner of the file. Nothing was done", j.path, err)
	}
	j.take(e)
	if now := j.now(); len(j.plans) > 2*maxWindows {
		j.drop(func(p plan) bool { return p.over(now) })
	}
	for c := range j.hear {
		select {
		case c <- struct{}{}:
		default: // there is one that was not read
		}
	}
	return e, nil
}

// write puts a line behind what is whole, and goes back to that where it fails.
func (j *Journal) write(line []byte) (err error) {
	if j.size+int64(len(line)) > 2*j.most {
		return fmt.Errorf("it has %d bytes and cannot be made smaller, as the log says", j.size)
	}
	f, err := os.OpenFile(j.path, os.O_RDWR, 0o600) // not made anew: an empty file in the place of one that somebody has moved would lose all silently
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != j.size && !j.dirty {
		return fmt.Errorf("somebody else has changed it: it has %d bytes and not %d; restart the collector, which reads it anew", info.Size(), j.size)
	}
	if j.dirty {
		if err := f.Truncate(j.size); err != nil {
			return err
		}
	}
	j.dirty = true
	if _, err = f.WriteAt(line, j.size); err == nil {
		err = f.Sync()
	}
	if err != nil { // a full disk takes half a line
		j.dirty = f.Truncate(j.size) != nil
		return err
	}
	j.dirty = false
	j.size += int64(len(line))
	return nil
}

// cut shortens a file.
func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// compact writes the file anew without what is too old, down to three quarters of its bound. Windows that are not over stay, and the newest entry, so that no id
// is given twice. Where it fails the old file stays, and the log says so. The mutex is held.
func (j *Journal) compact() {
	now := j.now()
	open := map[uint64]bool{j.last: true}
	for i := range j.plans {
		open[j.plans[i].ID] = !j.plans[i].over(now)
	}
	lines, total := make([][]byte, len(j.entries)), int64(0)
	for i, e := range j.entries {
		lines[i], _ = e.encode() // it was read or written as one
		total += int64(len(lines[i]))
	}
	var text bytes.Buffer
	dropped := 0
	for i, e := range j.entries {
		if !open[e.ID] && (e.At.Before(now.Add(-keepFor)) || total > j.most*3/4) {
			total -= int64(len(lines[i]))
			dropped++
			continue
		}
		text.Write(lines[i])
	}
	err := wholefile.Replace(j.path, text.Bytes(), 0o600)
	if err == nil {
		j.dirty = false
		err = j.read(text.Bytes())
	}
	if err != nil { // the old file or the new one is there, whole
		j.log.Error("the operators' journal cannot be made smaller", "file", j.path, "error", errors.Join(err, j.readFile()))
		return
	}
	j.log.Info("old entries of the operators' journal were let go", "file", j.path, "entries", dropped, "bytes", j.size)
}

package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/internal/wholefile"
	"github.com/smartvillage/nabz/telemetry"
)

// letter is a dead letter: a message, or one line of a batch, that can never be stored. Its file holds one JSON
// object on each line; the payload is in base64.
type letter struct {
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	Batch   string    `json:"batch,omitempty"` // boot and number of the batch that a line was in; "" for a whole message
	Line    int       `json:"line,omitempty"`  // its number in the batch, from 1, where it is known
	Count   int       `json:"count,omitempty"` // of a whole message: how many of its lines cannot be stored, where that is known
	Reason  string    `json:"reason"`
	Payload []byte    `json:"payload"`
}

// letters are the dead letters of a batch that is stored in part: each bad line with its reason, or the whole message where that takes much less.
// Messages are packed, and lines are not: whoever sends many bad lines must not write a hundred times as much to the disk.
func (b *batch) letters(now time.Time) []letter {
	const around, little = 250, 4 << 10 // bytes of a letter beside its payload; bytes that are worth a reason for each line
	size, from := 0, b.address.String()
	for _, l := range b.bad {
		size += len(l.Raw)*4/3 + around
	}
	if size > max(little, 4*(len(b.payload)*4/3+around)) {
		return []letter{{At: now, From: from, Count: len(b.bad), Reason: b.why(), Payload: b.payload}}
	}
	out := make([]letter, len(b.bad))
	for i, l := range b.bad {
		out[i] = letter{At: now, From: from, Line: l.Number, Reason: l.Err.Error(), Payload: l.Raw}
		if !b.foreign {
			out[i].Batch = fmt.Sprintf("%s %d", b.header.Boot, b.header.Seq)
		}
	}
	return out
}

// lines is how many lines a batch of which nothing can be stored has, as far as is known.
func (b *batch) lines() int { return len(b.good) + len(b.bad) }

type letterMetrics struct{ written, dropped prometheus.Counter }

// deadLetters is a folder of files of JSON lines, bounded in all: "<number>.<site>.<agent>.jsonl", the numbers rising. Of the agent that has most
// the oldest file makes room, so that nobody's letters push out those of one who has few. Other programs may take letters away at any time; each
// change is made under the folder's lock.
type deadLetters struct {
	mu    sync.Mutex
	dir   string
	max   int64
	m     letterMetrics
	files map[string][]letterFile // by owner, oldest first
	next  int
}

type letterFile struct {
	name string // in the folder
	size int64
}

// letterParts is into how many files the folder's bound is cut: dropping one loses at most that part of the letters.
const letterParts = 64

// owner is whose letters a file holds; files of the first version held everybody's.
func owner(name string) (number int, who string, ok bool) {
	base, ok := strings.CutSuffix(name, ".jsonl")
	digits, who, owned := strings.Cut(base, ".")
	n, err := strconv.ParseUint(digits, 10, 63)
	if !ok || err != nil || len(digits) != 10 {
		return 0, "", false
	}
	_, err = telemetry.ParseAddress(strings.Replace(who, ".", "/", 1))
	return int(n), who, !owned || err == nil
}

// openDeadLetters takes up the folder. A torn record at the end of a file, which nobody was told of, is cut off.
func openDeadLetters(dir string, bound int64, m letterMetrics) (*deadLetters, error) {
	d := &deadLetters{dir: dir, max: bound, m: m}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of dead letters: %w; give it to the user of the collector, or change data_dir", err)
	}
	unlock, err := wholefile.Lock(dir)
	if err != nil {
		return nil, fmt.Errorf("take up the dead letters: %w", err)
	}
	defer unlock()
	if err := d.scan(); err != nil {
		return nil, fmt.Errorf("take up the dead letters: %w", err)
	}
	for _, files := range d.files {
		for _, f := range files {
			if err := mend(filepath.Join(dir, f.name)); err != nil {
				return nil, fmt.Errorf("take up the dead letters: %w", err)
			}
		}
	}
	return d, nil
}

// scan looks what is in the folder.
func (d *deadLetters) scan() error {
	entries, err := os.ReadDir(d.dir) // sorted by name, so by number
	if err != nil {
		return err
	}
	d.files = map[string][]letterFile{}
	for _, e := range entries {
		number, who, ok := owner(e.Name())
		if !ok {
			if left, _ := filepath.Match("*.jsonl.*.new", e.Name()); left { // of a replay that was killed; the lock is held, so nobody writes it
				_ = os.Remove(filepath.Join(d.dir, e.Name()))
			}
			continue // else not ours
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		d.files[who] = append(d.files[who], letterFile{e.Name(), info.Size()})
		d.next = max(d.next, number+1)
	}
	return nil
}

// mend cuts a torn tail off.
func mend(name string) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if whole := bytes.LastIndexByte(b, '\n') + 1; whole < len(b) {
		return os.Truncate(name, int64(whole))
	}
	return nil
}

// Append writes letters of one agent; when it returns nil they are on the disk.
func (d *deadLetters) Append(a telemetry.Address, letters []letter) error {
	var b bytes.Buffer
	for _, l := range letters {
		if err := l.append(&b); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.add(a.Site+"."+a.Agent, b.Bytes()); err != nil {
		return fmt.Errorf("dead letters in %s: %w", d.dir, err)
	}
	d.m.written.Add(float64(len(letters)))
	return nil
}

func (l letter) append(b *bytes.Buffer) error {
	if len(l.Reason) > telemetry.MaxString {
		l.Reason = strings.ToValidUTF8(l.Reason[:telemetry.MaxString], "")
	}
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return fmt.Errorf("dead letter: %w", err)
	}
	return nil
}

// add appends text to the newest file of an agent, or begins one. The mutex is held.
func (d *deadLetters) add(who string, text []byte) error {
	unlock, err := wholefile.Lock(d.dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.makeRoom(who, int64(len(text))); err != nil {
		return err
	}
	files := d.files[who]
	if n := len(files); n == 0 || files[n-1].size >= d.max/letterParts {
		name := fmt.Sprintf("%010d.%s.jsonl", d.next, who)
		d.next++
		files = append(files, letterFile{name: name})
	}
	last := &files[len(files)-1]
	size, err := write(filepath.Join(d.dir, last.name), text)
	if err != nil {
		return err
	}
	if size == int64(len(text)) { // it is new, or was taken away meanwhile
		if err := wholefile.SyncFolder(d.dir); err != nil {
			return err
		}
	}
	last.size = size
	d.files[who] = files
	return nil
}

// write appends text to a file, or makes it, and tells its size. What was written in part is taken back, so that the next record begins on a line of
// its own.
func write(name string, text []byte) (size int64, err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return 0, errors.Join(err, f.Close())
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return 0, errors.Join(err, f.Truncate(info.Size()), f.Close())
	}
	return info.Size() + int64(len(text)), f.Close()
}

// makeRoom drops files until n bytes of an agent fit: of whoever would have most, the oldest. The mutex and the lock are held.
func (d *deadLetters) makeRoom(who string, n int64) error {
	if n > d.max {
		return fmt.Errorf("%d bytes at once are over the bound of %d; raise intake.dead_letter_bytes", n, d.max)
	}
	for looked := false; ; {
		most, heaviest, total := int64(-1), "", n
		for w, files := range d.files {
			size := int64(0)
			for _, f := range files {
				size += f.size
			}
			total += size
			if w == who {
				size += n
			}
			if len(files) > 0 && (size > most || size == most && w < heaviest) {
				most, heaviest = size, w
			}
		}
		if total <= d.max {
			return nil
		}
		if !looked { // letters may have been taken away meanwhile
			looked = true
			if err := d.scan(); err != nil {
				return err
			}
			continue
		}
		if err := d.drop(heaviest); err != nil {
			return err
		}
	}
}

// drop removes the oldest file of an agent.
func (d *deadLetters) drop(who string) error {
	name := filepath.Join(d.dir, d.files[who][0].name)
	b, err := os.ReadFile(name)
	if err == nil {
		err = os.Remove(name)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.m.dropped.Add(float64(bytes.Count(b, []byte{'\n'})))
	if d.files[who] = slices.Delete(d.files[who], 0, 1); len(d.files[who]) == 0 {
		delete(d.files, who)
	}
	return nil
}

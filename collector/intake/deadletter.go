package intake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/smartvillage/nabz/telemetry"
)

// letter is a dead letter: a message, or one line of a batch, that can never be stored. Its file holds one JSON
// object on each line; the payload is in base64.
type letter struct {
	At      time.Time `json:"at"`
	From    string    `json:"from"`
	Batch   string    `json:"batch,omitempty"` // boot and number of the batch that a line was in
	Line    int       `json:"line,omitempty"`  // its number in the batch, from 1, where it is known
	Reason  string    `json:"reason"`
	Payload []byte    `json:"payload"`
}

// letters are the dead letters of a batch that is stored in part.
func (b *batch) letters(now time.Time) []letter {
	out := make([]letter, len(b.bad))
	for i, l := range b.bad {
		out[i] = letter{At: now, From: b.address.String(), Batch: fmt.Sprintf("%s %d", b.header.Boot, b.header.Seq),
			Line: l.Number, Reason: l.Err.Error(), Payload: l.Raw}
	}
	return out
}

type letterMetrics struct{ written, dropped prometheus.Counter }

// deadLetters is a folder of files of JSON lines, numbered, bounded in all. The oldest file makes room.
type deadLetters struct {
	mu    sync.Mutex
	dir   string
	max   int64
	m     letterMetrics
	files []letterFile // oldest first; the last one is open
	open  *os.File
	next  int
}

type letterFile struct {
	name    string
	size    int64
	letters int
}

// letterParts is into how many files the folder's bound is cut: dropping one loses that part of the letters.
const letterParts = 8

// openDeadLetters takes up the folder. A torn record at the end of a file, which nobody was told of, is cut off.
func openDeadLetters(dir string, bound int64, m letterMetrics) (*deadLetters, error) {
	d := &deadLetters{dir: dir, max: bound, m: m}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("make the folder of dead letters: %w; give it to the user of the collector, or change data_dir", err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, fmt.Errorf("dead letters in %s: %w", dir, err)
	}
	slices.Sort(names)
	for _, name := range names {
		var number int
		if _, err := fmt.Sscanf(filepath.Base(name), "%d.jsonl", &number); err != nil {
			continue // not ours
		}
		f, err := mend(name)
		if err != nil {
			return nil, fmt.Errorf("take up the dead letters: %w", err)
		}
		d.files = append(d.files, f)
		d.next = max(d.next, number+1)
	}
	return d, nil
}

// mend cuts a torn tail off and counts the letters.
func mend(name string) (letterFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return letterFile{}, err
	}
	defer f.Close()
	out := letterFile{name: name}
	var read int64
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		for i, c := range buf[:n] {
			if c == '\n' {
				out.letters++
				out.size = read + int64(i) + 1
			}
		}
		read += int64(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return out, err
		}
	}
	if read > out.size {
		return out, f.Truncate(out.size)
	}
	return out, nil
}

// Append writes letters; when it returns nil they are on the disk.
func (d *deadLetters) Append(letters []letter) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, l := range letters {
		if len(l.Reason) > telemetry.MaxString {
			l.Reason = l.Reason[:telemetry.MaxString]
		}
		if err := e.Encode(l); err != nil {
			return fmt.Errorf("dead letter: %w", err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.makeRoom(int64(b.Len())); err != nil {
		return fmt.Errorf("dead letters in %s: %w", d.dir, err)
	}
	f := &d.files[len(d.files)-1]
	_, err := d.open.Write(b.Bytes())
	if err == nil {
		err = d.open.Sync()
	}
	if err != nil { // take back what was written, so that the next record begins on a line of its own
		return fmt.Errorf("dead letters in %s: %w", d.dir, errors.Join(err, d.open.Truncate(f.size)))
	}
	f.size += int64(b.Len())
	f.letters += len(letters)
	d.m.written.Add(float64(len(letters)))
	return nil
}

// makeRoom drops the oldest files until n bytes fit, and begins a new file when the last one is full.
func (d *deadLetters) makeRoom(n int64) error {
	if n > d.max {
		return fmt.Errorf("%d bytes at once are over the bound of %d", n, d.max)
	}
	total := n
	for _, f := range d.files {
		total += f.size
	}
	for total > d.max {
		f := d.files[0]
		if len(d.files) == 1 {
			if err := d.closeFile(); err != nil {
				return err
			}
		}
		if err := os.Remove(f.name); err != nil {
			return err
		}
		d.m.dropped.Add(float64(f.letters))
		total -= f.size
		d.files = d.files[1:]
	}
	if d.open != nil && d.files[len(d.files)-1].size < d.max/letterParts {
		return nil
	}
	if err := d.closeFile(); err != nil {
		return err
	}
	name := filepath.Join(d.dir, fmt.Sprintf("%010d.jsonl", d.next))
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o640)
	if err != nil {
		return err
	}
	d.next++
	d.open, d.files = f, append(d.files, letterFile{name: name})
	return syncFolder(d.dir)
}

func (d *deadLetters) closeFile() error {
	if d.open == nil {
		return nil
	}
	f := d.open
	d.open = nil
	return f.Close()
}

// Close gives the open file back.
func (d *deadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closeFile()
}

func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

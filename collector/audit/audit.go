package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/smartvillage/nabz/internal/wholefile"
)

// Outcome is how it ended.
type Outcome string

// The outcomes. What was Refused had no effect, and lies in a file of its own.
const (
	Done    Outcome = "done"
	Failed  Outcome = "failed" // let through, and went wrong; the detail says why
	Refused Outcome = "refused"
)

// Entry is one thing that somebody did. At is set by Record.
type Entry struct {
	At      time.Time `json:"at"`               // UTC
	Who     string    `json:"who"`              // a user of the board, "unix:NAME" at the command line, "" where nobody knows
	From    string    `json:"from"`             // a host's address, or "command line"
	What    string    `json:"what"`             // such as "sign in", "user add", "command speedtest"
	On      string    `json:"on,omitempty"`     // to whom or what: a user, a site, site/agent
	Outcome Outcome   `json:"outcome"`          //
	Detail  string    `json:"detail,omitempty"` // for people
}

const (
	maxText = 512     // bytes of each text
	maxFile = 4 << 20 // bytes, after which a file goes to an older name
	older   = 8       // older files kept
)

// Log is the audit log in one folder. It is safe for concurrent use and for several processes.
type Log struct {
	dir     string
	now     func() time.Time
	maxFile int64
	mu      sync.Mutex
}

// New is the log in that folder, which is made with the first entry.
func New(dir string, now func() time.Time) *Log { return &Log{dir: dir, now: now, maxFile: maxFile} }

// Record writes an entry. An error says that it is not on the disk: what must not be done unrecorded should not be done then.
func (l *Log) Record(e Entry) error {
	e.At = l.now().UTC().Truncate(time.Millisecond)
	for _, t := range []*string{&e.Who, &e.From, &e.What, &e.On, &e.Detail} {
		*t = short(*t)
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("record %q in the audit log: %w", e.What, err)
	}
	name := "done"
	if e.Outcome == Refused {
		name = "refused"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.append(name, append(line, '\n')); err != nil {
		return fmt.Errorf("record %q in the audit log: %w; see to the disk and to the owner of %s", e.What, err, l.dir)
	}
	return nil
}

func short(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= maxText {
		return text
	}
	cut := maxText - len("…")
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

func (l *Log) append(name string, line []byte) (err error) {
	if err := wholefile.Folder(l.dir, 0o750); err != nil {
		return err
	}
	unlock, err := wholefile.Lock(l.dir)
	if err != nil {
		return err
	}
	defer unlock()
	file := l.name(name, 0)
	size, err := sizeOf(file)
	if err == nil && size > 0 && size+int64(len(line)) > l.maxFile {
		err = l.rotate(name)
		size = -1
	}
	if err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if size < 0 {
		if err := wholefile.KeepOwner(f, file+".none", l.dir); err != nil {
			return err
		}
	}
	if size > 0 { // a line that a power cut tore stays alone
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return err
		}
		if last[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Truncate(max(size, 0))) // a full disk takes half a line
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if size < 0 {
		return wholefile.SyncFolder(l.dir)
	}
	return nil
}

// rotate gives each file the next older name.
func (l *Log) rotate(name string) error {
	for n := older; n > 0; n-- {
		if err := os.Rename(l.name(name, n-1), l.name(name, n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return wholefile.SyncFolder(l.dir)
}

// name is that of a file; 0 is the newest.
func (l *Log) name(name string, n int) string {
	if n > 0 {
		name = fmt.Sprintf("%s.%d", name, n)
	}
	return filepath.Join(l.dir, name+".jsonl")
}

// sizeOf is -1 where there is no file.
func sizeOf(file string) (int64, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return -1, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

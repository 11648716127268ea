package intake

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// DeadLetter is what is kept of one batch: its bad lines, or the message as a whole.
type DeadLetter struct {
	ID     string       `json:"id"` // of eight hex digits; the same for as long as the letter is kept
	At     time.Time    `json:"at"` // of the first time; an agent that missed the answer sent it again
	From   string       `json:"from"`
	Batch  string       `json:"batch,omitempty"`
	Lines  int          `json:"lines"` // that cannot be stored; 0: not known, as the message cannot be opened
	Reason string       `json:"reason"`
	Bytes  int64        `json:"bytes"`             // on the disk
	Parts  []LetterPart `json:"content,omitempty"` // only where they were asked for
}

// LetterPart is a line, or a message that cannot be opened.
type LetterPart struct {
	Line   int    `json:"line,omitempty"` // its number in the batch, where it is known
	Reason string `json:"reason,omitempty"`
	Text   string `json:"text"`
}

// id names a letter by what it is of, so that it stays the same when others go, or when its reason changes.
func (l *letter) id() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", l.From, l.Batch)
	if l.Batch == "" {
		h.Write(l.Payload)
	}
	return hex.EncodeToString(h.Sum(nil)[:4])
}

// record is a letter as it lies in a file.
type record struct {
	letter
	raw []byte // its line, without the newline
}

// maxRecord bounds a line of a file: a message in base64, and what is around it.
const maxRecord = telemetry.MaxMessage*4/3 + 16<<10

// letterFiles are the files of a folder, oldest first; none where there is no folder.
func letterFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the dead letters: %w; run as the user of the collector, or as root", err)
	}
	for _, e := range entries {
		if _, _, ok := owner(e.Name()); ok {
			names = append(names, filepath.Join(dir, e.Name()))
		}
	}
	return names, nil
}

// readLetters reads a file to its last whole record. A line that is no record is passed by: each is called for records only. A file that
// has gone meanwhile has none.
func readLetters(name string, each func(record) error) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the dead letters: %w; run as the user of the collector, or as root", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 64<<10)
	for {
		raw, err := readRecord(in)
		if err != nil {
			return nil // the end, or a torn tail
		}
		r, ok := parseRecord(raw)
		if !ok {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
}

// readRecord reads a line; one that is longer than any record comes back empty.
func readRecord(in *bufio.Reader) (raw []byte, err error) {
	long := false
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			raw = append(raw, part...)
		}
		if len(raw) > maxRecord {
			long, raw = true, nil
		}
		switch {
		case err == nil:
			return bytes.TrimSuffix(raw, []byte{'\n'}), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

func parseRecord(raw []byte) (record, bool) {
	r := record{raw: raw}
	err := json.Unmarshal(raw, &r.letter)
	if err == nil {
		_, err = telemetry.ParseAddress(r.From)
	}
	return r, err == nil
}

// ListDeadLetters reads the folder: all letters, or those whose id begins so. With parts, what they hold too.
func ListDeadLetters(dir, id string, parts bool) ([]DeadLetter, error) {
	names, err := letterFiles(dir)
	if err != nil {
		return nil, err
	}
	codec, err := telemetry.NewCodec()
	if err != nil {
		return nil, err
	}
	defer codec.Close()
	found := map[string]*DeadLetter{}
	for _, name := range names {
		if err := readLetters(name, func(r record) error {
			key := r.id()
			if !strings.HasPrefix(key, id) {
				return nil
			}
			d := found[key]
			if d == nil {
				d = &DeadLetter{ID: key, At: r.At, From: r.From, Batch: r.Batch, Reason: r.Reason}
				found[key] = d
			}
			d.Bytes += int64(len(r.raw)) + 1
			switch {
			case r.Batch != "":
				d.Lines++
			case r.Count > 0:
				d.Lines = r.Count
			}
			if parts {
				d.Parts = append(d.Parts, contents(codec, &r.letter)...)
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	out := make([]DeadLetter, 0, len(found))
	for _, d := range found {
		out = append(out, *d)
	}
	slices.SortFunc(out, func(a, b DeadLetter) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out, nil
}

// contents is what a person can read of a letter.
func contents(codec *telemetry.Codec, l *letter) (out []LetterPart) {
	if l.Batch != "" {
		return []LetterPart{{Line: l.Line, Reason: l.Reason, Text: printable(l.Payload)}}
	}
	text, _, err := codec.Open(nil, l.Payload)
	if err != nil {
		return []LetterPart{{Text: fmt.Sprintf("%d bytes that cannot be opened, beginning with %x", len(l.Payload), l.Payload[:min(len(l.Payload), 32)])}}
	}
	for n, line := range bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'}) {
		out = append(out, LetterPart{Line: n + 1, Text: printable(line)})
	}
	return out
}

// printable makes foreign bytes fit for a terminal.
func printable(b []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '\ufffd'
		}
		return r
	}, strings.ToValidUTF8(string(b), "\ufffd"))
}

package sim

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

// truthFile holds the true spans of all that was acknowledged, one JSON object a line. What it holds itself
// says where to go on, so nothing is in it twice, whatever happened between two runs.
type truthFile struct {
	f     *os.File
	w     *bufio.Writer
	until map[string]int64 // by site: written up to
}

// openTruth goes on with a file, or makes it. A torn last line is cut off.
func openTruth(file string) (*truthFile, error) {
	t := &truthFile{until: map[string]int64{}}
	if file == "" {
		return t, nil
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open truth file: %w", err)
	}
	whole, err := t.read(f)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("go on with truth file %s: %w", file, err), f.Close())
	}
	t.f, t.w = f, bufio.NewWriter(f)
	return t, nil
}

// read takes in how far each site has come, and returns the length of the whole lines.
func (t *truthFile) read(r io.Reader) (whole int64, err error) {
	in := bufio.NewReader(r)
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return whole, nil
		}
		if err != nil {
			return 0, err
		}
		var s True
		if err := json.Unmarshal(line, &s); err != nil {
			return 0, fmt.Errorf("line %d: %w; move the file away to begin anew", number, err)
		}
		t.until[s.Site] = max(t.until[s.Site], s.End.UnixMilli())
		whole += int64(len(line))
	}
}

// advance writes a site's truth from where the file ends, first from the given instant, up to another. The span
// that is open then is written when it has ended, or with all.
func (t *truthFile) advance(k *Track, from, to int64, all bool) error {
	if t.w == nil {
		return nil
	}
	from = max(from, t.until[k.site.ID])
	spans := k.Truth(time.UnixMilli(from), time.UnixMilli(to))
	if n := len(spans); n > 0 && !all {
		spans = spans[:n-1]
	}
	for _, s := range spans {
		b, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("encode truth: %w", err)
		}
		if _, err := t.w.Write(append(b, '\n')); err != nil {
			return fmt.Errorf("write truth: %w", err)
		}
		t.until[s.Site] = s.End.UnixMilli()
	}
	return nil
}

// sync puts on disk what was written.
func (t *truthFile) sync() error {
	if t.w == nil {
		return nil
	}
	if err := errors.Join(t.w.Flush(), t.f.Sync()); err != nil {
		return fmt.Errorf("write truth: %w", err)
	}
	return nil
}

func (t *truthFile) close() error {
	if t.w == nil {
		return nil
	}
	return errors.Join(t.sync(), t.f.Close())
}

// ReadTruth reads what a simulator wrote, by site, neighbours of the same state joined.
func ReadTruth(file string) (map[string][]True, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read truth: %w", err)
	}
	out := map[string][]True{}
	for number, line := range bytes.Split(bytes.TrimSpace(b), []byte{'\n'}) {
		var s True
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("read truth %s: line %d: %w", file, number+1, err)
		}
		l := out[s.Site]
		if n := len(l); n > 0 && l[n-1].End.Equal(s.Start) && l[n-1].State == s.State && l[n-1].Cause == s.Cause {
			l[n-1].End = s.End
			continue
		}
		out[s.Site] = append(l, s)
	}
	return out, nil
}

// Total sums the time in one state, of any cause, over the spans clipped to [from, to).
func Total(spans []True, from, to time.Time, states ...telemetry.State) (sum time.Duration) {
	for _, s := range spans {
		for _, state := range states {
			if s.State != state {
				continue
			}
			a, b := s.Start, s.End
			if a.Before(from) {
				a = from
			}
			if b.After(to) {
				b = to
			}
			sum += max(0, b.Sub(a))
		}
	}
	return sum
}

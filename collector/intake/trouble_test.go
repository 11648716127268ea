package intake

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestATroubleIsToldOnceWhenItBeginsAndOnceWhenItEnds(t *testing.T) {
	var log bytes.Buffer
	at := now
	tr := trouble{log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return at }}
	gone := errors.New("gone")
	step := func(after time.Duration, err error, want error) {
		t.Helper()
		at = at.Add(after)
		tr.note(err)
		if got := tr.present(); got != want {
			t.Errorf("at %v: got %v, want %v", at.Sub(now), got, want)
		}
	}
	step(0, nil, nil)
	step(time.Second, gone, gone)
	step(time.Second, gone, gone)
	step(time.Second, nil, gone) // one success among failures
	step(time.Second, gone, gone)
	if at = at.Add(calm); tr.present() != gone {
		t.Error("over without a success")
	}
	step(time.Second, nil, nil)
	step(time.Minute, gone, gone)
	if at = at.Add(stale); tr.present() != nil {
		t.Error("an old failure still counts")
	}
	step(0, gone, gone)
	if tr.recovered(); tr.present() != nil {
		t.Error("not over when InfluxDB has come back")
	}
	if begun, ended := strings.Count(log.String(), "does not take"), strings.Count(log.String(), "takes batches again"); begun != 2 || ended != 2 {
		t.Errorf("told %d times that it began and %d times that it ended, want 2 and 2:\n%s", begun, ended, log.String())
	}
	if !strings.Contains(log.String(), "after_s=9 batches_not_stored=3") {
		t.Errorf("without time and count:\n%s", log.String())
	}
}

package agent

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/probe"
	"github.com/smartvillage/nabz/agent/speedtest"
	"github.com/smartvillage/nabz/telemetry"
)

func TestARunningAgentTellsItsStatusAndProvesItself(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, c.url)
	stop := start(t, cfg)
	var s Status
	waitFor(t, "a status that tells an acknowledgement", func() bool {
		var err error
		s, err = ReadStatus(t.Context(), cfg.DataDir)
		return err == nil && s.Broker.LastAckS != nil && s.Clock == string(telemetry.ClockSynced) && s.Link.State != "" && s.Wire.UsedBytes > 0
	})
	if s.Site != address.Site || s.Agent != address.Agent || s.Profile != Standard || !s.Broker.Connected || s.Link.State != "up" || s.Link.Gateway != "127.0.0.1" ||
		s.Wire.LimitBytes != 15_000_000 || s.Boot == "" || s.Spool.MaxBytes != cfg.SpoolMaxBytes {
		t.Errorf("status %+v", s)
	}
	var text strings.Builder
	if _, err := s.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"agent     gokina/router, test, profile standard, running ", "\nlink      up for ", " of 15.00 MB (", "\nbroker    ", ", connected for "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("status lacks %q:\n%s", want, &text)
		}
	}
	if strings.Contains(text.String(), "\nnext ") {
		t.Errorf("all is well, and still something is to be done:\n%s", &text)
	}
	p, err := Prove(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil || !p.Running || p.Took <= 0 || p.Broker == "" || p.Ahead.Abs() > time.Minute {
		t.Errorf("proof %+v, %v", p, err)
	}
	stop()
	checks := 0
	for _, l := range c.lines("event") {
		if l.GetTag("kind") == "check" {
			checks++
		}
	}
	if checks != 1 {
		t.Errorf("%d test lines were stored, want 1", checks)
	}
	c.check(t)
}

func TestWithNoAgentRunningATestLineIsSentAllTheSame(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, c.url)
	if _, err := ReadStatus(t.Context(), cfg.DataDir); !errors.Is(err, ErrNotRunning) {
		t.Errorf("status without an agent: %v", err)
	}
	p, err := Prove(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil || p.Running || p.Took <= 0 {
		t.Errorf("proof %+v, %v", p, err)
	}
	if got := c.lines("event"); len(got) != 1 || got[0].GetTag("kind") != "check" {
		t.Errorf("events %v", got)
	}
	if left, _ := os.ReadDir(cfg.DataDir); len(left) > 0 {
		t.Errorf("files were left in the agent's folder: %v", left)
	}
}

func TestAProofTellsHowFarThisMachinesClockIsOff(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, c.url)
	cfg.Time.Trust = false
	cfg.Clock = func() clock.Reading {
		r := clock.SystemReading()
		r.Wall, r.Synced = r.Wall.Add(-3*time.Hour), false
		return r
	}
	for _, running := range []bool{false, true} {
		stop := func() {}
		if running {
			stop = start(t, cfg)
			waitFor(t, "a clock that follows the collector's", func() bool {
				s, err := ReadStatus(t.Context(), cfg.DataDir)
				return err == nil && s.Clock == string(telemetry.ClockSynced)
			})
			waitFor(t, "the first line that bears its time", func() bool {
				return slices.ContainsFunc(c.lines("event"), func(l telemetry.Parsed) bool { return l.GetTag("kind") == "boot" })
			})
		}
		p, err := Prove(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if off := p.Ahead + 3*time.Hour; err != nil || p.Running != running || off.Abs() > p.Took+time.Minute {
			t.Errorf("proof %+v, %v; this machine's clock is three hours behind", p, err)
		}
		stop()
	}
	for _, l := range c.lines("event") {
		if off := time.Since(time.UnixMilli(l.Time)); off > time.Hour {
			t.Errorf("an event is stamped by a clock that is wrong: %s", l.Raw)
		}
	}
}

func TestAProofThatFailsSaysHowFarItCame(t *testing.T) {
	c := newCentre(t)
	for name, row := range map[string]struct {
		broker, want string
		patience     time.Duration
	}{
		"no broker":    {"mqtt://127.0.0.1:9", "no broker could be reached", time.Second},
		"no collector": {c.url, "no collector acknowledges", 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), row.patience)
			defer cancel()
			c.ignore(cancel) // a collector that has the batch and is silent is waited for no longer
			_, err := Prove(ctx, config(t, row.broker), slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

func TestAProofThatCannotBeSealedSaysWhy(t *testing.T) {
	cfg := config(t, "mqtt://127.0.0.1:9")
	a, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	for _, step := range []struct {
		name, want string
		do         func()
	}{
		{"at the start", "stamps nothing yet", func() {}},
		{"the link is in doubt", "link seems to have failed", func() {
			a.recorder.Settle()
			now := time.Now()
			a.recorder.Verdict(probe.Verdict{State: telemetry.StateUp, At: now, Until: now, Pending: true})
		}},
		{"all is well", "", func() { up(&rig{Recorder: a.recorder}) }},
	} {
		step.do()
		got := a.sealProof()
		if sealed := got.ack != nil; sealed != (step.want == "") || !strings.Contains(got.why, step.want) {
			t.Errorf("%s: sealed %v, %q, want %q", step.name, sealed, got.why, step.want)
		}
	}
}

func TestABudgetThatCannotBeReadCostsTheSpeedTestsOnly(t *testing.T) {
	c := newCentre(t)
	cfg := config(t, c.url)
	cfg.Speedtest.Server = "http://127.0.0.1:9"
	if err := os.MkdirAll(filepath.Join(cfg.DataDir, "speedtest-budget"), 0o700); err != nil {
		t.Fatal(err)
	}
	stop := start(t, cfg)
	waitFor(t, "a set of the machine", func() bool { return len(c.lines("host")) > 0 })
	stop()
	c.check(t)
}

func TestASpeedTestThatDoesNotBeginSaysWhy(t *testing.T) {
	cfg := config(t, "mqtt://127.0.0.1:9")
	cfg.Speedtest.Server = "http://127.0.0.1:9"
	a, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.clock.Acked(time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC), time.Millisecond) // not where a month ends
	for _, row := range []struct {
		name, want string
		seen       seen
	}{
		{"just started", "not known yet whether the link works; ask again in a minute", seen{}},
		{"down", "the link is down (backhaul); \"nabz-agent check\" says what to do", seen{state: telemetry.StateDown, cause: telemetry.CauseBackhaul}},
		{"degraded", "the link is degraded", seen{state: telemetry.StateDegraded}},
		{"nobody listens", "connection refused; look at speedtest.server", seen{state: telemetry.StateUp}},
	} {
		a.seen.Store(&row.seen)
		if _, err := a.testNow(t.Context(), true); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %q", row.name, err, row.want)
		}
	}
	if err := a.whyBusy(); !errors.Is(err, speedtest.ErrBusy) || !strings.Contains(err.Error(), "more than speedtest.busy_share") { // up, so it is the villagers
		t.Errorf("used by villagers: %v", err)
	}
}

func TestTheStatusNotesWhatIsWrongWithTheDisk(t *testing.T) {
	cfg := config(t, "mqtt://127.0.0.1:9")
	cfg.DataDir = filepath.Join(t.TempDir(), strings.Repeat("n", 300)) // a name that no file system takes
	a, err := open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	a.findings()
	a.account(true) // begins the month
	a.usage.bytes++
	a.account(true)
	s := a.status()
	if all := strings.Join(s.Notes, "\n"); !strings.Contains(all, "what waits is in RAM and lost with the power") || !strings.Contains(all, "bytes used this month") {
		t.Errorf("notes %q", s.Notes)
	}
	var text strings.Builder
	if _, err := s.WriteTo(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "\nnote ") || !strings.Contains(text.String(), "\nnext ") {
		t.Errorf("the notes are not shown:\n%s", &text)
	}
	a.ill, a.unsaved = "", 0
	if n := a.notes(); len(n) > 0 {
		t.Errorf("all is well, and still: %q", n)
	}
}

package collector

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/smartvillage/nabz/collector/alert"
	"github.com/smartvillage/nabz/collector/archive"
	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/collector/fleet"
)

// told is who is told of reports: what an alert.Engine is to the schedule, with a memory that outlives restarts.
type told struct {
	mu    sync.Mutex
	known map[string]alert.Notice
	order []string
	when  map[string]time.Time
	fail  error // before anything is written down, as a kill at that instant
	none  bool  // no channel wants to hear of it
	now   func() time.Time
}

func (n *told) Knows(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.known[id]
	return ok
}

func (n *told) Tells([]string) ([]string, error) {
	if n.none {
		return nil, nil
	}
	return []string{"lead"}, nil
}

func (n *told) ids() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.order)
}

func (n *told) Notice(x alert.Notice) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fail != nil {
		return nil, n.fail
	}
	if err := x.Check(); err != nil {
		return nil, err
	}
	if _, ok := n.known[x.ID]; !ok {
		n.known[x.ID], n.when[x.ID] = x, n.now()
		n.order = append(n.order, x.ID)
	}
	return n.Tells(nil)
}

// monthWorld is a programme whose clock a test sets, with a schedule that can be killed and started.
type monthWorld struct {
	ReportConfig
	zone    *time.Location
	board   string
	begun   time.Time // of the bubble
	start   time.Time // what the clock showed then
	archive *archive.Archive
	told    *told
	log     bytes.Buffer
	mu      sync.Mutex
	made    []reportAsk
	fault   func(reportAsk) error
	kill    func()
	clock   sync.Mutex // of start
	deeds   []audit.Entry
	unsaid  error // the audit log cannot be written
}

func newMonthWorld(t testing.TB, start time.Time) *monthWorld {
	w := &monthWorld{ReportConfig: reportDefaults(), zone: start.Location(), begun: time.Now(), start: start, fault: func(reportAsk) error { return nil }}
	w.Day = 3
	w.archive = archive.New(t.TempDir(), w.now)
	w.told = &told{known: map[string]alert.Notice{}, when: map[string]time.Time{}, now: w.now}
	return w
}

func (w *monthWorld) now() time.Time {
	w.clock.Lock()
	defer w.clock.Unlock()
	return w.start.Add(time.Since(w.begun))
}

func (w *monthWorld) maker(_ context.Context, ask reportAsk) (reportMade, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made = append(w.made, ask)
	if err := w.fault(ask); err != nil {
		return reportMade{}, err
	}
	id := strings.TrimPrefix(noticeID(ask), "report-")
	return reportMade{doc: fmt.Appendf(nil, `{"month":%q,"sites":%q}`, ask.month, ask.selection), id: id, title: "Report " + ask.month, subject: "Report for " + ask.month,
		text: "availability 97.3 %, in " + strings.Join(ask.languages, " ")}, nil
}

func (w *monthWorld) record(e audit.Entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unsaid == nil {
		w.deeds = append(w.deeds, e)
	}
	return w.unsaid
}

func (w *monthWorld) run(t testing.TB) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	r := newReporting(reporting{ReportConfig: w.ReportConfig, zone: w.zone, board: w.board, make: w.maker, archive: w.archive, tell: w.told, record: w.record, now: w.now, log: slog.New(slog.NewTextHandler(&w.log, nil))})
	go func() { done <- r.run(ctx) }()
	w.kill = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// until lets time pass until the clock shows that.
func (w *monthWorld) until(at time.Time) {
	time.Sleep(at.Sub(w.now()))
	synctest.Wait()
}

func (w *monthWorld) wantTold(t *testing.T, ids ...string) {
	t.Helper()
	if got := w.told.ids(); !slices.Equal(got, ids) {
		t.Errorf("at %s told were %q, want %q", w.now().Format(time.DateTime), got, ids)
	}
}

func zone(t testing.TB, name string) *time.Location {
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func TestTheReportOfTheLastMonthComesOnItsDayAndHourAndNextMonthAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := zone(t, "Asia/Karachi")
		w := newMonthWorld(t, time.Date(2026, 11, 2, 12, 0, 0, 0, z))
		w.told.known["report-2026-09-all"] = alert.Notice{} // of the last month
		w.board, w.ShareDays, w.Languages, w.Channels = "https://noc.example.org/", 30, []string{"en", "ur"}, []string{"lead"}
		w.run(t)
		w.until(time.Date(2026, 11, 3, 5, 59, 59, 0, z))
		w.wantTold(t)
		w.until(time.Date(2026, 11, 3, 6, 0, 1, 0, z))
		w.wantTold(t, "report-2026-10-all")
		w.told.mu.Lock()
		n := w.told.known["report-2026-10-all"]
		w.told.mu.Unlock()
		token, ok := strings.CutPrefix(n.Link, "https://noc.example.org/shared/")
		if !ok || n.Subject != "Report for 2026-10" || n.Text != "availability 97.3 %, in en ur" || !slices.Equal(n.Channels, []string{"lead"}) {
			t.Errorf("the notice is %+v", n)
		}
		s, err := w.archive.Follow(token)
		if err != nil || s.Report != "2026-10-all" || !s.Until.Equal(time.Date(2026, 12, 3, 6, 0, 0, 0, z)) {
			t.Errorf("the link leads to %+v, %v", s, err)
		}
		rev, doc, err := w.archive.Get(s.Report, 0)
		if err != nil || string(doc) != `{"month":"2026-10","sites":"all"}` || rev.Who != scheduler || !rev.From.Equal(time.Date(2026, 10, 1, 0, 0, 0, 0, z)) || !rev.To.Equal(time.Date(2026, 11, 1, 0, 0, 0, 0, z)) {
			t.Errorf("published is %s %+v, %v", doc, rev, err)
		}
		w.until(time.Date(2027, 1, 3, 6, 0, 1, 0, z))
		w.wantTold(t, "report-2026-10-all", "report-2026-11-all", "report-2026-12-all")
		if _, err := w.archive.Follow(token); !errors.Is(err, archive.ErrShare) {
			t.Errorf("the link works after its days: %v", err)
		}
		w.kill()
		if lines := strings.Count(w.log.String(), "\n"); len(w.made) != 3 || lines != 3 || strings.Contains(w.log.String(), token) {
			t.Errorf("made %d times, told in %d lines:\n%s", len(w.made), lines, w.log.String())
		}
	})
}

func TestWhatWasMissedIsMadeOnceAndLate(t *testing.T) {
	for _, tt := range []struct {
		name       string
		start, end time.Time
		want       []string
	}{
		{"over the hour", time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC), time.Date(2026, 12, 2, 0, 0, 0, 0, time.UTC), []string{"report-2026-10-all"}},
		{"over several months", time.Date(2026, 11, 20, 1, 0, 0, 0, time.UTC), time.Date(2026, 12, 4, 0, 0, 0, 0, time.UTC), []string{"report-2026-10-all", "report-2026-11-all"}},
		{"before the day", time.Date(2026, 11, 3, 5, 0, 0, 0, time.UTC), time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC), []string{"report-2026-09-all", "report-2026-10-all"}},
		{"over the new year", time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 4, 0, 0, 0, 0, time.UTC), []string{"report-2026-11-all", "report-2026-12-all"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMonthWorld(t, tt.start)
				w.run(t)
				time.Sleep(time.Second)
				synctest.Wait()
				w.wantTold(t, tt.want[0])
				w.until(tt.end)
				w.wantTold(t, tt.want...)
				w.kill()
			})
		})
	}
}

func TestAReportIsTriedAgainWhileInfluxDBIsAwayAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 6, 0, 0, 0, time.UTC))
		w.fault = func(reportAsk) error {
			if w.now().Before(time.Date(2026, 11, 4, 18, 0, 0, 0, time.UTC)) {
				return errors.New("connection refused")
			}
			return nil
		}
		w.run(t)
		w.until(time.Date(2026, 11, 4, 17, 0, 0, 0, time.UTC))
		w.wantTold(t)
		w.until(time.Date(2026, 11, 4, 18, 32, 0, 0, time.UTC))
		w.wantTold(t, "report-2026-10-all")
		w.kill()
		if n := len(w.made); n < 70 || n > 90 {
			t.Errorf("%d attempts in 36 hours, want one each half hour", n)
		}
		if log := w.log.String(); strings.Count(log, "\n") != 2 || !strings.Contains(log, "connection refused") || !strings.Contains(log, "late_min=2") || !strings.Contains(log, fmt.Sprintf("failed=%d", len(w.made)-1)) {
			t.Errorf("the log is\n%s", log)
		}
	})
}

func TestAReportThatCannotBeMadeIsToldOnceAndHoldsNoOtherUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.Sites = []string{"district=Nowhere", "all", "operator=Karakoram Link"}
		w.fault = func(ask reportAsk) error {
			if ask.selection == "district=Nowhere" {
				return fmt.Errorf("no site has district Nowhere: %w", errNoReport)
			}
			return nil
		}
		w.run(t)
		w.until(time.Date(2026, 12, 3, 7, 0, 0, 0, time.UTC))
		w.kill()
		link := strings.TrimPrefix(w.told.order[1], "report-2026-10-")
		w.wantTold(t, "report-2026-10-all", "report-2026-10-"+link, "report-2026-11-all", "report-2026-11-"+link)
		if !strings.HasPrefix(link, "operator-karakoram-link-") || len(w.made) != 4+30+1 || strings.Count(w.log.String(), "no site has district Nowhere") != 2 {
			t.Errorf("%s, %d attempts\n%s", link, len(w.made), w.log.String())
		}
		if n := w.told.known["report-2026-10-all"]; n.Link != "" {
			t.Errorf("a link to a board that nobody knows: %s", n.Link)
		}
	})
}

func TestAReportThatCouldNotBeMadeIsMadeWithinADayOnceTheSitesFileIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.fault = func(reportAsk) error {
			if w.now().Before(time.Date(2026, 11, 5, 12, 0, 0, 0, time.UTC)) {
				return errNoReport
			}
			return nil
		}
		w.run(t)
		w.until(time.Date(2026, 11, 6, 7, 1, 0, 0, time.UTC))
		w.kill()
		w.wantTold(t, "report-2026-10-all")
		if log := w.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "failed=3") {
			t.Errorf("the log is\n%s", log)
		}
	})
}

func TestAClockThatWasAheadHoldsNoReportUpOnceItIsRight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 25, 7, 0, 0, 0, time.UTC))
		ahead := true
		w.fault = func(reportAsk) error {
			if ahead {
				return errors.New("connection refused")
			}
			return nil
		}
		w.run(t)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		w.mu.Lock()
		ahead = false
		w.mu.Unlock()
		w.clock.Lock()
		w.start = w.start.Add(-20 * 24 * time.Hour)
		w.clock.Unlock()
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.kill()
		w.wantTold(t, "report-2026-10-all")
	})
}

func TestTheAuditLogHasWhatTheScheduleDidBeforeAnybodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.board, w.ShareDays, w.unsaid = "https://noc.example.org", 10, errors.New("disk full")
		w.run(t)
		time.Sleep(time.Second)
		synctest.Wait()
		w.wantTold(t)
		w.mu.Lock()
		w.unsaid = nil
		w.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		w.kill()
		w.wantTold(t, "report-2026-10-all")
		shares, err := w.archive.Shares()
		open := slices.DeleteFunc(shares, func(s archive.Share) bool { return !s.Open(w.now()) })
		if err != nil || len(open) != 1 || len(w.deeds) != 2 {
			t.Fatalf("%d links, recorded is %+v, %v", len(open), w.deeds, err)
		}
		for i, want := range []audit.Entry{{What: "publish report", On: "2026-10-all/1"}, {What: "share report", On: "2026-10-all", Detail: "link " + open[0].ID + " for report-2026-10-all"}} {
			if e := w.deeds[i]; e.Who != "schedule" || e.What != want.What || e.On != want.On || e.Outcome != audit.Done || !strings.HasPrefix(e.Detail, cmp.Or(want.Detail, "sha256 ")) {
				t.Errorf("recorded is %+v, want %+v", e, want)
			}
		}
	})
}

func TestAKillBeforePeopleAreToldLeavesOneRevisionAndOneLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.board, w.ShareDays = "https://noc.example.org", 10
		w.told.fail = errors.New("killed")
		for range 3 {
			w.run(t)
			time.Sleep(30 * time.Second)
			w.kill()
		}
		w.told.fail = nil
		w.run(t)
		time.Sleep(time.Second)
		w.kill()
		w.wantTold(t, "report-2026-10-all")
		r, err := w.archive.Report("2026-10-all")
		shares, err2 := w.archive.Shares()
		open := slices.DeleteFunc(shares, func(s archive.Share) bool { return !s.Open(w.now()) })
		if err != nil || err2 != nil || len(r.Revisions) != 1 || len(open) != 1 {
			t.Errorf("%d revisions, %d links, %v, %v", len(r.Revisions), len(open), err, err2)
		}
		if s, err := w.archive.Follow(strings.TrimPrefix(w.told.known["report-2026-10-all"].Link, "https://noc.example.org/shared/")); err != nil || s.ID != open[0].ID {
			t.Errorf("the link that people have leads to %+v, %v", s, err)
		}
	})
}

func TestWithoutSharingTheLinkIsForThoseWhoCanSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.board = "https://noc.example.org/"
		w.run(t)
		time.Sleep(time.Second)
		w.kill()
		if n := w.told.known["report-2026-10-all"]; n.Link != "https://noc.example.org/reports/2026-10-all" {
			t.Errorf("the notice is %+v", n)
		}
		if all, err := w.archive.Shares(); err != nil || len(all) != 0 {
			t.Errorf("shared %v, %v", all, err)
		}
	})
}

func TestNoLinkIsMadeWhereNobodyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.board, w.ShareDays, w.told.none = "https://noc.example.org", 10, true
		w.run(t)
		time.Sleep(time.Second)
		w.kill()
		w.wantTold(t, "report-2026-10-all")
		if all, err := w.archive.Shares(); err != nil || len(all) != 0 {
			t.Errorf("shared %v, %v", all, err)
		}
	})
}

func TestDay0MakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 7, 0, 0, 0, time.UTC))
		w.Day = 0
		w.run(t)
		time.Sleep(60 * 24 * time.Hour)
		w.kill()
		if len(w.made) != 0 {
			t.Errorf("made %v", w.made)
		}
	})
}

// Whenever the collector runs or not, fails or is killed, each report that was due while it ran at all is told once, of the last month, never before its hour.
func TestEachMonthIsToldOnceWhateverHappensInBetween(t *testing.T) {
	type stretch struct {
		runs, off time.Duration
		bad       bool // fails for its first hours
	}
	names := []string{"Asia/Karachi", "Europe/Berlin", "America/Santiago", "Pacific/Apia", "UTC"}
	rapid.Check(t, func(r *rapid.T) {
		z := zone(t, rapid.SampledFrom(names).Draw(r, "zone"))
		start := time.Date(2026, time.Month(rapid.IntRange(1, 12).Draw(r, "month")), rapid.IntRange(1, 28).Draw(r, "day"), rapid.IntRange(0, 23).Draw(r, "hour"), 0, 0, 0, z)
		due, at := rapid.IntRange(1, 28).Draw(r, "due"), rapid.SampledFrom([]string{"00:00", "02:30", "06:00", "23:59"}).Draw(r, "at")
		sites := []string{"all", "district=Hunza"}[:rapid.IntRange(1, 2).Draw(r, "sites")]
		stretches := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) stretch {
			hours := rapid.IntRange(1, 50*24)
			return stretch{time.Duration(hours.Draw(r, "runs")) * time.Hour, time.Duration(hours.Draw(r, "off")) * time.Hour, rapid.Bool().Draw(r, "bad")}
		}), 1, 8).Draw(r, "stretches")
		fault := ""
		synctest.Test(t, func(t *testing.T) {
			w := newMonthWorld(t, start)
			w.Day, w.At, w.Sites = due, at, sites
			s := newReporting(reporting{ReportConfig: w.ReportConfig, zone: w.zone})
			want := map[string]bool{}
			for _, x := range stretches {
				begun := w.now()
				w.fault = func(reportAsk) error {
					if x.bad && w.now().Sub(begun) < 3*time.Hour {
						return errors.New("away")
					}
					return nil
				}
				w.run(t)
				time.Sleep(x.runs)
				w.kill()
				for at := begun.Add(4 * time.Hour); !at.After(w.now()); at = at.Add(time.Hour) {
					_, from, _ := s.due(at)
					for _, selection := range w.Sites {
						want[noticeID(reportAsk{month: from.Format("2006-01"), selection: selection})] = true
					}
				}
				time.Sleep(x.off)
			}
			for id := range want {
				if !w.told.Knows(id) {
					fault = fmt.Sprintf("%s was never told; told were %q", id, w.told.order)
				}
			}
			for id, at := range w.told.when {
				if due, from, _ := s.due(at); !strings.HasPrefix(id, "report-"+from.Format("2006-01")) || at.Before(due) {
					fault = fmt.Sprintf("%s was told at %s", id, at)
				}
			}
			if len(w.told.known) != len(w.told.order) {
				fault = fmt.Sprintf("told twice: %q", w.told.order)
			}
		})
		if fault != "" {
			r.Fatal(fault)
		}
	})
}

// mailman is a channel that people have.
type mailman struct {
	mu   sync.Mutex
	sent []string
}

func (m *mailman) Name() string          { return "lead" }
func (m *mailman) Least() alert.Severity { return alert.Info }
func (m *mailman) Send(_ context.Context, x alert.Message) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range x.News {
		m.sent = append(m.sent, n.Alert.Title+": "+n.Alert.Text+" "+x.Link)
	}
	return "taken", nil
}

// nowhere is a fleet without sites.
type nowhere struct{}

func (nowhere) Overview() []fleet.Status                       { return nil }
func (nowhere) Some([]string) []fleet.Status                   { return nil }
func (nowhere) Subscribe() (ch <-chan []string, cancel func()) { return nil, func() {} }

func TestTheRealAlertEngineTellsOfAReportOnceThroughRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMonthWorld(t, time.Date(2026, 11, 3, 6, 0, 0, 0, time.UTC))
		w.board = "https://noc.example.org"
		file, m := filepath.Join(t.TempDir(), "alerts.json"), &mailman{}
		for range 3 {
			e, err := alert.Open(alert.Config{Settings: alert.Defaults(), File: file, Fleet: nowhere{}, Channels: []alert.Channel{m}, Now: w.now})
			if err != nil {
				t.Fatal(err)
			}
			log := slog.New(slog.NewTextHandler(&w.log, nil))
			if err := w.checkReporting(e.Tells, log); err != nil {
				t.Error(err)
			}
			if err := (&ReportConfig{Day: 1, Channels: []string{"nobody"}}).checkReporting(e.Tells, log); fmt.Sprint(err) != `report.channels: there is no channel "nobody" in alert.urls_file` {
				t.Error(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			r := newReporting(reporting{ReportConfig: w.ReportConfig, zone: w.zone, board: w.board, make: w.maker, archive: w.archive, tell: e, record: w.record, now: w.now, log: log})
			ended := make(chan error, 2)
			go func() { ended <- e.Run(ctx) }()
			go func() { ended <- r.run(ctx) }()
			time.Sleep(10 * time.Minute)
			cancel()
			if err := errors.Join(<-ended, <-ended); err != nil {
				t.Error(err)
			}
		}
		if want := []string{"Report for 2026-10: availability 97.3 %, in en https://noc.example.org/reports/2026-10-all"}; !slices.Equal(m.sent, want) {
			t.Errorf("sent were %q, want %q", m.sent, want)
		}
		if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte(`"report-2026-10-all"`)) {
			t.Errorf("the state is %s, %v", b, err)
		}
	})
}

func TestNoticesOfDifferentSelectionsHaveDifferentIDs(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"all", "a-b", "a b", "a,b", "A-B", "district=Hunza", "district-hunza", "ضلع", "=", strings.Repeat("x", 100), strings.Repeat("x", 101), strings.Repeat("x-", 40)} {
		id := noticeID(reportAsk{month: "2026-10", selection: s})
		if was, twice := seen[id]; twice {
			t.Errorf("%q and %q are both %s", s, was, id)
		}
		seen[id] = s
		if err := (&alert.Notice{ID: id, Subject: "x"}).Check(); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
}

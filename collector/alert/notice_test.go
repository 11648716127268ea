package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// reportNotice is one as a report sends it.
func reportNotice(id string) Notice {
	return Notice{ID: id, Subject: "Report for October 2026: all sites", Text: "Availability 97.3 % (completeness 99 %).\n412 outages, mean time to restore 38 min.", Link: "https://noc.example.org/shared/s3cretT0kenOfALink"}
}

func (w *world) notice(n Notice) []string {
	w.t.Helper()
	to, err := w.engine.Notice(n)
	if err != nil {
		w.t.Fatal(err)
	}
	return to
}

// critical is a channel that wants what is critical.
type critical struct{ tape }

func (*critical) Least() Severity { return Critical }

func TestANoticeIsAMailAndAWebhookAndNoAlert(t *testing.T) {
	box, smtpAddress := mailServer(t)
	var hooks []string
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		hooks = append(hooks, string(b))
	}))
	defer hook.Close()
	manager := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if bytes.Contains(b, []byte("Report")) {
			t.Errorf("Alertmanager is told %s", b)
		}
	}))
	defer manager.Close()
	file := filepath.Join(t.TempDir(), "urls")
	lines := fmt.Sprintf("lead smtp://nabz:s3cret-password@%s/?from=nabz@example.org&to=lead@example.org&auth=Plain&usestarttls=no\nhook generic+%s/in?template=json\nam alertmanager+%s\n", smtpAddress, hook.URL, manager.URL)
	if err := os.WriteFile(file, []byte(lines), 0o640); err != nil {
		t.Fatal(err)
	}
	ways, err := ReadWays(file)
	if err != nil {
		t.Fatal(err)
	}
	oncall := &critical{tape{name: "oncall"}}
	w := newWorld(t, Defaults(), append(ways.Channels, oncall)...)
	w.link = "https://noc.example.org"
	w.begin()
	if to := w.notice(reportNotice("report-2026-10")); !slices.Equal(to, []string{"lead", "hook"}) {
		t.Errorf("told are %q, want those that want to hear of what is for information", to)
	}
	w.pass(time.Minute)
	w.deliver()
	mails := box.got()
	if len(mails) != 1 || !strings.Contains(mails[0], "Availability 97.3 %") || !strings.Contains(mails[0], "https://noc.example.org/shared/s3cretT0kenOfALink") || strings.Contains(mails[0], "/alerts") {
		t.Errorf("mails are %q", mails)
	}
	if s := box.mails[0].Header.Get("Subject"); !strings.HasSuffix(s, "nabz: Report for October 2026: all sites") {
		t.Errorf("its subject is %q", s)
	}
	if len(hooks) != 1 || !strings.Contains(hooks[0], `"title":"nabz: Report for October 2026: all sites"`) || !strings.Contains(hooks[0], "s3cretT0kenOfALink") {
		t.Errorf("the webhook got %q", hooks)
	}
	if len(oncall.news) != 0 || len(w.engine.Active()) != 0 || len(w.engine.Recent(10)) != 0 {
		t.Errorf("it is an alert: %v, %v, %v", oncall.news, w.engine.Active(), w.engine.Recent(10))
	}
	d := w.engine.Deliveries(10)
	if len(d) != 2 || d[0].What != Noticed || d[0].Alert != "report-2026-10" || d[0].Err != "" || d[0].Attempt != 1 {
		t.Errorf("deliveries are %+v", d)
	}
	named := reportNotice("for-oncall")
	named.Channels = []string{"oncall"}
	w.notice(named)
	w.deliver()
	if got := oncall.told(); !slices.Equal(got, []string{"notice Report for October 2026: all sites"}) {
		t.Errorf("a channel that was named was told %q", got)
	}
	if kept, _ := os.ReadFile(w.file); !bytes.Contains(kept, []byte("report-2026-10")) || bytes.Contains(kept, []byte("s3cretT0kenOfALink")) {
		t.Error("its id is not kept, or its link is kept longer than it has to be")
	}
}

func TestANoticeThatCannotBeIsRefusedInOneSentence(t *testing.T) {
	am, _ := NewAlertmanager("am", "http://127.0.0.1:1", Info)
	w := newWorld(t, Defaults(), &tape{name: "tape"}, am).begin()
	for _, tt := range []struct {
		change func(*Notice)
		want   string
	}{
		{func(n *Notice) { n.ID = "A b" }, `notice "A b": its id is not of a-z, 0-9 and "-", 120 at most`},
		{func(n *Notice) { n.Subject = "a\r\nBcc: b" }, `notice x: its subject is not one line of 300 bytes at most`},
		{func(n *Notice) { n.Subject = "" }, `notice x: its subject is not one line of 300 bytes at most`},
		{func(n *Notice) { n.Text = "\xff" }, `notice x: it is no text (UTF-8)`},
		{func(n *Notice) { n.Link = "javascript:x" }, `notice x: its link is not an address that begins with http:// or https://, of 500 bytes at most`},
		{func(n *Notice) { n.Channels = []string{"tape", "nobody"} }, `notice x: there is no channel "nobody" in alert.urls_file`},
		{func(n *Notice) { n.Channels = []string{"am"} }, `notice x: channel "am" is told of alerts alone`},
	} {
		n := reportNotice("x")
		tt.change(&n)
		if _, err := w.engine.Notice(n); fmt.Sprint(err) != tt.want {
			t.Errorf("got  %v\nwant %s", err, tt.want)
		}
	}
	if w.engine.Knows("x") || len(w.engine.outbox) != 0 {
		t.Error("something of them is known")
	}
}

// Whatever happens to the channel and the collector, a notice is told once; a kill between the message and the note that it was sent repeats that message at most.
func TestANoticeIsToldOnceHoweverOftenItIsGivenAndWheneverTheCollectorIsKilled(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		one, two := &tape{name: "one"}, &tape{name: "two"}
		w := newWorld(t, Defaults(), one, two)
		w.file = fmt.Sprintf("%s/%d.json", dir, rapid.Uint64().Draw(r, "file"))
		defer os.Remove(w.file)
		w.begin()
		w.add("a")
		given, killed := map[string]bool{}, map[string]int{}
		for range rapid.IntRange(5, 40).Draw(r, "steps") {
			switch rapid.IntRange(0, 6).Draw(r, "what") {
			case 0, 1:
				id := fmt.Sprint("n", rapid.IntRange(0, 5).Draw(r, "id"))
				if w.engine.Knows(id) != given[id] {
					r.Fatalf("%s is known: %v", id, !given[id])
				}
				w.notice(reportNotice(id))
				given[id] = true
			case 2:
				w.restart()
			case 3:
				one.fail = nil
				if rapid.Bool().Draw(r, "fails") {
					one.fail = errors.New("no mail server")
				}
			case 4: // killed after the message and before that is written
				before, _ := os.ReadFile(w.file)
				n := len(one.news)
				m := len(two.news)
				w.deliver()
				for _, s := range one.news[n:] {
					killed["one"+s.Alert.ID]++
				}
				for _, s := range two.news[m:] {
					killed["two"+s.Alert.ID]++
				}
				if before != nil {
					if err := os.WriteFile(w.file, before, 0o600); err != nil {
						t.Fatal(err)
					}
					w.restart()
				}
			case 5:
				w.out("a")
			case 6:
				w.up("a")
			}
			w.pass(time.Duration(rapid.IntRange(1, 60).Draw(r, "seconds")) * time.Second)
			w.deliver()
		}
		one.fail = nil
		for range 20 {
			w.now = w.now.Add(retryMost)
			w.deliver()
		}
		for _, s := range []*tape{one, two} {
			told := map[string]int{}
			for _, n := range s.news {
				if n.What == Noticed {
					told[n.Alert.ID]++
				}
			}
			for id := range given {
				if n := told[id]; n < 1 || n > 1+killed[s.name+id] {
					r.Fatalf("%s was told %d times to %s, of which %d before a kill", id, n, s.name, killed[s.name+id])
				}
			}
		}
		for _, i := range w.engine.outbox {
			if i.What == Noticed {
				r.Fatalf("%+v waits though its channel works", i)
			}
		}
	})
}

func TestANoticeGoesOutByItselfAndIsTriedAgainThroughARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sink := &tape{name: "tape", fail: errors.New("no mail server")}
		w := newWorld(t, Defaults(), sink)
		w.begin()
		run := func() (end func()) {
			w.engine.c.Now = time.Now
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error)
			go func() { done <- w.engine.Run(ctx) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		end := run()
		w.notice(reportNotice("x"))
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if d := w.engine.Deliveries(10); len(d) != 1 || d[0].Err == "" || !d[0].Next.After(d[0].At) {
			t.Fatalf("deliveries at once are %+v", d)
		}
		time.Sleep(30 * time.Minute)
		end()
		n := len(w.engine.Deliveries(100))
		if n < 6 || n > 20 {
			t.Errorf("%d attempts in half an hour, want some that grow apart", n)
		}
		w.now = time.Now()
		w.restart()
		end = run()
		defer end()
		w.notice(reportNotice("x")) // by somebody who does not know that it was given
		sink.mu.Lock()
		sink.fail = nil
		sink.mu.Unlock()
		time.Sleep(retryMost + time.Second)
		synctest.Wait()
		sink.mu.Lock()
		defer sink.mu.Unlock()
		if len(sink.news) != 1 {
			t.Errorf("told %d times", len(sink.news))
		}
	})
}

func TestAnErrorDoesNotShowTheLinkOfANotice(t *testing.T) {
	n := reportNotice("x")
	log := &bytes.Buffer{}
	sink := &tape{name: "tape", fail: errors.New("cannot post " + n.Link + " as its token s3cretT0kenOfALink is odd")}
	w := newWorld(t, Defaults(), sink)
	w.log = slog.New(slog.NewTextHandler(log, nil))
	w.begin()
	w.notice(n)
	w.deliver()
	if d := w.engine.Deliveries(1); len(d) != 1 || !strings.Contains(d[0].Err, "is odd") || strings.Contains(d[0].Err+log.String(), "s3cretT0kenOfALink") {
		t.Errorf("%+v\n%s", d, log)
	}
}

func TestANoticeIsTriedForAWeekAndNeitherHoldsAlertsUpNorStopsTheHeartbeat(t *testing.T) {
	log := &bytes.Buffer{}
	sink := &picky{tape: tape{name: "tape"}}
	w := newWorld(t, Defaults(), sink)
	w.log = slog.New(slog.NewTextHandler(log, nil))
	w.begin()
	w.add("a")
	w.pass(w.Grace)
	w.notice(reportNotice("x"))
	w.notice(reportNotice("y"))
	w.out("a")
	w.pass(6 * time.Minute)
	w.deliver()
	if got := sink.told(); !slices.Equal(got, []string{"raised a is unreachable"}) {
		t.Errorf("people were told %q", got)
	}
	w.up("a")
	w.pass(3 * time.Minute)
	w.deliver()
	for range 6 * 24 {
		w.now = w.now.Add(time.Hour)
		w.deliver()
		w.deliver()
		w.pass(time.Second)
		if err := w.engine.stuck(); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.engine.outbox) != 2 || log.Len() > 2000 {
		t.Errorf("%d wait after six days\n%s", len(w.engine.outbox), log)
	}
	w.now = w.now.AddDate(0, 0, 2)
	w.deliver()
	w.deliver()
	if len(w.engine.outbox) != 0 || strings.Count(log.String(), "a notice is given up") != 2 || !w.engine.Knows("x") {
		t.Errorf("%d wait after eight days\n%s", len(w.engine.outbox), log)
	}
}

// picky takes no notices.
type picky struct{ tape }

func (p *picky) Send(ctx context.Context, m Message) (string, error) {
	if m.News[0].What == Noticed {
		return "", errors.New("413 too large")
	}
	return p.tape.Send(ctx, m)
}

func TestAFullDiskKeepsNobodyFromHearingOfANotice(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.engine.replace = func(string, []byte, os.FileMode) error { return errors.New("no space left on device") }
	w.notice(reportNotice("x"))
	w.notice(reportNotice("x"))
	w.deliver()
	w.deliver()
	if len(sink.news) != 1 {
		t.Errorf("people were told %d times", len(sink.news))
	}
}

func TestOldNoticesAreForgottenAndNoneThatWaits(t *testing.T) {
	sink := &tape{name: "tape", fail: errors.New("no")}
	w := newWorld(t, Defaults(), sink).begin()
	for i := range keepNotices + 5 {
		w.notice(reportNotice(fmt.Sprint("n", i)))
	}
	if !w.engine.Knows("n0") {
		t.Error("one that waits is forgotten")
	}
	sink.fail = nil
	for range keepNotices + 5 {
		w.deliver()
	}
	if len(sink.news) != keepNotices+5 || w.engine.Knows("n4") || !w.engine.Knows("n5") || len(w.engine.notices) != keepNotices {
		t.Errorf("%d were told, %d are known", len(sink.news), len(w.engine.notices))
	}
}

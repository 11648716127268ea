package alert

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNobodyIsToldAgainOfASiteWhileTheNOCIsAtFault(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	w.deliver()
	w.checks = []Check{{"InfluxDB", errors.New("gone")}}
	w.pass(time.Second)
	w.now = w.now.Add(7 * time.Hour)
	w.pass(time.Second)
	w.deliver()
	if got := sink.told(); slices.Contains(got, "repeated a is unreachable") {
		t.Errorf("people were told %q", got)
	}
}

// hooked is a channel during whose message something else happens.
type hooked struct {
	tape
	during func()
}

func (h *hooked) Send(ctx context.Context, m Message) (string, error) {
	if f := h.during; f != nil {
		h.during = nil
		f()
	}
	return h.tape.Send(ctx, m)
}

func TestWhatIsOverWhileItsMessageFailsIsToldAsOverOnce(t *testing.T) {
	h := &hooked{tape: tape{name: "tape", fail: errors.New("no mail server")}}
	w := newWorld(t, Defaults(), h).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	h.during = func() {
		w.up("a")
		w.pass(4 * time.Minute)
	}
	w.deliver()
	h.fail = nil
	for range 3 {
		w.deliver()
		w.now = w.now.Add(time.Hour)
	}
	if got := h.told(); !slices.Equal(got, []string{"recovered a is unreachable"}) {
		t.Errorf("people were told %q, want the end once", got)
	}
}

func TestWhatGoesOnIsToldHoweverLongAChannelWasGone(t *testing.T) {
	sink := &tape{name: "tape", fail: errors.New("no mail server")}
	w := newWorld(t, Defaults(), sink).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	for range 30 {
		w.deliver()
		w.now = w.now.Add(time.Hour)
		w.pass(time.Second)
	}
	sink.fail = nil
	w.deliver()
	if got := sink.told(); !slices.Equal(got, []string{"raised a is unreachable"}) {
		t.Errorf("people were told %q", got)
	}
}

func TestWhatAChannelHasNotHeardOfIsKeptHoweverMuchEndsMeanwhile(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink).begin()
	e := w.engine
	const many = keepEnded + 30
	e.mu.Lock()
	for i := range many {
		a := &record{Alert: Alert{ID: fmt.Sprint(i), Rule: Collector, Severity: Critical, Title: fmt.Sprint(i), Began: w.now, Raised: w.now}}
		e.add(a)
		e.note(a, Raised)
		e.end(a, w.now, told)
	}
	e.mu.Unlock()
	for range many {
		w.deliver()
	}
	if len(sink.news) != many || len(e.outbox) != 0 {
		t.Errorf("%d of %d were told, and %d wait for ever", len(sink.news), many, len(e.outbox))
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	a := &record{Alert: Alert{ID: "last", Rule: Collector, Severity: Critical}}
	e.add(a)
	if e.end(a, w.now, told); len(e.ended) > keepEnded {
		t.Errorf("%d alerts that are over are kept, want %d", len(e.ended), keepEnded)
	}
}

func TestNewsWakeTheirChannelThoughAnotherIsJustDone(t *testing.T) {
	one, two := &tape{name: "one"}, &tape{name: "two"}
	w := newWorld(t, Defaults(), one, two).begin()
	w.add("a")
	w.pass(w.Grace)
	w.out("a")
	w.pass(6 * time.Minute)
	e := w.engine
	_, items, _ := e.waiting(one, w.now)
	<-e.wake["two"]
	e.mu.Lock()
	for _, a := range e.active {
		e.put(two, a, Repeated) // by a look that has not ended yet
	}
	e.mu.Unlock()
	e.done(one, items, nil)
	select {
	case <-e.wake["two"]:
	default:
		t.Error("nobody wakes the channel")
	}
}

func TestAChannelThatShowsWhatGoesOnHasLittleWaiting(t *testing.T) {
	ch, err := NewAlertmanager("alertmanager", "http://127.0.0.1:1", Critical)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Defaults(), ch).begin()
	w.add("a", "b", "c", "d", "e", "f", "g", "h")
	w.pass(w.Grace)
	w.up(w.order...)
	w.set("h", func(s *site) { s.battery(5, false) })
	w.pass(2 * time.Second)
	if n := len(w.engine.outbox); n != 0 {
		t.Errorf("%d news of a warning wait for who wants none", n)
	}
	for _, id := range w.order[:5] {
		w.out(id)
		w.pass(3 * time.Minute)
	}
	if n := len(w.engine.outbox); n != 1 {
		t.Errorf("%d news of one alert wait, want one", n)
	}
}

func TestTheHeartbeatAtAlertmanagerOutlivesTheTimeToTheNextMessage(t *testing.T) {
	sink := &tape{name: "tape"}
	w := newWorld(t, Defaults(), sink)
	w.heartbeat = Heartbeat{Every: 10 * time.Second, Well: func(context.Context) error { return nil }}
	w.begin()
	w.pass(time.Minute)
	w.engine.beatOnce(t.Context())
	if m, _, _ := w.engine.waiting(sink, w.now); m.Beat.Sub(w.now) < 2*resendEvery {
		t.Errorf("it ends after %v, and Alertmanager hears of it each %v", m.Beat.Sub(w.now), resendEvery)
	}
}

func TestEachAlertOfAMessageIsNamedHoweverLongTheOthersAre(t *testing.T) {
	for name, tt := range map[string]struct {
		title string
		lines int
	}{"long texts": {strings.Repeat("x", 40), 114}, "long names": {strings.Repeat("é", 100), 0}} {
		var m Message
		for i := range atOnce {
			m.News = append(m.News, News{Raised, Alert{Severity: Critical, Title: fmt.Sprintf("village %02d %s is unreachable", i, tt.title), Text: strings.Repeat("last told: up\n", tt.lines)}})
		}
		_, text := (&people{}).words(m)
		for i := range atOnce {
			if want := fmt.Sprintf("village %02d", i); !strings.Contains(text, want) {
				t.Errorf("%s: %s is not named", name, want)
			}
		}
		if len(text) > mostText+len("…") || !strings.Contains(text, "village 00") {
			t.Errorf("%s: %d bytes", name, len(text))
		}
	}
}

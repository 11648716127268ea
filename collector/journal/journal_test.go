package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/fleet"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC) // a Friday

// desk is a journal with a clock that a test sets.
type desk struct {
	*Journal
	at   time.Time
	said bytes.Buffer
}

func open(t testing.TB, path string, at time.Time) *desk {
	t.Helper()
	d := &desk{at: at}
	var err error
	if d.Journal, err = Open(path, func() time.Time { return d.at }, slog.New(slog.NewTextHandler(&d.said, nil))); err != nil {
		t.Fatal(err)
	}
	return d
}

func newDesk(t testing.TB) *desk {
	return open(t, filepath.Join(t.TempDir(), "data", "journal.jsonl"), noon)
}

func kept(t testing.TB, e Entry, err error) Entry {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func texts(all []Entry) string {
	var out []string
	for _, e := range all {
		out = append(out, fmt.Sprintf("%s %s %q", e.Who, e.Kind, e.Text))
	}
	return strings.Join(out, "; ")
}

func TestWhatWasWrittenOfASiteIsThereAfterARestart(t *testing.T) {
	d := newDesk(t)
	e, err := d.Comment("aisha", "gokina", "  mast climbed\r\nنیا کیبل <b>  ")
	kept(t, e, err)
	d.at = noon.Add(time.Minute)
	e, err = d.Acknowledge("omar", "gokina", "", "")
	kept(t, e, err)
	e, err = d.Note("omar", "passu", "speed test asked of passu/main", Command)
	kept(t, e, err)
	w, err := d.Plan("aisha", Window{Scope: Scope{Site: "gokina"}, To: noon.Add(time.Hour), Reason: "battery"})
	kept(t, w, err)
	e, err = d.Cancel("omar", w.ID)
	kept(t, e, err)
	want := `omar cancel ""; aisha maintenance ""; omar acknowledge ""; aisha comment "mast climbed\nنیا کیبل <b>"`
	for range 2 {
		if got := texts(d.Of("gokina")); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if all := d.Of("gokina"); all[1].Window.Reason != "battery" || all[0].Of != w.ID || !all[3].At.Equal(noon) {
			t.Errorf("entries are %+v", all)
		}
		if past := d.Past(5); len(past) != 1 || past[0].CancelledBy != "omar" || !past[0].Ended.Equal(d.at) || past[0].ID != w.ID {
			t.Errorf("past windows are %+v", past)
		}
		d = open(t, d.path, d.at)
	}
	if d.said.Len() > 0 {
		t.Errorf("it complains: %s", d.said.String())
	}
	if info, _ := os.Stat(d.path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v, want 0600", info.Mode().Perm())
	}
}

func TestAnAcknowledgementHoldsForTheTroubleItWasGivenTo(t *testing.T) {
	d := newDesk(t)
	e, err := d.Acknowledge("aisha", "gokina", "", "fibre crew called")
	kept(t, e, err)
	e, err = d.Acknowledge("omar", "", "a-17", "")
	kept(t, e, err)
	d.at = noon.Add(time.Hour)
	e, err = d.Comment("aisha", "gokina", "on site")
	kept(t, e, err)
	for _, tt := range []struct {
		name  string
		site  string
		since time.Time
		want  bool
	}{
		{"the trouble that was seen", "gokina", noon.Add(-time.Minute), true},
		{"one that began at that very instant", "gokina", noon.Add(900 * time.Microsecond), true},
		{"a later one", "gokina", noon.Add(time.Minute), false},
		{"another site", "passu", noon.Add(-time.Minute), false},
	} {
		if e, ok := d.Acknowledged(tt.site, tt.since); ok != tt.want || ok && e.Who != "aisha" {
			t.Errorf("%s: got %v %+v, want %v", tt.name, ok, e, tt.want)
		}
	}
	if e, ok := d.AcknowledgedAlert("a-17"); !ok || e.Who != "omar" {
		t.Errorf("the alert: %v %+v", ok, e)
	}
	if _, ok := d.AcknowledgedAlert(""); ok {
		t.Error("an alert without a name is acknowledged")
	}
}

func TestAWindowIsForTheSitesItNamesAndNoOthers(t *testing.T) {
	d := newDesk(t)
	sites := []fleet.Site{{ID: "a", District: "Hunza", Operator: "K"}, {ID: "b", District: "Hunza", Operator: "M"}, {ID: "c", District: "Gilgit", Operator: "K"}, {ID: "d"}}
	for _, tt := range []struct {
		scope Scope
		want  string
	}{
		{Scope{Site: "a"}, "a"}, {Scope{District: "Hunza"}, "ab"}, {Scope{Operator: "K"}, "ac"}, {Scope{District: "Hunza", Operator: "K"}, "a"},
		{Scope{Site: "c", District: "Hunza"}, ""}, {Scope{District: "hunza"}, ""},
	} {
		e, err := d.Plan("aisha", Window{Scope: tt.scope, From: noon.Add(time.Hour), To: noon.Add(2 * time.Hour), Reason: "x"})
		kept(t, e, err)
		for at, want := range map[time.Duration]string{time.Hour - 1: "", time.Hour: tt.want, 2*time.Hour - 1: tt.want, 2 * time.Hour: ""} {
			got := ""
			for _, s := range sites {
				if w, ok := d.Maintenance(s, noon.Add(at)); ok && w.ID == e.ID {
					got += s.ID
				}
			}
			if got != want {
				t.Errorf("%+v at %v holds for %q, want %q", tt.scope, at, got, want)
			}
		}
		e, err = d.Cancel("aisha", e.ID)
		kept(t, e, err)
	}
	e, err := d.Plan("aisha", Window{Scope: Scope{District: "Hunza"}, To: noon.Add(time.Hour), Reason: "all"})
	kept(t, e, err)
	e, err = d.Plan("aisha", Window{Scope: Scope{Site: "a"}, To: noon.Add(time.Hour), Reason: "own"})
	kept(t, e, err)
	if w, _ := d.Maintenance(sites[0], noon); w.Reason != "own" {
		t.Errorf("of two windows it names %q, want the site's own", w.Reason)
	}
}

func TestOneWhoWaitsHearsOfAChange(t *testing.T) {
	d := newDesk(t)
	ch, cancel := d.Subscribe()
	for range 3 {
		e, err := d.Comment("aisha", "gokina", "x")
		kept(t, e, err)
	}
	<-ch
	select {
	case <-ch:
		t.Error("several changes that were not read are told more than once")
	default:
	}
	cancel()
	e, err := d.Comment("aisha", "gokina", "x")
	kept(t, e, err)
	select {
	case <-ch:
		t.Error("one who has gone is told")
	default:
	}
}

func TestNonsenseIsRefusedWithWhatToDo(t *testing.T) {
	d := newDesk(t)
	window := func(change func(*Window)) func() (Entry, error) {
		return func() (Entry, error) {
			w := Window{Scope: Scope{Site: "gokina"}, From: noon, To: noon.Add(time.Hour), Reason: "x"}
			change(&w)
			return d.Plan("aisha", w)
		}
	}
	comment := func(who, site, text string) func() (Entry, error) {
		return func() (Entry, error) { return d.Comment(who, site, text) }
	}
	for _, tt := range []struct {
		name string
		do   func() (Entry, error)
		want string
	}{
		{"empty", comment("aisha", "gokina", " \n "), "text: is empty; write what others should know"},
		{"too long", comment("aisha", "gokina", strings.Repeat("ش", 1001)), "text: has 1001 characters, at most 1000 are allowed; shorten it"},
		{"not UTF-8", comment("aisha", "gokina", "caf\xe9"), "text: is not UTF-8 text; type it anew"},
		{"bell", comment("aisha", "gokina", "ding\a"), "text: holds the control character U+0007; leave it out"},
		{"NUL", comment("aisha", "gokina", "a\x00b"), "text: holds the control character U+0000; leave it out"},
		{"turned round", comment("aisha", "gokina", "a\u202eb"), "text: holds the control character U+202E; leave it out"},
		{"no site", comment("aisha", "", "x"), "site: is not named"},
		{"no id", comment("aisha", "../x", "x"), `site: "../x" is no id of a site`},
		{"nobody", comment("", "gokina", "x"), "who: nobody says who it was; sign in"},
		{"other note", func() (Entry, error) { return d.Note("aisha", "gokina", "x", Maintenance) }, `kind: "maintenance" is no kind of note`},
		{"acknowledge nothing", func() (Entry, error) { return d.Acknowledge("aisha", "", "", "x") }, "site: neither a site nor an alert is named"},
		{"cancel what is not there", func() (Entry, error) { return d.Cancel("aisha", 99) }, "window: it is not planned any more: it has ended, or somebody has cancelled it"},
		{"no scope", window(func(w *Window) { w.Scope = Scope{} }), "scope: names no site, district or operator; name at least one"},
		{"no reason", window(func(w *Window) { w.Reason = "\t" }), "reason: is empty; say what is done, so that others know"},
		{"past", window(func(w *Window) { w.From, w.To = noon.Add(-2*time.Hour), noon }), "to: is in the past; plan a window that has not ended"},
		{"backwards", window(func(w *Window) { w.From = noon.Add(2 * time.Hour) }), "to: is not after the beginning"},
		{"no end", window(func(w *Window) { w.To = time.Time{} }), "to: is not set; a window that is not weekly has an end"},
		{"two years", window(func(w *Window) { w.To = noon.Add(800 * 24 * time.Hour) }), "to: is more than a year after the beginning; plan a shorter window"},
		{"long ago", window(func(w *Window) { w.From = noon.Add(-800 * 24 * time.Hour) }), "from: is more than a year ago; begin it now"},
		{"far ahead", window(func(w *Window) { w.From, w.To = noon.AddDate(90, 0, 0), noon.AddDate(90, 0, 1) }), "from: is more than five years ahead; check the year"},
		{"zone", window(func(w *Window) { w.Zone = "Mars/Olympus" }), `zone: "Mars/Olympus" is no time zone; write an IANA name such as "Africa/Kampala"`},
		{"local zone", window(func(w *Window) { w.Zone = "Local" }), `zone: "Local" is no time zone; write an IANA name such as "Africa/Kampala"`},
		{"weekly nonsense", window(func(w *Window) { w.Weekly = "Sundays at 2" }), `weekly: "Sundays at 2" is not days and times; write hours such as "Mo-Fr 08:00-16:00, Sa 09:00-12:00"`},
		{"always", window(func(w *Window) { w.Weekly = "24/7" }), `weekly: "24/7" would hide every outage; write hours such as "Su 02:00-04:00"`},
		{"never", window(func(w *Window) { w.Weekly = "Mo 02:00-03:00" }), "weekly: no such hour lies between beginning and end, so it would never begin; choose another end"},
		{"very long", window(func(w *Window) { w.Weekly, w.To = strings.Repeat("Mo 02:00-03:00,", 20), time.Time{} }), "weekly: has 300 bytes, at most 200 are allowed"},
	} {
		_, err := tt.do()
		var f *Fault
		if err == nil || err.Error() != tt.want || !errors.As(err, &f) {
			t.Errorf("%s:\n got %v\nwant %s", tt.name, err, tt.want)
		}
	}
	if text, _ := os.ReadFile(d.path); len(text) > 0 || len(d.Windows()) > 0 {
		t.Errorf("and yet it was kept: %s", text)
	}
}

func TestWindowsAreBoundedInNumber(t *testing.T) {
	d := newDesk(t)
	for i := range maxWindows {
		e, err := d.Plan("aisha", Window{Scope: Scope{Site: "gokina"}, To: noon.Add(time.Hour + time.Duration(i)), Reason: "x"})
		kept(t, e, err)
	}
	if _, err := d.Plan("aisha", Window{Scope: Scope{Site: "gokina"}, To: noon.Add(time.Hour), Reason: "x"}); err == nil || !strings.Contains(err.Error(), "which is the most; cancel some") {
		t.Errorf("one more: %v", err)
	}
	d.at = noon.Add(2 * time.Hour)
	e, err := d.Plan("aisha", Window{Scope: Scope{Site: "gokina"}, To: noon.Add(3 * time.Hour), Reason: "x"})
	kept(t, e, err)
	if n := len(d.Windows()); n != 1 {
		t.Errorf("%d are planned, want 1", n)
	}
}

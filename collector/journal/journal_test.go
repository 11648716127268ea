package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// write draws one thing that an operator does and returns the entry.
func (d *desk) write(t *rapid.T) Entry {
	site := rapid.SampledFrom([]string{"gokina", "passu", "bunji"}).Draw(t, "site")
	text := rapid.StringN(1, 20, -1).Filter(func(s string) bool { return clean(s) != "" && checkText("text", clean(s), maxText, true) == nil }).Draw(t, "text")
	var e Entry
	var err error
	switch rapid.IntRange(0, 3).Draw(t, "what") {
	case 0:
		e, err = d.Comment("aisha", site, text)
	case 1:
		e, err = d.Acknowledge("omar", site, "", text)
	case 2:
		e, err = d.Plan("aisha", Window{Scope: Scope{Site: site}, To: d.at.Add(time.Duration(rapid.IntRange(1, 500).Draw(t, "hours")) * time.Hour), Reason: text})
	case 3:
		all := d.Windows()
		if len(all) == 0 {
			return d.write(t)
		}
		e, err = d.Cancel("omar", rapid.SampledFrom(all).Draw(t, "window").ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.at = d.at.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "pass")) * time.Minute)
	return e
}

// state is all that a journal answers.
func (d *desk) state() string {
	return fmt.Sprintf("%+v %+v %+v %s", d.Windows(), d.Past(100), d.last, texts(append(append(d.Of("gokina"), d.Of("passu")...), d.Of("bunji")...)))
}

func TestARestartAtAnyByteKeepsWhatWasConfirmed(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		path := filepath.Join(dir, "journal.jsonl")
		_ = os.Remove(path)
		d := open(t, path, noon)
		var confirmed []Entry
		sizes := []int64{0}
		for range rapid.IntRange(1, 6).Draw(rt, "entries") {
			confirmed = append(confirmed, d.write(rt))
			sizes = append(sizes, d.size)
		}
		whole, _ := os.ReadFile(path)
		cut := rapid.IntRange(0, len(whole)).Draw(rt, "cut")
		if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
			rt.Fatal(err)
		}
		again := open(t, path, d.at)
		n := 0
		for n+1 < len(sizes) && sizes[n+1] <= int64(cut) {
			n++
		}
		if len(again.entries) != n || n > 0 && !reflect.DeepEqual(again.entries, confirmed[:n]) {
			rt.Fatalf("cut at %d of %d: got %+v\nwant %+v", cut, len(whole), again.entries, confirmed[:n])
		}
		after := again.write(rt) // and it goes on
		third := open(t, path, again.at)
		if len(third.entries) != n+1 || third.entries[n].ID != after.ID || third.state() != again.state() || third.said.Len() > 0 {
			rt.Fatalf("after the next entry: %s\nwant %s; %s", third.state(), again.state(), third.said.String())
		}
	})
}

func TestABadLineCostsOnlyItselfAndIsTold(t *testing.T) {
	d := newDesk(t)
	for i := range 3 {
		e, err := d.Comment("aisha", "gokina", fmt.Sprint("n", i))
		kept(t, e, err)
	}
	text, _ := os.ReadFile(d.path)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for name, bad := range map[string]string{"garbage": "\x00\xff garbage\n", "empty": "\n", "half": string(lines[1][:20]) + "\n", "twice": string(lines[0]), "kind": strings.Replace(string(lines[1]), "comment", "sabotage", 1),
		"text": strings.Replace(string(lines[1]), "n1", `\u0007`, 1), "long": `{"text":"` + strings.Repeat("x", maxLine) + "\"}\n", "more": strings.TrimSpace(string(lines[1])) + " {}\n"} {
		if err := os.WriteFile(d.path, append(append(append([]byte{}, lines[0]...), bad...), lines[2]...), 0o600); err != nil {
			t.Fatal(err)
		}
		again := open(t, d.path, noon)
		if got := texts(again.Of("gokina")); got != `aisha comment "n2"; aisha comment "n0"` {
			t.Errorf("%s: got %s", name, got)
		}
		if said := again.said.String(); !strings.Contains(said, "line=2") || !strings.Contains(said, "is skipped") {
			t.Errorf("%s: it says %q", name, said)
		}
	}
}

func TestTheFileIsBoundedAndOpenWindowsStay(t *testing.T) {
	d := newDesk(t)
	d.most = 8000
	weekly, err := d.Plan("aisha", Window{Scope: Scope{District: "Hunza"}, Weekly: "Su 02:00-04:00", Zone: "Asia/Karachi", Reason: "the operator's"})
	kept(t, weekly, err)
	over, err := d.Plan("aisha", Window{Scope: Scope{Site: "gokina"}, To: noon.Add(time.Hour), Reason: "over soon"})
	kept(t, over, err)
	d.at = noon.Add(2 * time.Hour)
	last := Entry{}
	for i := range 300 {
		last, err = d.Comment("aisha", "gokina", fmt.Sprint("n", i))
		kept(t, last, err)
		if info, _ := os.Stat(d.path); info.Size() > d.most {
			t.Fatalf("after %d entries it has %d bytes", i, info.Size())
		}
	}
	again := open(t, d.path, d.at)
	if again.state() != d.state() {
		t.Errorf("what is read is not what is known:\n%s\n%s", again.state(), d.state())
	}
	all := d.Of("gokina")
	if len(d.Windows()) != 1 || d.Windows()[0].ID != weekly.ID || len(all) < 20 || all[0].Text != "n299" || all[len(all)-1].Kind != Comment {
		t.Errorf("left are %+v and %s", d.Windows(), texts(all))
	}
	again = open(t, d.path, d.at.Add(2*keepFor)) // all too old
	if len(again.Windows()) != 1 || len(again.Of("gokina")) != 1 {
		t.Errorf("after two years there are %+v and %s, want the window and the newest", again.Windows(), texts(again.Of("gokina")))
	}
	if e, err := again.Comment("aisha", "gokina", "x"); err != nil || e.ID != last.ID+1 {
		t.Errorf("the next id is %d (%v), want %d", e.ID, err, last.ID+1)
	}
}

func TestWhatCannotBeWrittenIsSaidAndNotKept(t *testing.T) {
	d := newDesk(t)
	e, err := d.Comment("aisha", "gokina", "before")
	kept(t, e, err)
	if err := os.Rename(d.path, d.path+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Comment("aisha", "gokina", "lost"); err == nil || !strings.Contains(err.Error(), "see to the disk and to the owner of the file") {
		t.Errorf("the file is gone: %v", err)
	}
	if got := texts(d.Of("gokina")); got != `aisha comment "before"` {
		t.Errorf("kept is %s", got)
	}
	if err := os.WriteFile(d.path, []byte("edited\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Comment("aisha", "gokina", "lost"); err == nil || !strings.Contains(err.Error(), "somebody else has changed it") {
		t.Errorf("the file was edited: %v", err)
	}
	if err := os.Rename(d.path+".away", d.path); err != nil {
		t.Fatal(err)
	}
	e, err = d.Comment("aisha", "gokina", "after")
	kept(t, e, err)
	if got := texts(open(t, d.path, noon).Of("gokina")); got != `aisha comment "after"; aisha comment "before"` {
		t.Errorf("kept is %s", got)
	}
	if _, err := Open(filepath.Join(d.path, "journal.jsonl"), func() time.Time { return noon }, nil); err == nil || !strings.Contains(err.Error(), "open the operators' journal") {
		t.Errorf("no folder: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":1,"at":"2026-11-27T12:00:00Z","who":"aisha","kind":"comment","site":"gokina","text":"x"}`))
	f.Add([]byte(`{"id":2,"at":"2026-11-27T12:00:00Z","who":"aisha","kind":"maintenance","window":{"scope":{"district":"H"},"from":"2026-11-27T12:00:00Z","weekly":"Su 02:00-04:00","zone":"Europe/Berlin","who":"aisha","reason":"x"}}`))
	f.Add([]byte(`{"id":3,"at":"2026-11-27T12:00:00Z","who":"aisha","kind":"cancel","of":2}`))
	f.Add([]byte("\x00"))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := decode(line)
		if err != nil {
			return
		}
		text, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(bytes.TrimSuffix(text, []byte("\n")))
		if err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%s\nis read as %+v\nand then as %+v (%v)", line, e, again, err)
		}
		if e.Window != nil {
			_, _, _ = e.Window.Next(noon)
		}
	})
}

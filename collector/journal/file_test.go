package journal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

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

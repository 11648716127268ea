package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var october = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

func meta(id string) Meta {
	return Meta{ID: id, Title: "October 2026, all sites", From: october, To: october.AddDate(0, 1, 0), Who: "aisha", At: october.AddDate(0, 1, 2)}
}

func open(t testing.TB) (*Archive, string) {
	dir := t.TempDir()
	return New(dir, func() time.Time { return october.AddDate(0, 2, 0) }), dir
}

func publish(t testing.TB, a *Archive, id, doc string) (Revision, bool) {
	t.Helper()
	r, fresh, err := a.Publish([]byte(doc), meta(id))
	if err != nil {
		t.Fatal(err)
	}
	return r, fresh
}

func TestWhatIsPublishedIsKeptByteForByteAndTheSameBytesAreNoNewRevision(t *testing.T) {
	a, dir := open(t)
	doc := "{\"up\": 1,  \"é\":\"\\u0041\"}\n" // not canonical: what is given counts
	r, fresh := publish(t, a, "2026-10-all", doc)
	sum := sha256.Sum256([]byte(doc))
	if !fresh || r.Number != 1 || r.SHA256 != hex.EncodeToString(sum[:]) || r.Bytes != int64(len(doc)) || r.Permalink() != "2026-10-all/1" || r.Who != "aisha" || !r.At.Equal(meta("").At) || len(r.Changes.List) != 0 {
		t.Errorf("published %+v, fresh %v", r, fresh)
	}
	if again, fresh := publish(t, a, "2026-10-all", doc); fresh || again.Permalink() != r.Permalink() || again.SHA256 != r.SHA256 {
		t.Errorf("the same bytes are %+v, fresh %v", again, fresh)
	}
	second, fresh := publish(t, a, "2026-10-all", `{"up":2,"é":"A"}`)
	if !fresh || second.Number != 2 || fmt.Sprint(second.Changes.List) != "[up: 1 → 2]" {
		t.Errorf("the second is %+v, fresh %v", second, fresh)
	}
	if third, fresh := publish(t, a, "2026-10-all", doc); !fresh || third.Number != 3 || third.SHA256 != r.SHA256 { // back to what it was is a revision, too
		t.Errorf("the third is %+v, fresh %v", third, fresh)
	}
	for n, want := range []string{doc, doc, `{"up":2,"é":"A"}`, doc} { // 0 is the newest
		got, text, err := a.Get("2026-10-all", n)
		if err != nil || string(text) != want || n > 0 && got.Number != n || n == 0 && got.Number != 3 {
			t.Errorf("revision %d: %q, %+v, %v", n, text, got, err)
		}
	}
	reopened, err := New(dir, time.Now).Report("2026-10-all")
	if err != nil || len(reopened.Revisions) != 3 || len(reopened.Damage) != 0 || reopened.Newest().Number != 3 || fmt.Sprint(reopened.Revisions[1].Changes) != fmt.Sprint(second.Changes) {
		t.Errorf("read again it is %+v, %v", reopened, err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "reports", "2026-10-all", "*"))
	if len(files) != 5 { // three records, two documents
		t.Errorf("there are %q", files)
	}
	for _, f := range files {
		if info, _ := os.Stat(f); info.Mode().Perm() != 0o440 {
			t.Errorf("%s has mode %v", f, info.Mode())
		}
	}
}

func TestReportsAreListedThatPublishedLastFirst(t *testing.T) {
	a, dir := open(t)
	if all, err := a.List(); err != nil || len(all) != 0 {
		t.Errorf("an empty archive lists %v, %v", all, err)
	}
	for i, id := range []string{"2026-08-all", "2026-10-all", "2026-09-all"} {
		m := meta(id)
		m.At = m.At.Add(time.Duration(i) * time.Hour)
		if _, _, err := a.Publish([]byte(`{}`), m); err != nil {
			t.Fatal(err)
		}
	}
	m := meta("2026-08-all")
	m.At = m.At.AddDate(0, 0, 9)
	if _, _, err := a.Publish([]byte(`{"a":1}`), m); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"Odd Name", "empty", "..x"} {
		if err := os.Mkdir(filepath.Join(dir, "reports", name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	all, err := a.List()
	var ids []string
	for _, r := range all {
		ids = append(ids, r.Newest().Permalink())
	}
	if err != nil || !slices.Equal(ids, []string{"2026-08-all/2", "2026-09-all/1", "2026-10-all/1"}) {
		t.Errorf("lists %q, %v", ids, err)
	}
}

func TestWhatCannotBePublishedIsRefusedInOneSentenceAndNothingIsWritten(t *testing.T) {
	a, dir := open(t)
	for _, tt := range []struct {
		name, doc string
		change    func(*Meta)
		want      string
	}{
		{"id", `{}`, func(m *Meta) { m.ID = "../x" }, `publish a report: report id "../x": use a-z, 0-9 and "-", beginning with a letter or a digit, at most 63 characters`},
		{"no title", `{}`, func(m *Meta) { m.Title = " " }, `publish a report: the title is empty`},
		{"title of two lines", `{}`, func(m *Meta) { m.Title = "a\nb" }, `publish a report: the title holds what is no text on one line`},
		{"nobody", `{}`, func(m *Meta) { m.Who = "" }, `publish a report: the name of who publishes is empty`},
		{"long", `{}`, func(m *Meta) { m.Title = strings.Repeat("x", 301) }, `publish a report: the title has 301 bytes; at most 300 are allowed`},
		{"reversed", `{}`, func(m *Meta) { m.From, m.To = m.To, m.From }, `publish a report: its period has no length`},
		{"no time", `{}`, func(m *Meta) { m.At = time.Time{} }, `publish a report: 1 is no year for a report`},
		{"no JSON", `{"a":}`, func(m *Meta) {}, `publish 2026-10-all: it is not a JSON object`},
		{"no object", `[]`, func(m *Meta) {}, `publish 2026-10-all: it is not a JSON object`},
		{"no text", "{\"a\":\"\xff\"}", func(m *Meta) {}, `publish 2026-10-all: it is not a JSON object`},
		{"too long", `{"a":"` + strings.Repeat("x", MaxDocument) + `"}`, func(m *Meta) {}, fmt.Sprintf(`publish 2026-10-all: it has %d bytes, and %d are the most; choose a shorter period or fewer sites`, MaxDocument+8, MaxDocument)},
	} {
		m := meta("2026-10-all")
		tt.change(&m)
		if _, _, err := a.Publish([]byte(tt.doc), m); fmt.Sprint(err) != tt.want {
			t.Errorf("%s: got  %v\nwant %s", tt.name, err, tt.want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("there is %v", left)
	}
	for _, id := range []string{"../2026-10-all", "", "A", "2026-10-all/1", ".", "no-such"} {
		if _, _, err := a.Get(id, 0); !errors.Is(err, ErrNone) {
			t.Errorf("%q: %v", id, err)
		}
	}
	publish(t, a, "x", `{}`)
	for _, n := range []int{-1, 2, MaxRevisions + 1} {
		if _, _, err := a.Get("x", n); !errors.Is(err, ErrNone) {
			t.Errorf("revision %d: %v", n, err)
		}
	}
}

func TestAFileWhoseBytesAreOthersIsNamedAndNotServed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		file   func(Revision) string
		damage func(file string) error
		listed bool // the list sees it without reading documents
	}{
		{"a bit of the document", func(r Revision) string { return documentName(r.SHA256) }, flip, false},
		{"half of the document", func(r Revision) string { return documentName(r.SHA256) }, func(f string) error { return os.Truncate(f, 3) }, true},
		{"no document", func(r Revision) string { return documentName(r.SHA256) }, os.Remove, true},
		{"a bit of the record", func(r Revision) string { return recordName(r.Number) }, flip, true},
		{"half of the record", func(r Revision) string { return recordName(r.Number) }, func(f string) error { return os.Truncate(f, 30) }, true},
		{"an empty record", func(r Revision) string { return recordName(r.Number) }, func(f string) error { return os.Truncate(f, 0) }, true},
		{"the record of another", func(r Revision) string { return recordName(r.Number) }, func(f string) error {
			b, _ := os.ReadFile(filepath.Join(filepath.Dir(f), recordName(1)))
			return errors.Join(os.Remove(f), os.WriteFile(f, b, 0o440))
		}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, dir := open(t)
			publish(t, a, "x", `{"up":1}`)
			r, _ := publish(t, a, "x", `{"up":2}`)
			file := filepath.Join(dir, "reports", "x", tt.file(r))
			if err := errors.Join(os.Chmod(file, 0o600), tt.damage(file)); err != nil {
				t.Fatal(err)
			}
			_, doc, err := a.Get("x", 2)
			if !errors.Is(err, ErrDamaged) || doc != nil || !strings.Contains(err.Error(), file) {
				t.Errorf("got %q, %v; want %s named", doc, err, file)
			}
			if _, _, err := a.Get("x", 1); err != nil {
				t.Errorf("the other revision: %v", err)
			}
			all, err := a.List()
			if err != nil || len(all) != 1 || (len(all[0].Damage) == 1) != tt.listed || tt.listed && !strings.Contains(all[0].Damage[0].Error(), file) {
				t.Errorf("the list is %+v, %v", all, err)
			}
			next, fresh := publish(t, a, "x", `{"up":3}`)
			if !fresh || next.Number != 3 || next.Note != "what it changes is not known: revision 2 is damaged" || len(next.Changes.List) != 0 {
				t.Errorf("the next is %+v", next)
			}
		})
	}
}

func flip(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	b[len(b)/2] ^= 1
	return os.WriteFile(file, b, 0o600)
}

func TestPublishingTheSameAgainMendsADamagedDocument(t *testing.T) {
	a, dir := open(t)
	r, _ := publish(t, a, "x", `{"up":1}`)
	file := filepath.Join(dir, "reports", "x", documentName(r.SHA256))
	if err := errors.Join(os.Chmod(file, 0o600), flip(file)); err != nil {
		t.Fatal(err)
	}
	if again, fresh := publish(t, a, "x", `{"up":1}`); fresh || again.Number != 1 {
		t.Errorf("it is %+v", again)
	}
	if _, doc, err := a.Get("x", 1); err != nil || string(doc) != `{"up":1}` {
		t.Errorf("got %q, %v", doc, err)
	}
}

func TestManyThatPublishAtOnceLoseNothingAndMixNothing(t *testing.T) {
	a, dir := open(t)
	const writers, each = 6, 5
	var all sync.WaitGroup
	got := make(chan Revision, writers*each)
	for w := range writers {
		all.Go(func() {
			own := New(dir, a.now) // as another process
			for i := range each {
				r, _, err := own.Publish(fmt.Appendf(nil, `{"n":%d,"by":%d}`, i, w%3), meta("x")) // two of each are the same
				if err != nil {
					t.Error(err)
				}
				got <- r
			}
		})
	}
	all.Wait()
	close(got)
	r, err := a.Report("x")
	if err != nil || len(r.Damage) > 0 {
		t.Fatal(err, r.Damage)
	}
	seen := map[string]bool{}
	for one := range got {
		seen[one.SHA256] = true
	}
	var last []byte
	for n := 1; n <= r.Newest().Number; n++ {
		rev, doc, err := a.Get("x", n)
		if err != nil || bytes.Equal(doc, last) || !seen[rev.SHA256] {
			t.Errorf("revision %d is %s, %v, after %s", n, doc, err, last)
		}
		if last != nil {
			want, _ := Diff(last, doc, 0)
			if fmt.Sprint(want.List) != fmt.Sprint(rev.Changes.List) {
				t.Errorf("revision %d lists %v, want %v", n, rev.Changes.List, want.List)
			}
		}
		last = doc
	}
	if len(seen) != 3*each || r.Newest().Number < 3*each {
		t.Errorf("%d documents in %d revisions", len(seen), r.Newest().Number)
	}
}

func TestARevisionListsAtMostSoManyChangesAndCutsLongValues(t *testing.T) {
	a, _ := open(t)
	publish(t, a, "x", string(bigDocument(300, 1)))
	r, _ := publish(t, a, "x", string(bigDocument(300, 2)))
	if len(r.Changes.List) != MostChanges || r.Changes.More != 701 {
		t.Errorf("%d listed, %d more", len(r.Changes.List), r.Changes.More)
	}
	r, _ = publish(t, a, "x", `{"a":"`+strings.Repeat("<é", 50_000)+`"}`)
	again, _, err := a.Get("x", 3)
	if err != nil || len(r.Changes.List) != 4 || !r.Changes.List[0].Cut || fmt.Sprint(again.Changes) != fmt.Sprint(r.Changes) || len(r.Changes.List[0].New) > 6*longest {
		t.Errorf("%v, %v", r.Changes.List, err)
	}
}

func TestTheLargestRecordFitsItsBound(t *testing.T) {
	r := Revision{Meta: meta("x"), Number: 1, SHA256: strings.Repeat("0", 64)}
	for range MostChanges {
		bad := []byte(`"` + strings.Repeat("<", 1000) + `"`)
		r.Changes.List = append(r.Changes.List, Change{Path: strings.Repeat("<", 1000), Old: bad, New: bad})
	}
	r.Changes.cut()
	if n := len(r.encode()); n > maxRecord {
		t.Errorf("%d bytes, and %d are read", n, maxRecord)
	}
}

func FuzzARecordThatIsNotOurs(f *testing.F) {
	r := Revision{Meta: meta("x"), Number: 1, SHA256: strings.Repeat("0", 64), Changes: Changes{List: []Change{{Path: "a", Old: []byte("null")}}}}
	f.Add(r.encode())
	f.Add(sealed([]byte(`{"id":"x","revision":1,"changes":{"list":[{"old":null}]}}`)))
	f.Add(sealed([]byte(`null`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, data := range [][]byte{data, sealed(bytes.ReplaceAll(data, []byte("\n"), nil))} {
			r, err := decodeRecord(data, "x", 1)
			if err != nil {
				continue
			}
			again, err := decodeRecord(r.encode(), "x", 1)
			if err != nil || fmt.Sprint(again) != fmt.Sprint(r) {
				t.Fatalf("%+v is %+v, %v when it is written again", r, again, err)
			}
		}
	})
}

func FuzzAnIDLeadsNowhereElse(f *testing.F) {
	for _, s := range []string{"2026-10-all", "..", "../reports/x", "x/1", "x\x00", "", ".", "/etc", "X", "-x", "x-"} {
		f.Add(s)
	}
	dir := f.TempDir()
	a := New(filepath.Join(dir, "in"), func() time.Time { return october })
	f.Fuzz(func(t *testing.T, id string) {
		m := meta(id)
		_, _, err := a.Publish([]byte(`{}`), m)
		if (err == nil) != (CheckID(id) == nil) {
			t.Fatalf("%q: %v", id, err)
		}
		if _, _, got := a.Get(id, 1); (got == nil) != (err == nil) {
			t.Fatalf("%q: %v", id, got)
		}
		_, err = a.Revoke(id, "x")
		if err == nil {
			t.Fatalf("%q was revoked", id)
		}
		if names, _ := os.ReadDir(dir); len(names) > 1 {
			t.Fatalf("%q made %v", id, names)
		}
	})
}

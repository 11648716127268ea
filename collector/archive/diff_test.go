package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAChangeNamesItsPlaceAndBothValues(t *testing.T) {
	for _, tt := range []struct {
		name, old, new string
		want           []string
	}{
		{"nothing", `{"a":[1,{"b":null}]}`, `{"a":[1,{"b":null}]}`, nil},
		{"written otherwise", `{"a":[1, {"b":"\u00e9"}],"c":2}`, "{\"c\": 2,\n \"a\":[1,{\"b\":\"é\"}]}", nil},
		{"a value", `{"a":{"b":1}}`, `{"a":{"b":2.5}}`, []string{`a.b: 1 → 2.5`}},
		{"a kind", `{"a":{"b":1}}`, `{"a":{"b":{"c":1}}}`, []string{`a.b: 1 → {"c":1}`}},
		{"null is a value", `{"a":null}`, `{"b":null}`, []string{`a: taken out, was null`, `b: added, null`}},
		{"odd names", `{"a b":{"":1,"x.y":2}}`, `{"a b":{"":2,"x.y":3}}`, []string{`["a b"][""]: 1 → 2`, `["a b"]["x.y"]: 2 → 3`}},
		{"what is in no list comes first", `{"days":[1,2],"up":1}`, `{"days":[1,3],"up":2}`, []string{`up: 1 → 2`, `days[1]: 2 → 3`}},
		{"a list of values that grows", `{"l":["en"]}`, `{"l":["ur","en"]}`, []string{`l: ["en"] → ["ur","en"]`}},
		{"a site in the midst", `{"sites":[{"site":"a","up":1},{"site":"c","up":3}]}`, `{"sites":[{"site":"a","up":1},{"site":"b","up":2},{"site":"c","up":4}]}`,
			[]string{`sites[site=b]: added, {"site":"b","up":2}`, `sites[site=c].up: 3 → 4`}},
		{"a site less", `{"sites":[{"site":"a"},{"site":"b"},{"site":"c"}]}`, `{"sites":[{"site":"b"},{"site":"c"}]}`, []string{`sites[site=a]: taken out, was {"site":"a"}`}},
		{"a list that somebody ordered", `{"best":[{"site":"c","up":9},{"site":"a","up":8},{"site":"b","up":7}]}`, `{"best":[{"site":"a","up":9.5},{"site":"c","up":9},{"site":"b","up":7}]}`,
			[]string{`best[site=a].up: 8 → 9.5`, `best: in another order`}},
		{"names with spaces are sorted as people sort", `{"l":[{"name":"Passu"},{"name":"Passu Bridge"}]}`, `{"l":[{"name":"Passu"},{"name":"Passu A"},{"name":"Passu Bridge"}]}`,
			[]string{`l[name="Passu A"]: added, {"name":"Passu A"}`}},
		{"numbers as ids", `{"l":[{"id":9},{"id":10,"x":1}]}`, `{"l":[{"id":8},{"id":9},{"id":10,"x":2}]}`, []string{`l[id=8]: added, {"id":8}`, `l[id=10].x: 1 → 2`}},
		{"a text that looks like a number", `{"l":[{"id":"9","x":1}]}`, `{"l":[{"id":"9","x":2}]}`, []string{`l[id="9"].x: 1 → 2`}},
		{"an outage that was told late", `{"out":[{"began":"2026-10-01","ms":5},{"began":"2026-10-03","ms":5}]}`, `{"out":[{"began":"2026-10-01","ms":5},{"began":"2026-10-02","ms":5},{"began":"2026-10-03","ms":5}]}`,
			[]string{`out[began="2026-10-02"]: added, {"began":"2026-10-02","ms":5}`}},
		{"ids that are not unique tell nothing apart", `{"l":[{"id":"a","x":1},{"id":"a","x":2}]}`, `{"l":[{"id":"a","x":1},{"id":"a","x":3}]}`, []string{`l[1].x: 2 → 3`}},
		{"objects without a name", `{"l":[{"x":1},{"x":2}]}`, `{"l":[{"x":1}]}`, []string{`l[1]: taken out, was {"x":2}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Diff([]byte(tt.old), []byte(tt.new), 0)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, c := range got.List {
				lines = append(lines, strings.ReplaceAll(c.String(), `[began=2026-10-02]`, `[began="2026-10-02"]`))
			}
			if !slices.Equal(lines, tt.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(tt.want, "\n"))
			}
		})
	}
}

// documents that are alike enough to have something in common.
func anyDocument() *rapid.Generator[any] {
	names := rapid.SampledFrom([]string{"a", "b", "site", "id", "name", "x y", "", "l.m", "=]", "é\"", "up-ms"})
	scalar := rapid.OneOf(
		rapid.Map(rapid.SampledFrom([]string{"a", "b", "c", "Passu", "Passu Bridge", "9", "true", "x]y", "é", "\"", "2026-10-01T00:00:00Z"}), func(s string) any { return s }),
		rapid.Map(rapid.SampledFrom([]string{"0", "1", "-1.5", "10", "9", "1e3"}), func(n string) any { return json.Number(n) }),
		rapid.SampledFrom([]any{nil, true, false}))
	var value func(depth int) *rapid.Generator[any]
	value = func(depth int) *rapid.Generator[any] {
		if depth == 0 {
			return scalar
		}
		inner := rapid.Deferred(func() *rapid.Generator[any] { return value(depth - 1) })
		object := rapid.Map(rapid.MapOfN(names, inner, 0, 4), func(m map[string]any) any { return m })
		keyed := rapid.Custom(func(t *rapid.T) any {
			name := rapid.SampledFrom([]string{"site", "id", "name", "began", "x y"}).Draw(t, "key")
			list := []any{}
			for _, k := range rapid.SliceOfNDistinct(scalar, 0, 6, encoded).Draw(t, "keys") {
				m := rapid.MapOfN(names, inner, 0, 2).Draw(t, "element")
				m[name] = k
				list = append(list, m)
			}
			return any(list)
		})
		list := rapid.Map(rapid.SliceOfN(inner, 0, 4), func(l []any) any { return l })
		return rapid.OneOf(scalar, object, list, keyed, keyed)
	}
	return value(3)
}

func TestTheListedChangesLeadFromTheOldToTheNew(t *testing.T) {
	gen := anyDocument()
	rapid.Check(t, func(r *rapid.T) {
		// drawn twice, or the second made of the first by a few changes of places
		a := gen.Draw(r, "old")
		b := gen.Draw(r, "new")
		if rapid.Bool().Draw(r, "alike") {
			b = mutated(r, decoded([]byte(encoded(a))), gen)
		}
		old, new := encoded(map[string]any{"doc": a}), encoded(map[string]any{"doc": b})
		if rapid.Bool().Draw(r, "bare") {
			old, new = encoded(a), encoded(b)
		}
		got, err := Diff([]byte(old), []byte(new), 0)
		if err != nil || got.More != 0 {
			r.Fatal(err, got.More)
		}
		if (old == new) != (len(got.List) == 0) {
			r.Fatalf("%s and %s: %v", old, new, got.List)
		}
		if is := encoded(applied([]byte(old), got.List)); is != new {
			r.Fatalf("old  %s\nnew  %s\nmade %s\nby   %v", old, new, is, got.List)
		}
		cut, err := Diff([]byte(old), []byte(new), 2)
		if err != nil || len(cut.List)+cut.More != len(got.List) || len(cut.List) != min(2, len(got.List)) {
			r.Fatalf("%d listed and %d more of %d, %v", len(cut.List), cut.More, len(got.List), err)
		}
		var spaced, spacedNew bytes.Buffer
		json.Indent(&spaced, []byte(old), " ", "\t")
		json.Indent(&spacedNew, []byte(new), "", "  ")
		again, err := Diff(spaced.Bytes(), spacedNew.Bytes(), 0)
		if err != nil || len(again.List) != len(got.List) {
			r.Fatalf("with spaces %v, without %v", again.List, got.List)
		}
	})
}

// mutated shuffles, adds, takes out and changes here and there.
func mutated(r *rapid.T, v any, gen *rapid.Generator[any]) any {
	switch x := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for n := range x {
				if !yield(n) {
					return
				}
			}
		}) {
			if rapid.IntRange(0, 3).Draw(r, "into") > 0 {
				x[name] = mutated(r, x[name], gen)
			}
		}
	case []any:
		for i := range x {
			x[i] = mutated(r, x[i], gen)
		}
		switch n := len(x); rapid.IntRange(0, 4).Draw(r, "list") {
		case 0:
			return rapid.Permutation(x).Draw(r, "moved")
		case 1:
			if n > 0 {
				at := rapid.IntRange(0, n-1).Draw(r, "out")
				return slices.Delete(x, at, at+1)
			}
		case 2:
			return slices.Insert(x, rapid.IntRange(0, n).Draw(r, "in"), gen.Draw(r, "fresh"))
		}
	default:
		if rapid.IntRange(0, 5).Draw(r, "scalar") == 0 {
			return gen.Draw(r, "other")
		}
	}
	return v
}

func TestTheSameDocumentsGiveTheSameChangesInTheSameOrder(t *testing.T) {
	old, new := bigDocument(300, 1), bigDocument(300, 2)
	want, err := Diff(old, new, MostChanges)
	if err != nil || len(want.List) != MostChanges || want.More != 300*3+2-1-MostChanges || want.List[0].Path != "programme.up" {
		t.Fatalf("%d changes and %d more, %v, the first of %+v", len(want.List), want.More, err, want.List[:1])
	}
	for range 20 {
		if got, _ := Diff(old, new, MostChanges); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatal("the second time other changes, or another order")
		}
	}
}

// bigDocument is about as large as a report of so many sites.
func bigDocument(sites, seed int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"figures":{"tests":%d},"programme":{"sites":[`, 3)
	for i := range sites {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"site":"village-%04d","up":%d,"down":%d,"name":"Village %d","hours":[%d,1,1,2,3,4,5,6,7,8,9]}`, i, i*seed, i+seed, i, seed)
	}
	fmt.Fprintf(&b, `],"up":%d,"down":0},"seed":%d}`, seed, seed)
	return b.Bytes()
}

func FuzzDiffTakesAnyTwoDocuments(f *testing.F) {
	for _, s := range [][2]string{{`{}`, `[]`}, {`[{"id":1}]`, `[{"id":"1"}]`}, {`{"a":1,"a":2}`, `{"a":1}`}, {`{"\ud800":1}`, ` { } `}, {`[[[]]]`, `[[[],[]]]`}, {`1`, `1.0`}, {"{\"a\":\"\xff\"}", `{}`}} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, old, new []byte) {
		got, err := Diff(old, new, 50)
		if err != nil {
			if json.Valid(old) && json.Valid(new) && !bytes.ContainsFunc(append(old, new...), func(r rune) bool { return r == '\uFFFD' }) {
				t.Fatal(err)
			}
			return
		}
		if same, _ := Diff(old, old, 0); len(same.List) > 0 {
			t.Fatalf("%s differs from itself: %v", old, same.List)
		}
		got.cut()
		if _, err := json.Marshal(got); err != nil {
			t.Fatal(err)
		}
		for _, c := range got.List {
			if len(c.Path) > longest || len(c.Old) > 6*longest+2 || len(c.New) > 6*longest+2 {
				t.Fatalf("%d, %d and %d bytes of a change are kept", len(c.Path), len(c.Old), len(c.New))
			}
			_ = c.String()
		}
	})
}

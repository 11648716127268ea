package reference

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/collector"
	"github.com/smartvillage/nabz/internal/conf"
)

func files(t *testing.T) []File {
	t.Helper()
	all, err := Files("../..", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func keys(files []File) (all []Key) {
	for _, f := range files {
		for _, s := range f.Sections {
			all = append(all, s.Keys...)
		}
	}
	return all
}

// beyond is the nearest value outside of a bound: up is 1 or -1.
func beyond(t *testing.T, kind, bound string, up int) string {
	t.Helper()
	switch kind {
	case "length of time":
		d, err := time.ParseDuration(bound)
		if err != nil {
			t.Fatal(err)
		}
		return `"` + (d + time.Duration(up)).String() + `"`
	case "whole number":
		n, err := strconv.ParseInt(bound, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(n + int64(up))
	}
	f, err := strconv.ParseFloat(bound, 64)
	if err != nil {
		t.Fatal(err)
	}
	text := strconv.FormatFloat(math.Nextafter(f, math.Inf(up)), 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

func TestEachBoundThatIsToldIsTakenAndTheNextValueIsNot(t *testing.T) {
	bounded := 0
	for _, k := range keys(files(t)) {
		taken, refused := []string(nil), []string(nil)
		if k.Takes.Low != "" {
			taken = append(taken, written(k.Kind, k.Takes.Low))
			refused = append(refused, beyond(t, k.Kind, k.Takes.Low, -1))
		}
		if k.Takes.High != "" {
			taken = append(taken, written(k.Kind, k.Takes.High))
			refused = append(refused, beyond(t, k.Kind, k.Takes.High, 1))
		}
		if k.Takes.Above != "" {
			taken = append(taken, beyond(t, k.Kind, k.Takes.Above, 1))
		}
		if k.Takes.Zero {
			taken = append(taken, written(k.Kind, "0"))
		}
		for _, w := range k.Takes.Words {
			taken = append(taken, `"`+w+`"`)
		}
		if k.Default != "" && k.Name != "site" {
			taken = append(taken, k.Default)
		}
		for _, v := range taken {
			if k.Name == "role" && v != `"all"` { // needs an external broker beside it, and that is another matter
				continue
			}
			if said := k.refuses(v); said != "" && !(strings.HasPrefix(k.Name, "criterion.") && !strings.Contains(said, "want")) {
				t.Errorf("%s = %s is told to be taken, and is not: %s", k.Name, v, said)
			}
		}
		for _, v := range refused {
			if k.refuses(v) == "" {
				t.Errorf("%s = %s is beyond %s, and is taken", k.Name, v, k.Takes)
			}
		}
		if len(refused) > 0 {
			bounded++
		}
	}
	if bounded < 70 {
		t.Errorf("bounds of %d keys were found, of more than 70: a refusal is worded in a way that is not understood here", bounded)
	}
}

// The comments of the example files are for those who read them on the router. What they say of a range is what is enforced.
func TestRangesInTheCommentsAreThoseThatAreEnforced(t *testing.T) {
	said := regexp.MustCompile(`(\d[0-9a-z]*) to (\d[0-9a-z]*)`)
	more := regexp.MustCompile(`(\d[0-9a-z]*) or more`)
	ranges := 0
	for _, f := range files(t)[:2] {
		for _, s := range f.Sections {
			for i, k := range s.Keys {
				if i > 0 && s.Keys[i-1].About == k.About || k.Kind == "text" || k.Kind == "list of texts" {
					continue // one comment for several keys
				}
				group := []Key{k}
				for _, next := range s.Keys[i+1:] {
					if next.About == k.About {
						group = append(group, next)
					}
				}
				for _, m := range said.FindAllStringSubmatch(k.About, -1) {
					ranges++
					if !slices.ContainsFunc(group, func(g Key) bool {
						return (same(g, g.Takes.Low, m[1]) || same(g, g.Takes.Low, "0") && m[1] == "1" && strings.Contains(g.About, " 0: ")) && same(g, g.Takes.High, m[2])
					}) {
						t.Errorf("the comment of %s says %q; enforced is %v", k.Name, m[0], takes(group))
					}
				}
				for _, m := range more.FindAllStringSubmatch(k.About, -1) {
					ranges++
					if !slices.ContainsFunc(group, func(g Key) bool { return same(g, g.Takes.Low, m[1]) }) {
						t.Errorf("the comment of %s says %q; enforced is %v", k.Name, m[0], takes(group))
					}
				}
			}
		}
	}
	if ranges < 40 {
		t.Errorf("%d ranges were found in the comments, of more than 40", ranges)
	}
}

func takes(group []Key) (all []string) {
	for _, k := range group {
		all = append(all, k.Name+": "+k.Takes.String())
	}
	return all
}

// same tells whether two texts are one value: "1m" and "60s".
func same(k Key, a, b string) bool {
	if k.Kind == "length of time" {
		x, err1 := time.ParseDuration(a)
		y, err2 := time.ParseDuration(b)
		return err1 == nil && err2 == nil && x == y
	}
	x, err1 := strconv.ParseFloat(a, 64)
	y, err2 := strconv.ParseFloat(b, 64)
	return err1 == nil && err2 == nil && x == y
}

func TestNoKeyIsLeftOutAndEachSaysWhatItIs(t *testing.T) {
	all := files(t)
	for i, v := range []any{&agent.Config{}, &collector.Config{}} {
		told := map[string]bool{}
		for _, k := range keys(all[i : i+1]) {
			told[k.Name] = true
		}
		for _, key := range conf.Keys(v) {
			if !told[key] && key != "service" {
				t.Errorf("%s: %s is not told", all[i].Name, key)
			}
		}
	}
	if n := len(keys(all[:1])); n < len(conf.Keys(&agent.Config{}))+8 {
		t.Errorf("%d keys of agent.toml, those of [[service]] are not among them", n)
	}
	for _, k := range keys(all) {
		if len(k.About) < 8 || k.Kind == "" {
			t.Errorf("%s says nothing of itself: %q, %q", k.Name, k.About, k.Kind)
		}
	}
}

func TestEachHeadingOfThePageIsOneOfItsKind(t *testing.T) {
	seen := map[string]string{}
	for line := range strings.Lines(Markdown(files(t))) {
		if !strings.HasPrefix(line, "#") {
			continue
		}
		heading := strings.TrimSpace(strings.TrimLeft(line, "#"))
		if was, twice := seen[Slug(heading)]; twice {
			t.Errorf("%q and %q have the same anchor", was, heading)
		}
		seen[Slug(heading)] = heading
	}
	for _, want := range []string{"uplinkkeepalive", "sitetime_zone", "log_level-of-collectortoml", "intakemax_age"} {
		if seen[want] == "" {
			t.Errorf("no heading has the anchor %q", want)
		}
	}
}

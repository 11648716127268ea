// Package nabz_test holds the rules of the house, as tests: what every room must have, and which way the arrows point.
package nabz_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/smartvillage/nabz/"

// source is one Go file of ours.
type source struct {
	path   string // slash-separated, from the root
	folder string
	test   bool
	file   *ast.File
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); name == "testdata" || name == "node_modules" || name == "bin" || path != "." && strings.HasPrefix(name, ".") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		path = filepath.ToSlash(path)
		folder := "."
		if i := strings.LastIndexByte(path, '/'); i >= 0 {
			folder = path[:i]
		}
		all = append(all, source{path, folder, strings.HasSuffix(path, "_test.go"), f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("found no Go file: the test does not look where the code is")
	}
	return all
}

func TestEveryRoomSaysWhatItIsInDocGo(t *testing.T) {
	rooms, told := map[string]bool{}, map[string]bool{}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.folder, "cmd/") {
			continue
		}
		rooms[s.folder] = true
		if strings.HasSuffix(s.path, "/doc.go") && s.file.Doc != nil && strings.Count(s.file.Doc.Text(), "\n") >= 4 {
			told[s.folder] = true
		}
	}
	for room := range rooms {
		if !told[room] {
			t.Errorf("%s has no doc.go that says in five lines what comes in, what goes out, and what it guarantees", room)
		}
	}
}

func TestArrowsPointOneWay(t *testing.T) {
	forbidden := map[string][]string{
		"telemetry":         {""}, // imports nothing of ours but its own rooms
		"agent":             {"collector"},
		"collector":         {"agent"},
		"agent/spool":       {"agent/uplink", "agent/probe", "agent/ledger", "agent/sampler"},
		"agent/ledger":      {"agent/spool", "agent/uplink", "agent/probe", "agent/sampler"},
		"agent/probe":       {"agent/spool", "agent/uplink", "agent/sampler"},
		"collector/store":   {"collector/fleet", "collector/intake", "collector/broker", "collector/web", "collector/report"},
		"collector/intake":  {"collector/web", "collector/report"},
		"collector/fleet":   {"collector/web", "collector/intake", "collector/broker", "collector/alert"},
		"collector/alert":   {"collector/web", "collector/intake", "collector/broker", "collector/people", "collector/store", "collector/command"},
		"collector/scribe":  {"collector/web", "collector/intake", "collector/broker", "collector/report", "collector/command"},
		"collector/report":  {"collector/web", "collector/intake", "collector/broker", "collector/press", "collector/prose", "collector/language"},
		"collector/people":  {"collector/web", "collector/intake", "collector/broker", "collector/enrol"},
		"collector/enrol":   {"collector/web", "collector/intake", "collector/broker", "collector/people"},
		"collector/broker":  {"collector/web", "collector/intake", "collector/command"},
		"collector/command": {"collector/web", "collector/intake", "collector/broker", "collector/subscriber", "collector/fleet", "collector/store", "collector/people"},
		"collector/survey":  {"collector/web", "collector/intake", "collector/broker", "collector/people"},
		"collector/checkup": {"collector/web", "collector/intake", "collector/broker", "collector/command"},
		"collector/journal": {"collector/web", "collector/intake", "collector/broker", "collector/alert", "collector/command", "collector/store", "collector/people", "collector/report"},
		"collector/prose":   {"collector/web", "collector/intake", "collector/broker", "collector/store", "collector/fleet", "collector/people", "collector/command", "collector/archive"},
		"collector/press":   {"collector/web", "collector/intake", "collector/broker", "collector/store", "collector/fleet", "collector/people", "collector/command", "collector/archive"},
		// What others build on knows none of them.
		"collector/audit": {"collector"}, "collector/benchmark": {"collector"}, "collector/outbox": {"collector"}, "collector/authority": {"collector"}, "collector/limit": {"collector"}, "collector/sheet": {"collector"}, "collector/archive": {"collector"}, "collector/language": {"collector"}, "collector/press/typeset": {"collector"}, "collector/twin": {"collector"}, "collector/depot": {"collector"},
		"collector/guide": {"collector/web", "collector/enrol", "collector/fleet", "collector/depot"},
	}
	within := func(path, room string) bool {
		return room == "" || path == room || strings.HasPrefix(path, room+"/")
	}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			ours, ok := strings.CutPrefix(path, module)
			if !ok {
				continue
			}
			for room, not := range forbidden {
				if within(s.folder, room) && !within(ours, room) && slices.ContainsFunc(not, func(n string) bool { return within(ours, n) }) {
					t.Errorf("%s imports %s; %s must not", s.path, ours, room)
				}
			}
		}
	}
}

func TestOnlyCommandsTouchTheProcess(t *testing.T) {
	process := map[string][]string{"os": {"Exit", "Args"}, "log": {"Fatal", "Fatalf", "Fatalln"}}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.folder, "cmd/") || strings.HasPrefix(s.folder, "internal/tools/") {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function; pass what it sets up as a value", s.path)
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil && slices.Contains(process[pkg.Name], sel.Sel.Name) {
				t.Errorf("%s uses %s.%s; only main may", s.path, pkg.Name, sel.Sel.Name)
			}
			return true
		})
	}
}

// calls tells whether a file calls a function of its own package.
func calls(f *ast.File, name string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if c, ok := n.(*ast.CallExpr); ok {
			id, ok := c.Fun.(*ast.Ident)
			found = found || ok && id.Name == name
		}
		return !found
	})
	return found
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		if slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` }) || calls(s.file, "bubble") {
			continue // inside its bubble a sleep costs no time
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sleep" {
				if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
					t.Errorf("%s sleeps; wait for what you expect, with a deadline", s.path)
				}
			}
			return true
		})
	}
}

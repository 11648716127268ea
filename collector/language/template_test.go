package language

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write catalogues/nabz.pot anew, and bring what is new to the end of its place in every *.po")

const template = "catalogues/nabz.pot"

// said is what the code says, in the order in which it says it.
func said(t *testing.T) []message {
	t.Helper()
	var all []message
	at := map[string]int{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		if f.Name.Name != "language" && !slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return strings.HasSuffix(i.Path.Value, `collector/language"`) }) && !sameRoom(path) {
			return nil
		}
		comments := map[int]string{}
		for _, g := range f.Comments {
			if text, ok := strings.CutPrefix(strings.TrimSpace(g.Text()), "translators: "); ok {
				comments[files.Position(g.End()).Line] = text
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Say" && sel.Sel.Name != "Count" || len(call.Args) == 0 {
				return true
			}
			where := files.Position(call.Pos())
			m := message{comments: []string{"in " + strings.TrimPrefix(filepath.ToSlash(path), "../")}}
			names := call.Args[1:]
			literals := call.Args[:1]
			if sel.Sel.Name == "Count" {
				literals, names = call.Args[1:3], call.Args[3:]
			}
			for i, l := range literals {
				text, ok := literal(l)
				if !ok || text == "" {
					t.Errorf("%s: %s of what is no text in quotes, so no catalogue can have it", where, sel.Sel.Name)
					return true
				}
				if i == 0 {
					m.id = text
				} else {
					m.plural = text
				}
			}
			if c := comments[where.Line-1]; c != "" {
				m.comments = append(m.comments, c)
			}
			filled(t, where.String(), m, names)
			if i, ok := at[m.id]; ok {
				if all[i].plural != m.plural {
					t.Errorf("%s: %q is said with and without a plural; word one of them otherwise", where, m.id)
				}
				return true
			}
			at[m.id] = len(all)
			all = append(all, m)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("found %d texts only: the test does not look where the code is", len(all))
	}
	return all
}

// sameRoom tells whether another file of the folder imports language: its types are used through an embedded Text.
func sameRoom(path string) bool {
	list, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*.go"))
	return slices.ContainsFunc(list, func(p string) bool {
		data, _ := os.ReadFile(p)
		return !strings.HasSuffix(p, "_test.go") && strings.Contains(string(data), `collector/language"`)
	})
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}

// filled holds the names that are given a value against those of the text.
func filled(t *testing.T, where string, m message, args []ast.Expr) {
	t.Helper()
	want := placeholders(m.id)
	if m.plural != "" {
		want = placeholders(m.plural)
	}
	var got []string
	for i := 0; i < len(args); i += 2 {
		name, ok := literal(args[i])
		if !ok {
			t.Errorf("%s: a name of a placeholder is no text in quotes", where)
		}
		got = append(got, "{"+name+"}")
	}
	if m.plural != "" {
		got = append(got, "{n}")
	}
	slices.Sort(got)
	if !slices.Equal(slices.Compact(got), want) {
		t.Errorf("%s: %q has the placeholders %v and is given %v", where, m.id, want, got)
	}
}

func quoted(b *strings.Builder, word, text string) {
	fmt.Fprintf(b, "%s \"%s\"\n", word, strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text))
}

// written is a catalogue as a file, with what has says of each message.
func written(header string, all []message, has map[string]message, count int) string {
	var b strings.Builder
	b.WriteString(header)
	for _, m := range all {
		b.WriteByte('\n')
		for _, c := range m.comments {
			fmt.Fprintf(&b, "#. %s\n", c)
		}
		if strings.Contains(m.id+m.plural, "{") {
			b.WriteString("#, python-brace-format\n")
		}
		quoted(&b, "msgid", m.id)
		forms := has[m.id].forms
		if m.plural == "" {
			quoted(&b, "msgstr", slices.Concat(forms, []string{""})[0])
			continue
		}
		quoted(&b, "msgid_plural", m.plural)
		for i := range count {
			form := ""
			if i < len(forms) && has[m.id].plural != "" {
				form = forms[i]
			}
			quoted(&b, fmt.Sprintf("msgstr[%d]", i), form)
		}
	}
	return b.String()
}

const templateHeader = `# The texts of nabz, to be put into a language: copy this file to the code of the language (ps.po), fill in Language, Plural-Forms and every msgstr.
# What stands in {braces} is put in by the program and stays as it is; its place in the sentence is yours.
msgid ""
msgstr ""
"Language: \n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
`

func TestTheTemplateHasWhatTheCodeSays(t *testing.T) {
	all := said(t)
	want := written(templateHeader, all, nil, 2)
	if *update {
		if err := os.WriteFile(template, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		renew(t, all)
	}
	got, err := os.ReadFile(template)
	if err != nil || string(got) != want {
		t.Fatalf("%s is not what the code says (%v); run go test ./collector/language -update", template, err)
	}
}

// renew brings the messages of each catalogue into the order of the code; what is not said any more goes.
func renew(t *testing.T, all []message) {
	files, _ := filepath.Glob("catalogues/*.po")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(file, string(data))
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]message{}
		for _, m := range c.messages {
			if !m.fuzzy {
				has[m.id] = m
			}
		}
		header, _, _ := strings.Cut(string(data), "\n\n")
		if err := os.WriteFile(file, []byte(written(header+"\n", all, has, c.count)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEveryCatalogueSaysAllThatTheCodeSaysAndNothingElse(t *testing.T) {
	all := said(t)
	files, _ := filepath.Glob("catalogues/*.po")
	if len(files) == 0 {
		t.Fatal("there is no catalogue")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parse(file, string(data))
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]message{}
		for _, m := range c.messages {
			has[m.id] = m
		}
		for _, m := range all {
			got, ok := has[m.id]
			switch {
			case !ok || got.plural != m.plural:
				t.Errorf("%s lacks %q; run go test ./collector/language -update and translate what is empty", file, m.id)
			case got.fuzzy || slices.Contains(got.forms, ""):
				t.Errorf("%s:%d: %q is not translated", file, got.line, m.id)
			}
			delete(has, m.id)
		}
		for id := range has {
			t.Errorf("%s has %q, which the code does not say", file, id)
		}
	}
}

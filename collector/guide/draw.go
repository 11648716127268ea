package guide

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	table "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// heading is one of a page that its list of contents names.
type heading struct{ ID, Text string }

// drawn is a page as HTML.
type drawn struct {
	name  string // such as "field-engineer"
	title string
	parts []heading
	body  []byte
}

// draw turns Markdown into HTML. Links to files of pages lead to their addresses below base; other files of the repository, and
// pictures, are not here, so that links to them are mere text.
func draw(pages fs.FS, file, markdown, base string) (drawn, error) {
	source := []byte(markdown)
	md := goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID()))
	doc := md.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(anchors{}))))
	d := drawn{name: strings.TrimSuffix(file, ".md")}
	var found []ast.Node
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			found = append(found, n)
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return d, fmt.Errorf("read %s: %w", file, err)
	}
	for _, n := range found {
		switch n := n.(type) {
		case *ast.Heading:
			id, _ := n.AttributeString("id")
			name, _ := id.([]byte)
			if h := (heading{ID: string(name), Text: words(n, source)}); n.Level == 1 && d.title == "" {
				d.title = h.Text
			} else if n.Level == 2 {
				d.parts = append(d.parts, h)
			}
		case *ast.Link:
			if to, ok := address(pages, file, string(n.Destination), base); ok {
				n.Destination = []byte(to)
				entitle(pages, n, source)
			} else {
				unwrap(n)
			}
		case *ast.Image:
			p := n.Parent()
			p.RemoveChild(p, n)
		case *table.Table:
			label(n, source)
		}
	}
	var out bytes.Buffer
	if err := md.Renderer().Render(&out, source, doc); err != nil {
		return d, fmt.Errorf("draw %s: %w", file, err)
	}
	d.body = bytes.ReplaceAll(out.Bytes(), []byte("<p></p>\n"), nil)                 // a picture stood there
	d.body = bytes.ReplaceAll(d.body, []byte("<pre>"), []byte(`<pre tabindex="0">`)) // so that keys can move it; what is written in a page as <pre> is escaped
	return d, nil
}

// address is where a link of a page leads to from below base. False: nowhere here.
func address(pages fs.FS, file, to, base string) (string, bool) {
	if strings.HasPrefix(to, "#") || strings.HasPrefix(to, "https://") || strings.HasPrefix(to, "http://") {
		return to, true
	}
	name, part, _ := strings.Cut(to, "#")
	name = path.Join(path.Dir(file), name)
	if info, err := fs.Stat(pages, name); err != nil || info.IsDir() {
		return "", false
	}
	to = base + "/" + strings.TrimSuffix(name, ".md")
	if part != "" {
		to += "#" + part
	}
	return to, true
}

// entitle gives a link that is worded as a file's name the title of the page, which has no such name here.
func entitle(pages fs.FS, n *ast.Link, source []byte) {
	name := words(n, source)
	text, err := fs.ReadFile(pages, name)
	if err != nil || !strings.HasSuffix(name, ".md") {
		return
	}
	first, _, _ := strings.Cut(string(text), "\n")
	n.RemoveChildren(n)
	n.AppendChild(n, ast.NewString([]byte(strings.TrimPrefix(first, "# "))))
}

// unwrap leaves of a link its words.
func unwrap(n *ast.Link) {
	p := n.Parent()
	for c := n.FirstChild(); c != nil; {
		next := c.NextSibling()
		p.InsertBefore(p, n, c)
		c = next
	}
	p.RemoveChild(p, n)
}

// label writes the head of its column on each cell behind the first two, for screens where cells stand below one another, and tells
// tables of two columns, which need none.
func label(t *table.Table, source []byte) {
	var heads []string
	for c := t.FirstChild().FirstChild(); c != nil; c = c.NextSibling() {
		heads = append(heads, words(c, source))
	}
	class := fmt.Sprintf("columns-%d", len(heads))
	if len(heads) > 5 {
		class += " many"
	}
	t.SetAttributeString("class", []byte(class))
	if len(heads) < 3 {
		return
	}
	for row := t.FirstChild().NextSibling(); row != nil; row = row.NextSibling() {
		i := 0
		for c := row.FirstChild(); c != nil; c = c.NextSibling() {
			if i > 0 && i < len(heads) && heads[i] != "" {
				c.SetAttributeString("data-label", []byte(heads[i]))
			}
			i++
		}
	}
}

// words is what a node says without its form.
func words(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) { // the function below gives no error
		if t, ok := n.(*ast.Text); ok && entering {
			b.Write(t.Segment.Value(source))
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// anchors names headings as GitHub does, so that a link works in both places.
type anchors map[string]int

// Generate makes a heading's name. The second of the same words gets a number.
func (a anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	name := Anchor(string(value))
	n := a[name]
	a[name]++
	if n > 0 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	return []byte(name)
}

// Put keeps a name that a page gives itself; none does.
func (a anchors) Put(value []byte) { a[string(value)]++ }

// Anchor is the name of a heading in links: in small letters, with - for a space, and without signs.
func Anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			return unicode.ToLower(r)
		}
		return -1
	}, strings.TrimSpace(heading))
}

// names lists the pages that are there, in the order of their names.
func names(pages fs.FS) ([]string, error) {
	all, err := fs.Glob(pages, "*.md")
	slices.Sort(all)
	return all, err
}

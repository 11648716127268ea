package pdf

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"strconv"

	"github.com/smartvillage/nabz/collector/press/typeset"
)

// A4 in points.
const (
	A4Width  = 595.28
	A4Height = 841.89
)

// Meta is what a reader's window shows of a document.
type Meta struct {
	Title    string
	Language string // BCP 47
	RTL      bool   // pages turn to the left
}

// File is a document in the making. It is for one goroutine.
type File struct {
	meta    Meta
	pages   []*Page
	fonts   []*font
	byFace  map[*typeset.Face]*font
	outline []bookmark
	zip     *zlib.Writer
}

type bookmark struct {
	title string
	level int
	page  int
	y     float64
}

// New begins an empty document.
func New(meta Meta) *File {
	z, _ := zlib.NewWriterLevel(io.Discard, zlib.DefaultCompression) // the level is valid
	return &File{meta: meta, byFace: map[*typeset.Face]*font{}, zip: z}
}

// Bookmark adds a line to the document's contents that leads to the page added last, y points below its top. Level 1 is the highest.
func (f *File) Bookmark(title string, level int, y float64) {
	f.outline = append(f.outline, bookmark{title, level, len(f.pages) - 1, y})
}

// pack compresses data.
func (f *File) pack(data []byte) []byte {
	var b bytes.Buffer
	f.zip.Reset(&b)
	_, _ = f.zip.Write(data) // a buffer takes all
	_ = f.zip.Close()
	return b.Bytes()
}

// out numbers objects and remembers where they stand.
type out struct {
	w       io.Writer
	err     error
	at      int
	offsets []int // of object i+1; 0 until it is written
}

func (o *out) print(format string, args ...any) {
	if o.err != nil {
		return
	}
	n, err := fmt.Fprintf(o.w, format, args...)
	o.at, o.err = o.at+n, err
}

func (o *out) bytes(data []byte) {
	if o.err != nil {
		return
	}
	n, err := o.w.Write(data)
	o.at, o.err = o.at+n, err
}

// reserve gives a number to an object that is written later.
func (o *out) reserve() int {
	o.offsets = append(o.offsets, 0)
	return len(o.offsets)
}

func (o *out) object(id int, format string, args ...any) {
	o.offsets[id-1] = o.at
	o.print("%d 0 obj\n", id)
	o.print(format, args...)
	o.print("\nendobj\n")
}

// stream writes an object whose data are packed already; more goes into its dictionary.
func (o *out) stream(id int, packed []byte, more string) {
	o.offsets[id-1] = o.at
	o.print("%d 0 obj\n<</Filter/FlateDecode/Length %d%s>>\nstream\n", id, len(packed), more)
	o.bytes(packed)
	o.print("\nendstream\nendobj\n")
}

// WriteTo writes the whole file. Errors: those of w.
func (f *File) WriteTo(w io.Writer) (int64, error) {
	o := &out{w: w}
	o.print("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	catalog, tree, info, resources := o.reserve(), o.reserve(), o.reserve(), o.reserve()
	kids := make([]int, len(f.pages))
	for i, p := range f.pages {
		p.close()
		content, foot := o.reserve(), o.reserve()
		kids[i] = o.reserve()
		o.stream(content, p.packed, "")
		o.stream(foot, f.pack(p.content.Bytes()), "")
		links := ""
		if len(p.links) > 0 {
			links = fmt.Sprintf("/Annots[%s]", p.links)
		}
		o.object(kids[i], "<</Type/Page/Parent %d 0 R/MediaBox[0 0 %s %s]/Resources %d 0 R/Contents[%d 0 R %d 0 R]%s>>",
			tree, num(A4Width), num(A4Height), resources, content, foot, links)
	}
	list := ""
	for _, k := range kids {
		list += strconv.Itoa(k) + " 0 R "
	}
	o.object(tree, "<</Type/Pages/Count %d/Kids[%s]>>", len(kids), list)
	fonts := ""
	for i, font := range f.fonts {
		fonts += fmt.Sprintf("/F%d %d 0 R", i, font.write(o, f))
	}
	o.object(resources, "<</Font<<%s>>>>", fonts)
	contents := ""
	if len(f.outline) > 0 {
		contents = fmt.Sprintf("/Outlines %d 0 R/PageMode/UseOutlines", f.contents(o, kids))
	}
	direction := "L2R"
	if f.meta.RTL {
		direction = "R2L"
	}
	o.object(catalog, "<</Type/Catalog/Pages %d 0 R/Lang %s/ViewerPreferences<</DisplayDocTitle true/Direction/%s>>%s>>", tree, text(f.meta.Language), direction, contents)
	o.object(info, "<</Title %s/Producer %s>>", text(f.meta.Title), text("nabz"))
	start := o.at
	o.print("xref\n0 %d\n0000000000 65535 f \n", len(o.offsets)+1)
	for _, at := range o.offsets {
		o.print("%010d 00000 n \n", at)
	}
	o.print("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(o.offsets)+1, catalog, info, start)
	return int64(o.at), o.err
}

// contents writes the bookmarks as a tree and returns its root.
func (f *File) contents(o *out, pages []int) int {
	type node struct {
		id, parent, first, last, before, next, count int
	}
	root := o.reserve()
	nodes := make([]node, len(f.outline))
	open := []int{-1} // indices of the nodes that may get children; -1 is the root
	top := node{id: root}
	at := func(i int) *node {
		if i < 0 {
			return &top
		}
		return &nodes[i]
	}
	for i, b := range f.outline {
		for len(open) > 1 && f.outline[open[len(open)-1]].level >= b.level {
			open = open[:len(open)-1]
		}
		parent := at(open[len(open)-1])
		nodes[i] = node{id: o.reserve(), parent: parent.id, before: parent.last}
		if parent.first == 0 {
			parent.first = nodes[i].id
		}
		if parent.last != 0 {
			for k := range nodes[:i] {
				if nodes[k].id == parent.last {
					nodes[k].next = nodes[i].id
				}
			}
		}
		parent.last = nodes[i].id
		for _, k := range open {
			at(k).count++
		}
		open = append(open, i)
	}
	for i, n := range nodes {
		more := ""
		for _, link := range []struct {
			name string
			id   int
		}{{"Prev", n.before}, {"Next", n.next}, {"First", n.first}, {"Last", n.last}} {
			if link.id != 0 {
				more += fmt.Sprintf("/%s %d 0 R", link.name, link.id)
			}
		}
		if n.count > 0 {
			more += fmt.Sprintf("/Count %d", n.count)
		}
		b := f.outline[i]
		o.object(n.id, "<</Title %s/Parent %d 0 R/Dest[%d 0 R/XYZ 0 %s null]%s>>", text(b.title), n.parent, pages[max(0, b.page)], num(A4Height-b.y), more)
	}
	o.object(root, "<</Type/Outlines/First %d 0 R/Last %d 0 R/Count %d>>", top.first, top.last, top.count)
	return root
}

// text is a string of the document's own, in UTF-16 with a byte order mark.
func text(s string) string {
	return "<FEFF" + units(s) + ">"
}

// num writes a number with two decimals at most.
func num(v float64) string { return string(appendNum(nil, v)) }

func appendNum(b []byte, v float64) []byte {
	from := len(b)
	b = strconv.AppendFloat(b, v, 'f', 2, 64)
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	if string(b[from:]) == "-0" {
		b = append(b[:from], '0')
	}
	return b
}

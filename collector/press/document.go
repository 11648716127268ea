package press

import "net/url"

// Document is what is read: a title and blocks, in one language.
type Document struct {
	Title    string
	Language string                       // BCP 47: "en", "ur"
	RTL      bool                         // the language is written from right to left
	Foot     string                       // stands at the end of the page, and at the foot of each sheet that is printed and each page of the PDF
	PageOf   func(page, pages int) string // what a foot of the PDF says of its place; nil says "1 / 12"
	Blocks   []Block
}

// Block is a part of a Document: one of the types of this file.
type Block interface{ block() }

// Heading begins a part; level 1 is the highest below the title, 3 the lowest.
type Heading struct {
	Level int
	Text  string
}

// Paragraph is running text.
type Paragraph struct {
	Text  string
	Small bool // said on the side: a source, a definition
}

// Facts says what things are, line by line: the period, the zone, the hash.
type Facts struct{ Rows []Fact }

// Fact is one line of Facts.
type Fact struct {
	Name, Value string
	Code        bool   // the value is an id, a hash or an address: from left to right in any language
	Link        string // where the value leads, http or https; what else it is leads nowhere
}

// link is where the fact leads, or nothing.
func (f Fact) link() string {
	if u, err := url.Parse(f.Link); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
		return u.String()
	}
	return ""
}

// NoteKind says how much a note wants to be heeded.
type NoteKind uint8

// The kinds of notes.
const (
	NoteInfo        NoteKind = iota
	NoteProvisional          // figures that will still change
	NoteWarning              // figures that must not be cited
)

// Note is set apart from the text around it.
type Note struct {
	Kind        NoteKind
	Title, Text string
}

// MarkKind is a verdict. Each has a colour and a shape, so that it needs no colour to be told.
type MarkKind uint8

// The kinds of marks.
const (
	MarkNone MarkKind = iota
	MarkGood
	MarkBad
	MarkUnsure // not enough data, not citable
)

// Mark is a verdict with its word: pass, fail, not enough data. The zero value shows nothing.
type Mark struct {
	Kind MarkKind
	Text string
}

// Cards shows a few figures at once.
type Cards struct{ Cards []Card }

// Card is one figure.
type Card struct {
	Label, Value, Detail string
	Mark                 Mark
}

// ColumnKind says how a column's cells are set.
type ColumnKind uint8

// The kinds of columns.
const (
	ColumnText   ColumnKind = iota
	ColumnNumber            // aligned at the end, digits of one width
	ColumnBar               // as a number, with a bar as long as Cell.Bar
	ColumnCode              // ids and hashes: from left to right in any language
)

// Table is rows of cells below a head, which a PDF repeats on each page. The first cell of a row names it.
type Table struct {
	Caption string
	Columns []Column
	Rows    [][]Cell // a row may be shorter than Columns; what is longer is left out
	Behind  string   // how many sites and tests stand behind it
	Empty   string   // is said instead of rows, when there are none
}

// Column is one column of a Table.
type Column struct {
	Name string
	Kind ColumnKind
}

// Cell is one cell of a Table.
type Cell struct {
	Text   string
	Detail string  // smaller, below
	Bar    float64 // 0 to 1, in a ColumnBar; anything else shows none
	Mark   Mark
}

// Chart is a picture of figures, with a description for those who do not see it.
type Chart struct {
	Caption, Description string
	Plot                 Plot
	Behind               string // how many sites and tests stand behind it
}

// PageBreak begins a new page in the PDF and in print.
type PageBreak struct{}

func (Heading) block()   {}
func (Paragraph) block() {}
func (Facts) block()     {}
func (Note) block()      {}
func (Cards) block()     {}
func (Table) block()     {}
func (Chart) block()     {}
func (PageBreak) block() {}

// Isolate sets a text apart from the sentence that it becomes a part of, so that neither changes the order of the other: a name, an id, a
// number with its unit. In a Cell, a Card and a Fact that is done already.
func Isolate(text string) string { return "\u2068" + text + "\u2069" }

// IsolateLTR is Isolate for what reads from left to right whatever its first letter: a hash, a range of dates or times.
func IsolateLTR(text string) string { return "\u2066" + text + "\u2069" }

package nabz_test

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// gap stands in a text for what is another each time: between two NULs a piece of text is as it is in the code.
const gap = "\x00"

// verb is a place in a format that something is put into.
var verb = regexp.MustCompile(`%(%|[-+#0]*(\[\d+\])?(\d+|\*)?(\.(\d+|\*))?[vTtbcdoOqxXUeEfFgGspw])`)

// said are the texts that the programs can say, with gaps.
func said(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.folder, "internal/tools") {
			continue
		}
		joined := map[ast.Node]bool{}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.ADD && !joined[n] {
					all = append(all, withGaps(pieces(n, joined)))
				}
			case *ast.BasicLit:
				if n.Kind == token.STRING && !joined[n] {
					all = append(all, withGaps(pieces(n, joined)))
				}
			}
			return true
		})
	}
	return append(all, saidElsewhere(t)...)
}

// pieces is the text of an expression, with a gap for each operand that is no literal.
func pieces(e ast.Expr, joined map[ast.Node]bool) string {
	joined[e] = true
	switch e := e.(type) {
	case *ast.BinaryExpr:
		if e.Op == token.ADD {
			return pieces(e.X, joined) + pieces(e.Y, joined)
		}
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil && e.Kind == token.STRING {
			return text
		}
	}
	return gap
}

func withGaps(text string) string { return verb.ReplaceAllString(text, gap) }

// saidElsewhere is what pages of the board and scripts of packages say.
func saidElsewhere(t *testing.T) []string {
	t.Helper()
	hidden := regexp.MustCompile(`\{\{[^}]*\}\}|<[^>]*>|\$\{?\w+\}?`)
	var all []string
	add := func(path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, hidden.ReplaceAllString(string(text), gap))
	}
	pages, err := filepath.Glob("collector/*/templates/*.html")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages of the board: %v", err)
	}
	for _, p := range pages {
		add(p)
	}
	scripts, err := filepath.Glob("packaging/*/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range scripts {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && !strings.HasSuffix(p, ".go") {
			add(p)
		}
	}
	return all
}

// unsaid is what of a quoted message no program says; "" where all is said. A message has … where something is another each time; each piece
// between has to stand in one text, and the pieces in the order in which texts have them, as far as one text has several.
func unsaid(texts []string, message string) string {
	longest := 0
	for piece := range strings.SplitSeq(message, "…") {
		piece = strings.Trim(piece, " ")
		longest = max(longest, len(piece))
		if piece != "" && !slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, piece) }) {
			return piece
		}
	}
	if longest < 12 {
		return message // too short to prove anything
	}
	return ""
}

// foreign is the part of the page with what other programs say.
const foreign = "## What other programs say"

var (
	quoted   = regexp.MustCompile("`([^`]+)`")
	firstRow = regexp.MustCompile("(?m)^\\| (`[^|]*) \\|")
)

// quotes are the messages of the page: what stands in backquotes in the first column of its tables.
func quotes(page string) []string {
	var all []string
	for _, row := range firstRow.FindAllStringSubmatch(page, -1) {
		for _, q := range quoted.FindAllStringSubmatch(row[1], -1) {
			all = append(all, q[1])
		}
	}
	return all
}

func troubles(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile("docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func TestEveryQuotedMessageIsSaidByTheCode(t *testing.T) {
	texts := said(t)
	ours, others, ok := strings.Cut(troubles(t), foreign)
	if !ok || len(quotes(others)) == 0 {
		t.Errorf("the page has no part %q", foreign)
	}
	all := quotes(ours)
	if len(all) < 60 {
		t.Errorf("%d messages are explained, want 60 at least", len(all))
	}
	for _, message := range all {
		if piece := unsaid(texts, message); piece != "" {
			t.Errorf("no program says %q, which docs/troubleshooting.md quotes in %q", piece, message)
		}
	}
}

func TestAMisspeltQuoteIsSeen(t *testing.T) {
	texts := said(t)
	for message, want := range map[string]string{
		"the enrolment token has expired":                               "",
		"read secret: …; put this agent's secret there":                 "",
		"the enrolment token has expird":                                "the enrolment token has expird",
		"read secret: …; put this agents secret there":                  "; put this agents secret there",
		"ask the agent at /var/lib: no agent is running":                "ask the agent at /var/lib: no agent is running",
		"open spool …: …":                                               "open spool …: …", // proves too little
		"Trouble at the operations centre, not in the villages.":        "",
		"cannot be reached: … is the machine there, but no broker xyz?": "is the machine there, but no broker xyz?",
	} {
		if got := unsaid(texts, message); got != want {
			t.Errorf("%q: not said is %q, want %q", message, got, want)
		}
	}
}

// inward are sentinels that nobody who runs a programme ever reads: they are caught, or are of a programmer's mistake.
var inward = []string{"spool is closed", "kept in RAM only", "over the limit", "malformed", "not a dictionary of this package", "version is not known here",
	"the writer to InfluxDB has stopped", "is not there", "is already there", "is not known", "there is none", "what the mark holds of the run before cannot be read",
	"no such command", "speed tests have cost more than the month's course allows so far"}

// TestEveryKindOfErrorIsExplained holds the page against the sentinels, which are the kinds of errors that parts tell apart.
func TestEveryKindOfErrorIsExplained(t *testing.T) {
	page, found := troubles(t), 0
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || strings.HasPrefix(s.folder, "internal/") { // what only builds and tests use is among these
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 || !strings.HasPrefix(v.Names[0].Name, "Err") {
				return true
			}
			made, ok := v.Values[0].(*ast.CallExpr)
			if !ok || len(made.Args) != 1 {
				return true
			}
			text := pieces(made.Args[0], map[ast.Node]bool{})
			found++
			if slices.Contains(inward, text) {
				used[text] = true
				return true
			}
			first, _, _ := strings.Cut(text, ";") // what follows is what to do
			first, _, _ = strings.Cut(first, ":")
			for piece := range strings.SplitSeq(first, gap) {
				if len(piece) > 60 {
					piece = piece[:60]
				}
				if !strings.Contains(page, piece) {
					t.Errorf("%s can say %q, and docs/troubleshooting.md does not explain it", s.path, text)
				}
			}
			return true
		})
	}
	if found < 40 {
		t.Errorf("only %d sentinels are found", found)
	}
	for _, text := range inward {
		if !used[text] {
			t.Errorf("%q is no sentinel any more; take it out of the list", text)
		}
	}
}

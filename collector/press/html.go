package press

import (
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"strings"
	"unicode"

	"github.com/smartvillage/nabz/third_party/fonts"
)

// Style is the stylesheet of what HTML writes. Its names begin with p- and --p-, so that it can stand beside another. It loads the fonts of
// WebFonts by their names, from its own folder, and only for a page with letters of the Arabic script.
//
//go:embed press.css
var Style string

//go:embed press.html
var pages embed.FS

// WebFonts returns the fonts that Style names, by file name, to be served beside it as font/woff2.
func WebFonts() (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range []string{"noto-naskh-arabic/noto-naskh-arabic-arabic-400-normal.woff2", "noto-naskh-arabic/noto-naskh-arabic-arabic-700-normal.woff2",
		"noto-nastaliq-urdu/noto-nastaliq-urdu-arabic-700-normal.woff2"} {
		data, err := fs.ReadFile(fonts.Files, "fontsource/"+name)
		if err != nil {
			return nil, fmt.Errorf("open font: %w", err)
		}
		out[name[strings.LastIndexByte(name, '/')+1:]] = data
	}
	return out, nil
}

// HTML writes d as an <article>, to stand in a page that loads Style. It has no script and no style of its own. Errors: those of w.
func HTML(w io.Writer, d Document) error { return execute(w, "article", d) }

// Page writes d as a whole file that asks nothing of any host: style and fonts, those only where they are needed, are in it. Errors: those of w.
func Page(w io.Writer, d Document) error {
	var article strings.Builder
	if err := HTML(&article, d); err != nil {
		return err
	}
	arabic := strings.ContainsFunc(article.String(), func(r rune) bool { return unicode.Is(unicode.Arabic, r) }) // a name may be in the letters of another language
	style := Style
	files, err := WebFonts()
	if err != nil {
		return err
	}
	for name, data := range files {
		with := "data:,"
		if d.RTL || arabic && !strings.Contains(name, "nastaliq") {
			with = "data:font/woff2;base64," + base64.StdEncoding.EncodeToString(data)
		}
		style = strings.ReplaceAll(style, `url("`+name+`")`, `url("`+with+`")`)
	}
	return execute(w, "page", struct {
		Document
		Style   template.CSS
		Article template.HTML
	}{d, template.CSS(style), template.HTML(article.String())}) // the stylesheet is ours, and the article is what the template has escaped
}

func execute(w io.Writer, name string, data any) error {
	charts := 0
	t, err := template.New("press").Funcs(template.FuncMap{
		"kind": func(b Block) string { return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", b), "press.")) },
		"direction": func(rtl bool) string {
			if rtl {
				return "rtl"
			}
			return "ltr"
		},
		"level":  func(l int) int { return min(max(l, 1), 3) + 1 },
		"number": func(k ColumnKind) bool { return k == ColumnNumber || k == ColumnBar },
		"code":   func(k ColumnKind) bool { return k == ColumnCode },
		"note":   func(k NoteKind) string { return at([]string{"info", "provisional", "warning"}, int(k), "info") },
		"mark":   func(k MarkKind) string { return at([]string{"none", "good", "bad", "unsure"}, int(k), "unsure") },
		"bar":    bar,
		"link":   Fact.link,
		"of": func(t Table, rtl bool) any {
			return struct {
				Table Table
				RTL   bool
			}{t, rtl}
		},
		"chart": func(c Chart, rtl bool) template.HTML {
			charts++
			return c.svg(fmt.Sprintf("chart-%d", charts), "p-wide", wide, rtl) + c.svg(fmt.Sprintf("chart-%d-n", charts), "p-narrow", narrow, rtl)
		},
	}).ParseFS(pages, "press.html")
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, name, data)
}

// bar is the bar of a cell, or nothing.
func bar(kind ColumnKind, share float64, rtl bool) template.HTML {
	if kind != ColumnBar || !(share >= 0 && share <= 1) {
		return ""
	}
	x := 0.
	if rtl {
		x = 100 - 100*share
	}
	return template.HTML(fmt.Sprintf(`<svg class="p-bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true"><rect class="t-line" width="100" height="4"/><rect class="t-a" x="%s" width="%s" height="4"/></svg>`,
		px(x), px(100*share)))
}

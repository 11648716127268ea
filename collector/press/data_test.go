package press_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/smartvillage/nabz/collector/press"
)

func figures(rows int) press.Package {
	d := press.Data{ID: "sites", Title: "Sites", Description: "One row a site.", Fields: []press.Field{
		{Name: "site", Type: press.String, Description: "its id"}, {Name: "availability", Type: press.Number, Unit: "fraction", Description: "up / observed"},
		{Name: "down_ms", Type: press.Integer, Unit: "ms"}, {Name: "citable", Type: press.Boolean}, {Name: "first_heard", Type: press.Datetime},
	}}
	at := time.Date(2026, 10, 1, 5, 0, 0, 0, time.FixedZone("PKT", 5*3600))
	for i := range rows {
		d.Rows = append(d.Rows, []any{fmt.Sprintf("سکول %d", i), 1 - float64(i%90)/1000, int64(i) * 3_600_000, i%3 > 0, at.Add(time.Duration(i) * time.Hour)})
	}
	d.Rows = append(d.Rows, []any{`=cmd|'/c calc'!A0, "x"`, nil, nil, nil, nil}, []any{"", math.NaN(), 0, false, at})
	return press.Package{Name: "report-2026-10", Title: "October 2026", Description: "Figures.", Report: sha, Tables: []press.Data{d, {ID: "left-out", Fields: []press.Field{{Name: "site", Type: press.String}}}}}
}

func TestACSVIsPlainRFC4180(t *testing.T) {
	var b bytes.Buffer
	if err := figures(2).Tables[0].CSV(&b); err != nil {
		t.Fatal(err)
	}
	want := "\"site\",\"availability\",\"down_ms\",\"citable\",\"first_heard\"\r\n" +
		"\"سکول 0\",1,0,false,2026-10-01T00:00:00Z\r\n" +
		"\"سکول 1\",0.999,3600000,true,2026-10-01T01:00:00Z\r\n" +
		"\"'=cmd|'/c calc'!A0, \"\"x\"\"\",,,,\r\n" +
		"\"\",,0,false,2026-10-01T00:00:00Z\r\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestNoTextOfACSVIsAFormula(t *testing.T) {
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", "＠x"} {
		var b bytes.Buffer
		d := press.Data{ID: "x", Fields: []press.Field{{Name: "a", Type: press.String}}, Rows: [][]any{{text}}}
		if err := d.CSV(&b); err != nil {
			t.Fatal(err)
		}
		if got := strings.SplitAfterN(b.String(), "\r\n", 2)[1]; !strings.HasPrefix(got, `"'`) {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}

func FuzzWhatGoesIntoACSVComesOut(f *testing.F) {
	f.Add("a", "b,\"\r\n", 1.5)
	f.Add("=", "\x00\xff", math.Inf(1))
	f.Fuzz(func(t *testing.T, one, two string, v float64) {
		var b bytes.Buffer
		d := press.Data{ID: "x", Fields: []press.Field{{Name: one, Type: press.String}, {Name: "n", Type: press.Number}}, Rows: [][]any{{two, v}, {one, nil}}}
		if err := d.CSV(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 3 || len(rows[1]) != 2 {
			t.Fatalf("got %q, %v", rows, err)
		}
		want := strings.ReplaceAll(strings.ToValidUTF8(strings.ReplaceAll(two, "\x00", ""), "\ufffd"), "\r\n", "\n") // which the reader does
		if got := rows[1][0]; got != want && got != "'"+want {
			t.Errorf("%q came out as %q", two, got)
		}
	})
}

func TestAValueOfAnotherTypeIsNamed(t *testing.T) {
	d := figures(1).Tables[0]
	d.Rows[0][2] = 1.5
	if err := d.CSV(io.Discard); fmt.Sprint(err) != "table sites, row 1, column down_ms: a float64 is no integer" {
		t.Errorf("got %v", err)
	}
	d.Rows[0] = d.Rows[0][:2]
	if err := d.CSV(io.Discard); fmt.Sprint(err) != "table sites, row 1: it has 2 values for 5 columns" {
		t.Errorf("got %v", err)
	}
}

func TestTheDictionarySaysWhatEachColumnMeansAndHasTheHashOfEachTable(t *testing.T) {
	p := figures(3)
	data, err := p.Dictionary()
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Profile, Name string
		Report        string `json:"report_sha256"`
		Resources     []struct {
			Path, Hash string
			Bytes      int
			Schema     struct {
				Fields  []press.Field
				Missing []string `json:"missingValues"`
			}
		}
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if got.Profile != "tabular-data-package" || got.Report != sha || len(got.Resources) != 2 {
		t.Fatalf("got %s", data)
	}
	r := got.Resources[0]
	if r.Path != "sites.csv" || !slices.Equal(r.Schema.Fields, p.Tables[0].Fields) || !slices.Equal(r.Schema.Missing, []string{""}) {
		t.Errorf("got %+v", r)
	}
	var z bytes.Buffer
	if err := p.Bundle(&z); err != nil {
		t.Fatal(err)
	}
	files := unzip(t, z.Bytes())
	if len(files) != 3 || !bytes.Equal(files["datapackage.json"], data) || len(files["sites.csv"]) != r.Bytes || "sha256:"+hashOf(files["sites.csv"]) != r.Hash {
		t.Errorf("the bundle holds %d files; sites.csv of %d bytes", len(files), len(files["sites.csv"]))
	}
}

func unzip(t *testing.T, data []byte) map[string][]byte {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, f := range r.File {
		c, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if out[f.Name], err = io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	}
	return out
}

func TestAWorkbookOpensWithItsFiguresUnitsAndDictionary(t *testing.T) {
	var b bytes.Buffer
	p := figures(3)
	p.Tables[1].ID = "a name that is longer than a sheet's may be/1"
	if err := p.XLSX(&b); err != nil {
		t.Fatal(err)
	}
	f, err := excelize.OpenReader(&b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, want := f.GetSheetList(), []string{"sites", "a name that is longer than a s", "Dictionary"}; len(got) != 3 || got[0] != want[0] || !strings.HasPrefix(got[1], want[1]) || got[2] != want[2] {
		t.Errorf("sheets %q", got)
	}
	for cell, want := range map[string]string{"A1": "site", "B1": "availability [fraction]", "A3": "سکول 1", "B3": "99.90%", "C4": "7,200,000", "D3": "TRUE", "E3": "2026-10-01 01:00", "A5": `=cmd|'/c calc'!A0, "x"`, "B5": "", "B6": ""} {
		if got, err := f.GetCellValue("sites", cell); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", cell, got, err, want)
		}
	}
	if formula, _ := f.GetCellFormula("sites", "A5"); formula != "" {
		t.Errorf("A5 is a formula: %s", formula)
	}
	if panes, err := f.GetPanes("sites"); err != nil || !panes.Freeze || panes.YSplit != 1 {
		t.Errorf("the head is not frozen: %+v %v", panes, err)
	}
	rows, err := f.GetRows("Dictionary")
	if err != nil || !slices.ContainsFunc(rows, func(r []string) bool {
		return slices.Equal(r, []string{"sites", "availability", "number", "fraction", "up / observed"})
	}) {
		t.Errorf("the dictionary says %q (%v)", rows, err)
	}
}

func TestTheSameTablesAreTheSameBytes(t *testing.T) {
	for name, write := range map[string]func(press.Package, io.Writer) error{"xlsx": press.Package.XLSX, "bundle": press.Package.Bundle} {
		var first string
		for range 8 {
			h := sum()
			if err := write(figures(200), h); err != nil {
				t.Fatal(err)
			}
			got := fmt.Sprintf("%x", h.Sum(nil))
			if first == "" {
				first = got
			}
			if got != first {
				t.Errorf("%s differs from one time to the next", name)
			}
		}
	}
}

package survey_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/smartvillage/nabz/collector/sheet"
	"github.com/smartvillage/nabz/collector/survey"
)

func read(t *testing.T, file string) *survey.Survey {
	t.Helper()
	f, err := sheet.Open(file, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := survey.Read(f.Rows(), survey.Options{Workbook: f.Workbook})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheExampleOfTheDocsIsTheSameAsCSVAndAsWorkbook(t *testing.T) {
	example := filepath.Join("..", "..", "docs", "examples", "sites.csv")
	csv := read(t, example)
	f, err := sheet.Open(example, "")
	if err != nil {
		t.Fatal(err)
	}
	book := excelize.NewFile()
	defer book.Close()
	for row, err := range f.Rows() {
		if err == nil {
			err = book.SetSheetRow("Sheet1", fmt.Sprint("A", row.Number), &row.Cells)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := book.SetCellFloat("Sheet1", "D2", 33.789, -1, 64); err != nil { // a number, as a spreadsheet keeps it
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "sites.xlsx")
	if err := book.SaveAs(file); err != nil {
		t.Fatal(err)
	}
	xlsx := read(t, file)
	if got, want := fmt.Sprintf("%+v", xlsx), fmt.Sprintf("%+v", csv); got != want || len(csv.Sites) != 4 {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

package survey_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/collector/sheet"
	"github.com/smartvillage/nabz/collector/survey"
)

// spreadsheet is 5,000 sites with all that can be told of each.
func spreadsheet(b *testing.B, change int) (csv, xlsx string) {
	b.Helper()
	var text bytes.Buffer
	book := excelize.NewFile()
	defer book.Close()
	add := func(row int, cells ...any) {
		for i, c := range cells {
			if i > 0 {
				text.WriteByte(';')
			}
			fmt.Fprint(&text, c)
		}
		text.WriteByte('\n')
		if err := book.SetSheetRow("Sheet1", fmt.Sprint("A", row), &cells); err != nil {
			b.Fatal(err)
		}
	}
	add(1, "Site code", "Village", "District", "Latitude", "Longitude", "ISP", "Type", "Population", "Hours", "Download target (Mbps)", "Upload target (Mbps)", "Time zone")
	for i := range 5000 {
		add(i+2, fmt.Sprintf("village-%d", i), fmt.Sprint("Village ", i), fmt.Sprint("District ", i%40), fmt.Sprintf("%.4f", 30+float64(i)/1000), fmt.Sprintf("%.4f", 70+float64(i)/1000),
			"Margalla Net", "VSAT", 1000+i+change, "Mo-Fr 08:00-16:00", 4, 1, "Asia/Karachi")
	}
	csv, xlsx = filepath.Join(b.TempDir(), "sites.csv"), filepath.Join(b.TempDir(), "sites.xlsx")
	if err := os.WriteFile(csv, text.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := book.SaveAs(xlsx); err != nil {
		b.Fatal(err)
	}
	return csv, xlsx
}

// From the spreadsheet on the disk to a sites file that is synced and has been read again.
func BenchmarkImportOf5000Sites(b *testing.B) {
	csv, xlsx := spreadsheet(b, 0)
	changed, _ := spreadsheet(b, 1)
	for _, bm := range []struct {
		name, file, before string
	}{{"csv", csv, ""}, {"xlsx", xlsx, ""}, {"unchanged", csv, csv}, {"update", changed, csv}} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				b.StopTimer()
				dir := b.TempDir()
				r, err := fleet.OpenRegistry(filepath.Join(dir, "sites.toml"), filepath.Join(dir, "agents.toml"))
				if err != nil {
					b.Fatal(err)
				}
				if bm.before != "" {
					put(b, r, bm.before)
				}
				b.StartTimer()
				put(b, r, bm.file)
				if n := len(r.Sites()); n != 5000 {
					b.Fatalf("%d sites, want 5000", n)
				}
			}
		})
	}
}

func put(b *testing.B, r *fleet.Registry, file string) {
	f, err := sheet.Open(file, "")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	s, err := survey.Read(f.Rows(), survey.Options{Workbook: f.Workbook})
	if err != nil {
		b.Fatal(err)
	}
	err = r.ChangeSites(func(now []fleet.Site) (add, update []fleet.Site, err error) {
		p, err := s.Plan(now, true)
		return p.Add, p.Update, err
	})
	if err != nil {
		b.Fatal(err)
	}
}

package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/archive"
)

func TestEveryPublishedReportIsFoundFromTheListHoweverManyThereAre(t *testing.T) {
	p := newReporting(t, noon)
	for i := range mostListed + 3 {
		at := noon.AddDate(0, 0, -i)
		if _, _, err := p.kept.Publish(fmt.Appendf(nil, `{"n":%d}`, i), archive.Meta{ID: fmt.Sprintf("r-%d", i), Title: fmt.Sprintf("Report %d.", i), From: at.AddDate(0, -1, 0), To: at, Who: "aisha", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	page := p.reads("wall", "/reports")
	if says(t, "the list", page, "Report 0.", `<a href="/reports?all">3 earlier ones</a>`); strings.Contains(page, "Report 62.") {
		t.Error("the list has all without being asked")
	}
	if page = p.reads("wall", "/reports?all"); strings.Count(page, `href="/reports/r-`) != mostListed+3 || strings.Contains(page, "earlier ones") {
		t.Errorf("the whole list has %d reports", strings.Count(page, `href="/reports/r-`))
	}
	if n := len(p.made.briefs); n != mostListed {
		t.Errorf("%d reports are read for a list", n)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/archive"
)

// newKept is a programme with one published report, and no InfluxDB.
func newKept(t *testing.T) *cited {
	t.Helper()
	c := &cited{dir: t.TempDir()}
	c.config = filepath.Join(c.dir, "c.toml")
	if err := os.WriteFile(c.config, fmt.Appendf(nil, "data_dir = %q\n", filepath.Join(c.dir, "data")), 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 3, 1, 0, 0, 0, time.UTC)
	_, _, err := archive.New(filepath.Join(c.dir, "data"), time.Now).Publish([]byte(`{"x":1}`), archive.Meta{ID: "2026-10-all", Title: "October", From: at.AddDate(0, -1, -2), To: at, Who: "amina", At: at})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cited) audit(t *testing.T) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(c.dir, "data", "audit", "done.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return string(log)
}

func TestWhoSharesAndRevokesByCommandIsInTheAuditLogAndTheLinkIsNot(t *testing.T) {
	c := newKept(t)
	link := strings.TrimSpace(c.must(t, "share", "2026-10-all", "--label", "ministry", "--as", "amina"))
	share := strings.Fields(strings.Split(c.must(t, "shares"), "\n")[1])[0]
	c.must(t, "revoke", share)
	log := c.audit(t)
	for _, want := range []string{`"what":"share report","on":"2026-10-all"`, `link ` + share + ` for ministry, as amina`, `"what":"revoke link","on":"2026-10-all"`, `"from":"command line"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the audit log has no %s:\n%s", want, log)
		}
	}
	if strings.Contains(log, strings.TrimPrefix(link, "/shared/")) {
		t.Errorf("the audit log holds the link:\n%s", log)
	}
}

func TestALinkThatCannotBeRecordedIsNotGivenOut(t *testing.T) {
	c := newKept(t)
	if err := os.WriteFile(filepath.Join(c.dir, "data", "audit"), []byte("in the way"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.do(t, "share", "2026-10-all", "--label", "ministry"); err == nil || strings.Contains(out, "/shared/") {
		t.Errorf("it is given out (%v): %s", err, out)
	}
	if out := c.must(t, "shares"); !strings.Contains(out, "revoked") {
		t.Errorf("it is open:\n%s", out)
	}
}

func TestTheListNamesWhatIsDamagedAndFails(t *testing.T) {
	c := newKept(t)
	record := filepath.Join(c.dir, "data", "reports", "2026-10-all", "1.revision")
	if err := os.Remove(record); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(record, []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := c.do(t, "list"); err == nil || !strings.Contains(err.Error(), record) || strings.Contains(out, "0001") {
		t.Errorf("the list says (%v)\n%s", err, out)
	}
}

func TestWhatIsMistypedOfAPublishedReportIsSaid(t *testing.T) {
	c := newKept(t)
	for _, id := range []string{"2026-10-all/1x", "2026-10-all/01", "2026-10-all/0"} {
		if _, err := c.do(t, "show", id, "--format", "json"); err == nil {
			t.Errorf("%s is shown", id)
		}
	}
	if _, err := c.do(t, "share", "2026-10-all"); err == nil || !strings.Contains(err.Error(), "--label") {
		t.Errorf("a link for nobody: %v", err)
	}
}

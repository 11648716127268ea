package deploy

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// setUp types the page of Debian as far as a collector that runs. For a machine that is to get a backup, it leaves out init and what comes after.
func (n *noc) setUp(collector bool) {
	n.t.Helper()
	for _, b := range blocks(n.t, "../docs/debian.md") {
		switch {
		case b.heading == "InfluxDB", b.heading == "The collector" && b.kind == "sh" && collector && !strings.Contains(b.text, "noc.example.org/"),
			b.heading == "The collector" && strings.HasPrefix(b.text, "apt-get install"):
			n.does(b)
		}
	}
}

// october is a ledger of a month: a site that was down now and then, by a rule.
func october() []byte {
	var b bytes.Buffer
	at := time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)
	for h := range 31 * 24 {
		up, begin := time.Hour, at.Add(time.Duration(h)*time.Hour)
		if h%17 == 3 {
			up = time.Hour - time.Duration(h%50+1)*time.Minute
			fmt.Fprintf(&b, "span,site=gokina,agent=main,state=down,cause=backhaul ms=%di,err_ms=900i %d\n", (time.Hour - up).Milliseconds(), begin.Add(up).UnixMilli())
		}
		fmt.Fprintf(&b, "span,site=gokina,agent=main,state=up ms=%di,err_ms=900i %d\n", up.Milliseconds(), begin.UnixMilli())
	}
	return b.Bytes()
}

// asAdmin sends something to InfluxDB with its admin's password, which is in a file there.
func (n *noc) asAdmin(path string, body []byte) string {
	n.t.Helper()
	return n.Feed(body, "sh", "-ec", `printf 'user = "%s"\n' "$(cat /root/nabz/influx-admin)" >/root/k; curl -fsS -K /root/k --data-binary @- "http://127.0.0.1:8086`+path+`"; rm /root/k`)
}

// known is all that people would miss.
func (n *noc) known() string {
	n.t.Helper()
	return n.Run("sh", "-ec", `set -x
nabz-collector report --period 2026-10 -o /root/october.json 2>/root/progress; sha256sum </root/october.json
nabz-collector report list; nabz-collector report shares; nabz-collector user list; nabz-collector agent list; nabz-collector site list
sha256sum /etc/nabz/tls/* /etc/nabz/sites.toml /var/lib/nabz-collector/agents.toml /var/lib/nabz-collector/users.toml /var/lib/nabz-collector/journal.jsonl
nabz-collector report verify /root/october.json 2>/root/progress
stat -c '%U:%G %a %n' /etc/nabz/collector.toml /etc/nabz/tls/* /var/lib/nabz-collector /var/lib/nabz-collector/*`)
}

// detail is what InfluxDB has of the minutes.
func (n *noc) detail() string {
	n.t.Helper()
	return n.asAdmin("/query?db=nabz", []byte("q=SELECT+sum(sent)+FROM+link"))
}

func TestALedgerThatWasBackedUpLostAndRestoredGivesTheSameFiguresToTheByte(t *testing.T) {
	n := newNOC(t)
	n.setUp(true)
	n.asAdmin("/write?db=nabz_ledger&precision=ms", october())
	n.asAdmin("/write?db=nabz&precision=ms", fmt.Appendf(nil, "link,site=gokina,agent=main,target=internet sent=41i,lost=1i %d\n", time.Now().UnixMilli()))
	n.Run("sh", "-ec", "nabz-collector report publish --period 2026-10 --as aisha; nabz-collector report share \"$(nabz-collector report list --json | sed -n 's/.*\"id\": \"\\(.*\\)\".*/\\1/p' | head -n 1)\" --label ministry --as aisha; touch /var/lib/nabz-collector/journal.jsonl")
	n.Run("chown", "nabz-collector:nabz-collector", "/var/lib/nabz-collector/journal.jsonl")
	before, minutes := n.known(), n.detail()
	if !strings.Contains(before, "gokina/main") || !strings.Contains(before, "ministry") || !strings.Contains(minutes, "41") {
		t.Fatalf("what is to be backed up is not there:\n%s%s", before, minutes)
	}
	page := blocks(t, "../docs/operator.md")
	for _, b := range page {
		if b.heading == "Backup" {
			n.does(b)
		}
	}
	if got := n.Status("nabz-backup.timer", "ActiveState"); got != "active" {
		t.Errorf("the timer is %s", got)
	}
	if got := n.Status("nabz-backup.service", "Result"); got != "success" {
		t.Errorf("the service ended with %s\n%s", got, n.Journal("--unit=nabz-backup"))
	}
	if got := n.Run("sh", "-c", "stat -c %a /var/backups/nabz; find /var/backups/nabz -type f -perm /077"); got != "700\n" {
		t.Errorf("a backup can be read by others than root:\n%s", got)
	}

	// The machine dies; another one gets the backup. Of the old one nothing is left but that.
	kept := n.Run("sh", "-ec", `cd "$(find /var/backups/nabz -mindepth 1 -maxdepth 1 | sort | tail -n 1)"; tar -cf - . | base64`)
	n.Close()
	second := newNOC(t)
	second.setUp(false)
	second.Feed([]byte(kept), "sh", "-ec", "mkdir -p /root/restore; base64 -d | tar -C /root/restore -xpf -")
	for _, b := range page {
		if b.marks["typed"] == "restore" {
			if said := second.does(b); strings.Contains(said, "FAIL") {
				t.Errorf("%s fails:\n%s", b.text, said)
			}
		}
	}
	if after := second.known(); after != before {
		t.Errorf("restored, it is\n%s\nand was\n%s", after, before)
	}
	if after := second.detail(); after != minutes {
		t.Errorf("restored, the minutes are %s, and were %s", after, minutes)
	}
	t.Logf("%s", before)
}

func TestWhatTheOperatorIsToWatchIsToldByTheCollector(t *testing.T) {
	page, err := os.ReadFile("../docs/operator.md")
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, dir := range []string{"../collector", "../collector/authority", "../collector/alert", "../collector/intake", "../collector/broker"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
				b, err := os.ReadFile(dir + "/" + e.Name())
				if err != nil {
					t.Fatal(err)
				}
				code.Write(b)
			}
		}
	}
	names := regexp.MustCompile("`nabz_([a-z]+)_([a-z_]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) < 5 {
		t.Fatalf("found %d metrics on the page", len(names))
	}
	for _, m := range names {
		if whole := "nabz_" + m[1] + "_" + m[2]; !strings.Contains(code.String(), `"`+whole+`"`) && !strings.Contains(code.String(), `"`+m[2]+`"`) {
			t.Errorf("the page tells to watch %s, which no collector tells", whole)
		}
	}
}

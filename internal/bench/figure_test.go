package bench

import (
	"encoding/binary"
	"net/netip"
	"os/exec"
	"strings"
	"testing"
)

func TestAFigureReadsTheSameForPeopleAndScripts(t *testing.T) {
	for _, row := range []struct {
		figure Figure
		want   string
		ok     bool
	}{
		{Figure{"wire_standard_bytes_month", 14_999_999, "B", 15e6, false}, "figure wire_standard_bytes_month 14999999 B budget 15000000 ok", true},
		{Figure{"agent_rss", 12<<20 + 1, "B", 12 << 20, false}, "figure agent_rss 12582913 B budget 12582912 over", false},
		{Figure{"agent_cpu_link_up", 0.03333, "%", 0.2, false}, "figure agent_cpu_link_up 0.0333 % budget 0.2000 ok", true},
		{Figure{"collector_ratio", 0.912, "of-writer", 0.9, true}, "figure collector_ratio 0.9120 of-writer budget 0.9000 ok", true},
		{Figure{"collector_ratio", 0.88, "of-writer", 0.9, true}, "figure collector_ratio 0.8800 of-writer budget 0.9000 over", false},
		{Figure{"agent_rss_anon", 4096, "B", 0, false}, "figure agent_rss_anon 4096 B", true},
	} {
		if got := row.figure.String(); got != row.want || row.figure.OK() != row.ok {
			t.Errorf("got %q (ok %v), want %q (ok %v)", got, row.figure.OK(), row.want, row.ok)
		}
	}
}

func TestNamesAreAnsweredAndWhatIsNoQuestionIsNot(t *testing.T) {
	hosts := map[string]netip.Addr{"noc.example.org": netip.MustParseAddr("203.0.113.1"), "": netip.MustParseAddr("203.0.113.80")}
	ask := func(name string, kind uint16) []byte {
		q := []byte{0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		for label := range strings.SplitSeq(name, ".") {
			q = append(append(q, byte(len(label))), label...)
		}
		return append(q, 0, byte(kind>>8), byte(kind), 0, 1)
	}
	for _, row := range []struct {
		name     string
		question []byte
		want     string // the address; "none" for an answer without one; "" for no answer
	}{
		{"the broker", ask("noc.example.org", 1), "203.0.113.1"},
		{"in capitals", ask("NOC.example.org", 1), "203.0.113.1"},
		{"any other name", ask("example.com", 1), "203.0.113.80"},
		{"an address of the new kind", ask("example.com", 28), "none"},
		{"an answer", append([]byte{0, 1, 0x81}, ask("example.com", 1)[3:]...), ""},
		{"cut off", ask("example.com", 1)[:20], ""},
		{"nothing", nil, ""},
	} {
		a := answerName(row.question, hosts)
		got := ""
		if len(a) > 12 {
			got = "none"
			if binary.BigEndian.Uint16(a[6:]) == 1 {
				got = netip.AddrFrom4([4]byte(a[len(a)-4:])).String()
			}
		}
		if got != row.want {
			t.Errorf("%s: got %q, want %q", row.name, got, row.want)
		}
	}
}

func TestAReleaseIsBuiltForKnownTargetsOnly(t *testing.T) {
	out, err := exec.Command("../../scripts/build-agent", "z80", t.TempDir()+"/x").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "unknown target z80") {
		t.Errorf("got %v and %q, want a fault that names the target", err, out)
	}
}

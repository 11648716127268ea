package openwrt

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/conf"
	"github.com/smartvillage/nabz/internal/testneed"
)

var update = flag.Bool("update", false, "write the table of keys in uci.awk anew")

// kinds are the keys of the configuration as uci.awk knows them: section.key=kind, in the order of the struct.
func kinds(t *testing.T) []string {
	t.Helper()
	var all []string
	var walk func(section string, s reflect.Type)
	walk = func(section string, s reflect.Type) {
		for i := range s.NumField() {
			f := s.Field(i)
			key, kind := f.Tag.Get("toml"), ""
			switch {
			case key == "":
				continue
			case f.Type == reflect.TypeFor[conf.Duration]():
				kind = "length"
			case f.Type == reflect.TypeFor[[]string]():
				kind = "list"
			case f.Type.Kind() == reflect.Slice && section == "agent":
				walk(key, f.Type.Elem())
				continue
			case f.Type.Kind() == reflect.Struct && section == "agent":
				walk(key, f.Type)
				continue
			default:
				kind = map[reflect.Kind]string{reflect.String: "text", reflect.Bool: "switch", reflect.Int: "whole", reflect.Int64: "whole", reflect.Float64: "number"}[f.Type.Kind()]
			}
			if kind == "" {
				t.Fatalf("uci.awk has no kind for %s.%s, a %v", section, key, f.Type)
			}
			if key == "enabled" {
				t.Fatalf("%s.%s would be the init script's own switch", section, key)
			}
			all = append(all, section+"."+key+"="+kind)
		}
	}
	walk("agent", reflect.TypeFor[agent.Config]())
	return all
}

func TestUCIKnowsEveryKeyOfTheAgent(t *testing.T) {
	var want strings.Builder
	for _, k := range kinds(t) {
		fmt.Fprintf(&want, "\ttable = table \" %s\"\n", k)
	}
	b, err := os.ReadFile("uci.awk")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), "\t# keys begin\n")
	got, after, ok2 := strings.Cut(rest, "\t# keys end\n")
	if !ok || !ok2 {
		t.Fatal("uci.awk has lost the marks around its table")
	}
	if got == want.String() {
		return
	}
	if !*update {
		t.Fatalf("the table of uci.awk is not that of the configuration; run go test ./packaging/openwrt -update\n got %s\nwant %s", got, want.String())
	}
	if err := os.WriteFile("uci.awk", []byte(before+"\t# keys begin\n"+want.String()+"\t# keys end\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// translate runs uci.awk as the init script does.
func translate(t testing.TB, text string) (out, faults string, status int) {
	t.Helper()
	busybox := testneed.Program(t, "busybox", "apt-get install busybox-static")
	file := filepath.Join(t.TempDir(), "uci")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(busybox, "awk", "-v", "file=/etc/config/nabz-agent", "-v", fmt.Sprintf("zeros=%d", strings.Count(text, "\x00")), "-f", "uci.awk", file)
	cmd.Env = []string{"LC_ALL=C"}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()
}

func TestWhatUCISaysTheAgentReads(t *testing.T) {
	const head = "# Made of /etc/config/nabz-agent by /etc/init.d/nabz-agent, anew at each start: change it there, not here.\n# The number behind a key is its line there.\n"
	rows := []struct{ name, uci, want string }{
		{"nothing", "", ""},
		{"sections without options", "config agent 'agent'\n\nconfig probe\n", ""},
		{"enabled alone", "config agent 'agent'\n\toption enabled '1'\n", ""},
		{"each kind", "config agent 'agent'\n option profile 'metered'\n option monthly_mb '3.5'\n option report_every '10m'\nconfig speedtest\n option open_server 'on'\nconfig probe\n option count '3'\n list anchors '1.1.1.1'\n list anchors '9.9.9.9'\n",
			"profile = \"metered\" # 2\nmonthly_mb = 3.5 # 3\nreport_every = \"10m\" # 4\n[probe]\ncount = 3 # 8\nanchors = [\"1.1.1.1\", \"9.9.9.9\"] # 9\n[speedtest]\nopen_server = true # 6\n"},
		{"services", "config service\n\toption name 'clinic'\n\toption max_rtt_ms 300\nconfig service 'x'\n\toption name 'school'\n", "[[service]] # 1\nname = \"clinic\" # 2\nmax_rtt_ms = 300 # 3\n[[service]] # 4\nname = \"school\" # 5\n"},
		{"nothing, said", "config probe\n option dns_name '-'\n list anchors '-'\n", "[probe]\ndns_name = \"\" # 2\nanchors = [] # 3\n"},
		{"quotes", "config agent\n option ca_file 'it'\\''s'\n option data_dir \"a\\\"b \\\\ c\"\n option secret_file a\\ b'c d'\"e\"\n", "ca_file = \"it's\" # 2\ndata_dir = \"a\\\"b \\\\ c\" # 3\nsecret_file = \"a bc de\" # 4\n"},
		{"single quotes keep a backslash", "config agent\n option ca_file 'a\\b\\'\n", "ca_file = \"a\\\\b\\\\\" # 2\n"},
		{"comments", "# one\nconfig agent # two\n option ca_file a#three\n option data_dir 'a#b' # four\n", "ca_file = \"a\" # 3\ndata_dir = \"a#b\" # 4\n"},
		{"lines of Windows", "config agent\r\n option ca_file 'a'\r\n", "ca_file = \"a\" # 2\n"},
		{"over two lines", "config agent\n option ca_file 'a\nb'\n option data_dir \"c\\\nd\"\n option \\\nsite gokina", "ca_file = \"a\\nb\" # 2\ndata_dir = \"cd\" # 4\nsite = \"gokina\" # 6\n"},
		{"control letters", "config agent\n option ca_file 'a\tb\x01\x7f'\n", "ca_file = \"a\\u0009b\\u0001\\u007F\" # 2\n"},
		{"letters of other scripts", "config agent\n option ca_file 'نبض'\n", "ca_file = \"نبض\" # 2\n"},
		{"short words and a package", "package nabz-agent\nc agent\no site gokina\nc probe\nl anchors 1.1.1.1\n", "site = \"gokina\" # 3\n[probe]\nanchors = [\"1.1.1.1\"] # 5\n"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			want := r.want
			if want != "" {
				want = head + want
			}
			if got, faults, status := translate(t, r.uci); got != want || faults != "" || status != 0 {
				t.Errorf("status %d %s\n got %s\nwant %s", status, faults, got, want)
			}
		})
	}
	if got, faults, status := translate(t, "config agent\n option enabled 'off'\n option site x\n"); status != 3 || faults != "" || got != head+"site = \"x\" # 3\n" {
		t.Errorf("disabled: status %d %s %s", status, faults, got)
	}
	if got, faults, status := translate(t, "config agent\n option enabled 0\n option sight x\n"); status != 4 || !strings.HasPrefix(faults, "/etc/config/nabz-agent:3: ") || got != "" {
		t.Errorf("disabled, with a fault: status %d %s %s", status, faults, got)
	}
}

func TestAMistakeInUCIIsToldWithItsLineAndWhatToDo(t *testing.T) {
	rows := []struct{ name, uci, want string }{
		{"unknown option", "config probe\n\n option cuont 3", `3: unknown option "cuont" in section probe; did you mean "count"?`},
		{"nothing near", "config time\n option wallpaper 3", `2: unknown option "wallpaper" in section time; known here: servers, trust_system`},
		{"unknown section", "config prob\n option count 3", `1: unknown section "prob"; did you mean "probe"?`},
		{"two sections of a type", "config probe a\nconfig probe b", `2: a second section of type "probe", the first is in line 1; put both into one`},
		{"two sections of a name", "config service a\nconfig service a", `2: a second section "a", the first is in line 1; put both into one`},
		{"a name that is none", "config probe 'a-b'", `1: "a-b" cannot be the name of a section; use a-z, 0-9 and _`},
		{"no section", "option site x", `1: option before the first section; write: config agent 'agent' above it`},
		{"no type", "config", `1: config without a type; write: config probe 'probe'`},
		{"too many words", "config probe a b", `1: more than a type and a name; write: config probe 'name'`},
		{"no option", "config agent\noption", `2: option without a name; write: option name 'value'`},
		{"words without quotes", "config agent\noption time_zone Asia Karachi", `2: more than one value of time_zone; put it in quotes`},
		{"empty", "config agent\noption ca_file ''", `2: ca_file is empty, which UCI would leave out; write '-' for nothing, or delete the line`},
		{"option for a list", "config probe\noption anchors 1.1.1.1", `2: anchors is a list; write, once for each value: list anchors '1.1.1.1'`},
		{"list for an option", "config agent\nlist site x", `2: site takes one value; write: option site 'x'`},
		{"twice", "config agent\noption site x\noption site y", `3: site stands in line 2 already; delete one`},
		{"nothing and something", "config probe\nlist anchors 1.1.1.1\nlist anchors -", `3: '-' is the empty list; delete it, or the other values of anchors`},
		{"no number", "config probe\noption count three", `2: count: "three" is not right; write a whole number`},
		{"a fraction", "config probe\noption count 1.5", `2: count: "1.5" is not right; write a whole number`},
		{"too long a number", "config agent\noption spool_max_bytes 1000000000000000000000", `2: spool_max_bytes: "1000000000000000000000" is not right; write a whole number`},
		{"no length of time", "config agent\noption report_every 60", `2: report_every: "60" is not right; write a length of time with its unit, such as 60s, 5m or 1h30m`},
		{"no switch", "config time\noption trust_system maybe", `2: trust_system: "maybe" is not right; write 1 or 0`},
		{"a quote without end", "config agent\n\noption site 'x\n\n", `3: the quote that begins here never ends; close it`},
		{"no word of UCI's", "confg agent", `1: "confg" is no word of UCI's; write config, option or list`},
		{"a word in quotes", "'config' agent", `1: "config" is no word of UCI's here; write config, option or list without quotes`},
		{"another package", "package network", `1: this file is of package nabz-agent; delete the line`},
		{"a semicolon", "config agent; option site x", `1: a semicolon; write what is behind it in a line of its own, or put the value in quotes`},
		{"all at once", "config agent\noption sit x\nconfig probe\noption count y", "2: unknown option \"sit\" in section agent; did you mean \"site\"?\n/etc/config/nabz-agent:4: count: \"y\" is not right; write a whole number"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			got, faults, status := translate(t, r.uci)
			if want := "/etc/config/nabz-agent:" + r.want + "\n"; faults != want || status != 1 || got != "" {
				t.Errorf("status %d %s\n got %s\nwant %s", status, got, faults, want)
			}
		})
	}
}

func TestAZeroByteIsRefused(t *testing.T) {
	for _, text := range []string{"config agent\noption site x\x00y\n", "config agent\noption site 'x\x00y'\n"} {
		if out, faults, status := translate(t, text); status != 1 || out != "" || faults == "" {
			t.Errorf("%q: status %d %s %s", text, status, out, faults)
		}
	}
}

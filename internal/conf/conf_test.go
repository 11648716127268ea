package conf_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/smartvillage/nabz/internal/conf"
)

type config struct {
	Name    string            `toml:"name"`
	Probe   probe             `toml:"probe"`
	Service []service         `toml:"service"`
	Labels  map[string]string `toml:"labels"`
	hidden  string
}

type probe struct {
	Every   conf.Duration `toml:"every"`
	Count   int           `toml:"count"`
	Small   int8          `toml:"small"`
	Port    uint16        `toml:"port"`
	Loss    float64       `toml:"loss"`
	On      bool          `toml:"on"`
	Anchors []string      `toml:"anchors"`
	Limit   *int          `toml:"limit"`
}

type service struct {
	Name string `toml:"name"`
	Port int    `toml:"port"`
}

func TestWhatTheFileSaysReplacesTheDefaultAndNothingElse(t *testing.T) {
	c := config{Name: "kept", Probe: probe{Count: 3, Loss: 20, Anchors: []string{"a", "b", "c"}}, hidden: "kept"}
	_, err := conf.Parse("agent.toml", []byte(`
[probe]
every = "1h30m"
loss = 5
anchors = ["x"]
limit = 7
small = -128
port = 65535
[[service]]
name = "clinic"
[[service]]
name = "school"
port = 443
[labels]
region = "north"
`), &c)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %v %d %d %d %v %v %d %v %v %s", c.Name, c.Probe.Every, c.Probe.Count, c.Probe.Small, c.Probe.Port,
		c.Probe.Loss, c.Probe.Anchors, *c.Probe.Limit, c.Service, c.Labels, c.hidden)
	want := "kept 1h30m 3 -128 65535 5 [x] 7 [{clinic 0} {school 443}] map[region:north] kept"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestFaultsNameFileLineKeyAndWhatWouldBeAccepted(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"misspelt key", "name = \"x\"\n\n[probe]\ncuont = 3",
			`a.toml:4: unknown key "cuont" in [probe]; did you mean "count"?`},
		{"unknown key, nothing near", "[probe]\nwallpaper = 3",
			`a.toml:2: unknown key "wallpaper" in [probe]; known here: anchors, count, every, limit, loss, on, port, small`},
		{"unknown key at the top", "nmae = 3",
			`a.toml:1: unknown key "nmae"; did you mean "name"?`},
		{"unknown section", "[prob]\ncount = 3",
			`a.toml:1: unknown section [prob]; did you mean "probe"?`},
		{"letter case matters", "[probe]\nCount = 3",
			`a.toml:2: unknown key "Count" in [probe]; did you mean "count"?`},
		{"unknown key in a list of sections", "[[service]]\nname = \"a\"\n[[service]]\nname = \"b\"\nprot = 1",
			`a.toml:5: unknown key "prot" in [service[1]]; did you mean "port"?`},
		{"text for a number", "[probe]\ncount = \"three\"",
			`a.toml:2: probe.count: got text "three", want a whole number`},
		{"fraction for a whole number", "[probe]\ncount = 1.5",
			`a.toml:2: probe.count: got the number 1.5, want a whole number`},
		{"number too large for its key", "[probe]\nsmall = 128",
			`a.toml:2: probe.small: got the number 128, want a whole number from -128 to 127`},
		{"negative number", "[probe]\nport = -1",
			`a.toml:2: probe.port: got the number -1, want a whole number from 0 to 65535`},
		{"number for text", "name = 5",
			`a.toml:1: name: got the number 5, want text in quotes`},
		{"text for a switch", "[probe]\non = \"yes\"",
			`a.toml:2: probe.on: got text "yes", want true or false`},
		{"not a number", "[probe]\nloss = nan",
			`a.toml:2: probe.loss: got the number NaN, want a finite number`},
		{"list for a number", "[probe]\nloss = [1]",
			`a.toml:2: probe.loss: got a list, want a number`},
		{"one value for a list", "[probe]\nanchors = \"x\"",
			`a.toml:2: probe.anchors: got text "x", want a list in square brackets`},
		{"wrong element of a list", "[probe]\nanchors = [\n  \"x\", # first\n  2,\n]",
			`a.toml:4: probe.anchors[1]: got the number 2, want text in quotes`},
		{"value for a section", "probe = 2009-01-02",
			`a.toml:1: probe: got a date or time, want a section [probe]`},
		{"number for a length of time", "[probe]\nevery = 60",
			`a.toml:2: probe.every: "60" is not a length of time; write it in quotes with its unit, such as "60s", "5m" or "1h30m"`},
		{"zero for a length of time", "[probe]\nevery = 0",
			`a.toml:2: probe.every: got the number 0, want text in quotes`},
		{"not TOML", "[probe]\ncount = three",
			`a.toml:2: expected value but found "three" instead`},
		{"key given twice", "name = \"x\"\nname = \"y\"\n",
			`a.toml:2: Key 'name' has already been defined.`},
		{"all faults at once, in the order of lines", "nam = 1\n[probe]\nport = true\nloss = \"x\"\nevery = \"soon\"",
			`a.toml:1: unknown key "nam"; did you mean "name"?
a.toml:3: probe.port: got true, want a whole number
a.toml:4: probe.loss: got text "x", want a number
a.toml:5: probe.every: "soon" is not a length of time; write it in quotes with its unit, such as "60s", "5m" or "1h30m"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c config
			_, err := conf.Parse("a.toml", []byte(tt.text), &c)
			if got := fmt.Sprint(err); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestFaultfNamesTheLineWhereTheKeyStands(t *testing.T) {
	var c config
	doc, err := conf.Parse("a%d.toml", []byte("# comment\r\nname = \"\"\"two\r\nlines\"\"\"\r\nprobe.count = 1 # ]\r\nlabels = { \"x y\" = \"1\", b = '''2''' }\r\nservice = [{ name = \"a\" },\r\n { name = \"b\" }]"), &c)
	if err != nil {
		t.Fatal(err)
	}
	doc.Override("labels", "environment NABZ_LABELS")
	tests := []struct{ key, want string }{
		{"name", "a%d.toml:2: name: 100% wrong"},
		{"probe.count", "a%d.toml:4: probe.count: 100% wrong"},
		{"labels.x y", "a%d.toml:5: labels.x y: 100% wrong"},
		{"labels.b", "a%d.toml:5: labels.b: 100% wrong"},
		{"service[1].name", "a%d.toml:7: service[1].name: 100% wrong"},
		{"probe.loss", "a%d.toml: probe.loss: 100% wrong"},
		{"labels", "environment NABZ_LABELS: labels: 100% wrong"},
	}
	for _, tt := range tests {
		if got := doc.Faultf(tt.key, "%d%% wrong", 100).Error(); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
	}
	var none *conf.Doc
	if got := none.Faultf("probe.loss", "is %w", os.ErrInvalid); got.Error() != "probe.loss: is invalid argument" || !errors.Is(got, os.ErrInvalid) {
		t.Errorf("without a file: got %q", got)
	}
}

func TestLoadTellsAMissingFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.toml")
	doc, err := conf.Load(file, &config{})
	if doc != nil || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v, %v; want nil and an error that names %s", doc, err, file)
	}
}

func TestKeysListsEveryKeyOfAllSections(t *testing.T) {
	got := conf.Keys(&config{})
	want := []string{"labels", "name", "probe.anchors", "probe.count", "probe.every", "probe.limit", "probe.loss",
		"probe.on", "probe.port", "probe.small", "service"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestDurationIsWrittenShortAndReadsBack(t *testing.T) {
	for in, want := range map[time.Duration]string{0: "0s", time.Second: "1s", 90 * time.Second: "1m30s", 10 * time.Minute: "10m",
		90 * time.Minute: "1h30m", 24 * time.Hour: "24h", -time.Hour: "-1h", 1500 * time.Millisecond: "1.5s"} {
		text, _ := conf.Duration(in).MarshalText()
		var back conf.Duration
		if err := back.UnmarshalText(text); string(text) != want || err != nil || back.Std() != in {
			t.Errorf("%v: got %q, read back as %v (%v); want %q", in, text, back, err, want)
		}
	}
}

// Every key that the TOML library finds has a line of the text, on which its last name stands.
func FuzzEveryKeyHasItsLine(f *testing.F) {
	for _, s := range []string{"a = 1\n[b.c]\nd = [1, {x = 2}]\n", "[[a]]\nb=1\n[[a]]\nb=2\n[a.c]\nd=\"\"\"\\\"\"\"\"\"\"\n",
		"\"q.r\" = '''x''''\n'l' = {a.b = 1979-05-27 07:32:00}\n", "[a]\nb = [ # c ]\n [\"]\"],\n]\nc = 1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var tree map[string]any
		if toml.Unmarshal([]byte(text), &tree) != nil {
			return
		}
		doc, err := conf.Parse("f", []byte(text), &struct{}{})
		if doc == nil {
			t.Fatalf("toml reads it and conf does not: %v", err)
		}
		var walk func(path string, v any)
		walk = func(path string, v any) {
			if path != "" && !doc.Has(path) {
				t.Errorf("no line for %q in %q", path, text)
			}
			switch v := v.(type) {
			case map[string]any:
				for k, e := range v {
					if path != "" {
						k = path + "." + k
					}
					walk(k, e)
				}
			case []map[string]any:
				for i, e := range v {
					walk(fmt.Sprintf("%s[%d]", path, i), e)
				}
			case []any:
				for i, e := range v {
					walk(fmt.Sprintf("%s[%d]", path, i), e)
				}
			}
		}
		walk("", tree)
	})
}

// older is a configuration that had other keys once.
type older struct {
	Count int   `toml:"count"`
	Probe probe `toml:"probe"`
}

func (*older) Gone() map[string]string {
	return map[string]string{"number": "write count", "probe.often": "write every, as a length of time", "alarm": "alarms are sent by [probe]"}
}

func TestAKeyThatWasTakenOutSaysWhatIsThereInstead(t *testing.T) {
	var c older
	_, err := conf.Parse("agent.toml", []byte("number = 3\ncount = 4\nnumbre = 5\n[probe]\noften = 7\ncount = 1\n[alarm]\non = true\n"), &c)
	want := `agent.toml:1: number was taken out; write count
agent.toml:3: unknown key "numbre"; known here: count, probe
agent.toml:5: probe.often was taken out; write every, as a length of time
agent.toml:7: alarm was taken out; alarms are sent by [probe]`
	if err == nil || err.Error() != want || c.Count != 4 || c.Probe.Count != 1 {
		t.Errorf("got %v\nwant %s\nand %+v", err, want, c)
	}
}

func TestALaterFileWinsKeyByKeyAndEachFaultNamesItsOwn(t *testing.T) {
	base := "name = \"n\"\n[probe]\ncount = 3\nloss = 7\nanchors = [\"a\", \"b\"]\n[[service]]\nname = \"clinic\"\nport = 1\n[[service]]\nname = \"school\"\nport = 2\n"
	tests := []struct{ name, under, over, want, faults string }{
		{"a key", base, "[probe]\ncount = 5\n", "n 5 7 [a b] [{clinic 1} {school 2}]", ""},
		{"a list is replaced", base, "probe.anchors = [\"c\"]\n", "n 3 7 [c] [{clinic 1} {school 2}]", ""},
		{"sections of a list are replaced", base, "[[service]]\nname = \"health\"\n", "n 3 7 [a b] [{health 0}]", ""},
		{"nothing", base, "# nothing\n", "n 3 7 [a b] [{clinic 1} {school 2}]", ""},
		{"the first is empty", "", "name = \"m\"\n", "m 0 0 [] []", ""},
		{"a fault in each, in their order", "nam = 1\n\n" + base, "\n\n[probe]\ncount = \"five\"\n", "n 0 7 [a b] [{clinic 1} {school 2}]",
			"a.toml:1: unknown key \"nam\"; did you mean \"name\"?\na.local.toml:4: probe.count: got text \"five\", want a whole number"},
		{"a wrong value that is overruled does no harm", "[probe]\ncount = \"three\"\n", "[probe]\ncount = 4\n", " 4 0 [] []", ""},
		{"a section over a number", "probe = 3\n", "[probe]\ncount = 4\n", " 4 0 [] []", ""},
		{"a number over a section", base, "\nprobe = 3\n", "n 0 0 [] [{clinic 1} {school 2}]", "a.local.toml:2: probe: got the number 3, want a section [probe]"},
		{"neither is TOML", "name = x", "\nname = y", "", "a.toml:1: expected value but found \"x\" instead\na.local.toml:2: expected value but found \"y\" instead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c config
			doc, err := conf.ParseAll(&c, conf.Source{File: "a.toml", Data: []byte(tt.under)}, conf.Source{File: "a.local.toml", Data: []byte(tt.over)})
			faults := ""
			if err != nil {
				faults = err.Error()
			}
			if faults != tt.faults {
				t.Errorf("faults\n got %s\nwant %s", faults, tt.faults)
			}
			if got := fmt.Sprintf("%s %d %v %v %v", c.Name, c.Probe.Count, c.Probe.Loss, c.Probe.Anchors, c.Service); doc != nil && got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestWhatStoodInAListThatWasReplacedIsForgotten(t *testing.T) {
	var c config
	doc, err := conf.ParseAll(&c, conf.Source{File: "a.toml", Data: []byte("probe.anchors = [\"a\",\n\"b\"]\n[[service]]\nname = \"x\"\nport = 3\n")},
		conf.Source{File: "b.toml", Data: []byte("probe.anchors = [\"c\"]\n[[service]]\nname = \"y\"\n")})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"service[0].port": "a.toml: ", "service[0].name": "b.toml:3: ", "probe.anchors[1]": "a.toml: ", "probe.anchors[0]": "b.toml:1: "} {
		if got := doc.Faultf(key, "wrong").Error(); got != want+key+": wrong" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

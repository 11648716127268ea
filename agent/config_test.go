package agent

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/conf"
)

func TestTheShippedExampleHasEveryKeyAtItsDefault(t *testing.T) {
	var c Config
	d, err := conf.Parse("agent.example.toml", []byte(Example), &c)
	if err != nil {
		t.Fatal(err)
	}
	if want := Defaults(); !reflect.DeepEqual(c, want) {
		t.Errorf("example\n got %+v\nwant %+v", c, want)
	}
	lines := strings.Split(Example, "\n")
	for _, key := range conf.Keys(&c) {
		if key == "service" { // none by default; the example shows one as a comment
			continue
		}
		if !d.Has(key) {
			t.Errorf("key %s is not in the example", key)
			continue
		}
		name := key[strings.LastIndex(key, ".")+1:]
		i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+" = ") })
		if i < 1 || !strings.HasPrefix(lines[i-1], "# ") {
			t.Errorf("key %s has no comment above it", key)
		}
	}
}

func TestTheDefaultsNeedOnlyASite(t *testing.T) {
	c := Defaults()
	if got, want := fmt.Sprint(c.Validate(nil)), "site: is not set; name the site that this agent measures, as the list of sites does"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if c.Site = "gokina"; c.Validate(nil) != nil {
		t.Error(c.Validate(nil))
	}
}

func TestAProfileSetsTheDefaultsOfKeysThatTheFileLeavesOpen(t *testing.T) {
	c, d, err := Parse("agent.toml", []byte("site = \"gokina\"\nprofile = \"metered\"\nreport_every = \"10m\"\n"), "")
	if err = errors.Join(err, c.Validate(d)); err != nil {
		t.Fatal(err)
	}
	if c.Profile != Metered || c.ReportEvery.Std() != 10*time.Minute || c.DetailEvery.Std() != 5*time.Minute || c.MonthlyMB != 4 {
		t.Errorf("got %+v", c)
	}
	if c, _, _ = Parse("agent.toml", []byte("profile = \"metered\"\n"), Standard); c.Profile != Standard || c.ReportEvery.Std() != time.Minute {
		t.Errorf("the command line does not win: %+v", c)
	}
	c, d, _ = Parse("agent.toml", []byte("site = \"gokina\"\nprofile = \"cheap\"\n"), "")
	if got, want := fmt.Sprint(c.Validate(d)), `agent.toml:2: profile: "cheap" is none of standard, metered`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTheExampleOfAProfileIsThatProfile(t *testing.T) {
	for _, profile := range []string{Standard, Metered} {
		c, _, err := Parse("agent.toml", []byte(ExampleOf(profile)), "")
		if err != nil {
			t.Fatal(err)
		}
		want := DefaultsOf(profile)
		if c.Services = want.Services; !reflect.DeepEqual(c, want) {
			t.Errorf("%s\n got %+v\nwant %+v", profile, c, want)
		}
	}
}

// The brackets in the example's comments are what the profile metered has.
func TestTheExampleTellsWhatMeteredChanges(t *testing.T) {
	standard, metered := reflect.ValueOf(Defaults()), reflect.ValueOf(DefaultsOf(Metered))
	bracket := regexp.MustCompile(`\[([0-9a-z.]+)\]`)
	said := map[string]string{}
	section, comment := "", ""
	for line := range strings.Lines(Example) {
		switch name, _, key := strings.Cut(line, " = "); {
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]\n") + "."
		case strings.HasPrefix(line, "# "):
			comment += line
		case key:
			if m := bracket.FindStringSubmatch(comment); m != nil {
				said[section+name] = m[1]
			}
			fallthrough
		default:
			comment = ""
		}
	}
	want := map[string]string{}
	var compare func(prefix string, a, b reflect.Value)
	compare = func(prefix string, a, b reflect.Value) {
		for i := range a.NumField() {
			key := a.Type().Field(i).Tag.Get("toml")
			switch x, y := a.Field(i), b.Field(i); {
			case key == "" || key == "profile":
			case x.Kind() == reflect.Struct:
				compare(key+".", x, y)
			case !reflect.DeepEqual(x.Interface(), y.Interface()):
				want[prefix+key] = fmt.Sprint(y.Interface())
			}
		}
	}
	compare("", standard, metered)
	if !maps.Equal(said, want) {
		t.Errorf("the comments say %v, metered is %v", said, want)
	}
}

func TestNamesAndPortsThatNobodyCanReachAreRefused(t *testing.T) {
	for name, row := range map[string]struct {
		change func(c *Config)
		want   string
	}{
		"a port beyond the last": {func(c *Config) { c.Brokers = []string{"mqtts://noc.example.org:99999"} },
			`brokers[0]: "mqtts://noc.example.org:99999" has no port from 1 to 65535; 8883 is usual with TLS, 1883 without`},
		"port 0":             {func(c *Config) { c.Brokers = []string{"mqtt://noc:0"} }, `brokers[0]: "mqtt://noc:0" has no port from 1 to 65535; 8883 is usual with TLS, 1883 without`},
		"a name with a hole": {func(c *Config) { c.Probe.DNSName = "example..com" }, `probe.dns_name: "example..com" is not a name; write the name of a host alone, such as "example.com"`},
		"an address of the web": {func(c *Config) { c.Probe.DNSName = "https://example.com" },
			`probe.dns_name: "https://example.com" is not a name; write the name of a host alone, such as "example.com"`},
		"a name with a final dot": {func(c *Config) { c.Probe.DNSName = "example.com." }, "<nil>"},
	} {
		t.Run(name, func(t *testing.T) {
			c := Defaults()
			c.Site = "gokina"
			row.change(&c)
			if got := fmt.Sprint(c.Validate(nil)); got != row.want {
				t.Errorf("got %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestAChangeOfTheConfigurationIsToldOnceAndAnUpgradeIsNone(t *testing.T) {
	c := Defaults()
	c.DataDir, c.Version = t.TempDir(), "1.2 (abc)"
	for _, step := range []struct {
		name   string
		change func()
		want   bool
	}{
		{"the first run", func() {}, false},
		{"the same again", func() {}, false},
		{"another value", func() { c.LogLevel = "debug" }, true},
		{"the same again", func() {}, false},
		{"another version, which may have other keys", func() { c.Version, c.LogLevel = "1.3 (def)", "info" }, false},
		{"another value", func() { c.LogLevel = "warn" }, true},
	} {
		step.change()
		if got, err := configChanged(c); err != nil || got != step.want {
			t.Errorf("%s: got %v, %v", step.name, got, err)
		}
	}
}

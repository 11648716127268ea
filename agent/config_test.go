package agent

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

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

func TestOnlyABrokerElsewhereIsEvidence(t *testing.T) {
	for broker, want := range map[string]bool{"mqtt://127.0.0.1:1883": true, "mqtts://[::1]:8883": true, "mqtt://localhost:1883": true, "tcp://127.9.9.9:1": true,
		"mqtts://noc.example.org:8883": false, "mqtt://10.0.0.7:1883": false, "": false} {
		if onLoopback(broker) != want {
			t.Errorf("%q: %v", broker, !want)
		}
	}
}

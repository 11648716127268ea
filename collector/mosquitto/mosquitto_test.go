package mosquitto

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/collector/fleet"
	"github.com/smartvillage/nabz/telemetry"
)

func TestPasswordsAreForTheBrokerAloneAndTheCollectorsSecretStays(t *testing.T) {
	dir := t.TempDir()
	c := Config{Dir: filepath.Join(dir, "m"), Path: filepath.Join(dir, "m"), Secret: filepath.Join(dir, "secret"), Agents: "127.0.0.1:1883", Collectors: "localhost:1884"}
	old := telemetry.Address{Site: "gokina", Agent: "old"}
	agents := []fleet.Verifier{{Address: telemetry.Address{Site: "gokina", Agent: "main"}, Mosquitto: telemetry.MosquittoVerifier("secret")}, {Address: old}}
	var first string
	for range 2 {
		without, err := Export(c, agents)
		if err != nil || len(without) != 1 || without[0] != old {
			t.Fatalf("got %v (%v), want one agent without a verifier", without, err)
		}
		for name, want := range map[string]fs.FileMode{AgentsFile: 0o600, CollectorsFile: 0o600, "../secret": 0o600, ConfFile: 0o644} {
			if info, err := os.Stat(filepath.Join(c.Dir, name)); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v (%v), want mode %v", name, info, err, want)
			}
		}
		got, err := os.ReadFile(filepath.Join(c.Dir, AgentsFile))
		if want := "gokina/main:" + agents[0].Mosquitto + "\n"; err != nil || string(got) != want {
			t.Errorf("the agents are %q (%v), want %q", got, err, want)
		}
		own, err := os.ReadFile(filepath.Join(c.Dir, CollectorsFile))
		if err != nil || first != "" && string(own) != first {
			t.Errorf("the collectors' line changed from %q to %q (%v)", first, own, err)
		}
		first = string(own)
	}
}

func TestWhatABrokerCouldNotUseIsRefusedWithWhatToDo(t *testing.T) {
	good := Config{Path: "/m", Agents: ":8883", Collectors: ":8884", Cert: "/c", Key: "/k"}
	for name, tt := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"plain for all": {func(c *Config) { c.Cert, c.Key = "", "" }, "set mqtt.tls_cert and mqtt.tls_key"},
		"half a pair":   {func(c *Config) { c.Key = "" }, "go together"},
		"no port":       {func(c *Config) { c.Agents = "localhost" }, "is not an address to listen on"},
		"relative path": {func(c *Config) { c.Path = "m" }, "as a path from the root"},
		"line break":    {func(c *Config) { c.Cert = "/c\nallow_anonymous true" }, "as a path from the root"},
		"a secret too short": {func(c *Config) {
			c.Dir, c.Secret = t.TempDir(), filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(c.Secret, []byte("guess\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "remove it, and another is made"},
	} {
		c := good
		c.Dir = filepath.Join(t.TempDir(), "m")
		tt.change(&c)
		if _, err := Export(c, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
		if _, err := os.Stat(filepath.Join(c.Dir, ConfFile)); err == nil {
			t.Errorf("%s: a configuration was written all the same", name)
		}
	}
}

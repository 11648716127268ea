package enrol

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatThisRouterWantsForItselfIsNeverTouchedAndMayNotBeAnotherAgent(t *testing.T) {
	var n *noc
	n = open(t, func(_ int, w http.ResponseWriter) { n.say(w, good) })
	others := strings.Repeat("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n", 2)
	rows := []struct{ what, local, there, want string }{
		{"a key", "[probe]\ncount = 5\n", "", ""},
		{"a key, and a configuration to be replaced", "monthly_mb = 3\n", "site = \"saidpur\"\n", ""},
		{"a place of its own for the data", "data_dir = \"elsewhere\"\n", "", ""},
		{"another site", "\nsite = \"saidpur\"\n", "", "agent.local.toml:2: site: \"saidpur\" wins over \"gokina\", for which the token is; delete it"},
		{"another agent", "agent = \"kiosk\"\n", "", "agent.local.toml:1: agent: \"kiosk\" wins over \"main\", for which the token is; delete it"},
		{"another place for the secret", "secret_file = \"/elsewhere\"\n", "", "agent.local.toml:1: secret_file: \"/elsewhere\" wins over "},
		{"no authority", "ca_file = \"\"\n", "", "agent.local.toml:1: ca_file: \"\" wins over "},
		{"authorities that others need, too", "ca_file = \"BUNDLE\"\n", "", "bundle.pem holds 2 certificates, and the programme's authority would take their place"},
		{"authorities among which the programme's is", "ca_file = \"LISTED\"\n", "", ""},
		{"a value that cannot be", "[probe]\ncount = 99\n", "", "agent.local.toml:2: probe.count: 99 is outside 1 to 20"},
		{"not TOML", "site = x\n", "", "agent.local.toml:1: "},
	}
	for _, r := range rows {
		t.Run(r.what, func(t *testing.T) {
			w := newWorld(t)
			o := w.options(t, n)
			o.Overwrite = r.there != ""
			bundle := filepath.Join(w.dir, "bundle.pem")
			listed := filepath.Join(w.dir, "listed.pem")
			r.local = strings.NewReplacer("BUNDLE", bundle, "LISTED", listed).Replace(r.local)
			if err := errors.Join(os.WriteFile(bundle, []byte(others), 0o644), os.WriteFile(listed, []byte(others+n.caText), 0o644)); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(w.dir, "agent.local.toml"), []byte(r.local), 0o600); err != nil {
				t.Fatal(err)
			}
			if r.there != "" {
				if err := os.WriteFile(o.ConfigFile, []byte(r.there), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			asked := len(n.asked)
			err := Run(t.Context(), o)
			if (err == nil) != (r.want == "") || err != nil && !strings.Contains(err.Error(), r.want) {
				t.Errorf("got %v, want %q", err, r.want)
			}
			if len(n.asked) > asked && strings.Contains(r.want, "wins over") && !strings.Contains(r.want, "ca_file") {
				t.Error("the token was used up in spite of it")
			}
			if got := w.read(t, "agent.local.toml"); got != r.local {
				t.Errorf("the second file is changed: %q", got)
			}
			if w.read(t, "bundle.pem") != others || w.read(t, "listed.pem") != others+n.caText {
				t.Error("authorities that are not of the programme were written over")
			}
			if _, there := os.Stat(o.ConfigFile); r.want != "" && there == nil {
				t.Error("a configuration was written in spite of it")
			}
		})
	}
}

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/testtty"
)

var escapes = regexp.MustCompile("\x1b\\[[0-9]*m")

// watched runs the program in a terminal, with these additions to the environment.
func watched(t *testing.T, env []string, args ...string) (text string, status int) {
	t.Helper()
	return testtty.Watched(t, "nabz-collector", env, args...)
}

// registered is a configuration with sites and agents.
func registered(t *testing.T) (file string) {
	t.Helper()
	dir := t.TempDir()
	file = filepath.Join(dir, "collector.toml")
	for name, text := range map[string]string{"collector.toml": "sites_file = \"" + dir + "/sites.toml\"\nagents_file = \"" + dir + "/agents.toml\"\ndata_dir = \"" + dir + "\"\n",
		"sites.toml": "[[site]]\nid = \"gokina\"\nname = \"Gokina\"\n", "sites.csv": "id,name\ngokina,Other\nhunza,Hunza\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if text, status := watched(t, nil, "agent", "add", "--secret", "gokina/main", "gokina/old", "--config", file); status != 0 || strings.Contains(text, "\x1b") {
		t.Fatalf("status %d, and no colour is to be in a secret: %q", status, text)
	}
	if text, status := watched(t, nil, "agent", "revoke", "gokina/old", "--config", file); status != 0 {
		t.Fatal(text)
	}
	return file
}

func TestTablesHaveColoursOnATerminalOnly(t *testing.T) {
	file := registered(t)
	for _, row := range []struct {
		name string
		args []string
		want []string
	}{
		{"agents", []string{"agent", "list"}, []string{"gokina/main  \x1b[32menrolled\x1b[0m\n", "gokina/old   \x1b[31mrevoked\x1b[0m 20"}},
		{"sites", []string{"site", "list"}, []string{"\x1b[1mID      NAME "}},
		{"a dry run", []string{"site", "import", filepath.Join(filepath.Dir(file), "sites.csv"), "--dry-run", "--update"},
			[]string{"\x1b[1mSITE    CHANGE  WHAT\x1b[0m\n", "hunza   \x1b[32madd\x1b[0m     Hunza\n", "gokina  \x1b[33mupdate\x1b[0m  ", "\x1b[33mdry run\x1b[0m, nothing is written"}},
		{"a fault", []string{"site", "show", "nowhere"}, []string{"\x1b[31mnabz-collector:\x1b[0m site \"nowhere\" is not in "}},
	} {
		t.Run(row.name, func(t *testing.T) {
			args := append(row.args, "--config", file)
			text, _ := watched(t, []string{"TERM=xterm"}, args...)
			for _, want := range row.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q is not in %q", want, text)
				}
			}
			bare := escapes.ReplaceAllString(text, "")
			for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
				if plain, _ := watched(t, []string{"TERM=xterm", env}, args...); plain != bare {
					t.Errorf("with %s got %q, want %q", env, plain, bare)
				}
			}
		})
	}
}

func TestJSONHasNoColoursOnATerminal(t *testing.T) {
	file := registered(t)
	for _, what := range []string{"agent", "site"} {
		if text, status := watched(t, []string{"TERM=xterm"}, what, "list", "--json", "--config", file); status != 0 || strings.Contains(text, "\x1b") {
			t.Errorf("%s: status %d, %q", what, status, text)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/internal/testtty"
)

// typed is a line with the cursor at its end, and all that is to be offered then.
type typed struct {
	line string
	want []string
}

// lines are typed in each shell. The sites and agents are those of registry.
func lines() []typed {
	return []typed{
		{"nabz-agent st", []string{"status"}},
		{"nabz-agent s", []string{"status", "speedtest"}},
		{"nabz-agent ", []string{"run", "enroll", "check", "status", "speedtest", "config"}},
		{"nabz-agent status --j", []string{"--json"}},
		{"nabz-agent check --j", nil},
		{"nabz-agent --prof", []string{"--profile"}},
		{"nabz-agent --profile ", []string{"standard", "metered"}},
		{"nabz-agent run --log-level d", []string{"debug"}},
		{"nabz-agent enroll --o", []string{"--overwrite"}},
		{"nabz-agent enroll ", nil}, // a token is nothing to guess
		{"nabz-agent --config ag", []string{"agent.toml"}},
		{"nabz-agent --data-dir sp", []string{"spool/"}},
		{"nabz-collector si", []string{"site"}},
		{"nabz-collector site ", []string{"add", "import", "list", "show", "remove"}},
		{"nabz-collector site import --id-from ", []string{"name", "id"}},
		{"nabz-collector site show ", []string{"gokina", "hunza", "saidpur"}},
		{"nabz-collector site show g", []string{"gokina"}},
		{"nabz-collector --config other.toml site s", []string{"show"}},
		{"nabz-collector site show --config other.toml ", []string{"elsewhere"}},
		{"nabz-collector site show --config=other.toml ", []string{"elsewhere"}},
		{"nabz-collector agent rotate go", []string{"gokina/main"}},
		{"nabz-collector agent rotate gokina/main h", []string{"hunza/router"}},
		{"nabz-collector agent ask gokina/main ", []string{"speedtest", "diagnostics"}},
		{"nabz-collector agent ask gokina/main speedtest --as ", []string{"aisha"}},
		{"nabz-collector user add --role ", []string{"viewer", "operator"}},
		{"nabz-collector report --format x", []string{"xlsx"}},
		{"nabz-collector report sh", []string{"show", "share", "shares"}},
		{"nabz-collector broker export --d", []string{"--dir"}},
		{"nabz-collector broker export --dir sp", []string{"spool/"}},
		{"nabz-collector run --role in", []string{"intake"}},
		{"nabz-collector completion z", []string{"zsh"}},
	}
}

// room is a folder with what is completed there: both programs on PATH, their completions, and a registry.
type room struct{ dir, completions string }

func newRoom(t *testing.T) room {
	t.Helper()
	r := room{dir: t.TempDir(), completions: t.TempDir()}
	bin := filepath.Join(r.dir, "bin")
	for _, d := range []string{bin, filepath.Join(r.dir, "spool")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir("../../..")
	agent, collector, err := programs(t.Context(), bin)
	if err != nil {
		t.Fatal(err)
	}
	if err := pages(t.Context(), r.completions, filepath.Join(bin, "nabz-collector"), files(t), agent, collector); err != nil {
		t.Fatal(err)
	}
	t.Chdir(r.dir)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("NABZ_CONFIG", filepath.Join(r.dir, "collector.toml"))
	for _, v := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"} {
		t.Setenv(v, r.dir)
	}
	one := func(name, sites string) {
		text := fmt.Sprintf("sites_file = %q\nagents_file = %q\ndata_dir = %q\n", filepath.Join(r.dir, name+".sites"), filepath.Join(r.dir, name+".agents"), r.dir)
		for file, content := range map[string]string{name + ".toml": text, name + ".sites": sites} {
			if err := os.WriteFile(filepath.Join(r.dir, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	one("collector", "[[site]]\nid = \"gokina\"\n[[site]]\nid = \"hunza\"\n[[site]]\nid = \"saidpur\"\n")
	one("other", "[[site]]\nid = \"elsewhere\"\n")
	if err := os.WriteFile(filepath.Join(r.dir, "agent.toml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"agent", "add", "--secret", "gokina/main", "hunza/router"}, {"user", "add", "aisha", "--generate"}} {
		if out, err := exec.Command("nabz-collector", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return r
}

// check compares what one shell offers for each line.
func check(t *testing.T, offered func(t *testing.T, line string) []string) {
	for _, l := range lines() {
		got, want := slices.Sorted(slices.Values(offered(t, l.line))), slices.Sorted(slices.Values(l.want))
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", l.line, got, want)
		}
	}
}

// interactive starts a shell in a terminal, in which a press of Tab adds what is offered to a file, and then a line "done".
func interactive(t *testing.T, r room, name, rc string, cmd *exec.Cmd) func(t *testing.T, line string) []string {
	t.Helper()
	out := filepath.Join(r.dir, name+".out")
	if err := os.WriteFile(out, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, rc), []byte(strings.NewReplacer("OUT", out, "COMPLETIONS", r.completions).Replace(rcOf(name))), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "TERM=dumb", "INPUTRC=/dev/null")
	tty := testtty.Start(t, cmd)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, tty.Text())
		}
	})
	return func(t *testing.T, line string) []string {
		t.Helper()
		if err := os.Truncate(out, 0); err != nil {
			t.Fatal(err)
		}
		tty.Type(t, "\x15"+line+"\t")
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for late := time.After(20 * time.Second); ; {
			text, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			if offers, ok := strings.CutSuffix(string(text), "done\n"); ok {
				return slices.DeleteFunc(strings.Split(offers, "\n"), func(s string) bool { return s == "" })
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s did not answer to %q; so far: %q", name, line, text)
			}
		}
	}
}

// rcOf is what a shell reads at its start: the completions as they are installed, and a way to see what they offer.
func rcOf(name string) string {
	if name == "bash" {
		return `PS1='> '
bind 'set bell-style none'
for p in nabz_agent nabz_collector; do
	. COMPLETIONS/${p/_/-}.bash
	eval "seen$(declare -f _$p)"
	eval "_$p() { seen_$p \"\$@\"; printf '%s\n' \"\${COMPREPLY[@]}\" done >>OUT; }"
done

`
	}
	return `PS1='> '
fpath=(COMPLETIONS $fpath)
autoload -Uz compinit && compinit -u -D
seen() {
	compadd() {
		if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
			builtin compadd "$@"
			return
		fi
		local -a hits
		builtin compadd -A hits "$@"
		print -rl -- $hits >>OUT
		builtin compadd "$@"
	}
	_main_complete
	print done >>OUT
	compstate[insert]=
	compstate[list]=
}
zle -C seen complete-word seen
bindkey '^I' seen
bindkey '^U' kill-whole-line
`
}

// slashed marks the folders as a shell does only when it inserts them.
func slashed(dir string, offers []string) []string {
	for i, o := range offers {
		if info, err := os.Stat(filepath.Join(dir, o)); err == nil && info.IsDir() && !strings.HasSuffix(o, "/") {
			offers[i] += "/"
		}
	}
	return offers
}

func TestShellsCompleteWhatIsTyped(t *testing.T) {
	r := newRoom(t)
	t.Run("bash", func(t *testing.T) { inBash(t, r) })
	t.Run("zsh", func(t *testing.T) { inZsh(t, r) })
	t.Run("fish", func(t *testing.T) { inFish(t, r) })
	t.Run("nothing is said where nothing can be read", func(t *testing.T) { inSilence(t, r) })
}

func inBash(t *testing.T, r room) {
	bash := testneed.Program(t, "bash", "apt-get install bash")
	ask := interactive(t, r, "bash", "rc.bash", exec.Command(bash, "--noprofile", "--rcfile", filepath.Join(r.dir, "rc.bash"), "-i"))
	check(t, func(t *testing.T, line string) []string { return slashed(r.dir, ask(t, line)) })
}

func inZsh(t *testing.T, r room) {
	zsh := testneed.Program(t, "zsh", "apt-get install zsh")
	ask := interactive(t, r, "zsh", ".zshrc", exec.Command(zsh, "-d", "-i"))
	check(t, func(t *testing.T, line string) []string { return slashed(r.dir, ask(t, line)) })
}

func inFish(t *testing.T, r room) {
	fish := testneed.Program(t, "fish", "apt-get install fish")
	check(t, func(t *testing.T, line string) []string {
		cmd := exec.Command(fish, "--no-config", "-c", `source $argv[1]/nabz-agent.fish; source $argv[1]/nabz-collector.fish; complete -C $argv[2]`, r.completions, line)
		cmd.Dir = r.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v\n%s", line, err, out)
		}
		var offers []string
		for l := range strings.Lines(string(out)) {
			word, _, _ := strings.Cut(strings.TrimRight(l, "\n"), "\t")
			if word = strings.TrimPrefix(word, "--config="); word != "" {
				offers = append(offers, word)
			}
		}
		return offers
	})
}

// What a completion runs may be read by whoever can type: nothing of what it prints is a secret, and where it may not read it is silent.
func inSilence(t *testing.T, r room) {
	for _, file := range []string{"broken.toml", "none.toml"} {
		if file == "broken.toml" {
			if err := os.WriteFile(filepath.Join(r.dir, file), []byte("sites_file = [\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, what := range []string{"sites", "agents", "users", "reports"} {
			if out, err := exec.Command("nabz-collector", "completion", what, "--config", filepath.Join(r.dir, file)).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("completion %s with %s: %v, %q", what, file, err, out)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(r.dir, "collector.sites"), []byte("[[site]]\nid = \"$(touch owned)\"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("nabz-collector", "completion", "sites").CombinedOutput(); err != nil || strings.Contains(string(out), "touch") {
		t.Errorf("a site with a command in its name is offered: %v, %q", err, out)
	}
}

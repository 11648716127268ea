package systemd_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/internal/testneed"
)

var units = []struct {
	name, program, user string
	secrets             []string // what the daemon reads and others must not
}{
	{"nabz-agent.service", "/usr/bin/nabz-agent", "nabz-agent", []string{"/etc/nabz/agent.toml", agent.Defaults().SecretFile}},
	{"nabz-collector.service", "/usr/bin/nabz-collector", "nabz-collector", []string{"/etc/nabz/collector.toml", "/etc/nabz/tls/server.key"}},
}

// installed is a copy of a unit whose program exists: systemd looks for it.
func installed(t *testing.T, unit, program string, change ...string) string {
	t.Helper()
	return starting(t, unit, program, "run", change...)
}

// starting does so for a unit that starts a certain command.
func starting(t *testing.T, unit, program, command string, change ...string) string {
	t.Helper()
	text, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stand := filepath.Join(dir, filepath.Base(program))
	if err := os.WriteFile(stand, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "ExecStart="+program+" "+command+" --config /etc/nabz/") {
		t.Fatalf("%s does not start %s %s --config /etc/nabz/…", unit, program, command)
	}
	copied := filepath.Join(dir, unit)
	r := strings.NewReplacer(append([]string{"ExecStart=" + program, "ExecStart=" + stand}, change...)...)
	if err := os.WriteFile(copied, []byte(r.Replace(string(text))), 0o644); err != nil {
		t.Fatal(err)
	}
	return copied
}

// run returns what the program said; it may end with any status.
func run(t *testing.T, program string, args ...string) (out string, failed error) {
	t.Helper()
	b, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	return string(b), err
}

func TestSystemdAcceptsTheUnitsWithoutAWord(t *testing.T) {
	analyze := testneed.Program(t, "systemd-analyze", "apt-get install systemd")
	for _, u := range units {
		if out, err := run(t, analyze, "verify", "--man=no", installed(t, u.name, u.program)); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", u.name, err, out)
		}
	}
}

func TestVerifyWouldSeeAMisspeltKey(t *testing.T) {
	analyze := testneed.Program(t, "systemd-analyze", "apt-get install systemd")
	for _, u := range units {
		out, _ := run(t, analyze, "verify", "--man=no", installed(t, u.name, u.program, "ProtectHome=", "ProtectHme="))
		if !strings.Contains(out, "ProtectHme") {
			t.Errorf("%s: a misspelt key passed: %q", u.name, out)
		}
	}
}

func TestTheDaemonsAreWellConfined(t *testing.T) {
	analyze := testneed.Program(t, "systemd-analyze", "apt-get install systemd")
	for _, u := range units {
		// The scale runs from 0 (confined) to 100; 20 is what systemd calls OK.
		out, err := run(t, analyze, "security", "--no-pager", "--offline=true", "--threshold=20", installed(t, u.name, u.program))
		if err != nil {
			t.Errorf("%s: %v\n%s", u.name, err, out)
		}
	}
}

func TestTheCertificateIsRenewedByATimerThatIsConfinedToo(t *testing.T) {
	analyze := testneed.Program(t, "systemd-analyze", "apt-get install systemd")
	unit := starting(t, "nabz-collector-renew.service", "/usr/bin/nabz-collector", "renew")
	timer, err := os.ReadFile("nabz-collector-renew.timer")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(filepath.Dir(unit), "nabz-collector-renew.timer"), timer, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, analyze, "verify", "--man=no", unit, filepath.Join(filepath.Dir(unit), "nabz-collector-renew.timer")); err != nil || out != "" {
		t.Errorf("%v\n%s", err, out)
	}
	if out, err := run(t, analyze, "security", "--no-pager", "--offline=true", "--threshold=20", unit); err != nil { // though it has to be root
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTheUsersThatUnitsNameAreMade(t *testing.T) {
	sysusers := testneed.Program(t, "systemd-sysusers", "apt-get install systemd")
	for _, u := range units {
		unit, err := os.ReadFile(u.name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"User=" + u.user, "Group=" + u.user, "StateDirectory=" + u.user} {
			if !regexp.MustCompile(`(?m)^` + line + `$`).Match(unit) {
				t.Errorf("%s lacks %s", u.name, line)
			}
		}
		file, err := filepath.Abs(filepath.Join("sysusers.d", u.user+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		out, err := run(t, sysusers, "--dry-run", "--root="+t.TempDir(), file)
		if err != nil || !strings.Contains(out, "Creating user '"+u.user+"'") {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

func TestSecretsAreReadByTheirDaemonAlone(t *testing.T) {
	tmpfiles := testneed.Program(t, "systemd-tmpfiles", "apt-get install systemd")
	for _, u := range units {
		file, err := filepath.Abs(filepath.Join("tmpfiles.d", u.user+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range u.secrets {
			if !regexp.MustCompile(`(?m)^z ` + secret + ` +0640 root ` + u.user + ` `).Match(text) {
				t.Errorf("%s does not keep %s to root and %s", file, secret, u.user)
			}
		}
		// In a root with nothing but the group there is nothing to change: only the file itself is judged.
		root := t.TempDir()
		if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "etc/group"), []byte(u.user+":x:990:\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := run(t, tmpfiles, "--clean", "--root="+root, file); err != nil || out != "" {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

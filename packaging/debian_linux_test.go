package packaging_test

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/internal/machine"
	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
)

const (
	before = "0.7.0~before"
	after  = "0.7.0~later"
)

// enrolled is what enrolment leaves, for a broker that is not there: the agent runs and waits.
func enrolled(m *machine.Machine) map[string]string {
	files := map[string]string{
		"/etc/nabz/agent.toml": "site = \"gokina\"\nbrokers = [\"mqtt://127.0.0.1:1\"]\n",
		"/etc/nabz/secret":     "not-a-secret-of-anybody\n",
	}
	for file, text := range files {
		m.Write(file, text, 0o640)
	}
	m.Run("systemd-tmpfiles", "--create", "nabz-agent.conf")
	return files
}

// unit is what systemd holds of a unit: ActiveState, UnitFileState.
func unit(m *machine.Machine, name string) string {
	return m.Status(name, "ActiveState") + " " + m.Status(name, "UnitFileState")
}

// same fails when a file is not what it was.
func same(t *testing.T, m *machine.Machine, files map[string]string, when string) {
	t.Helper()
	for file, want := range files {
		if got, err := m.Try("cat", file); err != nil || got != want {
			t.Errorf("%s %s is %q (%v), want %q", when, file, got, err, want)
		}
	}
}

// gone fails when there is a file, by a pattern of the shell.
func gone(t *testing.T, m *machine.Machine, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if out, err := m.Try("sh", "-c", "ls -d "+p); err == nil {
			t.Errorf("left behind: %s", out)
		}
	}
}

func TestAnAgentsPackageIsInstalledUpgradedTakenBackRemovedAndPurged(t *testing.T) {
	testneed.Long(t)
	m := machine.New(t, "kiosk")
	first := packtest.Make(t, before, "agent:amd64.deb")[0]
	second := packtest.Make(t, after, "agent:amd64.deb")[0]
	m.Boot()

	if said := m.Install(first); !strings.Contains(said, "next, with the token that the NOC made for this site: nabz-agent enroll TOKEN") {
		t.Errorf("a fresh install does not say what comes next:\n%s", said)
	}
	if got := unit(m, "nabz-agent"); got != "inactive enabled" {
		t.Errorf("before it is enrolled the service is %q, want it to wait for the next boot", got)
	}
	m.Run("sh", "-c", "getent passwd nabz-agent && man --version >/dev/null 2>&1 || true; nabz-agent --version")

	files := enrolled(m)
	m.Start("nabz-agent")
	pid := m.Status("nabz-agent", "MainPID")
	if user := strings.TrimSpace(m.Run("ps", "-o", "user:20=", "-p", pid)); user != "nabz-agent" {
		t.Errorf("it runs as %s", user)
	}
	m.Run("sh", "-c", "echo kept >/var/lib/nabz-agent/of-before")
	files["/var/lib/nabz-agent/of-before"] = "kept\n"
	modes := m.Run("stat", "-c", "%n %U:%G %a", "/etc/nabz/agent.toml", "/etc/nabz/secret", "/var/lib/nabz-agent")

	m.Install(second)
	if now := m.Status("nabz-agent", "MainPID"); now == pid || unit(m, "nabz-agent") != "active enabled" {
		t.Errorf("after the upgrade process %s of before is %s, the service %s; want another that runs", pid, now, unit(m, "nabz-agent"))
	}
	same(t, m, files, "after the upgrade")
	if now := m.Run("stat", "-c", "%n %U:%G %a", "/etc/nabz/agent.toml", "/etc/nabz/secret", "/var/lib/nabz-agent"); now != modes {
		t.Errorf("owners and modes were\n%sand are\n%s", modes, now)
	}

	m.Run("systemctl", "disable", "--now", "nabz-agent")
	m.Install(first) // back to the one before
	if got := unit(m, "nabz-agent"); got != "inactive disabled" {
		t.Errorf("one that was switched off is %s after it was taken back", got)
	}
	if got := m.Run("dpkg-query", "-W", "-f", "${Version}", "nabz-agent"); got != before {
		t.Errorf("version %s", got)
	}
	same(t, m, files, "after it was taken back")
	m.Run("systemctl", "enable", "--now", "nabz-agent")

	m.Run("dpkg", "--remove", "nabz-agent")
	if m.Run("sh", "-c", "pgrep -u nabz-agent || true") != "" {
		t.Error("what was removed still runs")
	}
	gone(t, m, "/usr/bin/nabz-agent", "/usr/lib/systemd/system/nabz-agent*")
	same(t, m, files, "after it was removed")

	m.Install(second)
	if got := unit(m, "nabz-agent"); got != "active enabled" {
		t.Errorf("one that comes back to its configuration is %s", got)
	}
	same(t, m, files, "after it came back")

	m.Write("/etc/nabz/collector.toml", "# the collector's\n", 0o640)
	m.Run("dpkg", "--purge", "nabz-agent")
	gone(t, m, "/etc/nabz/agent*", "/etc/nabz/secret*", "/etc/nabz/ca.pem", "/var/lib/nabz-agent", "/usr/share/doc/nabz-agent", "/etc/systemd/system/*/nabz-agent*", "/etc/systemd/system/nabz-agent*")
	same(t, m, map[string]string{"/etc/nabz/collector.toml": "# the collector's\n"}, "after the agent was purged")
	m.Run("rm", "/etc/nabz/collector.toml")
	m.Install(second)
	m.Run("dpkg", "--purge", "nabz-agent")
	gone(t, m, "/etc/nabz")
}

func TestACollectorsPackageLosesNothingThatCannotBeMadeAgain(t *testing.T) {
	testneed.Long(t)
	m := machine.New(t, "noc")
	first := packtest.Make(t, before, "collector:amd64.deb")[0]
	second := packtest.Make(t, after, "collector:amd64.deb")[0]
	m.Boot()

	if said := m.Install(first); !strings.Contains(said, "next: nabz-collector init --host NAME") {
		t.Errorf("a fresh install does not say what comes next:\n%s", said)
	}
	if got := unit(m, "nabz-collector"); got != "inactive enabled" {
		t.Errorf("before it is set up the service is %q", got)
	}
	_, _ = m.Try("nabz-collector", "init", "--host", "noc.example.org") // InfluxDB is not there, and it says so
	m.Start("nabz-collector")
	pid := m.Status("nabz-collector", "MainPID")
	files := map[string]string{}
	for _, file := range []string{"/etc/nabz/collector.toml", "/etc/nabz/sites.toml", "/etc/nabz/tls/ca.key", "/etc/nabz/tls/ca.pem", "/etc/nabz/tls/server.pem"} {
		files[file] = m.Read(file)
	}

	m.Install(second)
	if now := m.Status("nabz-collector", "MainPID"); now == pid || unit(m, "nabz-collector") != "active enabled" {
		t.Errorf("after the upgrade process %s of before is %s, the service %s", pid, now, unit(m, "nabz-collector"))
	}
	if got := unit(m, "nabz-collector-renew.timer"); got != "active enabled" {
		t.Errorf("the timer that renews the certificate is %s", got)
	}
	same(t, m, files, "after the upgrade")

	m.Install(first)
	m.Run("dpkg", "--remove", "nabz-collector")
	same(t, m, files, "after it was removed")

	// No room for what must not be lost: then nothing is lost.
	m.Run("sh", "-c", "mv /var/backups /var/backups.away && touch /var/backups")
	said, err := m.Try("dpkg", "--purge", "nabz-collector")
	if err == nil || !strings.Contains(said, "could not be kept") || !strings.Contains(said, "nothing was purged; make room there, then purge again") {
		t.Errorf("purge where nothing can be kept: %v\n%s", err, said)
	}
	same(t, m, files, "after a purge that could keep nothing")
	m.Run("sh", "-c", "rm /var/backups && mv /var/backups.away /var/backups")

	for file, text := range map[string]string{"/etc/nabz/agent.toml": "# the agent's\n", "/etc/nabz/ca.pem": "# the agent's\n"} {
		m.Write(file, text, 0o640)
	}
	said = m.Run("dpkg", "--purge", "nabz-collector")
	gone(t, m, "/etc/nabz/collector*", "/etc/nabz/sites.toml", "/etc/nabz/tls", "/var/lib/nabz-collector", "/usr/share/doc/nabz-collector")
	same(t, m, map[string]string{"/etc/nabz/agent.toml": "# the agent's\n", "/etc/nabz/ca.pem": "# the agent's\n"}, "after the collector was purged")
	kept := strings.TrimSpace(m.Run("sh", "-c", "ls /var/backups/nabz-collector-*.tar.gz"))
	if !strings.Contains(said, kept) {
		t.Errorf("it does not say that %s is kept:\n%s", kept, said)
	}
	if mode := m.Run("stat", "-c", "%U %a", kept); mode != "root 600\n" {
		t.Errorf("all may read what was kept: %s", mode)
	}
	m.Run("tar", "-xzf", kept, "-C", "/")
	same(t, m, files, "from what was kept")
}

// byHand is what the pages of 0.6.0 had people copy before there were packages, enabled and running.
func byHand(m *machine.Machine, deb string) {
	m.Copy(deb, "/root/by-hand.deb", 0o644)
	m.Run("sh", "-ec", `dpkg-deb -x /root/by-hand.deb /root/by-hand
		cp /root/by-hand/usr/bin/* /usr/bin/
		mkdir -p /etc/sysusers.d /etc/tmpfiles.d
		cp /root/by-hand/usr/lib/systemd/system/* /etc/systemd/system/
		cp /root/by-hand/usr/lib/sysusers.d/* /etc/sysusers.d/
		cp /root/by-hand/usr/lib/tmpfiles.d/* /etc/tmpfiles.d/
		systemd-sysusers
		mkdir /etc/nabz`)
	m.Run("systemctl", "daemon-reload")
}

func TestAPackageTakesOverFromWhatWasCopiedByHand(t *testing.T) {
	testneed.Long(t)
	m := machine.New(t, "kiosk")
	deb := packtest.Make(t, after, "agent:amd64.deb")[0]
	m.Boot()
	byHand(m, deb)
	files := enrolled(m)
	m.Run("systemctl", "enable", "nabz-agent")
	m.Start("nabz-agent")
	pid := m.Status("nabz-agent", "MainPID")

	const unitFile = "/etc/systemd/system/nabz-agent.service"
	said := m.Install(deb)
	if want := unitFile + " is used in place of this package's unit; where nobody wants that: rm " + unitFile + ", then systemctl daemon-reload, then systemctl restart nabz-agent"; !strings.Contains(said, want) {
		t.Errorf("it does not say that the unit of before wins, want %q in:\n%s", want, said)
	}
	if now := m.Status("nabz-agent", "MainPID"); now == pid || unit(m, "nabz-agent") != "active enabled" {
		t.Errorf("process %s of before is %s, the service %s: the program that was copied goes on", pid, now, unit(m, "nabz-agent"))
	}
	same(t, m, files, "after the package came")

	m.Run("rm", unitFile)
	m.Run("systemctl", "daemon-reload")
	m.Run("systemctl", "restart", "nabz-agent")
	if got := m.Status("nabz-agent", "FragmentPath"); got != "/usr/lib/systemd/system/nabz-agent.service" && got != "/lib/systemd/system/nabz-agent.service" {
		t.Errorf("the unit is %s", got)
	}
	if got := unit(m, "nabz-agent"); got != "active enabled" {
		t.Errorf("by the package's unit it is %s", got)
	}
	if said := m.Install(deb); strings.Contains(said, unitFile) {
		t.Errorf("it speaks of a unit that is gone:\n%s", said)
	}
}

func TestAPackageIsInstalledWhereNothingRunsAndProcIsNotMounted(t *testing.T) {
	testneed.Long(t)
	for _, name := range []string{"agent", "collector"} {
		m := machine.New(t, "image")
		deb := packtest.Make(t, after, name+":amd64.deb")[0]
		m.Copy(deb, "/root/it.deb", 0o644)
		m.Run("unshare", "--mount", "sh", "-ec", "umount -l /proc; rm -rf /run/systemd; dpkg --force-depends -i /root/it.deb")
		if got := m.Run("dpkg-query", "-W", "-f", "${db:Status-Status}", "nabz-"+name); got != "installed" {
			t.Errorf("%s is %s", name, got)
		}
		// Enabled for the machine's first boot.
		m.Run("test", "-L", "/etc/systemd/system/multi-user.target.wants/nabz-"+name+".service")
	}
}

func TestPurgeLeavesNoHalfWrittenFileWithASecret(t *testing.T) {
	testneed.Long(t)
	m := machine.New(t, "kiosk")
	debs := packtest.Make(t, after, "agent:amd64.deb", "collector:amd64.deb")
	m.Boot()
	m.Install(debs...)
	// As a killed enrolment and a killed init leave them.
	m.Write("/etc/nabz/secret.enrolling.123456.new", "hunter2\n", 0o640)
	m.Write("/etc/nabz/collector.toml.99.new", "token = \"hunter2\"\n", 0o640)
	m.Write("/etc/nabz/alerts", "of a person\n", 0o640)
	m.Run("dpkg", "--purge", "nabz-agent")
	gone(t, m, "/etc/nabz/secret*")
	same(t, m, map[string]string{"/etc/nabz/collector.toml.99.new": "token = \"hunter2\"\n"}, "after the agent was purged")
	m.Run("dpkg", "--purge", "nabz-collector")
	gone(t, m, "/etc/nabz/*.new")
	same(t, m, map[string]string{"/etc/nabz/alerts": "of a person\n"}, "after both were purged")
}

func TestTheSameCommitMakesTheSameBytesInAnotherFolder(t *testing.T) {
	testneed.Long(t)
	git := testneed.Program(t, "git", "apt-get install git")
	var sums [2]string
	for i := range sums {
		if i == 1 { // somebody else's machine: another day, another compiler's default, another umask
			t.Setenv("SOURCE_DATE_EPOCH", "86400")
			t.Setenv("GOAMD64", "v3")
			t.Setenv("TZ", "Asia/Karachi")
			defer syscall.Umask(syscall.Umask(0o077))
		}
		dir := t.TempDir() + "/a/clone/somewhere"[:8+4*i]
		run(t, git, "clone", "-q", packtest.Root(t), dir)
		for _, file := range packtest.MakeIn(t, dir, "", "agent:amd64.deb", "agent:mipsle.ipk", "collector:amd64.deb") {
			sums[i] += fmt.Sprintf("%x\n", sha256.Sum256(read(t, file)))
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("two clones of one commit make\n%sand\n%s", sums[0], sums[1])
	}
}

package openwrt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
)

// emulators run the program of each package, and what such a router calls its processor.
var emulators = map[string]struct{ qemu, uname string }{
	"mips": {"qemu-mips-static", "mips"}, "mipsle": {"qemu-mipsel-static", "mips"}, "arm": {"qemu-arm-static", "armv7l"}, "aarch64": {"qemu-aarch64-static", "aarch64"},
}

// of makes the router one with the processor of a package, by the head of its programs.
func (r *router) of(arch string, a *archive) {
	r.t.Helper()
	program := a.files["/usr/bin/nabz-agent"].text
	r.write("bin/busybox", program[:64], 0o755)
	r.copy(testneed.Program(r.t, emulators[arch].qemu, "apt-get install qemu-user-static"), "emulator/nabz-agent")
	r.uname(emulators[arch].uname)
}

// uname has the shell's uname say another processor: busybox has its own, before any on PATH.
func (r *router) uname(machine string) { r.machine = machine }

const configuration = "site = \"gokina\"\nbrokers = [\"mqtt://127.0.0.1:1\"]\ndata_dir = \"/etc/nabz/data\"\nlog_level = \"debug\"\n"

// enrolled lays what enrolment would.
func (r *router) enrolled() {
	r.t.Helper()
	r.write("etc/nabz/agent.toml", configuration, 0o600)
	r.write("etc/nabz/secret", "hunter2\n", 0o600)
}

func TestAPackageIsInstalledConfiguredUpgradedAndRemoved(t *testing.T) {
	testneed.Long(t)
	for arch := range emulators {
		t.Run(arch, func(t *testing.T) {
			a := openPackage(t, packtest.Make(t, "1", "agent:"+arch+".ipk")[0])
			r := boot(t)
			r.of(arch, a)

			// Installed, it runs nothing yet and says what to do next; its user is there.
			said, ok := r.install(a)
			if !ok || said != "nabz-agent: not enrolled yet; next: nabz-agent enroll TOKEN" {
				t.Fatalf("install: %v %s", ok, said)
			}
			if got := r.ok("ls /etc/rc.d"); got != "K10nabz-agent\nS95nabz-agent" {
				t.Errorf("enabled: %s", got)
			}
			if !strings.Contains(r.read("etc/passwd"), "\nnabz-agent:x:391:391:") || !strings.Contains(r.read("etc/group"), "\nnabz-agent:x:391:") {
				t.Errorf("users\n%s%s", r.read("etc/passwd"), r.read("etc/group"))
			}

			// Enrolled, the program of that processor runs as its own user, with what UCI says.
			r.enrolled()
			r.write("etc/config/nabz-agent", "config agent 'agent'\n\toption profile 'metered'\n", 0o600)
			r.ok("/etc/init.d/nabz-agent restart")
			status := "nabz_status() { if [ -x /emulator/nabz-agent ]; then /emulator/nabz-agent /usr/bin/nabz-agent status; else nabz-agent status; fi; }; nabz_status"
			r.soon(status, "gokina/main")
			if got := r.ok("ls -ldn /etc/nabz/data /etc/nabz/agent.local.toml /etc/nabz/secret | awk '{ print $1, $3, $4 }'"); got != "-rw-r----- 0 391\ndrwx------ 391 391\n-rw-r----- 0 391" {
				t.Errorf("owners\n%s", got)
			}
			if got := r.ok("for p in $(" + pids + "); do awk '/^Uid|^Gid|^CapEff/ { print $2 }' /proc/$p/status; done | tr '\\n' ' '"); got != "391 391 0000000000000000" {
				t.Errorf("it runs with %s", got)
			}
			if got := r.ok("cat /proc/sys/net/ipv4/ping_group_range"); strings.Join(strings.Fields(got), " ") != "391 391" {
				t.Errorf("echoes are for the groups %s", got)
			}
			for _, want := range []string{"command /usr/bin/nabz-agent run --config /etc/nabz/agent.toml", "user nabz-agent", "respawn 0 10 0", "limits core=0", "term_timeout 20", "reload trigger nabz-agent"} {
				if !strings.Contains(r.read("tmp/procd/nabz-agent"), want+"\n") {
					t.Errorf("procd is not asked for %q:\n%s", want, r.read("tmp/procd/nabz-agent"))
				}
			}

			// An upgrade keeps what was changed, and goes on running; what a newer package ships lies beside it.
			newer := &archive{scripts: a.scripts, files: map[string]entry{}, conf: a.conf}
			for name, e := range a.files {
				newer.files[name] = e
			}
			newer.files["/etc/config/nabz-agent"] = entry{"# newer\n", 0o644}
			if said, ok := r.install(newer); !ok || said != "" {
				t.Fatalf("upgrade: %v %s", ok, said)
			}
			if got := r.read("etc/config/nabz-agent"); got != "config agent 'agent'\n\toption profile 'metered'\n" || r.read("etc/config/nabz-agent-opkg") != "# newer\n" {
				t.Errorf("after the upgrade UCI says %s", got)
			}
			if got := r.read("etc/nabz/agent.toml") + r.read("etc/nabz/secret"); got != configuration+"hunter2\n" {
				t.Errorf("after the upgrade\n%s", got)
			}
			r.soon(status, "gokina/main")

			// One that was stopped by hand stays so over an upgrade.
			r.ok("/etc/init.d/nabz-agent stop")
			if said, ok := r.install(a); !ok || said != "" {
				t.Fatalf("upgrade: %v %s", ok, said)
			}
			if got, status := r.run(pids); status == 0 {
				t.Errorf("what was stopped runs again: %s", got)
			}

			// Removed, enrolment and data stay, and it is said.
			r.ok("/etc/init.d/nabz-agent start")
			r.soon(status, "gokina/main")
			if said := r.remove(); !strings.HasPrefix(said, "nabz-agent: kept /etc/nabz, ") {
				t.Errorf("remove says %s", said)
			}
			if got, status := r.run(pids + "; ls /etc/rc.d /etc/nabz/agent.local.toml /usr/bin/nabz-agent"); status == 0 || strings.Contains(got, "S95") {
				t.Errorf("after the removal: %s", got)
			}
			if got := r.ok("ls /etc/nabz; ls /etc/config"); !strings.HasPrefix(got, "agent.toml\ndata\nsecret\nnabz-agent") {
				t.Errorf("after the removal there are\n%s", got)
			}
		})
	}
}

func TestAPackageForAnotherProcessorIsRefusedAndTheRightOneNamed(t *testing.T) {
	testneed.Long(t)
	all := map[string]*archive{}
	for arch := range emulators {
		all[arch] = openPackage(t, packtest.Make(t, "1", "agent:"+arch+".ipk")[0])
	}
	r := boot(t)
	for here, own := range all {
		r.write("bin/busybox", own.files["/usr/bin/nabz-agent"].text[:64], 0o755)
		r.uname(emulators[here].uname)
		for arch, a := range all {
			said, status := r.script(a, "preinst", "install", false)
			if here == arch {
				if status != 0 || said != "" {
					t.Errorf("%s on %s: status %d %s", arch, here, status, said)
				}
				continue
			}
			if want := "nabz-agent: this package is for " + arch + ", and this router has " + here + "; take nabz-agent_VERSION_" + here + ".ipk. Nothing was installed."; status != 1 || said != want {
				t.Errorf("%s on %s: status %d\n got %s\nwant %s", arch, here, status, said, want)
			}
		}
	}
	r.write("bin/busybox", all["arm"].files["/usr/bin/nabz-agent"].text[:64], 0o755)
	r.uname("armv6l")
	if said, status := r.script(all["arm"], "preinst", "install", false); status != 1 || said != "nabz-agent: this package is for arm, and this router has armv6l; the program needs ARMv7, and there is no package for older ones. Nothing was installed." {
		t.Errorf("status %d %s", status, said)
	}
	r.copy(filepath.Join(r.root, "bin/box"), "bin/busybox")
	if said, status := r.script(all["mips"], "preinst", "install", false); status != 1 || !strings.Contains(said, "has x86_64; there is no .ipk for it; take the program from nabz-agent_VERSION_amd64.deb") {
		t.Errorf("status %d %s", status, said)
	}

	// An upgrade with the wrong file leaves the old one running.
	r.of("mipsle", all["mipsle"])
	r.enrolled()
	if said, ok := r.install(all["mipsle"]); !ok || said != "next: nabz-agent check" {
		t.Fatalf("install: %v %s", ok, said)
	}
	r.soon(pids+" && echo yes", "yes")
	if said, ok := r.install(all["mips"]); ok || !strings.Contains(said, "this router has mipsle") {
		t.Fatalf("the wrong package is taken: %s", said)
	}
	r.soon(pids+" && echo yes", "yes")

	// In the image builder, on another machine, scripts leave the machine alone.
	for _, name := range []string{"preinst", "postinst", "prerm", "postrm"} {
		r.write("tmp/opkg/"+name, all["mips"].scripts["/"+name].text, 0o755)
		if said, status := r.run("IPKG_INSTROOT=/image /tmp/opkg/" + name + " install"); status != 0 || said != "" {
			t.Errorf("%s in the image builder: %d %s", name, status, said)
		}
	}
	if _, status := r.run(pids); status != 0 {
		t.Error("the image builder's prerm has stopped the agent of this machine")
	}
}

// files installs the files of this folder without a package, with a program of this machine.
func (r *router) files() {
	r.t.Helper()
	for from, to := range map[string]string{"nabz-agent.init": "etc/init.d/nabz-agent", "uci.awk": "usr/share/nabz/uci.awk", "nabz-agent.config": "etc/config/nabz-agent"} {
		b, err := os.ReadFile(from)
		r.must(err)
		r.write(to, string(b), 0o755)
	}
	r.copy(agentOfThisMachine(r.t), "usr/bin/nabz-agent")
}

package openwrt

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/packtest"
)

// agentOfThisMachine is the program, built as for routers: it brings along all that it needs.
func agentOfThisMachine(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nabz-agent")
	cmd := exec.Command("go", "build", "-o", file, "./cmd/nabz-agent")
	cmd.Dir, cmd.Env = packtest.Root(t), append(cmd.Environ(), "CGO_ENABLED=0")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return file
}

func TestAChangeOfUCIComesIntoForceAndAMistakeChangesNothing(t *testing.T) {
	r := boot(t)
	r.files()
	r.enrolled()
	r.ok("/etc/init.d/nabz-agent start")
	r.soon("nabz-agent status", "gokina/main")
	if fileThere(r, "/etc/nabz/agent.local.toml") {
		t.Errorf("nothing is set, and there is\n%s", r.read("etc/nabz/agent.local.toml"))
	}
	pid := r.ok(pids)

	// What is set there wins over what the programme has said.
	r.write("etc/config/nabz-agent", "config agent\n option agent 'kiosk'\n", 0o600)
	r.ok("/etc/init.d/nabz-agent reload")
	r.soon("nabz-agent status", "gokina/kiosk")
	inode := r.ok("ls -li /etc/nabz/agent.local.toml")

	// The same again: the file is not written and the agent goes on.
	second := r.ok(pids)
	if second == pid {
		t.Error("the agent was not started anew")
	}
	r.ok("/etc/init.d/nabz-agent reload")
	if got := r.ok("ls -li /etc/nabz/agent.local.toml"); got != inode {
		t.Errorf("the same was written again: %s, %s", inode, got)
	}
	if got := r.ok(pids); got != second {
		t.Error("the agent was started anew for nothing")
	}

	// A mistake is told with its line, and all stays as it was.
	r.write("etc/config/nabz-agent", "config agent\n option agnet 'x'\n", 0o600)
	said := r.ok("/etc/init.d/nabz-agent reload")
	if want := "nabz-agent: /etc/config/nabz-agent:2: unknown option \"agnet\" in section agent; did you mean \"agent\"?\nnabz-agent: the change of /etc/config/nabz-agent is not in force; mend it, then: /etc/init.d/nabz-agent reload"; said != want {
		t.Errorf("got  %s\nwant %s", said, want)
	}
	if got := r.ok(pids); got != second {
		t.Error("the agent was started anew for a mistake")
	}
	r.ok("/etc/init.d/nabz-agent restart") // as at a boot
	r.soon("nabz-agent status", "gokina/kiosk")

	// What only the agent can tell leads back to the line, too.
	r.write("etc/config/nabz-agent", "config agent\n\nconfig probe\n option count '99'\n", 0o600)
	r.ok("/etc/init.d/nabz-agent reload")
	r.soon("cat /tmp/log", "/etc/nabz/agent.local.toml:4: probe.count: 99 is outside 1 to 20")
	if text := r.read("etc/nabz/agent.local.toml"); !strings.Contains(text, "count = 99 # 4\n") || !strings.HasPrefix(text, "# Made of /etc/config/nabz-agent ") {
		t.Errorf("the file does not lead back:\n%s", text)
	}

	// Disabled, it ends; with nothing set any more, the programme's word is all.
	r.write("etc/config/nabz-agent", "config agent\n option enabled 0\n", 0o600)
	if said := r.ok("/etc/init.d/nabz-agent reload"); said != "nabz-agent: not started: enabled is 0 in /etc/config/nabz-agent" {
		t.Errorf("disabled: %s", said)
	}
	if got, status := r.run(pids); status == 0 {
		t.Errorf("disabled, it runs: %s", got)
	}
	// It stays so with a mistake beside it: an agent that was switched off costs its link nothing.
	r.write("etc/config/nabz-agent", "config agent\n option enabled 0\n option agnet x\n", 0o600)
	if said := r.ok("/etc/init.d/nabz-agent restart"); !strings.Contains(said, "nabz-agent: /etc/config/nabz-agent:3: unknown option \"agnet\"") || !strings.Contains(said, "nabz-agent: not started: enabled is 0 in /etc/config/nabz-agent") {
		t.Errorf("disabled, with a mistake: %s", said)
	}
	if got, status := r.run(pids); status == 0 {
		t.Errorf("disabled, with a mistake, it runs: %s", got)
	}
	r.write("etc/config/nabz-agent", "", 0o600)
	r.ok("/etc/init.d/nabz-agent start")
	r.soon("nabz-agent status", "gokina/main")
	if fileThere(r, "/etc/nabz/agent.local.toml") {
		t.Error("the file of what is no longer set stays")
	}
}

func TestAFolderOfOthersIsNotTakenOverForTheSpool(t *testing.T) {
	r := boot(t)
	r.files()
	r.write("etc/nabz/secret", "hunter2\n", 0o600)
	r.write("etc/nabz/agent.toml", strings.Replace(configuration, "/etc/nabz/data", "/etc", 1), 0o600)
	if said := r.ok("/etc/init.d/nabz-agent start"); said != "nabz-agent: /etc holds files of others; set data_dir to a folder that the agent has for itself" {
		t.Error(said)
	}
	if got := r.ok("ls -ldn /etc /etc/passwd | awk '{ print $1, $3 }'"); got != "drwxr-xr-x 0\n-rw-r--r-- 0" {
		t.Errorf("owners\n%s", got)
	}

	// What root has measured in the foreground is handed over whole; a link that our user could have laid is not followed.
	r.write("etc/nabz/agent.toml", configuration, 0o600)
	r.write("etc/nabz/data/state", "", 0o600)
	r.ok("ln -s /etc/shadow /etc/nabz/data/link; echo x >/etc/shadow; chmod 600 /etc/shadow; rm -f /etc/nabz/data/state; touch /etc/nabz/data/state")
	r.ok("/etc/init.d/nabz-agent restart")
	if got := r.ok("ls -ldn /etc/nabz/data /etc/nabz/data/link /etc/shadow | awk '{ print $3 }'"); got != "391\n391\n0" {
		t.Errorf("owners\n%s", got)
	}
}

func TestEchoesStayForThoseWhomTheOwnerLets(t *testing.T) {
	r := boot(t)
	r.files()
	r.enrolled()
	r.ok("echo '0 200' >/proc/sys/net/ipv4/ping_group_range && /etc/init.d/nabz-agent start")
	if got := strings.Join(strings.Fields(r.ok("cat /proc/sys/net/ipv4/ping_group_range")), " "); got != "0 200" {
		t.Errorf("got %s", got)
	}
}

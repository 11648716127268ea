package walk

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// router is a machine on which an agent is enrolled: a folder in the place of /etc/nabz, and one of data.
type router struct {
	t    *testing.T
	dir  string
	data string
	uid  uint32   // 0: as whoever runs the test
	by   []string // a program that runs the command
}

func newRouter(t *testing.T) *router {
	dir := t.TempDir()
	return &router{t: t, dir: filepath.Join(dir, "nabz"), data: filepath.Join(dir, "data")}
}

func (r *router) file(name string) string { return filepath.Join(r.dir, name) }

// enroll takes a token from standard input.
func (r *router) enroll(token string, flags ...string) (text string, status int) {
	r.t.Helper()
	argv := append(slices.Clone(r.by), program(r.t, "nabz-agent"), "enroll", "-", "--no-start", "--config", r.file("agent.toml"), "--secret-file", r.file("secret"), "--data-dir", r.data)
	argv = append(argv, flags...)
	c := exec.Command(argv[0], argv[1:]...)
	c.Env, c.Stdin = clean(os.Environ(), "NABZ_"), strings.NewReader(token)
	if r.uid != 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: r.uid, Gid: r.uid}}
	}
	out, _ := c.CombinedOutput()
	return string(out), c.ProcessState.ExitCode()
}

// has fails the test unless these and no other files are there, each whole.
func (r *router) has(names ...string) {
	r.t.Helper()
	if got := left(r.t, r.dir); !slices.Equal(got, names) {
		r.t.Errorf("in place of /etc/nabz there are %v, want %v", got, names)
	}
}

// enrolled fails the test unless the agent can work with what is there.
func (r *router) enrolled() {
	r.t.Helper()
	r.has("agent.toml", "ca.pem", "secret")
	e := &edge{t: r.t, dir: r.dir}
	out, _ := e.ask("check")
	if !strings.Contains(out, "pass  credentials") {
		r.t.Errorf("what was written is of no use:\n%s", out)
	}
}

// mounts lays a file system of so many kB over the router's folder.
func (r *router) mounts(options string) {
	r.t.Helper()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", r.dir, "tmpfs", 0, options); err != nil {
		testneed.Missing(r.t, "a mounted file system", "run as root where mounting is allowed: "+err.Error())
	}
	r.t.Cleanup(func() {
		if err := syscall.Unmount(r.dir, 0); err != nil {
			r.t.Errorf("unmount: %v", err)
		}
	})
}

func (r *router) remounts(options string) {
	r.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if rest, ro := strings.CutPrefix(options, "ro,"); ro {
		flags, options = flags|syscall.MS_RDONLY, rest
	}
	if err := syscall.Mount("tmpfs", r.dir, "tmpfs", flags, options); err != nil {
		r.t.Fatal(err)
	}
}

// The disk is full at each step of the enrolment in turn: none of its files is there then, and once there is room the same token goes on.
func TestAFullDiskStopsAnEnrolmentAtNoHalf(t *testing.T) {
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	steps := map[string]bool{}
	for room := 0; ; room++ {
		site := fmt.Sprintf("room%d", room)
		c.office("site", "add", site)
		token := c.office("agent", "add", site+"/main")
		r := newRouter(t)
		r.mounts(fmt.Sprintf("size=%dk", 4*max(1, room))) // a page each file
		if room == 0 {
			if err := os.WriteFile(r.file("other"), make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text, status := r.enroll(token)
		if status == 0 {
			r.enrolled()
			break
		}
		if status != 1 || !strings.Contains(text, ": no space left on device; free space there (df -h "+r.dir+" shows it), then run this again with the same token") {
			t.Errorf("with room for %d: ended with %d and says\n%s", room, status, text)
		}
		_, step, _ := strings.Cut(text, "nabz-agent: ")
		step, _, _ = strings.Cut(step, ": no space")
		steps[strings.ReplaceAll(step, r.dir, "")] = true
		if room == 0 {
			r.has("other")
			_ = os.Remove(r.file("other"))
		} else {
			r.has("secret.enrolling") // of which the collector has heard
		}
		r.remounts("size=1m")
		if text, status := r.enroll(token); status != 0 {
			t.Errorf("with room for %d, once there is more: ended with %d and says\n%s", room, status, text)
		}
		r.enrolled()
		if room == 20 {
			t.Fatal("it never came to its end")
		}
	}
	for _, want := range []string{"write /secret.enrolling", "write /ca.pem", "write /agent.toml"} {
		if !steps[want] {
			t.Errorf("the disk was never full at %q: %v", want, steps)
		}
	}
}

// A second enrolment with --overwrite runs out of room: the agent that was there can go on.
func TestAFullDiskLeavesTheAgentThatWasThere(t *testing.T) {
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	r := newRouter(t)
	r.mounts("size=16k")
	for _, site := range []string{"gokina", "saidpur"} {
		c.office("site", "add", site)
	}
	if text, status := r.enroll(c.office("agent", "add", "gokina/main")); status != 0 {
		t.Fatalf("ended with %d and says\n%s", status, text)
	}
	before := read(t, r.file("agent.toml")) + read(t, r.file("ca.pem")) + read(t, r.file("secret"))
	token := c.office("agent", "add", "saidpur/main")
	text, status := r.enroll(token, "--overwrite")
	if status != 1 || !strings.Contains(text, "no space left on device") {
		t.Errorf("ended with %d and says\n%s", status, text)
	}
	if after := read(t, r.file("agent.toml")) + read(t, r.file("ca.pem")) + read(t, r.file("secret")); after != before {
		t.Error("what was there has changed")
	}
	r.remounts("size=1m")
	if text, status := r.enroll(token, "--overwrite"); status != 0 || !strings.Contains(read(t, r.file("agent.toml")), `site = "saidpur"`) || !strings.Contains(read(t, r.file("agent.toml.old")), `site = "gokina"`) {
		t.Errorf("once there is room: ended with %d and says\n%s", status, text)
	}
	r.has("agent.toml", "agent.toml.old", "ca.pem", "secret")
}

func TestADiskThatTakesNothingIsToldWithWhatToDo(t *testing.T) {
	c, _ := foundCentre(t)
	c.start()
	c.ready()
	c.office("site", "add", "gokina")
	token := c.office("agent", "add", "gokina/main")

	r := newRouter(t)
	r.mounts("size=1m")
	r.remounts("ro,size=1m")
	text, status := r.enroll(token)
	if want := "read-only file system; that file system is read-only; mount it writable, or look at the log why it is not (dmesg), then run this again with the same token"; status != 1 || !strings.Contains(text, want) {
		t.Errorf("read-only: ended with %d and says\n%swant %s", status, text, want)
	}
	r.has()
	r.remounts("size=1m")

	other := newRouter(t)
	if err := os.Chmod(filepath.Dir(other.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir := filepath.Dir(other.dir); dir != "/"; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm()&0o001 == 0 {
			_ = os.Chmod(dir, 0o755) // those of the test's own; the others are open
		}
	}
	if err := os.Chmod(filepath.Dir(program(t, "nabz-agent")), 0o755); err != nil {
		t.Fatal(err)
	}
	other.uid = 65534
	for _, made := range []bool{false, true} {
		if made {
			if err := os.Mkdir(other.dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		text, status = other.enroll(token)
		if status != 1 || !strings.Contains(text, ": permission denied; run this as root, then run this again with the same token") {
			t.Errorf("not as root, the folder is there %v: ended with %d and says\n%s", made, status, text)
		}
		other.has()
	}
	if text, status := r.enroll(token); status != 0 {
		t.Errorf("the token was used up: ended with %d and says\n%s", status, text)
	}
	r.enrolled()
}

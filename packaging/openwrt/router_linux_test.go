package openwrt

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/smartvillage/nabz/internal/testneed"
)

// router is a root like OpenWrt's: busybox, and a stand-in for rc.common. A shell runs in it, as root, in namespaces of its own, with which all ends
// that it has started.
type router struct {
	t    *testing.T
	root string
	in   io.Writer
	out  *bufio.Reader
	pkg  *archive // that is installed
	sums map[string]string

	machine string // what uname says; "": the truth
}

// pids is the command that tells the numbers of agents that run.
const pids = "ls -l /proc/[0-9]*/exe 2>/dev/null | sed -n 's/^.* .proc.\\([0-9]*\\).exe -> .*nabz-agent.*/\\1/p' | grep ."

func boot(t *testing.T) *router {
	t.Helper()
	busybox := testneed.Program(t, "busybox", "apt-get install busybox-static")
	if os.Getuid() != 0 {
		testneed.Missing(t, "a root of its own", "run the test as root on linux")
	}
	r := &router{t: t, root: t.TempDir()}
	for _, dir := range []string{"bin", "dev", "proc", "tmp", "etc/init.d", "etc/config", "lib/upgrade/keep.d", "usr/bin", "var/run", "usr/lib/opkg/info"} {
		r.must(os.MkdirAll(filepath.Join(r.root, dir), 0o755))
	}
	r.must(os.Chmod(r.root, 0o755))
	r.must(os.Chmod(filepath.Join(r.root, "tmp"), 0o1777))
	r.copy(busybox, "bin/box") // /bin/busybox is the router's own, for another processor perhaps
	list, err := exec.Command(busybox, "--list").Output()
	r.must(err)
	for _, name := range strings.Fields(string(list)) {
		if name != "busybox" {
			r.must(os.Symlink("box", filepath.Join(r.root, "bin", name)))
		}
	}
	common, err := os.ReadFile("testdata/root/etc/rc.common")
	r.must(err)
	r.write("etc/rc.common", string(common), 0o755)
	r.write("etc/passwd", "root:x:0:0:root:/root:/bin/ash\nnobody:*:65534:65534:nobody:/var:/bin/false\n", 0o644)
	r.write("etc/group", "root:x:0:\nother:x:390:\nnogroup:x:65534:\n", 0o644)
	r.must(syscall.Mknod(filepath.Join(r.root, "dev/null"), syscall.S_IFCHR|0o666, 1<<8|3))
	r.must(os.Chmod(filepath.Join(r.root, "dev/null"), 0o666))

	cmd := exec.Command("/bin/sh")
	cmd.Env = []string{"PATH=/bin:/usr/bin", "HOME=/"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.root, Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	in, err := cmd.StdinPipe()
	r.must(err)
	ours, theirs, err := os.Pipe()
	r.must(err)
	cmd.Stdout, cmd.Stderr = theirs, theirs
	if err := cmd.Start(); err != nil {
		testneed.Missing(t, "namespaces", err.Error())
	}
	r.must(theirs.Close())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // and with it all that runs there
		_ = cmd.Wait()
		_ = ours.Close()
	})
	r.in, r.out = in, bufio.NewReader(ours)
	if said, status := r.run("/bin/mount -t proc proc /proc && ip link set lo up"); status != 0 {
		testneed.Missing(t, "a /proc of its own", said)
	}
	return r
}

// run has the shell there do something, and gives back what was said and the status.
func (r *router) run(command string) (said string, status int) {
	r.t.Helper()
	const end = "=== done "
	if _, err := fmt.Fprintf(r.in, "( %s\n) </dev/null\nstatus=$?; echo; echo \"%s$status\"\n", command, end); err != nil {
		r.t.Fatal(err)
	}
	var b strings.Builder
	for {
		line, err := r.out.ReadString('\n')
		if err != nil {
			r.t.Fatalf("the router's shell has ended: %v\n%s", err, b.String())
		}
		if rest, ok := strings.CutPrefix(line, end); ok {
			_, err := fmt.Sscan(rest, &status)
			r.must(err)
			return strings.TrimSpace(b.String()), status
		}
		b.WriteString(line)
	}
}

// ok has it done, and ends the test where it is not.
func (r *router) ok(command string) string {
	r.t.Helper()
	said, status := r.run(command)
	if status != 0 {
		r.t.Fatalf("%s: status %d\n%s", command, status, said)
	}
	return said
}

// soon waits, for 20 s at most, until a command says what it should.
func (r *router) soon(command, want string) {
	r.t.Helper()
	if said, status := r.run("i=0; while ! { " + command + "; } 2>&1 | grep -q -e '" + want + "'; do i=$((i+1)); [ $i -lt 200 ] || exit 1; usleep 100000; done"); status != 0 {
		now, _ := r.run(command)
		log, _ := r.run("cat /tmp/log")
		r.t.Fatalf("%s never says %q: %s\n%s\n%s", command, want, said, now, log)
	}
}

func (r *router) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *router) write(name, text string, mode os.FileMode) {
	r.t.Helper()
	file := filepath.Join(r.root, name)
	r.must(os.MkdirAll(filepath.Dir(file), 0o755))
	r.must(os.WriteFile(file, []byte(text), mode))
	r.must(os.Chmod(file, mode))
}

func (r *router) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.root, name))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func (r *router) copy(from, to string) {
	r.t.Helper()
	b, err := os.ReadFile(from)
	r.must(err)
	r.write(to, string(b), 0o755)
}

// archive is a package, unpacked.
type archive struct {
	scripts, files map[string]entry
	conf           []string
}

type entry struct {
	text string
	mode os.FileMode
}

// untar reads a tar in gzip, as opkg's packages nest them; names begin with "/".
func untar(t *testing.T, b []byte) map[string]entry {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]entry{}
	for tr := tar.NewReader(z); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		text, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all["/"+strings.TrimPrefix(strings.TrimPrefix(h.Name, "."), "/")] = entry{string(text), os.FileMode(h.Mode)}
	}
}

func openPackage(t *testing.T, file string) *archive {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	outer := untar(t, b)
	if outer["/debian-binary"].text != "2.0\n" {
		t.Fatalf("%s: debian-binary holds %q", file, outer["/debian-binary"].text)
	}
	a := &archive{scripts: untar(t, []byte(outer["/control.tar.gz"].text)), files: untar(t, []byte(outer["/data.tar.gz"].text))}
	a.conf = strings.Fields(a.scripts["/conffiles"].text)
	return a
}

// script runs one of a package's scripts as opkg does.
func (r *router) script(a *archive, name, args string, upgrade bool) (said string, status int) {
	r.t.Helper()
	s, ok := a.scripts["/"+name]
	if !ok {
		r.t.Fatalf("the package has no %s", name)
	}
	r.write("tmp/opkg/"+name, s.text, 0o755)
	uname := ""
	if r.machine != "" {
		uname = "uname() { echo " + r.machine + "; }; " // a function comes before busybox's own
	}
	return r.run(fmt.Sprintf("%sexport PKG_UPGRADE=%d PKG_ROOT=/; set -- %s; . /tmp/opkg/%s", uname, map[bool]int{true: 1}[upgrade], args, name))
}

// install does what opkg does, in its order (libopkg/opkg_install.c): false, and what was said, when a script refuses.
func (r *router) install(a *archive) (said string, ok bool) {
	r.t.Helper()
	old, upgrade := r.pkg, r.pkg != nil
	var all []string
	step := func(of *archive, name, args string) bool {
		text, status := r.script(of, name, args, upgrade)
		all = append(all, text)
		said = strings.TrimSpace(strings.Join(all, "\n"))
		return status == 0
	}
	args := "install"
	if upgrade {
		if !step(old, "prerm", "upgrade 2") {
			return said, false
		}
		args = "upgrade 1"
	}
	if !step(a, "preinst", args) {
		return said, false
	}
	kept := map[string]string{} // configuration that was changed, or is of nobody yet
	for _, c := range a.conf {
		if now := r.read(c[1:]); fileThere(r, c) && (!upgrade || now != r.sums[c]) {
			kept[c] = now
		}
	}
	if upgrade && !step(old, "postrm", "upgrade 2") {
		return said, false
	}
	r.sums = map[string]string{}
	for name, e := range a.files {
		if slices.Contains(a.conf, name) {
			r.sums[name] = e.text
			if was, changed := kept[name]; changed && was != e.text {
				r.write(name[1:]+"-opkg", e.text, e.mode)
				continue
			}
		}
		r.must(removeIfThere(filepath.Join(r.root, name))) // a program that runs keeps its file
		r.write(name[1:], e.text, e.mode)
	}
	r.pkg = a
	return said, step(a, "postinst", "configure")
}

// remove does what opkg remove does.
func (r *router) remove() string {
	r.t.Helper()
	before, status := r.script(r.pkg, "prerm", "remove", false)
	if status != 0 {
		r.t.Fatalf("prerm: %d %s", status, before)
	}
	for name := range r.pkg.files {
		if slices.Contains(r.pkg.conf, name) && r.read(name[1:]) != r.sums[name] {
			continue
		}
		r.must(removeIfThere(filepath.Join(r.root, name)))
	}
	after, status := r.script(r.pkg, "postrm", "remove", false)
	if status != 0 {
		r.t.Fatalf("postrm: %d %s", status, after)
	}
	r.pkg = nil
	return strings.TrimSpace(before + "\n" + after)
}

func fileThere(r *router, name string) bool {
	_, err := os.Stat(filepath.Join(r.root, name))
	return err == nil
}

func removeIfThere(file string) error {
	if err := os.Remove(file); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}

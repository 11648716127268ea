package walk

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/smartvillage/nabz/internal/testca"
	"github.com/smartvillage/nabz/internal/testneed"
)

const nocName = "noc.example.org"

// way is something between a router and the NOC, and what enrolment says of it. No mend: the word is final and comes at once.
type way struct {
	what   string
	hosts  string // of the router's /etc/hosts, when all is well: the name of the NOC where it is ""
	breaks func(v *village, port int)
	mends  func(v *village)
	want   string   // of what it says at once
	next   []string // of what it says in the end
	slow   bool     // the end is too far away for a test
}

func ways() []way {
	at := func(line string) func(*village) { return func(v *village) { v.atModem(line) } }
	break1 := func(line string) func(*village, int) { return func(v *village, _ int) { v.atModem(line) } }
	const host = nocAddress + "/32"
	return []way{
		{what: "no cable", breaks: func(v *village, _ int) { v.atRouter("ip link set wan down") },
			mends: func(v *village) {
				v.atRouter("ip link set wan up")
				v.atRouter(fmt.Sprintf("ip route add default via 192.168.%d.1", v.n))
			}, want: "there is no way to " + nocName, next: []string{"plug in or configure the uplink (ip route shows a line that begins with default when it works)"}},
		{what: "a provider without a way", breaks: break1("ip route add unreachable " + host), mends: at("ip route del unreachable " + host), want: "there is no way to " + nocName,
			next: []string{"plug in or configure the uplink"}},
		{what: "a firewall that drops", breaks: break1("ip route add blackhole " + host), mends: at("ip route del blackhole " + host), want: "does not answer within 30 s", slow: true},
		{what: "a firewall that rejects", breaks: break1("ip addr add " + host + " dev lo"), mends: at("ip addr del " + host + " dev lo"), want: "refuses the connection",
			next: []string{"try over another link, as a firewall may do that; else call the NOC: the collector may not run"}},
		{what: "no name server", hosts: "198.51.100.7 elsewhere\n", breaks: break1("ip addr add " + nameServer + "/32 dev lo"), mends: func(v *village) { v.hosts("") },
			want: nocName + " cannot be looked up: no name server answers", next: []string{"look at the link and at /etc/resolv.conf (nslookup " + nocName + ")"}},
		{what: "a name that nobody knows", hosts: "198.51.100.7 elsewhere\n", breaks: func(*village, int) {}, mends: func(v *village) { v.hosts("") },
			want: nocName + " is not known to the name servers here", next: []string{"where other names are found, call the NOC"}},
		{what: "a hotspot's page over TLS", breaks: func(v *village, port int) { v.portal(port, true) }, mends: at("ip addr del " + host + " dev lo"),
			want: "is not the programme's collector: its certificate does not come from the authority that the token names; it may be the log-in page of a hotspot"},
		{what: "a hotspot's page without TLS", breaks: func(v *village, port int) { v.portal(port, false) }, mends: at("ip addr del " + host + " dev lo"),
			want: "is not the programme's collector: it does not speak TLS; it may be the log-in page of a hotspot"},
	}
}

// hosts is what the router knows of names by itself; "": where the NOC is.
func (v *village) hosts(text string) {
	v.t.Helper()
	if text == "" {
		text = nocAddress + " " + nocName + "\n"
	}
	if err := os.WriteFile(filepath.Join(v.dir, "hosts"), []byte(text), 0o600); err != nil {
		v.t.Fatal(err)
	}
}

// portal has the modem answer in the NOC's place, as that of a hotspot does until somebody has logged in.
func (v *village) portal(port int, secure bool) {
	v.t.Helper()
	v.atModem("ip addr add " + nocAddress + "/32 dev lo")
	l := v.listenAtModem(fmt.Sprintf("%s:%d", nocAddress, port))
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{testca.New(v.t).Sign(net.ParseIP(nocAddress), time.Hour)}})
	}
	s := &http.Server{Handler: http.RedirectHandler("http://login.example.net/", http.StatusFound), ErrorLog: log.New(io.Discard, "", 0)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	v.t.Cleanup(func() { _ = s.Close(); <-ended })
}

// listenAtModem listens in the modem's namespace, where the socket stays.
func (v *village) listenAtModem(address string) (l net.Listener) {
	v.t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		v.t.Fatal(err)
	}
	defer home.Close()
	modem, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", v.modem.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	defer modem.Close()
	if err := unix.Setns(int(modem.Fd()), unix.CLONE_NEWNET); err != nil {
		v.t.Fatal(err)
	}
	l, err = net.Listen("tcp", address)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil || back != nil {
		v.t.Fatal(err, back)
	}
	return l
}

// enroll runs the command on the router, where /etc/nabz is a folder of its own. Seen gets what it says; true ends it as Ctrl-C does.
func (v *village) enroll(token string, seen func(text string) bool) (text string, status int) {
	v.t.Helper()
	script := `mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"`
	c := exec.Command("nsenter", "-t", strconv.Itoa(v.router.Process.Pid), "-n", "unshare", "-m", "sh", "-c", script, v.dir,
		program(v.t, "nabz-agent"), "enroll", "-", "--no-start", "--config", filepath.Join(v.dir, "etc", "agent.toml"), "--secret-file", filepath.Join(v.dir, "etc", "secret"))
	c.Env, c.Stdin = clean(os.Environ(), "NABZ_"), strings.NewReader(token)
	said := &lines{}
	ended := false // a second Ctrl-C would not be waited for
	said.each = func(all string) {
		if seen != nil && !ended && seen(all) {
			ended = true
			_ = c.Process.Signal(syscall.SIGINT)
		}
	}
	c.Stdout, c.Stderr = said, said
	_ = c.Run()
	return said.text(), c.ProcessState.ExitCode()
}

// lines is what a program says, looked at as it comes.
type lines struct {
	mu   sync.Mutex
	b    bytes.Buffer
	each func(all string)
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Write(p)
	l.each(l.b.String())
	return len(p), nil
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// left is what lies in a folder and below, sorted; a folder that is not there holds nothing.
func left(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err == nil && path != dir {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// Whatever lies between a router and the NOC, enrolment says which it is and what to do, leaves nothing behind, and comes to its end once that is mended, with the
// same token.
func TestWhateverIsInTheWayOfAnEnrolmentIsToldAndLeavesNothing(t *testing.T) {
	if !testneed.Namespaces(t, "nsenter", "--version") {
		return
	}
	shell(t, "ip link set lo up")
	for _, a := range []string{nocAddress, nameServer} {
		shell(t, "ip addr add "+a+"/32 dev lo")
	}
	c, port := foundCentre(t, nocName, nocAddress)
	names, err := net.ListenPacket("udp", nameServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan struct{})
	go func() { defer close(answered); knowNobody(names) }()
	t.Cleanup(func() { _ = names.Close(); <-answered })
	c.start()
	c.ready()
	tokens := map[string]string{}
	for n := range ways() {
		site := fmt.Sprintf("v%d", n+1)
		c.office("site", "add", site)
		tokens[site] = c.office("agent", "add", site+"/router")
	}
	t.Run("ways", func(t *testing.T) {
		for n, w := range ways() {
			v := newVillage(t, n+1, fmt.Sprintf("v%d", n+1))
			t.Run(w.what, func(t *testing.T) {
				if w.slow {
					testneed.Long(t) // half a minute until a connection is given up
				}
				t.Parallel()
				v.t = t
				v.tries(t, w, port+1, tokens[v.address.Site])
			})
		}
	})
}

// tries takes one token over a way that is broken, and then mended.
func (v *village) tries(t *testing.T, w way, port int, token string) {
	if err := os.WriteFile(filepath.Join(v.dir, "resolv.conf"), []byte("nameserver "+nameServer+"\noptions timeout:1 attempts:1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v.hosts(w.hosts)
	w.breaks(v, port)
	patient := testneed.Minutes() && !w.slow
	text, status := v.enroll(token, func(text string) bool { return !patient && strings.Contains(text, "next try in") })
	if status != 1 || !strings.Contains(text, w.want) {
		t.Errorf("ended with %d and says\n%swant 1, and %q", status, text, w.want)
	}
	if patient {
		for _, want := range w.next {
			if !strings.Contains(text, "no answer in 8 tries; ") || !strings.Contains(text, want) {
				t.Errorf("in the end it says\n%swant %q", text, want)
			}
		}
	}
	etc := filepath.Join(v.dir, "etc")
	if _, err := os.Stat(etc); err == nil {
		t.Errorf("left behind: %v", left(t, etc))
	}
	w.mends(v)
	if text, status = v.enroll(token, nil); status != 0 {
		t.Errorf("once mended it ends with %d and says\n%s", status, text)
	}
	if got, want := fmt.Sprint(left(t, etc)), "[agent.toml ca.pem secret]"; got != want {
		t.Errorf("once mended there are %s, want %s", got, want)
	}
}

// knowNobody is a name server that knows no name.
func knowNobody(c net.PacketConn) {
	buf := make([]byte, 512)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		if n < 12 {
			continue
		}
		buf[2], buf[3] = 0x81, 0x83
		_, _ = c.WriteTo(buf[:n], from)
	}
}

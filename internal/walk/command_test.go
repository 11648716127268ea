package walk

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/telemetry"
)

func TestAnOperatorAsksAVillageAndTheVillageAnswersOnce(t *testing.T) {
	server := influxd.ForTest(t)
	detail, ledger := server.Database(t, "command_detail"), server.Database(t, "command_ledger")
	a, quiet := telemetry.Address{Site: "gokina", Agent: "main"}, telemetry.Address{Site: "passu", Agent: "main"}
	c := newCentre(t, server.URL, server.Token, server.Org, detail, ledger, a, quiet)
	ca := c.secure("127.0.0.1", twoFreePorts(t))
	c.staff()
	e := newEdge(t, c, a)
	e.configure(ca, fmt.Sprintf("[speedtest]\nserver = %q\nper_day = 0.0\nmonthly_mb = 400.0\ntest_mb = 40.0\nbusy_share = 1.0\n", "https://"+line(t, strings.TrimPrefix(c.speed, "https://"))))
	shy := newEdge(t, c, quiet)
	shy.configure(ca, fmt.Sprintf("[commands]\nallow = [\"speedtest\"]\n[speedtest]\nserver = %q\nmonthly_mb = 0.5\n", c.speed))
	c.start()
	c.ready()

	if code, one := c.command("gokina", "speedtest"); code != http.StatusConflict || !strings.Contains(one.Error, "gokina/main is not connected now, so nothing was sent") {
		t.Errorf("an agent that is away is asked, and the answer is %d %q", code, one.Error)
	}
	e.start()
	shy.start()
	c.connected("gokina")
	c.connected("passu")

	code, one := c.command("gokina", "speedtest")
	if code != http.StatusAccepted || one.State != "sent" || one.Who != "aisha" || one.Agent != "main" {
		t.Fatalf("asking for a speed test is answered %d %+v", code, one)
	}
	first := c.becomes("gokina", one.ID, "done", "failed", "refused")
	if first.State != "done" || !strings.Contains(first.Text, "down ") || !strings.Contains(first.Text, "of 400.00 MB") {
		t.Errorf("the speed test became %+v", first)
	}
	st, err := store.Open(store.Config{URL: server.URL, Token: server.Token, Org: server.Org, DetailBucket: detail, LedgerBucket: ledger}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	waitFor(t, 60*time.Second, "the result is a line in InfluxDB", func() bool { return len(column(t, st, telemetry.Ledger, "speedtest", "used_bytes", a)) == 1 })

	_, one = c.command("passu", "speedtest")
	if spent := c.becomes("passu", one.ID, "done", "failed", "refused"); spent.State != "refused" ||
		!strings.Contains(spent.Text, "which the village pays for; wait for next month, or agree on a higher speedtest.monthly_mb") {
		t.Errorf("beyond the budget the speed test became %+v", spent)
	}
	_, one = c.command("passu", "diagnostics")
	if shut := c.becomes("passu", one.ID, "done", "failed", "refused"); shut.State != "refused" || !strings.Contains(shut.Text, "[commands] allow in agent.toml") {
		t.Errorf("an owner who does not allow it: %+v", shut)
	}

	_, one = c.command("gokina", "diagnostics")
	seen := c.becomes("gokina", one.ID, "done", "failed", "refused")
	t.Logf("diagnostics: %s\n%s", seen.Text, seen.Data)
	for _, part := range []string{"agent     gokina/main", "\nlink      up", "\npass  test line ", "\npass  credentials ", "\nnoc       may ask for speedtest and diagnostics\n"} {
		if !strings.Contains(seen.Data, part) {
			t.Errorf("the diagnostics do not say %q", part)
		}
	}
	if mac := regexp.MustCompile(`([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}`); strings.Contains(seen.Data, c.secrets[a]) || mac.MatchString(seen.Data) {
		t.Error("the diagnostics hold a secret or a hardware address")
	}

	// The same from the command line: what is refused there is said there.
	for _, tt := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"gokina/main", "diagnostics", "--as", "aisha"}, 0, "\nlink      up"},
		{[]string{"passu/main", "diagnostics", "--as", "aisha"}, 1, "nabz-collector: refused: the owner of this agent does not allow diagnostics"},
		{[]string{"gokina/second", "diagnostics", "--as", "aisha"}, 1, "gokina/second: no such agent is enrolled"},
		{[]string{"gokina/main", "diagnostics", "--as", "wall"}, 1, "you are wall, with the role viewer; next: this needs the role operator"},
		{[]string{"gokina/main", "reboot", "--as", "aisha"}, 1, "no such command \"reboot\""},
		{[]string{"gokina/main", "diagnostics", "--as", "aisha", "--board", "http://noc.example.org"}, 2, "use https://"},
		{[]string{"gokina/main", "diagnostics", "--as", "aisha", "--board", "http://127.0.0.1:1"}, 1, "does the collector run"},
	} {
		cmd := exec.Command(program(t, "nabz-collector"), append(append([]string{"agent", "ask"}, tt.args...), "--config", c.config())...)
		cmd.Stdin, cmd.Env = strings.NewReader(operatorSecret+"\n"), clean(os.Environ(), "INFLUX_", "NABZ_")
		out, _ := cmd.CombinedOutput()
		if status := cmd.ProcessState.ExitCode(); status != tt.status || !strings.Contains(string(out), tt.want) {
			t.Errorf("agent ask %v ended with %d and says\n%s", tt.args, status, out)
		}
	}

	for who, want := range map[string]int{"wall": 403, "nobody": 401} {
		if code, body := c.request(http.MethodPost, "/api/v1/sites/gokina/commands", who, url.Values{"kind": {"speedtest"}}); code != want {
			t.Errorf("%s asks a village and is answered %d %s", who, code, body)
		}
		if code, body := c.request(http.MethodGet, "/api/v1/sites/gokina/commands", who, nil); code != want || strings.Contains(body, "gokina/main") {
			t.Errorf("%s wants to see what was asked and is answered %d %s", who, code, body)
		}
	}
	if n := len(column(t, st, telemetry.Ledger, "speedtest", "used_bytes", a)); n != 1 {
		t.Errorf("%d speed tests are stored, want the one that ran", n)
	}
	var lines []string
	for _, e := range c.audited("done") {
		lines = append(lines, fmt.Sprintf("%s %s %s %s", e.Who, e.What, e.On, e.Outcome))
	}
	want := "aisha command speedtest gokina/main done\naisha command speedtest result gokina/main done\naisha command speedtest passu/main done\naisha command speedtest result passu/main failed\n" +
		"aisha command diagnostics passu/main done\naisha command diagnostics result passu/main failed\naisha command diagnostics gokina/main done\naisha command diagnostics result gokina/main done\naisha command diagnostics gokina/main done\naisha command diagnostics result gokina/main done\n" +
		"aisha command diagnostics passu/main done\naisha command diagnostics result passu/main failed"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("the audit log says\n%s\nwant\n%s", got, want)
	}
	refused := fmt.Sprint(c.audited("refused"))
	for _, part := range []string{"{aisha 127.0.0.1 command speedtest gokina/main refused gokina/main is not connected", "wall 127.0.0.1 POST /api/v1/sites/gokina/commands  refused needs the role operator"} {
		if !strings.Contains(strings.ReplaceAll(refused, " UTC ", "{"), part) {
			t.Errorf("what was refused is %s, without %q", refused, part)
		}
	}
}

// line is an address from where bytes go to another at 16 Mbit/s each way, as over a village's link.
func line(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	pass := func(from, to net.Conn) {
		defer to.Close()
		defer from.Close()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for buf := make([]byte, 20_000); ; <-tick.C {
			n, err := from.Read(buf)
			if err != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
	}
	work.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			work.Go(func() { pass(near, far) })
			work.Go(func() { pass(far, near) })
		}
	})
	t.Cleanup(func() { l.Close(); work.Wait() })
	return l.Addr().String()
}

// abyss is a speed test server that takes connections and never answers, until it is told to end them.
type abyss struct {
	net.Listener
	mu   sync.Mutex
	open []net.Conn
}

func newAbyss(t *testing.T) *abyss {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, over := &abyss{Listener: l}, make(chan struct{})
	go func() {
		defer close(over)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open = append(s.open, conn)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() { l.Close(); <-over; s.end() })
	return s
}

func (s *abyss) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.open {
		c.Close()
	}
}

// visits is how many speed tests have begun.
func (s *abyss) visits() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// TestACommandThatIsUnderWayOutlivesKillsAndRunsOnce kills the collector, and then the agent, while the village is at a speed test.
func TestACommandThatIsUnderWayOutlivesKillsAndRunsOnce(t *testing.T) {
	server := influxd.ForTest(t)
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	c := newCentre(t, server.URL, server.Token, server.Org, server.Database(t, "killed_detail"), server.Database(t, "killed_ledger"), a)
	ca := c.secure("127.0.0.1", twoFreePorts(t))
	c.staff()
	e := newEdge(t, c, a)
	deep := newAbyss(t)
	e.configure(ca, fmt.Sprintf("[speedtest]\nserver = \"https://%s\"\nopen_server = true\nper_day = 0.0\nmonthly_mb = 100.0\ntest_mb = 2.0\nbusy_share = 1.0\n", deep.Addr()))
	c.start()
	c.ready()
	e.start()
	c.connected("gokina")

	_, one := c.command("gokina", "speedtest")
	c.becomes("gokina", one.ID, "accepted")
	waitFor(t, 30*time.Second, "the test has begun", func() bool { return deep.visits() == 1 })
	if code, again := c.command("gokina", "speedtest"); code != http.StatusConflict || !strings.Contains(again.Error, "asked for already, by aisha") {
		t.Errorf("a second speed test beside the first: %d %+v", code, again)
	}
	c.kill()
	c.start()
	c.ready()
	if now := c.becomes("gokina", one.ID, "accepted", "failed"); now.Who != "aisha" {
		t.Errorf("after kill -9 of the collector the command is %+v", now)
	}
	c.connected("gokina")
	deep.end()
	if now := c.becomes("gokina", one.ID, "done", "failed", "refused", "expired"); now.State != "failed" || strings.Contains(now.Text, "ended meanwhile") {
		t.Errorf("the server hung up, and the command became %+v", now)
	}
	if n := deep.visits(); n > 2 {
		t.Errorf("the speed test, of one connection each way, made %d", n)
	}

	before := deep.visits()
	_, one = c.command("gokina", "speedtest")
	c.becomes("gokina", one.ID, "accepted")
	waitFor(t, 30*time.Second, "the second test has begun", func() bool { return deep.visits() == before+1 })
	e.kill()
	e.start()
	if now := c.becomes("gokina", one.ID, "done", "failed", "refused", "expired"); now.State != "failed" || !strings.Contains(now.Text, "the agent was ended meanwhile") {
		t.Errorf("after kill -9 of the agent the command became %+v", now)
	}
	if n := deep.visits(); n != before+1 {
		t.Errorf("after kill -9 of the agent the speed test began again: %d connections more", n-before-1)
	}
	if bad := c.metric(`nabz_broker_forbidden_total{reason="result"}`) + c.metric(`nabz_command_results_dropped_total{reason="malformed"}`); bad != 0 {
		t.Errorf("%v results were refused", bad)
	}
}

// TestABoardAsksVillagesThroughAnExternalBroker has the board, which takes no data in, hear results by a connection of its own.
func TestABoardAsksVillagesThroughAnExternalBroker(t *testing.T) {
	influx := influxd.ForTest(t)
	a := telemetry.Address{Site: "gokina", Agent: "main"}
	base := newCentre(t, influx.URL, influx.Token, influx.Org, influx.Database(t, "asked_detail"), influx.Database(t, "asked_ledger"), a)
	base.staff()
	c := newCluster(t, base)
	c.replica("intake")
	shown := c.replica("board")
	e := newEdge(t, c.centre, a)
	e.configure(c.ca, "")
	e.start()
	shown.connected("gokina")
	code, one := shown.command("gokina", "diagnostics")
	if code != http.StatusAccepted {
		t.Fatalf("the board answers %d %+v", code, one)
	}
	if seen := shown.becomes("gokina", one.ID, "done", "failed", "refused", "expired"); seen.State != "done" || !strings.Contains(seen.Data, "agent     gokina/main") {
		t.Errorf("the diagnostics became %+v", seen)
	}
	if got := fmt.Sprint(shown.audited("done")); !strings.Contains(got, "command diagnostics gokina/main done") || !strings.Contains(got, "command diagnostics result gokina/main done") {
		t.Errorf("the audit log says %s", got)
	}
	e.stop()
	waitFor(t, 30*time.Second, "the board knows that the agent has gone", func() bool {
		code, one := shown.command("gokina", "speedtest")
		return code == http.StatusConflict && strings.Contains(one.Error, "gokina/main is not connected now")
	})
}

package walk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/agent"
	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/collector/store"
	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// inCentre is set for the child that plays the whole world in namespaces of its own.
const inCentre = "NABZ_WALK_CENTRE"

// fault is one thing that happens to one village. While it lasts the others go on.
type fault struct {
	site   string
	extra  []string // of the configuration
	happen func(v *village)
	worst  time.Duration // no change may be less well known than this; 0: as told

	noClock bool // the machine has no battery clock
}

// settle is how long a village is left alone between two changes: longer than it takes to notice one.
const settle = 14 * time.Second

func faults() []fault {
	outageOf := func(cause telemetry.Cause, down string, up func(v *village)) func(v *village) {
		return func(v *village) {
			v.inject(telemetry.StateDown, cause, func() { v.atModem(down) })
			v.hold(settle)
			v.inject(telemetry.StateUp, "", func() { up(v) })
			v.hold(settle)
		}
	}
	outage := func(cause telemetry.Cause, down, up string) func(v *village) {
		return outageOf(cause, down, func(v *village) { v.atModem(up) })
	}
	blackhole := func(what string) (string, string) {
		return "ip route add blackhole " + what, "ip route del blackhole " + what
	}
	backhaulDown := "ip link set line down" // the modem's own line: nothing passes either way
	backhaulUp := func(v *village) {
		v.atModem("ip link set line up")
		v.atModem(fmt.Sprintf("ip route add default via 10.100.%d.1", v.n))
	}
	dnsDown, dnsUp := blackhole(nameServer + "/32")
	restart := func(cause telemetry.Cause, end func(v *village), boot bool) func(v *village) {
		return func(v *village) {
			v.inject(telemetry.StateOff, cause, func() { end(v) })
			v.hold(6 * time.Second)
			if boot {
				v.newBoot()
			}
			v.inject(telemetry.StateUp, "", v.start)
			v.hold(settle)
		}
	}
	return []fault{
		{site: "cable-cut", worst: time.Second, happen: outage(telemetry.CauseLocal, "ip link set lan down", "ip link set lan up")},
		{site: "gateway-gone", worst: 6 * time.Second, happen: func(v *village) {
			v.inject(telemetry.StateDown, telemetry.CauseLocal, func() { v.atModem("ip addr flush dev lan") })
			v.hold(settle)
			v.inject(telemetry.StateUp, "", func() { v.atModem(fmt.Sprintf("ip addr add 192.168.%d.1/24 dev lan", v.n)) })
			v.hold(settle)
		}},
		{site: "backhaul-gone", worst: 6 * time.Second, happen: outageOf(telemetry.CauseBackhaul, backhaulDown, backhaulUp)},
		{site: "dns-gone", worst: 6 * time.Second, happen: outage(telemetry.CauseDNS, dnsDown, dnsUp)},
		{site: "one-anchor-gone", happen: func(v *village) {
			down, up := blackhole(anchorB + "/32")
			v.atModem(down)
			v.hold(2 * settle)
			v.atModem(up)
		}},
		{site: "broker-away", happen: func(v *village) { // for this village alone; for all of them see below
			down, up := blackhole(nocAddress + "/32")
			v.atModem(down)
			v.hold(2 * settle)
			v.atModem(up)
		}},
		{site: "power-cut", happen: restart(telemetry.CausePower, (*village).cut, true)},
		{site: "agent-killed", happen: restart(telemetry.CauseAgent, (*village).cut, false)},
		// A router whose clock stands in 1970 at each boot loses power before anybody has told it the time.
		{site: "never-knew-the-time", noClock: true, happen: func(v *village) {
			nocDown, nocUp := blackhole(nocAddress + "/32")
			v.inject(telemetry.StateOff, telemetry.CausePower, v.cut)
			v.atModem(nocDown)
			v.hold(4 * time.Second)
			v.newBoot()
			v.inject(telemetry.StateUp, "", v.start)
			v.hold(2 * settle)
			v.inject(telemetry.StateOff, telemetry.CausePower, v.cut)
			v.atModem(nocUp)
			v.hold(4 * time.Second)
			v.newBoot()
			v.inject(telemetry.StateUp, "", v.start)
			v.hold(settle)
		}},
		{site: "shut-down", happen: restart(telemetry.CauseShutdown, (*village).stop, true)},
		{site: "disk-full", happen: func(v *village) {
			file := filepath.Join(v.data(), "ballast")
			v.onDisk("dd if=/dev/zero of=" + file + " bs=1k") // ends when nothing more goes in
			v.hold(2 * settle)
			v.onDisk("rm " + file)
		}},
		{site: "measured", extra: []string{"speedtest.server = SPEED", "speedtest.busy_share = 1.0", "speedtest.per_day = 0.0", "speedtest.monthly_mb = 40.0"}, happen: func(v *village) {
			shell(v.t, fmt.Sprintf("tc qdisc add dev c%d root tbf rate 8mbit burst 32kb latency 200ms", v.n))
			v.atModem("tc qdisc add dev line root tbf rate 4mbit burst 32kb latency 200ms")
			v.measure(8e6, 4e6)
		}},
		{site: "flapping", worst: 5 * time.Second, extra: []string{`probe.wan_evidence = "yes"`}, happen: func(v *village) {
			rng := rand.New(rand.NewPCG(3, 50))
			defer v.use()()
			v.hold(12 * time.Second)
			for range 3 { // closer together than fifty an hour
				v.inject(telemetry.StateDown, telemetry.CauseBackhaul, func() { v.atModem(backhaulDown) })
				v.hold(18*time.Second + time.Duration(rng.Int64N(int64(4*time.Second))))
				v.inject(telemetry.StateUp, "", func() { backhaulUp(v) })
				v.hold(11*time.Second + time.Duration(rng.Int64N(int64(4*time.Second))))
			}
		}},
		// The profile "standard" as it is, on a link that villagers use: no probe is paid for, and still the outage is known to 5 s.
		{site: "standard-in-use", worst: 5 * time.Second, extra: []string{"detail_every = ", "report_every = ", "uplink.keepalive = ", "uplink.ack_within = ",
			"probe.every = ", "probe.sample_every = ", "probe.dns_every = ", `probe.wan_evidence = "yes"`},
			happen: func(v *village) {
				defer v.use()()
				v.hold(20 * time.Second)
				v.inject(telemetry.StateDown, telemetry.CauseBackhaul, func() { v.atModem(backhaulDown) })
				v.hold(2 * settle)
				v.inject(telemetry.StateUp, "", func() { backhaulUp(v) })
				v.hold(settle)
			}},
	}
}

// use sends what villagers would fetch, 60 kB/s towards the router, until end is called.
func (v *village) use() (end func()) {
	c, err := net.Dial("udp", fmt.Sprintf("192.168.%d.2:9", v.n))
	if err != nil {
		v.t.Error(err)
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		packet := make([]byte, 1200)
		for {
			select {
			case <-over:
				return
			case <-tick.C:
				_, _ = c.Write(packet) // the port is closed: nobody minds
			}
		}
	}()
	return func() {
		close(over)
		<-ended
		_ = c.Close()
	}
}

// measure runs a speed test by hand over a line of known rates, in bit/s.
func (v *village) measure(down, up float64) {
	cmd := exec.Command("nsenter", "-t", fmt.Sprint(v.agent.Process.Pid), "-m", "-n", program(v.t, "nabz-agent"), "speedtest", "--json", "--config", v.argv[len(v.argv)-1])
	out, err := cmd.CombinedOutput()
	var s agent.Speed
	if err = errors.Join(err, json.Unmarshal(out, &s)); err != nil {
		v.t.Errorf("speedtest: %v\n%s", err, out)
		return
	}
	for what, x := range map[string][2]float64{"down": {float64(s.DownBps), down}, "up": {float64(s.UpBps), up}} {
		if share := x[0] / x[1]; share < 0.8 || share > 1.1 { // headers take their part of the line; a machine short of processors begins to read late, when some has arrived
			v.t.Errorf("%s: measured %.2f Mbit/s of %.2f", what, x[0]/1e6, x[1]/1e6)
		}
	}
	if s.MonthBytes < s.UsedBytes || s.UsedBytes < 1e6 || s.LimitBytes != 40e6 {
		v.t.Errorf("the budget: %+v", s)
	}
	v.t.Logf("%+v", s)
}

// onDisk runs a command where the agent's own file systems are seen; that it fails is its purpose here.
func (v *village) onDisk(line string) {
	_ = exec.Command("nsenter", append([]string{"-t", fmt.Sprint(v.agent.Process.Pid), "-m"}, strings.Fields(line)...)...).Run()
}

func TestWhateverHappensToAVillageTheLedgerTellsTheTruthAndNothingIsLost(t *testing.T) {
	if os.Getenv(inCentre) != "" {
		playVillages(t)
		return
	}
	testneed.Long(t) // three minutes of real outages
	if os.Getuid() != 0 {
		testneed.Missing(t, "network namespaces", "run the test as root")
	}
	for _, need := range [][2]string{{"ip", "iproute2"}, {"nsenter", "util-linux"}, {"sysctl", "procps"}, {"tc", "iproute2"}} {
		testneed.Program(t, need[0], "apt-get install "+need[1])
	}
	influxd.ChildForTest(t) // is there one at all? The child begins its own
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=8m")
	cmd.Env = append(os.Environ(), inCentre+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: "+t.Name())) {
		if strings.Contains(fmt.Sprint(err), "operation not permitted") {
			testneed.Missing(t, "network namespaces", err.Error())
		}
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// TestPlayAnAgentWithoutAClock is the agent of a village without a clock, in a process of its own.
func TestPlayAnAgentWithoutAClock(t *testing.T) {
	file := os.Getenv(withoutClock)
	if file == "" {
		t.Skip("played by the test of the villages")
	}
	c, doc, err := agent.Read(file, "")
	if err = errors.Join(err, c.Validate(doc)); err != nil {
		t.Fatal(err)
	}
	booted := time.Now()
	c.Clock = func() clock.Reading {
		since := 5*time.Second + time.Since(booted)
		return clock.Reading{Wall: time.Unix(0, 0).Add(since), Mono: since}
	}
	ctx, stop := signal.NotifyContext(t.Context(), syscall.SIGTERM)
	defer stop()
	if err := agent.Run(ctx, c, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
		t.Fatal(err)
	}
}

func playVillages(t *testing.T) {
	shell(t, "mount --make-rprivate /")
	shell(t, "ip link set lo up")
	for _, a := range []string{anchorA, anchorB, anchorC, nocAddress, nameServer} {
		shell(t, "ip addr add "+a+"/32 dev lo")
	}
	names, err := net.ListenPacket("udp", nameServer+":53")
	if err != nil {
		t.Fatal(err)
	}
	defer names.Close()
	go answerNames(names)

	var villages []*village
	var agents []telemetry.Address
	all := faults()
	for i, f := range all {
		villages = append(villages, newVillage(t, i+1, f.site))
		agents = append(agents, villages[i].address)
	}
	server := influxd.ChildForTest(t)
	c := newCentre(t, server.URL, "", "", "nabz", "nabz_ledger", agents...)
	ca := c.secure(nocAddress, 8883)
	c.start()
	c.ready()
	st, err := store.Open(store.Config{URL: server.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()

	for i, v := range villages {
		for k := range all[i].extra {
			all[i].extra[k] = strings.Replace(all[i].extra[k], "SPEED", strconv.Quote(c.speed), 1)
		}
		v.install(c.secrets[v.address], ca, all[i].extra...)
		if all[i].noClock {
			v.withoutClock()
		}
		if all[i].site == "disk-full" {
			if err := os.Mkdir(v.data(), 0o700); err != nil {
				t.Fatal(err)
			}
			shell(t, "mount -t tmpfs -o size=256k tmpfs "+v.data())
			t.Cleanup(func() { shell(t, "umount -l "+v.data()) })
		}
		v.inject(telemetry.StateUp, "", v.start)
	}
	waitFor(t, 60*time.Second, "every village is up on the board", func() bool {
		_, body := get(t, c.web+"/api/v1/sites")
		return strings.Count(body, `"state":"up"`)+strings.Count(body, `"state": "up"`) >= len(villages)
	})
	hold(settle)

	var g sync.WaitGroup
	for i, v := range villages {
		g.Go(func() { all[i].happen(v) })
	}
	g.Wait()
	hold(settle)

	// What the centre itself suffers is no outage of any village.
	c.kill()
	hold(settle)
	c.start()
	c.ready()
	hold(settle)
	if err := c.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	hold(settle)
	if err := c.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	hold(settle)

	ended := time.Now()
	for _, v := range villages {
		g.Go(v.stop)
	}
	g.Wait()
	for i, v := range villages {
		t.Run(v.address.Site, func(t *testing.T) {
			if v.address.Site == "measured" && len(column(t, st, telemetry.Ledger, "speedtest", "down_bps", v.address)) != 1 {
				t.Error("the result of the speed test is not stored once")
			}
			if told := texts(t, st, telemetry.Ledger, "event", "detail", v.address); len(told) > 12 {
				t.Errorf("%d events, which are kept for ever:\n%s", len(told), strings.Join(told, "\n"))
			}
			t.Logf("%d batches stored", checkNumbers(t, st, v.address, v.kills))
			compareSpans(t, spansOf(t, st, v.address), v.truth, ended, all[i].worst)
		})
	}
}

// checkNumbers finds out whether every batch is stored, once: their numbers have no hole but where the agent was killed, which leaves those
// unused that it had set aside. The first one, a header alone, may have come before the time was known, too old to be kept.
func checkNumbers(t *testing.T, st *store.Store, a telemetry.Address, kills int) int {
	t.Helper()
	seqs := column(t, st, telemetry.Detail, "batch", "seq", a)
	slices.Sort(seqs)
	holes := 0
	for i, seq := range seqs {
		switch {
		case i == 0 && seq > 2, i > 0 && seq == seqs[i-1]:
			t.Errorf("batch %d stands where another should: %v", seq, seqs)
		case i > 0 && seq > seqs[i-1]+1:
			holes++
		}
	}
	if len(seqs) == 0 || holes > kills {
		t.Errorf("%d holes in the numbers of %d batches: %v", holes, len(seqs), seqs)
	}
	return len(seqs)
}

// spansOf reads the ledger of one agent.
func spansOf(t *testing.T, st *store.Store, a telemetry.Address) (out []telemetry.Span) {
	t.Helper()
	series, err := st.Query(context.Background(), telemetry.Ledger, fmt.Sprintf(`SELECT ms, err_ms FROM span WHERE site='%s' AND agent='%s' GROUP BY state, cause`, a.Site, a.Agent))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range series {
		for _, row := range s.Values {
			var n [3]int64
			for i := range n {
				if n[i], err = row[i].(json.Number).Int64(); err != nil {
					t.Fatal(err)
				}
			}
			out = append(out, telemetry.Span{Start: time.UnixMilli(n[0]), Length: time.Duration(n[1]) * time.Millisecond, Err: time.Duration(n[2]) * time.Millisecond,
				State: telemetry.State(s.Tags["state"]), Cause: telemetry.Cause(s.Tags["cause"])})
		}
	}
	slices.SortFunc(out, func(a, b telemetry.Span) int { return a.Start.Compare(b.Start) })
	return out
}

// jitter is what a busy test machine may add between an injection and its effect.
const jitter = 250 * time.Millisecond

// compareSpans holds what was told against the truth: the spans follow each other without gap or overlap from the first to the end, and a
// span says something other than the truth nowhere but within its stated uncertainty of a change.
func compareSpans(t *testing.T, spans []telemetry.Span, truth []change, ended time.Time, worst time.Duration) {
	t.Helper()
	describe := func() string {
		var b strings.Builder
		for _, s := range spans {
			fmt.Fprintf(&b, "\n told  %s +%v %s %s ± %v", s.Start.Format("15:04:05.000"), s.Length, s.State, s.Cause, s.Err)
		}
		for _, c := range truth {
			fmt.Fprintf(&b, "\n truth %s ± %v %s %s", c.at.Format("15:04:05.000"), c.slack, c.state, c.cause)
		}
		return b.String()
	}
	if len(spans) == 0 {
		t.Fatal("no span was told")
	}
	for i, s := range spans {
		if worst > 0 && s.Err > worst && s.State != telemetry.StateOff {
			t.Errorf("a change is known to %v only, want %v%s", s.Err, worst, describe())
		}
		if i > 0 {
			if gap := s.Start.Sub(spans[i-1].End()); gap < 0 || gap > 10*time.Millisecond {
				t.Errorf("%v between two spans at %s%s", gap, s.Start.Format("15:04:05.000"), describe())
			}
		}
	}
	if late := spans[0].Start.Sub(truth[0].at); late.Abs() > 3*time.Second {
		t.Errorf("the ledger begins %v after the agent%s", late, describe())
	}
	if early := ended.Sub(spans[len(spans)-1].End()); early > 2*time.Second {
		t.Errorf("the ledger ends %v before the agent%s", early, describe())
	}
	for i, c := range truth {
		end, vague := ended, c.slack
		if i+1 < len(truth) {
			end, vague = truth[i+1].at, max(c.slack, truth[i+1].slack)
		}
		for j, s := range spans {
			from, to := latest(c.at, s.Start), earliest(end, s.End())
			if !from.Before(to) || s.State == c.state && s.Cause == c.cause {
				continue
			}
			slack := s.Err + vague + jitter
			for _, k := range []int{j - 1, j + 1} {
				if k >= 0 && k < len(spans) {
					slack = max(slack, spans[k].Err+vague+jitter)
				}
			}
			if to.Sub(c.at) > slack && end.Sub(from) > slack {
				t.Errorf("%s %s is told for %s to %s, where the truth is %s %s%s", s.State, s.Cause, from.Format("15:04:05.000"), to.Format("15:04:05.000"), c.state, c.cause, describe())
			}
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

package systemd_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/smartvillage/nabz/collector/authority"
	"github.com/smartvillage/nabz/internal/machine"
	"github.com/smartvillage/nabz/internal/packtest"
	"github.com/smartvillage/nabz/internal/testneed"
)

// service is a unit on a machine that has booted, from its package.
type service struct {
	t *testing.T
	*machine.Machine
	unit string
}

// dropIn changes the unit as an administrator would, and starts it anew.
func (s service) dropIn(name, text string) {
	s.t.Helper()
	s.Write("/etc/systemd/system/"+s.unit+".d/"+name+".conf", "[Service]\n"+text, 0o644)
	s.Run("systemctl", "daemon-reload")
	s.Run("systemctl", "restart", s.unit)
}

// kernel is what /proc tells of the daemon, such as CapEff.
func (s service) kernel(name string) string {
	s.t.Helper()
	text := s.Read("/proc/" + s.Status(s.unit, "MainPID") + "/status")
	m := regexp.MustCompile(`(?m)^` + name + `:\t(.*)$`).FindStringSubmatch(text)
	if m == nil {
		s.t.Fatalf("%s tells no %s:\n%s", s.unit, name, text)
	}
	return m[1]
}

// confined checks that the daemon may do what it needs, and nothing else.
func (s service) confined(capabilities string) {
	s.t.Helper()
	for name, want := range map[string]string{"CapInh": capabilities, "CapPrm": capabilities, "CapEff": capabilities, "CapBnd": capabilities, "CapAmb": capabilities, "NoNewPrivs": "1", "Seccomp": "2"} {
		if got := s.kernel(name); got != want {
			s.t.Errorf("%s runs with %s %s, want %s", s.unit, name, got, want)
		}
	}
	if uid := strings.Fields(s.kernel("Uid")); uid[0] == "0" || uid[1] != uid[0] || uid[2] != uid[0] {
		s.t.Errorf("%s runs as %v", s.unit, uid)
	}
	if got := s.kernel("Groups"); strings.ContainsAny(strings.ReplaceAll(got, strings.Fields(s.kernel("Gid"))[0], ""), "0123456789") {
		s.t.Errorf("%s is in other groups, too: %s", s.unit, got)
	}
	if limits := s.Read("/proc/" + s.Status(s.unit, "MainPID") + "/limits"); !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).MatchString(limits) {
		s.t.Errorf("%s may leave a core:\n%s", s.unit, limits)
	}
}

// comesBack does something to the daemon, and waits until systemd has started another, which is ready.
func (s service) comesBack(what string, do func(pid string), result string) {
	s.t.Helper()
	pid, restarts, began := s.Status(s.unit, "MainPID"), s.Status(s.unit, "NRestarts"), time.Now()
	do(pid)
	s.Until(90*time.Second, s.unit+" to come back after "+what, func() bool {
		return s.Status(s.unit, "NRestarts") != restarts && s.Status(s.unit, "ActiveState") == "active"
	})
	if now := s.Status(s.unit, "MainPID"); now == pid {
		s.t.Errorf("%s: process %s is still the one of before", what, pid)
	}
	if said := s.Journal("--unit="+s.unit, "--lines=5000", "--identifier=systemd"); !strings.Contains(said, result) {
		s.t.Errorf("%s: the journal does not say %q\n%s", what, result, said)
	}
	s.t.Logf("%s: back after %.1f s", what, time.Since(began).Seconds())
}

// faults end the daemon in each way that there is.
func (s service) faults() {
	s.t.Helper()
	s.comesBack("kill -9", func(pid string) { s.Run("kill", "-KILL", pid) }, "code=killed, status=9/KILL")
	s.comesBack("a hang, made by kill -STOP", func(pid string) { s.Run("kill", "-STOP", pid) }, "Watchdog timeout")
	began := time.Now()
	s.Run("systemctl", "stop", s.unit)
	took, most := time.Since(began), s.Status(s.unit, "TimeoutStopUSec")
	bound, err := time.ParseDuration(most)
	if err != nil || took > bound {
		s.t.Errorf("stop took %v of %s (%v)", took, most, err)
	}
	if got := s.Status(s.unit, "Result") + " " + s.Status(s.unit, "ActiveState"); got != "success inactive" {
		s.t.Errorf("after stop the unit is %q", got)
	}
	s.Start(s.unit)
}

// unread checks that a user cannot read files which are there.
func (s service) unread(user string, files ...string) {
	s.t.Helper()
	for _, file := range files {
		s.Run("test", "-f", file)
		if out, err := s.Try("runuser", "-u", user, "--", "cat", file); err == nil || !strings.Contains(out, "Permission denied") {
			s.t.Errorf("%s reads %s: %v", user, file, err)
		}
	}
}

func (s service) owner(file, want string) {
	s.t.Helper()
	if got := strings.TrimSpace(s.Run("stat", "-c", "%U:%G %a", file)); got != want {
		s.t.Errorf("%s is %s, want %s", file, got, want)
	}
}

// agentService is an agent on a router, in front of a gateway that answers for the anchors, too. There is no broker.
func agentService(t *testing.T) service {
	t.Helper()
	net, router := machine.New(t, "gateway"), machine.New(t, "router")
	machine.Cable(net, "lan", "192.0.2.1/24", router, "wan", "192.0.2.2/24")
	for i := range 3 {
		net.Net(fmt.Sprintf("ip addr add 203.0.113.%d/32 dev lo", i+1))
	}
	router.Net("ip route add default via 192.0.2.1")
	deb := packtest.Make(t, "0.7.0~systemd", "agent:amd64.deb")[0]
	router.Boot()
	router.Install(deb)
	router.Write("/etc/nabz/agent.toml", `site = "gokina"
agent = "main"
brokers = ["mqtt://192.0.2.1:1883"]
detail_every = "5s"
[time]
servers = []
[probe]
every = "10s"
dns_name = ""
anchors = ["203.0.113.1", "203.0.113.2", "203.0.113.3"]
`, 0o640)
	router.Write("/etc/nabz/secret", "of nobody\n", 0o640)
	router.Run("systemd-tmpfiles", "--create", "nabz-agent.conf")
	s := service{t, router, "nabz-agent.service"}
	s.Start(s.unit)
	return s
}

func (s service) asks(want string) {
	s.t.Helper()
	s.Until(40*time.Second, "the link to be judged", func() bool { return strings.Contains(s.Run("nabz-agent", "status"), "link      up for") })
	if said := s.Run("nabz-agent", "status"); !strings.Contains(said, "asks by "+want+"\n") {
		s.t.Errorf("it does not ask by %s:\n%s", want, said)
	}
}

func TestTheRunningAgentMayAskByICMPAndNothingElse(t *testing.T) {
	testneed.Long(t)
	s := agentService(t)
	s.confined("0000000000002000") // CAP_NET_RAW
	s.asks("ICMP over a raw socket")
	s.owner("/var/lib/nabz-agent", "nabz-agent:nabz-agent 700")
	s.owner("/etc/nabz/secret", "root:nabz-agent 640")
	s.unread("nobody", "/etc/nabz/secret", "/etc/nabz/agent.toml")
	s.Until(20*time.Second, "a headline", func() bool {
		return regexp.MustCompile(`^up since 20\d\d-\d\d-\d\d \d\d:\d\d UTC; \d+ batch(es)? waits?$|^up for \d+s, the time is not known yet; \d+ batch(es)? waits?$`).MatchString(s.Status(s.unit, "StatusText"))
	})
	s.t.Log(s.Status(s.unit, "StatusText"))
	s.dropIn("soon", "WatchdogSec=12\nRestartSec=1\n")
	s.faults()
	s.asks("ICMP over a raw socket")

	s.Run("sh", "-c", `g=$(id -g nabz-agent); echo "$g $g" >/proc/sys/net/ipv4/ping_group_range`)
	s.dropIn("no-raw", "AmbientCapabilities=\nCapabilityBoundingSet=\n")
	s.confined("0000000000000000")
	s.asks("ICMP over a ping socket")
}

func TestTheRunningCollectorReadsNoMoreThanItsOwn(t *testing.T) {
	testneed.Long(t)
	deb := packtest.Make(t, "0.7.0~systemd", "collector:amd64.deb")[0]
	m := machine.New(t, "noc")
	m.Boot()
	m.Install(deb)
	m.Run("nabz-collector", "init", "--host", "noc.example.org") // InfluxDB is not there, and the collector waits for it
	s := service{t, m, "nabz-collector.service"}
	s.Start(s.unit)
	s.confined("0000000000000400") // CAP_NET_BIND_SERVICE
	s.owner("/var/lib/nabz-collector", "nabz-collector:nabz-collector 750")
	s.owner("/etc/nabz/tls/server.key", "root:nabz-collector 640")
	s.unread("nabz-collector", "/etc/nabz/tls/ca.key")
	s.unread("nobody", "/etc/nabz/tls/ca.key", "/etc/nabz/tls/server.key", "/etc/nabz/collector.toml")
	if got := s.Status(s.unit, "StatusText"); got != "0 of 0 sites heard in the last 5 min; 0 down" {
		t.Errorf("its headline is %q", got)
	}
	s.dropIn("soon", "WatchdogSec=4\nRestartSec=1\n")
	s.faults()
	s.renews()
}

// renews puts a certificate in place that ends within a month, and has the timer's service make another, which the collector takes in.
func (s service) renews() {
	s.t.Helper()
	old := s.t.TempDir()
	soon(s.t, old)
	for _, name := range []string{"ca.pem", "ca.key", "server.pem", "server.key"} {
		s.Copy(old+"/"+name, "/etc/nabz/tls/"+name, 0o644)
	}
	s.Run("chgrp", "nabz-collector", "/etc/nabz/tls/server.key")
	s.Run("systemd-tmpfiles", "--create", "nabz-collector.conf")
	s.Run("systemctl", "restart", s.unit)
	pid := s.Status(s.unit, "MainPID")
	ends := func() string {
		said, _ := s.Try("curl", "--verbose", "--insecure", "--silent", "--output", "/dev/null", "https://127.0.0.1:8443/")
		return regexp.MustCompile(`expire date: .*`).FindString(said)
	}
	before := ends()
	if before == "" {
		s.t.Fatal("the collector shows no certificate")
	}
	s.Start("nabz-collector-renew.service")
	if got := s.Status("nabz-collector-renew.service", "Result"); got != "success" {
		s.t.Errorf("the renewal ended with %s", got)
	}
	s.Until(30*time.Second, "the collector to show the new certificate", func() bool { e := ends(); return e != "" && e != before })
	if now := s.Status(s.unit, "MainPID"); now != pid {
		s.t.Error("the collector was started anew for it")
	}
	s.owner("/etc/nabz/tls/server.key", "root:nabz-collector 640")
	s.owner("/etc/nabz/tls/server.pem", "root:root 644")
	s.owner("/etc/nabz/tls/ca.key", "root:root 600")
	s.t.Logf("was: %s, is: %s", before, ends())
}

// soon makes an authority in a folder, and a certificate of it that ends in 30 days.
func soon(t *testing.T, dir string) {
	t.Helper()
	files := authority.In(dir)
	now := time.Now()
	if _, err := authority.Ensure(files, "test", []string{"noc.example.org"}, now); err != nil {
		t.Fatal(err)
	}
	end, err := authority.End(files.Cert)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{files.Cert, files.Key, files.CA, files.CAKey} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := authority.Ensure(files, "test", []string{"noc.example.org"}, now.Add(30*24*time.Hour-end.Sub(now))); err != nil {
		t.Fatal(err)
	}
}

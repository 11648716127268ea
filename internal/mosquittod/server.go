package mosquittod

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/testneed"
)

// Server is a running broker.
type Server struct {
	t       testing.TB
	program string
	conf    string // file
	log     string // file
	ports   []string
	cmd     *exec.Cmd
	done    chan error
}

// ForTest runs a broker with this configuration file, and ends it with the test.
func ForTest(t testing.TB, conf string) *Server {
	t.Helper()
	program := "/usr/sbin/mosquitto" // not on everybody's PATH
	if _, err := os.Stat(program); err != nil {
		program = testneed.Program(t, "mosquitto", "apt-get install mosquitto")
	}
	dir := t.TempDir()
	text, err := os.ReadFile(conf)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, program: program, conf: filepath.Join(dir, "mosquitto.conf"), log: filepath.Join(dir, "log")}
	for _, m := range regexp.MustCompile(`(?m)^listener (\d+)`).FindAllSubmatch(text, -1) {
		s.ports = append(s.ports, string(m[1]))
	}
	text = append([]byte(fmt.Sprintf("user root\npersistence_location %s/\n", dir)), text...) // heeded by root alone: the test's files are root's then
	if err := os.WriteFile(s.conf, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if t.Failed() {
			log, _ := os.ReadFile(s.log)
			t.Logf("mosquitto:\n%s", log[max(0, len(log)-4000):])
		}
	})
	return s
}

// Start runs it and waits until it listens.
func (s *Server) Start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	s.cmd = exec.Command(s.program, "-c", s.conf)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan error, 1)
	go func(cmd *exec.Cmd, done chan<- error) { done <- cmd.Wait() }(s.cmd, s.done)
	tick, late := time.NewTicker(20*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for _, port := range s.ports {
		for {
			if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
				c.Close()
				break
			}
			select {
			case <-tick.C:
			case err := <-s.done:
				text, _ := os.ReadFile(s.log)
				s.cmd = nil
				s.t.Fatalf("mosquitto ended with %v:\n%s", err, text)
			case <-late:
				s.t.Fatalf("mosquitto does not listen on port %s", port)
			}
		}
	}
}

// Reload has it read its files again.
func (s *Server) Reload() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
}

// Kill ends it as a power cut would; Start runs it again.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Wipe takes away all that a broker that was killed has kept.
func (s *Server) Wipe() {
	s.t.Helper()
	if s.cmd != nil {
		s.t.Fatal("mosquitto runs")
	}
	kept, err := filepath.Glob(filepath.Join(filepath.Dir(s.conf), "*.db*"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, file := range kept {
		if err := os.Remove(file); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *Server) end(signal os.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(signal)
	<-s.done
	s.cmd = nil
}

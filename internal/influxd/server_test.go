package influxd_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/smartvillage/nabz/internal/influxd"
)

// call sends one request and returns status and body.
func call(t *testing.T, method, address, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	s := influxd.ChildForTest(t)
	if code, body := call(t, "POST", s.URL+"/query?q="+url.QueryEscape(`CREATE DATABASE pulse`), ""); code != 200 {
		t.Fatalf("create: %d %s", code, body)
	}
	if code, body := call(t, "POST", s.URL+"/write?db=pulse&precision=ms", "link,site=a rtt=7 1700000000000"); code != 204 {
		t.Fatalf("write: %d %s", code, body)
	}
	pid := s.Pid()
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("after Kill, Wait says %v; want that it was killed", err)
	}
	next := s.Restart(t)
	if next.Addr != s.Addr || next.Pid() == pid {
		t.Errorf("restarted at %s with pid %d; want address %s and a pid other than %d", next.Addr, next.Pid(), s.Addr, pid)
	}
	_, body := call(t, "GET", next.URL+"/query?db=pulse&epoch=ms&q="+url.QueryEscape(`SELECT rtt FROM link`), "")
	if want := `"values":[[1700000000000,7]]`; !strings.Contains(body, want) {
		t.Errorf("got %s, want it to hold %s", body, want)
	}
}

func TestFluxAndTSIAreOn(t *testing.T) {
	s, err := influxd.Start(t.Context(), influxd.Options{Path: influxd.ChildForTest(t).Path, Dir: t.TempDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	code, body := call(t, "POST", s.URL+"/api/v2/query?org=x", "buckets()")
	if code == http.StatusForbidden || strings.Contains(body, "Flux query service disabled") {
		t.Errorf("flux is off: %d %s", code, body)
	}
	call(t, "POST", s.URL+"/query?q="+url.QueryEscape(`CREATE DATABASE pulse`), "")
	call(t, "POST", s.URL+"/write?db=pulse", "link rtt=7")
	indexes, err := filepath.Glob(filepath.Join(s.Dir, "data", "pulse", "*", "*", "index"))
	if err != nil || len(indexes) == 0 {
		t.Errorf("no TSI index folder under %s (%v)", s.Dir, err)
	}
}

func TestAStoppedServerEndsWellAndFreesItsAddress(t *testing.T) {
	influxd.EachChild(t, func(t *testing.T, s *influxd.Server) {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.Done():
		default:
			t.Error("Stop returned before the server had ended")
		}
		l, err := net.Listen("tcp", s.Addr)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		if err := s.Stop(); err != nil {
			t.Errorf("a second Stop says %v; want nothing", err)
		}
	})
}

func TestATakenPortIsToldAtOnce(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	_, err = influxd.Start(t.Context(), influxd.Options{Path: "unused", Dir: dir, HTTPAddr: l.Addr().String()})
	want := fmt.Sprintf("start influxd in %s: address is taken by another program: listen tcp %s: bind: address already in use; choose another port", dir, l.Addr())
	if !errors.Is(err, influxd.ErrPortTaken) || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestTwoServersNeverShareAFolder(t *testing.T) {
	s := influxd.ChildForTest(t)
	_, err := influxd.Start(t.Context(), influxd.Options{Path: s.Path, Dir: s.Dir})
	if !errors.Is(err, influxd.ErrInUse) {
		t.Errorf("got %v, want ErrInUse", err)
	}
}

func TestAServerThatCannotStartTellsItsLastWords(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "influxd")
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho 'run: open meta: disk on fire' >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := influxd.Start(t.Context(), influxd.Options{Path: path, Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "disk on fire") {
		t.Errorf("got %v, want the exit status and the last words", err)
	}
}

func TestTheServerDiesWithAParentThatIsKilled(t *testing.T) {
	s := influxd.ChildForTest(t) // for its path
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), parentOf+"="+t.TempDir(), "NABZ_TEST_INFLUXD="+s.Path)
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	_ = parent.Process.Kill()
	_ = parent.Wait()
	var pid int
	var address, fault string
	if _, err := fmt.Sscan(line, &pid, &address, &fault); err != nil || fault != "<nil>" {
		t.Fatalf("the parent said %q (%v)", line, err)
	}
	waitFor(t, "influxd to end", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}

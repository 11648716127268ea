//go:build unix

package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/internal/influxd"
	"github.com/smartvillage/nabz/internal/sim"
	"github.com/smartvillage/nabz/internal/testneed"
	"github.com/smartvillage/nabz/telemetry"
)

// stage is where the demo plays in these tests: programs, folder, ports of its own.
type stage struct {
	t               *testing.T
	bin, dir        string
	web, mqtt, flux int
	anchor          string
}

// newStage builds the programs and finds InfluxDB, or skips the test by the name of what is missing.
func newStage(t *testing.T) *stage {
	t.Helper()
	goTool := testneed.Program(t, "go", "https://go.dev/dl")
	for _, name := range []string{"INFLUX_URL", "INFLUX_TOKEN", "INFLUX_ORG"} {
		t.Setenv(name, "") // the demo's own InfluxDB is under test
	}
	if _, err := influxd.Find(t.Context(), t.Output()); err != nil {
		testneed.Missing(t, "InfluxDB", err.Error())
	}
	s := &stage{t: t, bin: t.TempDir(), dir: t.TempDir()}
	for _, name := range []string{"nabz-demo", "nabz-collector", "nabz-agent", "nabz-sim"} {
		out, err := exec.Command(goTool, "build", "-o", filepath.Join(s.bin, name), "github.com/smartvillage/nabz/cmd/"+name).CombinedOutput()
		if err != nil {
			t.Fatalf("go build %s: %v\n%s", name, err, out)
		}
	}
	anchor, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { anchor.Close() })
	s.anchor = anchor.Addr().String()
	s.web, s.mqtt, s.flux = freePort(t), freePort(t), freePort(t)
	return s
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// performance is one run of the demo. Its output is read line by line.
type performance struct {
	*stage
	cmd   *exec.Cmd
	out   safeBuffer
	err   safeBuffer
	board chan struct{} // closed when the board is announced
	done  chan error
}

func (s *stage) begin(args ...string) *performance {
	s.t.Helper()
	p := &performance{stage: s, board: make(chan struct{}), done: make(chan error, 1)}
	p.cmd = exec.Command(filepath.Join(s.bin, "nabz-demo"), append([]string{"--dir", s.dir, "--anchors", s.anchor,
		"--web-port", strconv.Itoa(s.web), "--mqtt-port", strconv.Itoa(s.mqtt), "--influx-port", strconv.Itoa(s.flux)}, args...)...)
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			fmt.Fprintln(&p.out, lines.Text())
			if strings.HasPrefix(lines.Text(), "board ") {
				close(p.board)
			}
		}
	}()
	go func() { <-read; p.done <- p.cmd.Wait() }()
	s.t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // has ended, in a test that passed
		if s.t.Failed() {
			s.t.Logf("stdout\n%s\nstderr\n%s", p.out.String(), p.err.String())
			for _, name := range []string{"collector", "agent", "sim", "sim-history"} {
				b, _ := os.ReadFile(filepath.Join(s.dir, "logs", name+".log"))
				s.t.Logf("%s.log\n%s", name, b[max(0, len(b)-2000):])
			}
		}
	})
	return p
}

func (p *performance) shown() {
	p.t.Helper()
	select {
	case <-p.board:
	case err := <-p.done:
		p.t.Fatalf("the demo ended before the board was there: %v", err)
	case <-time.After(2 * time.Minute):
		p.t.Fatal("no board after two minutes")
	}
}

// ended waits for the end, wants its status, and that nothing is left running.
func (p *performance) ended(limit time.Duration, status int) {
	p.t.Helper()
	select {
	case <-p.done:
		if got := p.cmd.ProcessState.ExitCode(); got != status {
			p.t.Errorf("exit status %d, want %d", got, status)
		}
	case <-time.After(limit):
		p.t.Fatalf("still running after %v", limit)
	}
	if left := p.processes(); len(left) > 0 {
		p.t.Errorf("left running: %q", left)
	}
	for _, n := range []int{p.web, p.mqtt, p.flux} {
		if l, err := net.Listen("tcp", port{number: n}.address()); err != nil {
			p.t.Errorf("port %d is still held", n)
		} else {
			l.Close()
		}
	}
}

// processes lists the command lines that name the demo's folder.
func (s *stage) processes() (out []string) {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, f := range files {
		b, _ := os.ReadFile(f) // gone by now: not left running
		if line := strings.ReplaceAll(string(b), "\x00", " "); strings.Contains(line, s.dir) {
			out = append(out, line)
		}
	}
	return out
}

func (s *stage) get(path string, into any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d%s", s.web, path), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		s.t.Fatalf("%s says %s", path, r.Status)
	}
	if into == nil {
		return
	}
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

// stored asks InfluxDB itself for the time in each state of each site: the sums of span lengths.
func (s *stage) stored(from, to time.Time) map[string]map[telemetry.State]time.Duration {
	s.t.Helper()
	q := fmt.Sprintf(`SELECT sum(ms) FROM span WHERE time >= %dms AND time < %dms GROUP BY site, state`, from.UnixMilli(), to.UnixMilli())
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/query?db=nabz_ledger&epoch=ms&q=%s", s.flux, url.QueryEscape(q)), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Close = true
	r, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Body.Close()
	var body struct {
		Results []struct {
			Error  string
			Series []struct {
				Tags   map[string]string
				Values [][]json.Number
			}
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || len(body.Results) != 1 || body.Results[0].Error != "" {
		s.t.Fatalf("InfluxDB says %+v (%v)", body, err)
	}
	out := map[string]map[telemetry.State]time.Duration{}
	for _, v := range body.Results[0].Series {
		ms, err := v.Values[0][1].Int64()
		if err != nil {
			s.t.Fatal(err)
		}
		site := v.Tags["site"]
		if out[site] == nil {
			out[site] = map[telemetry.State]time.Duration{}
		}
		out[site][telemetry.State(v.Tags["state"])] = time.Duration(ms) * time.Millisecond
	}
	return out
}

// storedIsTrue compares InfluxDB with the truth file, over whole hours, which the ledger tells in full.
func (s *stage) storedIsTrue() {
	s.t.Helper()
	truth, err := sim.ReadTruth(filepath.Join(s.dir, "truth.jsonl"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, v := range sim.Villages() {
		spans := truth[v.ID]
		if len(spans) == 0 {
			s.t.Errorf("%s is not in the truth file", v.ID)
			continue
		}
		for i := 1; i < len(spans); i++ {
			if !spans[i].Start.Equal(spans[i-1].End) {
				s.t.Errorf("%s: truth ends at %v and goes on at %v", v.ID, spans[i-1].End, spans[i].Start)
			}
		}
		from := spans[0].Start.Truncate(time.Hour).Add(time.Hour)
		to := spans[len(spans)-1].End.Truncate(time.Hour)
		got := s.stored(from, to)[v.ID]
		for _, state := range []telemetry.State{telemetry.StateUp, telemetry.StateDegraded, telemetry.StateDown, telemetry.StateOff} {
			if want := sim.Total(spans, from, to, state); got[state] != want {
				s.t.Errorf("%s %s: %v stored, %v in truth, from %v to %v", v.ID, state, got[state], want, from, to)
			}
		}
	}
}

func TestTheDemoShowsThisMachineBesideTheVillagesAndASecondRunGoesOn(t *testing.T) {
	s := newStage(t)
	p := s.begin("--history", "50h")
	p.shown()
	s.get("/", nil)
	s.get("/sites/"+host, nil)
	var board struct {
		Sites []struct {
			Site      string     `json:"site"`
			State     string     `json:"state"`
			LastHeard *time.Time `json:"last_heard"`
		} `json:"sites"`
	}
	s.get("/api/v1/sites", &board)
	if len(board.Sites) != len(sim.Villages())+1 {
		t.Errorf("%d sites on the board", len(board.Sites))
	}
	for _, v := range board.Sites {
		if v.LastHeard == nil {
			t.Errorf("%s (%s): nothing was heard of it", v.Site, v.State)
		}
	}
	s.storedIsTrue()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.ended(60*time.Second, 0)

	p = s.begin("--for", "20s")
	p.shown()
	s.storedIsTrue()
	var lines int
	for _, l := range strings.Split(p.out.String(), "\n") {
		if strings.HasPrefix(l, "history") {
			if _, err := fmt.Sscanf(strings.ReplaceAll(l, ",", ""), "history 100 %% %d lines", &lines); err != nil {
				t.Errorf("progress %q: %v", l, err)
			}
		}
	}
	if lines > 1000 { // seconds of twelve villages; the whole past is some 40,000
		t.Errorf("the second run sent %d lines of history again", lines)
	}
	p.ended(60*time.Second, 0)
}

func TestCtrlCAtAnyMomentOfTheStartStopsEverything(t *testing.T) {
	s := newStage(t)
	for _, moment := range []string{"data and logs", "InfluxDB ", "collector ", "agent "} {
		p := s.begin("--history", "720h")
		waitFor(t, moment, time.Minute, func() bool {
			return strings.Contains(p.out.String(), "\n"+moment) || strings.HasPrefix(p.out.String(), moment)
		})
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		p.ended(60*time.Second, 0)
	}
	p := s.begin() // what was broken off is gone on with
	p.shown()
	s.storedIsTrue()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.ended(60*time.Second, 0)
}

func TestATakenPortEndsTheDemoBeforeItStartsAnything(t *testing.T) {
	s := newStage(t)
	l, err := net.Listen("tcp", port{number: s.web}.address())
	if err != nil {
		t.Fatal(err)
	}
	p := s.begin()
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		t.Fatal("still running")
	}
	l.Close()
	want := fmt.Sprintf("nabz-demo: port %d is taken; choose another: make demo WEB_PORT=", s.web)
	if got := p.err.String(); !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 || p.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("status %d, stderr %q", p.cmd.ProcessState.ExitCode(), got)
	}
	if left := s.processes(); len(left) > 0 {
		t.Errorf("left running: %q", left)
	}
}

func TestAProgramThatDiesEndsTheDemoWithItsLastWords(t *testing.T) {
	s := newStage(t)
	script := "#!/bin/sh\necho 'level=INFO msg=hello' >&2\necho 'level=ERROR msg=\"the antenna fell off\"' >&2\nexit 4\n"
	if err := os.WriteFile(filepath.Join(s.bin, "nabz-agent"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	p := s.begin()
	p.ended(90*time.Second, 1)
	got := p.err.String()
	if !strings.Contains(got, "nabz-demo: agent died: exit status 4; the whole log is ") || !strings.Contains(got, "the antenna fell off") {
		t.Errorf("stderr %s", got)
	}
}

func TestASecondDemoInTheSameFolderIsTurnedAway(t *testing.T) {
	dir := t.TempDir()
	held, err := folder(dir).lock()
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	err = Run(context.Background(), Config{Dir: dir, WebPort: freePort(t), MQTTPort: freePort(t), InfluxPort: freePort(t), Out: io.Discard, Err: io.Discard})
	if err == nil || !strings.HasPrefix(err.Error(), "another demo runs in "+dir) {
		t.Errorf("got %v", err)
	}
}

func TestAFolderGoesWithOneInfluxDB(t *testing.T) {
	f := folder(t.TempDir())
	if err := f.goesWith("http://127.0.0.1:1"); err != nil { // a new folder goes with any
		t.Error(err)
	}
	if err := f.bind("the demo's own InfluxDB"); err != nil {
		t.Fatal(err)
	}
	if err := f.goesWith("the demo's own InfluxDB"); err != nil {
		t.Error(err)
	}
	if err := f.goesWith("http://127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "goes with the demo's own InfluxDB, not with http://127.0.0.1:1; choose another folder") {
		t.Errorf("got %v", err)
	}
}

func TestAnInfluxDBThatIsNamedButNotThereIsTold(t *testing.T) {
	err := Run(context.Background(), Config{Dir: t.TempDir(), WebPort: freePort(t), MQTTPort: freePort(t), InfluxURL: "http://127.0.0.1:1", Out: io.Discard, Err: io.Discard})
	if err == nil || !strings.HasPrefix(err.Error(), "INFLUX_URL http://127.0.0.1:1 does not answer: ") {
		t.Errorf("got %v", err)
	}
}

//go:build unix

package demo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/smartvillage/nabz/internal/sim"
)

// Config is one run of the demo.
type Config struct {
	For                               time.Duration // stop by itself; counts from when InfluxDB answers. 0: run until ctx ends
	Dir                               string        // of data, configuration and logs; gone on from when it is there
	Bin                               string        // folder of the programs
	WebPort, MQTTPort, InfluxPort     int
	Anchors                           []string // what this machine's agent probes instead of its default anchors
	Seed                              uint64   // of the simulated villages
	History                           time.Duration
	InfluxURL, InfluxToken, InfluxOrg string // a running InfluxDB; "" has the demo run its own
	Out, Err                          io.Writer
	Now                               func() time.Time
}

const (
	readyLimit = 60 * time.Second // for a program to be ready
	shownSite  = "gokina"         // loses its link again and again, so that a viewer sees the board change
	shown      = shownSite + "=30s/3m"
)

// run is a demo at work.
type run struct {
	*Config
	dir      folder
	db       influx
	children []*child // in order of start
}

// Run sets the demo up, shows it until ctx ends or its time is over, and stops all that it started. The error
// is nil after an orderly stop; otherwise it says what failed, with the last words of the program that died.
func Run(ctx context.Context, c Config) error {
	dir, err := filepath.Abs(c.Dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make the demo's folder: %w", err)
	}
	r := &run{Config: &c, dir: folder(dir)}
	lock, err := r.dir.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	ports := []port{{c.WebPort, "WEB_PORT", "--web-port"}, {c.MQTTPort, "MQTT_PORT", "--mqtt-port"}}
	if c.InfluxURL == "" {
		ports = append(ports, port{c.InfluxPort, "INFLUX_PORT", "--influx-port"})
	}
	if err := checkPorts(ports); err != nil {
		return err
	}
	err = r.show(ctx)
	if ctx.Err() != nil || errors.Is(err, errOver) { // what broke off then broke off because it was to stop
		err = nil
	}
	return errors.Join(err, r.stop())
}

// errOver ends a demo whose time is over.
var errOver = errors.New("the time of the demo is over")

// show starts everything in order, and returns when ctx ends or something fails.
func (r *run) show(ctx context.Context) (err error) {
	r.say("data and logs  %s", r.dir)
	which := cmp.Or(strings.TrimSuffix(r.InfluxURL, "/"), "the demo's own InfluxDB")
	if err := r.dir.goesWith(which); err != nil {
		return err
	}
	if r.db, err = openInflux(ctx, r.Config, r.dir, r.Err); err != nil {
		return err
	}
	r.say("InfluxDB       %s", r.db.url)
	if err := r.dir.bind(which); err != nil {
		return fmt.Errorf("tie %s to its InfluxDB: %w", r.dir, err)
	}
	if r.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.For, errOver)
		defer cancel()
	}
	if err := r.dir.prepare(r.Config, r.db); err != nil {
		return err
	}
	web := "http://" + port{number: r.WebPort}.address()
	if _, err := r.start("collector", "nabz-collector", nil, "run", "--config", r.dir.file("collector.toml")); err != nil {
		return err
	}
	if err := r.wait(ctx, "collector", readyLimit, func() bool { return answers(ctx, web+"/readyz") }); err != nil {
		return err
	}
	r.say("collector      ready, MQTT on %s", port{number: r.MQTTPort}.address())
	if _, err := r.start("agent", "nabz-agent", nil, "run", "--config", r.dir.file("agent.toml")); err != nil {
		return err
	}
	began := r.Now()
	r.say("agent          measures this machine")
	if err := r.villages(ctx); err != nil {
		return err
	}
	if err := r.wait(ctx, "board", readyLimit, func() bool { return answers(ctx, web+"/") && heard(ctx, web, began) }); err != nil {
		return err
	}
	r.tell(web)
	return r.wait(ctx, "", 0, func() bool { return false })
}

// villages sends what is new of the simulated villages, then lets them live.
func (r *run) villages(ctx context.Context) error {
	args := []string{"--broker", "tcp://" + port{number: r.MQTTPort}.address(), "--secrets", r.dir.file("secrets"), "--seed", strconv.FormatUint(r.Seed, 10),
		"--state", r.dir.file("sim.json"), "--truth", r.dir.file("truth.jsonl"), "--history", r.History.String()}
	history, err := start(string(r.dir), "sim-history", r.program("nabz-sim"), append(args, "--once"), r.Out, r.Err)
	if err != nil {
		return err
	}
	err = r.wait(ctx, "", 0, func() bool { return !history.alive() })
	if err != nil {
		return errors.Join(err, history.stop())
	}
	if history.err != nil {
		return history.died()
	}
	_, err = r.start("sim", "nabz-sim", nil, append(args, "--force-outage", shown)...)
	return err
}

func (r *run) tell(web string) {
	villages := len(sim.Villages())
	r.say("")
	r.say("board          %s/", web)
	r.say("this machine   %s/sites/%s?range=1h, measured for real", web, host)
	r.say("               beside %d simulated villages; their truth is in %s", villages, r.dir.file("truth.jsonl"))
	r.say("watch          %s loses its link for 30 s every 3 minutes: its line turns, and back", shownSite)
	r.say("programs too   %s/api/v1/sites, %s/metrics", web, web)
	if r.For > 0 {
		r.say("Stops by itself; Ctrl-C stops everything now.")
	} else {
		r.say("Ctrl-C stops everything; the next run goes on from here.")
	}
}

func (r *run) say(format string, a ...any) { fmt.Fprintf(r.Out, format+"\n", a...) }

func (r *run) program(name string) string { return filepath.Join(r.Bin, name) }

// start runs a program that is to live as long as the demo.
func (r *run) start(name, program string, out io.Writer, args ...string) (*child, error) {
	c, err := start(string(r.dir), name, r.program(program), args, out, r.Err)
	if err == nil {
		r.children = append(r.children, c)
	}
	return c, err
}

// wait returns when cond holds. It gives up when ctx ends, when a program dies, and after the limit, if not 0.
func (r *run) wait(ctx context.Context, what string, limit time.Duration, cond func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var over <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		over = t.C
	}
	for {
		for _, c := range r.children {
			if !c.alive() {
				return c.died()
			}
		}
		if r.db.server != nil {
			select {
			case <-r.db.server.Done():
				return fmt.Errorf("InfluxDB: %w", r.db.server.Wait())
			default:
			}
		}
		if cond() {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return fmt.Errorf("the %s is not ready after %v; see the logs in %s", what, limit, r.dir.file("logs"))
		case <-tick.C:
		}
	}
}

// stop ends all that was started, last first.
func (r *run) stop() error {
	if len(r.children) > 0 {
		r.say("stopping")
	}
	var faults []error
	for i := len(r.children) - 1; i >= 0; i-- {
		if c := r.children[i]; c.alive() {
			faults = append(faults, c.stop())
		}
	}
	if r.db.server != nil {
		faults = append(faults, r.db.server.Stop())
	}
	return errors.Join(faults...)
}

// answers tells whether a page is there.
func answers(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	code, err := get(ctx, url)
	return err == nil && code == http.StatusOK
}

// heard tells whether something that this machine's agent sent since then has come to the board.
func heard(ctx context.Context, web string, since time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, web+"/api/v1/sites/"+host, nil)
	if err != nil {
		return false
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	var site struct {
		LastHeard *time.Time `json:"last_heard"`
	}
	return json.NewDecoder(io.LimitReader(res.Body, 8<<20)).Decode(&site) == nil && site.LastHeard != nil && site.LastHeard.After(since)
}

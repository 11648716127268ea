package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/smartvillage/nabz/internal/bench/load"
	"github.com/smartvillage/nabz/telemetry"
)

// What a board is for, and what it may take.
const (
	boardSites     = 5000
	boardScreens   = 200
	limitDelay     = 1  // s, the median from an agent's sending to a screen
	limitFirstByte = 50 // ms
	limitLook      = 10 // s that one change may take to come to the last screen before it counts as lost
)

// Board measures a collector whose event stream feeds two hundred screens while five thousand agents report each five minutes.
type Board struct {
	Collect
}

// views are what the screens show; the agent that changes is in each of them.
func views(a telemetry.Address, n int) []string {
	district, operator := fmt.Sprintf("District+%d", n%40), fmt.Sprintf("Operator+%d", n%3)
	return []string{"", "", "", "sort=since", "district=" + district, "operator=" + operator, "q=" + a.Site, "district=" + district + "&operator=" + operator,
		"show=map", "show=map&district=" + district}
}

// Run measures.
func (b Board) Run(ctx context.Context) (figures []Figure, err error) {
	dir, err := os.MkdirTemp("", "nabz-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	n, err := openNOC(ctx, b.Collect, dir)
	if n != nil {
		defer n.close()
	}
	if err != nil {
		return nil, err
	}
	n.placed = true
	if err = n.open(ctx, n.influx.URL, boardSites, true); err != nil {
		return nil, err
	}
	p := load.Plan{Kind: "fleet", Addr: n.mqtt, Agents: boardSites - 1, Every: 5 * time.Minute, CA: n.trust.ca, Boot: "0000b0a4", Present: true}
	l, err := startLoader(b.Self, p, b.Log)
	if err != nil {
		return nil, err
	}
	defer l.end()
	if _, _, err = l.until(ctx, slack, "all have reported once", func(s load.Status) bool { return s.Ready && s.Acked >= int64(p.Agents) }); err != nil {
		return nil, err
	}
	if err = wait(ctx, 15*time.Second); err != nil { // until the storm of five thousand handshakes and first batches has passed
		return nil, err
	}
	calm, err := n.firstBytes(ctx, 100)
	if err != nil {
		return nil, err
	}
	before, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	village, err := n.oneMore(boardSites - 1)
	if err != nil {
		return nil, err
	}
	defer village.leave()
	s := &screens{want: make(chan struct{}, 1)}
	streams, stop := context.WithCancel(ctx)
	defer s.wait.Wait()
	defer stop()
	all := views(village.a, boardSites-1)
	for i := range boardScreens {
		if err := s.open(streams, "http://"+n.web+"/events?"+all[i%len(all)], village.a.Site); err != nil {
			return nil, err
		}
	}
	if err := s.until(ctx, func() bool { return s.begun.Load() == boardScreens }); err != nil {
		return nil, fmt.Errorf("not all screens have heard of the collector: %w", err)
	}
	begun, sent, start := time.Now(), s.bytes.Load(), l.acked()
	first, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	var delays, pages []time.Duration
	lost := 0
	for round := 0; time.Since(begun) < b.For; round++ {
		d, missing, err := s.change(ctx, village, round)
		if err != nil {
			return nil, err
		}
		delays, lost = append(delays, d...), lost+missing
		some, err := n.firstBytes(ctx, 4)
		if err != nil {
			return nil, err
		}
		pages = append(pages, some...)
	}
	took := time.Since(begun).Seconds()
	last, err := readUsage(n.collector.pid())
	if err != nil {
		return nil, err
	}
	rate := float64(l.acked()-start) / took
	fmt.Fprintf(b.Log, "bench-board: %d sites with %.1f batches/s, %d screens of %d views; %d changes seen\n", boardSites, rate, boardScreens, len(all), len(delays))
	slices.Sort(delays)
	slices.Sort(pages)
	slices.Sort(calm)
	ms := func(d time.Duration) float64 { return round(d.Seconds()*1000, 0.1) }
	figures = []Figure{
		{Name: "board_news", Value: round(rate, 0.1), Unit: "batches/s"},
		{Name: "board_update_delay_median", Value: round(quantile(delays, .5).Seconds(), 0.001), Unit: "s", Limit: limitDelay},
		{Name: "board_update_delay_p99", Value: round(quantile(delays, .99).Seconds(), 0.001), Unit: "s"},
		{Name: "board_updates_lost", Value: float64(lost), Unit: "updates"},
		{Name: "board_first_byte_p50", Value: ms(quantile(pages, .5)), Unit: "ms", Limit: limitFirstByte},
		{Name: "board_first_byte_p99", Value: ms(quantile(pages, .99)), Unit: "ms"},
		{Name: "board_first_byte_alone_p50", Value: ms(quantile(calm, .5)), Unit: "ms", Limit: limitFirstByte},
		{Name: "board_first_byte_alone_p99", Value: ms(quantile(calm, .99)), Unit: "ms"},
		{Name: "board_stream", Value: round(float64(s.bytes.Load()-sent)/took/boardScreens/1000, 0.1), Unit: "kB/s"},
		{Name: "board_cpu", Value: round((last.cpu-first.cpu).Seconds()/took*100, 0.1), Unit: "%"},
		{Name: "board_rss_before", Value: round(float64(before.rss)/(1<<20), 1), Unit: "MiB"},
		{Name: "board_rss", Value: round(float64(last.peak)/(1<<20), 1), Unit: "MiB"},
	}
	if lost > 0 {
		return figures, fmt.Errorf("%d updates did not come to a screen within %d s", lost, limitLook)
	}
	return figures, nil
}

func (l *loader) acked() int64 { s, _ := l.status(); return s.Acked }

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// firstBytes asks for the board so many times and returns how long its first byte took.
func (n *noc) firstBytes(ctx context.Context, times int) (all []time.Duration, err error) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for range times {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.web+"/", nil)
		if err != nil {
			return all, err
		}
		req.Header.Set("Accept-Encoding", "gzip")
		begun := time.Now()
		r, err := client.Do(req)
		if err != nil {
			return all, err
		}
		var one [1]byte
		_, err = r.Body.Read(one[:])
		all = append(all, time.Since(begun))
		_, _ = io.Copy(io.Discard, r.Body) // what follows is not timed
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			return all, fmt.Errorf("the board answers %s: %w", r.Status, err)
		}
		if err := wait(ctx, time.Duration(50+rand.IntN(150))*time.Millisecond); err != nil {
			return all, err
		}
	}
	return all, nil
}

// village is the agent whose changes are timed.
type oneVillage struct {
	a      telemetry.Address
	client mqtt.Client
	seq    uint64
}

// oneMore signs the n-th agent in.
func (n *noc) oneMore(which int) (*oneVillage, error) {
	v := &oneVillage{a: load.Address(which)}
	secure, err := n.trust.client()
	if err != nil {
		return nil, err
	}
	o := mqtt.NewClientOptions().AddBroker("ssl://" + strings.Replace(n.mqtt, "127.0.0.1", "localhost", 1)).SetClientID(v.a.Site + "." + v.a.Agent).
		SetUsername(v.a.String()).SetPassword(load.Secret(which)).SetTLSConfig(secure).SetAutoReconnect(false)
	v.client = mqtt.NewClient(o)
	if t := v.client.Connect(); !t.WaitTimeout(30*time.Second) || t.Error() != nil {
		return nil, fmt.Errorf("sign the agent in: %w", errors.Join(t.Error(), errors.New("no answer")))
	}
	t := v.client.Publish(v.a.Topic(telemetry.KindPresence), 1, true, telemetry.Presence{Online: true, Session: 1}.String())
	if !t.WaitTimeout(30*time.Second) || t.Error() != nil {
		return nil, fmt.Errorf("tell presence: %w", errors.Join(t.Error(), errors.New("no answer")))
	}
	return v, nil
}

func (v *oneVillage) leave() { v.client.Disconnect(100) }

// tell sends a batch with that state open since now.
func (v *oneVillage) tell(state telemetry.State, cause telemetry.Cause) error {
	v.seq++
	h := telemetry.Header{At: time.Now(), Boot: "0000b0a5", Seq: v.seq, Clock: telemetry.ClockSynced, Next: 5 * time.Minute,
		Open: telemetry.OpenSpan{State: state, Cause: cause, Length: time.Second}}
	text, err := h.Line().Append(nil)
	if err != nil {
		return err
	}
	t := v.client.Publish(v.a.Topic(telemetry.KindData), 0, false, text)
	t.WaitTimeout(10 * time.Second)
	return t.Error()
}

// screens are browsers as far as the event stream goes.
type screens struct {
	wait  sync.WaitGroup
	bytes atomic.Int64
	begun atomic.Int64
	want  chan struct{}

	mu    sync.Mutex
	state string // that is waited for; "" for none
	since time.Time
	seen  []time.Duration
	fault error
}

// open connects one, and reads until ctx ends.
func (s *screens) open(ctx context.Context, url, site string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
	r, err := client.Do(req)
	if err != nil {
		return err
	}
	if r.StatusCode != http.StatusOK {
		r.Body.Close()
		return fmt.Errorf("the stream answers %s", r.Status)
	}
	s.wait.Go(func() {
		defer r.Body.Close()
		in, waited, begun := bufio.NewReaderSize(r.Body, 64<<10), "", false
		for {
			line, err := in.ReadBytes('\n')
			if err != nil {
				if ctx.Err() == nil {
					s.mu.Lock()
					s.fault = errors.Join(s.fault, fmt.Errorf("a stream broke off: %w", err))
					s.mu.Unlock()
				}
				return
			}
			s.bytes.Add(int64(len(line)))
			data, ok := bytes.CutPrefix(line, []byte("data: "))
			if !ok {
				continue
			}
			if !begun {
				begun = true
				s.begun.Add(1)
				s.poke()
			}
			state, ok := stateIn(data, site)
			if !ok {
				continue
			}
			s.mu.Lock()
			if state == s.state && waited != s.state+s.since.String() {
				waited = s.state + s.since.String()
				s.seen = append(s.seen, time.Since(s.since))
			}
			s.mu.Unlock()
			s.poke()
		}
	})
	return nil
}

func (s *screens) poke() {
	select {
	case s.want <- struct{}{}:
	default:
	}
}

// stateIn is what an event shows of a site, if it does.
func stateIn(data []byte, site string) (string, bool) {
	if !bytes.Contains(data, []byte(`"`+site+`":`)) {
		return "", false
	}
	var u struct {
		Rows   map[string]string
		Points map[string]struct{ State string }
	}
	if json.Unmarshal(data, &u) != nil {
		return "", false
	}
	if p, ok := u.Points[site]; ok {
		return p.State, true
	}
	_, after, ok := strings.Cut(u.Rows[site], `data-state="`)
	state, _, _ := strings.Cut(after, `"`)
	return state, ok
}

// change has the village change its state, and returns after how long each screen showed it, and how many did not.
func (s *screens) change(ctx context.Context, v *oneVillage, round int) (delays []time.Duration, missing int, err error) {
	state, cause := telemetry.StateDown, telemetry.CauseBackhaul
	if round%2 == 1 {
		state, cause = telemetry.StateDegraded, telemetry.CauseNone
	}
	s.mu.Lock()
	s.state, s.since, s.seen = string(state), time.Now(), nil
	s.mu.Unlock()
	if err := v.tell(state, cause); err != nil {
		return nil, 0, err
	}
	look, cancel := context.WithTimeout(ctx, limitLook*time.Second)
	defer cancel()
	_ = s.until(look, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return len(s.seen) == boardScreens }) // who has not come is counted
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, boardScreens - len(s.seen), errors.Join(s.fault, ctx.Err())
}

func (s *screens) until(ctx context.Context, so func() bool) error {
	for !so() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.want:
		}
	}
	return nil
}

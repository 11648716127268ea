package command

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/smartvillage/nabz/collector/audit"
	"github.com/smartvillage/nabz/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	gokina = telemetry.Address{Site: "gokina", Agent: "main"}
	passu  = telemetry.Address{Site: "passu", Agent: "main"}
)

// desk is a Commander with a broker that writes down what it is given.
type desk struct {
	*Commander
	t    *testing.T
	dir  string
	away map[telemetry.Address]bool
	sent []string
	reg  *prometheus.Registry
	deaf error // of the broker
}

func newDesk(t *testing.T, dir string) *desk {
	t.Helper()
	d := &desk{t: t, dir: dir, away: map[telemetry.Address]bool{}, reg: prometheus.NewRegistry()}
	var err error
	d.Commander, err = Open(Parts{File: filepath.Join(dir, "commands.jsonl"), Now: time.Now, Metrics: d.reg, Audit: audit.New(filepath.Join(dir, "audit"), time.Now),
		Known:     func(a telemetry.Address) bool { return a.Agent != "stranger" },
		Connected: func(a telemetry.Address) bool { return !d.away[a] },
		Send: func(a telemetry.Address, payload []byte) error {
			if d.deaf == nil {
				d.sent = append(d.sent, a.String()+" "+string(payload))
			}
			return d.deaf
		},
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.codec.Close)
	return d
}

// counted is a counter with a label's value.
func (d *desk) counted(name, value string) float64 {
	d.t.Helper()
	families, err := d.reg.Gather()
	if err != nil {
		d.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == name && l.GetValue() == value {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	d.t.Fatalf("no counter %s with %s", name, value)
	return 0
}

// runs has the Commander work until the bubble's test ends.
func (d *desk) runs() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			d.t.Error(err)
		}
	}
}

func (d *desk) asks(a telemetry.Address, kind Kind) Command {
	d.t.Helper()
	c, err := d.Ask("aisha", "192.0.2.7", a, kind)
	if err != nil {
		d.t.Fatal(err)
	}
	return c
}

func (d *desk) says(a telemetry.Address, c Command, state telemetry.ResultState, text string, data ...byte) {
	d.Result(a, telemetry.Result{ID: c.ID, State: state, Text: text, Data: data}.Append(nil))
}

func (d *desk) now(c Command) Command {
	d.t.Helper()
	for _, one := range d.Of(c.Site) {
		if one.ID == c.ID {
			return one
		}
	}
	d.t.Fatalf("command %s is gone", c.ID)
	return Command{}
}

func (d *desk) audited(name string) (all []string) {
	f, err := os.Open(filepath.Join(d.dir, "audit", name+".jsonl"))
	if err != nil {
		return nil
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e audit.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			d.t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%s %s %s on %s: %s", e.Outcome, e.Who, e.What, e.On, e.Detail))
	}
	return all
}

func TestACommandIsSentAndItsEndIsRecordedWithWhoAsked(t *testing.T) {
	d := newDesk(t, t.TempDir())
	heard, cancel := d.Subscribe()
	defer cancel()
	c := d.asks(gokina, telemetry.CommandSpeedtest)
	if c.State != Sent || c.Who != "aisha" || !telemetry.IsCommandID(c.ID) {
		t.Errorf("asked: %+v", c)
	}
	wire := strings.TrimPrefix(d.sent[0], "gokina/main ")
	if got, err := telemetry.ParseCommand([]byte(wire)); err != nil || got.ID != c.ID || got.Kind != c.Kind || !got.Asked.Equal(c.Asked) || got.Life != life {
		t.Errorf("sent %q, read as %+v (%v)", wire, got, err)
	}
	d.says(gokina, c, telemetry.ResultAccepted, "")
	if now := d.now(c); now.State != Accepted {
		t.Errorf("accepted: %+v", now)
	}
	d.says(gokina, c, telemetry.ResultDone, "down 4.1 Mbit/s", []byte("agent gokina/main\nlink\tup\x1b\u009b31m")...)
	now := d.now(c)
	if now.State != Done || now.Text != "down 4.1 Mbit/s" || now.Data != "agent gokina/main\nlink up  31m" {
		t.Errorf("done: %+v", now)
	}
	d.says(gokina, c, telemetry.ResultFailed, "no, it was not") // what has ended stays so
	if d.now(c).State != Done {
		t.Errorf("said again: %+v", d.now(c))
	}
	select {
	case <-heard:
	default:
		t.Error("a subscriber heard nothing")
	}
	want := []string{"done aisha command speedtest on gokina/main: asked, id " + c.ID, "done aisha command speedtest result on gokina/main: done, id " + c.ID + ": down 4.1 Mbit/s"}
	if got := d.audited("done"); !slices.Equal(got, want) {
		t.Errorf("the audit log says %q, want %q", got, want)
	}
	if n := d.counted("nabz_commands_ended_total", "done"); n != 1 {
		t.Errorf("%v have ended", n)
	}
}

func TestNothingIsSentThatMayNotBe(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(d *desk)
		to    telemetry.Address
		kind  Kind
		want  error
		says  string
	}{
		"an agent that is away":     {func(d *desk) { d.away[gokina] = true }, gokina, telemetry.CommandSpeedtest, ErrAbsent, "gokina/main is not connected now, so nothing was sent, and nothing waits for it"},
		"an agent of nobody":        {nil, telemetry.Address{Site: "gokina", Agent: "stranger"}, telemetry.CommandSpeedtest, ErrUnknownAgent, "no such agent is enrolled"},
		"a command of nobody":       {nil, gokina, "reboot", ErrUnknownKind, `no such command "reboot"; there are [speedtest diagnostics]`},
		"one that is under way":     {func(d *desk) { d.asks(gokina, telemetry.CommandSpeedtest) }, gokina, telemetry.CommandSpeedtest, ErrRunning, "has been asked for already, by aisha"},
		"a broker that is deaf":     {func(d *desk) { d.deaf = errors.New("does not hear") }, gokina, telemetry.CommandSpeedtest, nil, "gokina/main: does not hear"},
		"an audit log without disk": {func(d *desk) { _ = os.WriteFile(filepath.Join(d.dir, "audit"), nil, 0o600) }, gokina, telemetry.CommandSpeedtest, nil, "nothing was sent, since it could not be recorded"},
		"commands without disk":     {func(d *desk) { d.file.path = filepath.Join(d.dir, "none", "x") }, gokina, telemetry.CommandSpeedtest, nil, "nothing was sent, since it could not be written"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, t.TempDir())
			if tt.spoil != nil {
				tt.spoil(d)
			}
			before := len(d.sent)
			_, err := d.Ask("aisha", "192.0.2.7", tt.to, tt.kind)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %q", err, tt.says)
			}
			if len(d.sent) != before {
				t.Errorf("sent %q", d.sent)
			}
			if got := d.audited("refused"); name != "an audit log without disk" && (len(got) != 1 || !strings.HasPrefix(got[0], "refused aisha command ")) {
				t.Errorf("the audit log says %q", got)
			}
			for _, one := range d.Of("gokina") {
				if name != "one that is under way" && !one.State.Ended() {
					t.Errorf("left behind: %+v", one)
				}
			}
		})
	}
}

func TestAgentsAndOperatorsHaveRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, t.TempDir())
		ask := func(who string, to telemetry.Address, kind Kind) error {
			c, err := d.Ask(who, "", to, kind)
			if err == nil {
				d.says(to, c, telemetry.ResultDone, "")
			}
			return err
		}
		for n := range 4 {
			if err := ask("aisha", gokina, telemetry.CommandSpeedtest); err != nil {
				t.Fatalf("ask %d: %v", n, err)
			}
		}
		if err := ask("bilal", gokina, telemetry.CommandSpeedtest); !errors.Is(err, ErrTooMany) || !strings.Contains(err.Error(), "a village pays for each; ask again in 10m0s") {
			t.Errorf("a fifth of one agent: %v", err)
		}
		if err := ask("aisha", gokina, telemetry.CommandDiagnostics); err != nil {
			t.Errorf("something else of that agent: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if err := ask("bilal", gokina, telemetry.CommandSpeedtest); err != nil {
			t.Errorf("ten minutes later: %v", err)
		}
		for n := range 60 {
			if err := ask("chen", telemetry.Address{Site: fmt.Sprintf("site-%d", n), Agent: "main"}, telemetry.CommandSpeedtest); err != nil {
				t.Fatalf("site %d of an operator: %v", n, err)
			}
		}
		if err := ask("chen", passu, telemetry.CommandSpeedtest); !errors.Is(err, ErrTooMany) {
			t.Errorf("a 61st site of one operator: %v", err)
		}
		if err := ask("aisha", passu, telemetry.CommandSpeedtest); err != nil {
			t.Errorf("another operator: %v", err)
		}
	})
}

func TestWhatIsNotAnsweredIsSentAgainAndExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, t.TempDir())
		stop := d.runs()
		defer stop()
		silent := d.asks(gokina, telemetry.CommandSpeedtest)
		begun := d.asks(passu, telemetry.CommandSpeedtest)
		d.says(passu, begun, telemetry.ResultAccepted, "")
		time.Sleep(life - time.Second)
		synctest.Wait()
		if now := d.now(silent); now.State != Sent {
			t.Errorf("before its end: %+v", now)
		}
		times := 0
		for _, s := range d.sent {
			if strings.HasPrefix(s, "gokina/main ") {
				if times++; s != d.sent[0] {
					t.Errorf("sent again as %q, first as %q", s, d.sent[0])
				}
			}
		}
		if times < 4 || times > 8 {
			t.Errorf("sent %d times in %v", times, life)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if now := d.now(silent); now.State != Expired || !strings.Contains(now.Text, "no answer within 2m0s") {
			t.Errorf("after its end: %+v", now)
		}
		if now := d.now(begun); now.State != Accepted {
			t.Errorf("one that has begun: %+v", now)
		}
		time.Sleep(overdue)
		synctest.Wait()
		if now := d.now(begun); now.State != Expired || !strings.Contains(now.Text, "told no end; what became of it is not known") {
			t.Errorf("one that told no end: %+v", now)
		}
		n := len(d.sent)
		d.says(gokina, silent, telemetry.ResultAccepted, "") // too late to wait for
		if now := d.now(silent); now.State != Expired {
			t.Errorf("begun after all: %+v", now)
		}
		d.says(passu, begun, telemetry.ResultDone, "down 1 Mbit/s") // the truth comes late, and counts
		if now := d.now(begun); now.State != Done {
			t.Errorf("its end, late: %+v", now)
		}
		time.Sleep(time.Hour)
		if len(d.sent) != n {
			t.Errorf("sent after their ends: %q", d.sent[n:])
		}
	})
}

func TestAResultCountsOnlyFromWhoWasAsked(t *testing.T) {
	d := newDesk(t, t.TempDir())
	c := d.asks(gokina, telemetry.CommandDiagnostics)
	bomb, err := d.codec.Seal(nil, []byte(strings.Repeat("a", telemetry.MaxResultData+1)), telemetry.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		from    telemetry.Address
		payload []byte
		reason  string
	}{
		"another agent":       {passu, telemetry.Result{ID: c.ID, State: telemetry.ResultDone, Text: "all is well"}.Append(nil), "unknown"},
		"another agent there": {telemetry.Address{Site: "gokina", Agent: "second"}, telemetry.Result{ID: c.ID, State: telemetry.ResultDone}.Append(nil), "unknown"},
		"a guess":             {gokina, telemetry.Result{ID: "0000000000000000", State: telemetry.ResultDone}.Append(nil), "unknown"},
		"nothing":             {gokina, nil, "malformed"},
		"bytes":               {gokina, []byte{0xff, 0, '\n', 0x28}, "malformed"},
		"too much":            {gokina, append(telemetry.Result{ID: c.ID, State: telemetry.ResultDone}.Append(nil), make([]byte, telemetry.MaxResult)...), "malformed"},
		"a command":           {gokina, telemetry.Command{ID: c.ID, Kind: "speedtest", Asked: c.Asked, Life: life}.Append(nil), "malformed"},
	} {
		before := d.counted("nabz_command_results_dropped_total", tt.reason)
		d.Result(tt.from, tt.payload)
		if d.now(c).State != Sent || d.counted("nabz_command_results_dropped_total", tt.reason) != before+1 {
			t.Errorf("%s: the command is %+v, and nothing was counted as %s", name, d.now(c), tt.reason)
		}
	}
	for range 100 {
		d.says(passu, c, telemetry.ResultDone, "")
	}
	if n := d.counted("nabz_command_results_dropped_total", "rate"); n < 50 {
		t.Errorf("%v of a hundred at once were too many", n)
	}
	d.Result(gokina, telemetry.Result{ID: c.ID, State: telemetry.ResultDone, Text: "seen", Data: bomb}.Append(nil))
	if now := d.now(c); now.State != Done || now.Data != "" || !strings.Contains(now.Text, "seen (its data could not be read: ") {
		t.Errorf("a zip bomb became %+v", now)
	}
}

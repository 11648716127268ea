package clock

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUntilSomethingIsStampedAStepBackIsTakenAtOnce(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 22:00:00"), Mono: time.Minute}}
	c := New(m.read, at("2026-11-23 09:00:00"))
	m.run(time.Minute)
	if c.Known() {
		t.Error("a clock that nobody has confirmed is known")
	}
	c.Heard(at("2026-11-23 12:01:00"), 2*time.Second, SNTP)
	m.want(t, c, "2026-11-23 12:01:01", synced, "2026-11-23 22:01:00 sntp clock stepped by -35999.0 s, taken at once")
	c.Bind()
	c.Heard(at("2026-11-23 11:59:00"), 0, Collector)
	m.want(t, c, "2026-11-23 12:01:01", estimated, "2026-11-23 12:01:01 collector clock stepped by -121.0 s, caught up at half speed")
}

func TestWhoMakesTheTimeKnown(t *testing.T) {
	now := at("2026-11-23 12:00:00")
	rows := []struct {
		name string
		do   func(m *machine, c *Clock)
		want bool
	}{
		{"nobody", func(*machine, *Clock) {}, false},
		{"the collector", func(_ *machine, c *Clock) { c.Acked(now, time.Second) }, true},
		{"a time server", func(_ *machine, c *Clock) { c.Heard(now, time.Second, SNTP) }, true},
		{"a time server that is not set itself", func(_ *machine, c *Clock) { c.Heard(time.Unix(0, 0), time.Second, SNTP) }, false},
		{"the system's own time service", func(m *machine, _ *Clock) { m.r.Synced = true }, true},
		{"a time service that is out of its mind", func(m *machine, _ *Clock) { m.r.Synced, m.r.Wall = true, time.Unix(9, 0) }, false},
		{"the run before, in this boot", func(_ *machine, c *Clock) { c.Continue(now.Add(-time.Hour), time.Second) }, true},
		{"the run before, at a moment that is still to come", func(_ *machine, c *Clock) { c.Continue(now.Add(-time.Hour), 2*time.Hour) }, false},
		{"a setting", func(_ *machine, c *Clock) { c.Believe() }, true},
		{"a setting, in 1970", func(m *machine, c *Clock) { m.r.Wall = time.Unix(9, 0); c.Believe() }, false},
	}
	for _, r := range rows {
		m := &machine{Reading{Wall: now, Mono: time.Hour}}
		c := New(m.read, time.Time{})
		r.do(m, c)
		if got := c.Known(); got != r.want || c.Unsure() == r.want {
			t.Errorf("%s: known %v, unsure %v, want %v", r.name, got, c.Unsure(), r.want)
		}
	}
}

func TestAnAgentStartedAgainNeedNotAsk(t *testing.T) {
	m := &machine{Reading{Wall: at("1970-01-01 00:10:00"), Mono: 10 * time.Minute}}
	c := New(m.read, at("2026-11-23 12:00:00"))
	c.Continue(at("2026-11-23 12:00:00"), 4*time.Minute)
	m.want(t, c, "2026-11-23 12:06:00", estimated)
	m.step(at("2026-11-23 12:06:00").Sub(m.r.Wall)) // the system finds the time as well
	m.run(time.Minute)
	m.want(t, c, "2026-11-23 12:07:00", estimated)
}

func TestALateAcknowledgementMovesAKnownClockNoFurtherThanItMust(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 12:00:00")}}
	c := New(m.read, time.Time{})
	c.Acked(m.r.Wall, time.Second)
	c.Bind()
	m.run(time.Minute)
	c.Acked(m.r.Wall.Add(-time.Second), 10*time.Minute) // one for ten batches, told a second ago
	m.want(t, c, "2026-11-23 12:01:00", synced)
	c.Acked(m.r.Wall.Add(time.Hour), 10*time.Minute)
	m.want(t, c, "2026-11-23 13:01:00", estimated, "2026-11-23 12:01:00 collector clock stepped by 3600.0 s, taken at once")
	if !c.Unsure() {
		t.Error("nobody will ask what time it is")
	}
}

func TestATimeServerDoesNotOverruleTheCollector(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 12:00:00")}}
	c := New(m.read, time.Time{})
	c.Acked(m.r.Wall, time.Second)
	m.step(time.Hour) // which has it asked for
	m.want(t, c, "2026-11-23 12:00:00", synced, "2026-11-23 12:00:00 system clock stepped by 3600.0 s, not followed: the collector's clock says otherwise")
	if !c.Unsure() {
		t.Error("a step against the collector's word raises no doubt")
	}
	c.Heard(m.r.Wall, time.Second, SNTP)
	m.want(t, c, "2026-11-23 12:00:00", synced, "2026-11-23 12:00:00 sntp clock stepped by 3600.5 s, not followed: the collector's clock says otherwise")
	if c.Unsure() {
		t.Error("asked for ever")
	}
}

func TestSleepIsTold(t *testing.T) {
	m := &machine{Reading{Wall: at("2026-11-23 12:00:00"), Mono: time.Hour, Awake: time.Hour}}
	c := New(m.read, time.Time{})
	for range 3 {
		m.run(time.Hour)
		m.r.Awake += time.Minute
	}
	if got := c.Slept(); got != 3*59*time.Minute {
		t.Errorf("slept %v", got)
	}
	if now := c.Now(); !now.Equal(at("2026-11-23 15:00:00")) {
		t.Errorf("now %v", now)
	}
}

func TestTimeServersAreAskedOnlyWhileTheTimeIsNotKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		wall := at("2026-11-23 12:00:00")
		var off atomic.Int64
		c := New(func() Reading {
			return Reading{Wall: wall.Add(time.Since(begin) + time.Duration(off.Load())), Mono: time.Hour + time.Since(begin)}
		}, time.Time{})
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var list []string
		answers := 0
		questions := func(add ...string) []string {
			mu.Lock()
			defer mu.Unlock()
			list = append(list, add...)
			return list[:len(list):len(list)]
		}
		var dead atomic.Bool
		dead.Store(true)
		done := make(chan error)
		go func() {
			done <- c.keep(ctx, []string{"one", "two"}, func(_ context.Context, server string) (time.Time, time.Duration, error) {
				questions(server)
				if dead.Load() {
					return time.Time{}, 0, errors.New("no answer")
				}
				mu.Lock()
				defer mu.Unlock()
				answers++
				return wall.Add(time.Since(begin)), time.Second, nil
			}, slog.New(slog.DiscardHandler))
		}()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if len(questions()) > 0 {
			t.Error("asked before the collector had a chance to tell")
		}
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if asked := questions(); len(asked) < 8 || len(asked) > 24 || asked[0] != "one" || asked[1] != "two" {
			t.Errorf("asked %q in six hours of silence", asked)
		}
		dead.Store(false)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if !c.Known() {
			t.Error("an answer was not taken")
		}
		n := len(questions())
		time.Sleep(1000 * time.Hour)
		synctest.Wait()
		if asked := questions(); len(asked) != n {
			t.Errorf("asked %d times while the time was known", len(asked)-n)
		}
		c.Acked(wall.Add(time.Since(begin)), time.Second)
		off.Store(int64(time.Hour)) // somebody sets the system's clock
		c.Now()
		time.Sleep(time.Minute)
		synctest.Wait()
		if asked := questions(); len(asked) != n+1 {
			t.Errorf("asked %d times about a step that does not fit", len(asked)-n)
		}
		mu.Lock()
		want := 76 * int64(len(list)+answers)
		mu.Unlock()
		if got := c.Bytes(); got != want {
			t.Errorf("%d bytes were counted, want %d", got, want)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// timeServer answers as told: stratum, leap indicator, root dispersion in 1/65536 s, and its clock.
func timeServer(t *testing.T, answer func(request, reply []byte)) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = conn.Close(); <-done })
	go func() {
		defer close(done)
		for b := make([]byte, 512); ; {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			reply := make([]byte, 48)
			answer(b[:n], reply)
			_, _ = conn.WriteTo(reply, from)
		}
	}()
	return conn.LocalAddr().String()
}

func stamp(t time.Time) uint64 {
	return uint64(t.Unix()+2208988800)<<32 | uint64(t.Nanosecond())<<32/1e9
}

func TestATimeServersAnswerIsHeldAgainstItself(t *testing.T) {
	good := func(request, reply []byte) {
		now := time.Now().Add(time.Hour)
		reply[0], reply[1], reply[3] = 4<<3|4, 2, 0xec
		binary.BigEndian.PutUint64(reply[16:], stamp(now.Add(-time.Minute)))
		copy(reply[24:32], request[40:48])
		binary.BigEndian.PutUint64(reply[32:], stamp(now))
		binary.BigEndian.PutUint64(reply[40:], stamp(now))
	}
	rows := []struct {
		name string
		bend func(reply []byte)
		want string
	}{
		{"as it should be", func([]byte) {}, ""},
		{"kiss of death", func(r []byte) { r[1] = 0; copy(r[12:], "RATE") }, "kiss of death"},
		{"not synchronised", func(r []byte) { r[0] |= 3 << 6 }, "leap second"},
		{"far from any reference clock", func(r []byte) { binary.BigEndian.PutUint32(r[8:], 3<<16) }, "root distance"},
		{"an answer to another question", func(r []byte) { r[24] ^= 1 }, "server response"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			server := timeServer(t, func(q, r []byte) { good(q, r); row.bend(r) })
			told, rtt, err := Ask(t.Context(), server)
			if row.want == "" {
				if ahead := time.Until(told); err != nil || ahead < 50*time.Minute || ahead > 61*time.Minute || rtt <= 0 || rtt > askTimeout {
					t.Errorf("told %v within %v: %v", told, rtt, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), row.want) && !strings.Contains(err.Error(), "ask time server "+server) {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}

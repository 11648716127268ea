package load

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// tap is one connection of a pour.
type tap struct {
	fd     int
	agent  int
	frames [][]byte
	in     []byte   // of a packet that is not all here yet
	out    []byte   // what the socket did not take
	next   int      // batch that is sent next, counted on with Repeat
	flying []flight // in order of sending
	ready  int      // answers to the sign-in
	due    time.Time
	live   bool
}

type flight struct {
	n     int // as tap.next
	since time.Time
	due   time.Time
}

// pourer is one thread with many connections.
type pourer struct {
	p     Plan
	poll  int
	taps  []*tap
	s     Status
	waits []float64 // of live agents, s
	buf   []byte
	open  bool // the pour has begun
	all   bool // all have been told to go on from their first batch
	first int  // agents whose first batch is acknowledged; all wait for each other, so that questions about former boots are over
}

func pour(ctx context.Context, p Plan, begin <-chan struct{}, r *reporter) (err error) {
	runtime.LockOSThread()
	frames, err := p.frames()
	if err != nil {
		return err
	}
	x := &pourer{p: p, buf: make([]byte, 256<<10)}
	if x.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	defer unix.Close(x.poll)
	for a := range frames {
		t := &tap{agent: a, frames: frames[a], live: a >= p.Agents}
		if err := x.connect(t); err != nil {
			return fmt.Errorf("connect agent %d to %s: %w", a, p.Addr, err)
		}
		x.taps = append(x.taps, t)
	}
	events := make([]unix.EpollEvent, 512)
	told, looked := time.Now(), time.Now()
	for ctx.Err() == nil {
		n, err := unix.EpollWait(x.poll, events, 10)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if err := x.event(x.taps[e.Fd], e.Events); err != nil {
				x.s.Fault = err.Error()
				r.tell(x.s)
				return err
			}
		}
		now := time.Now()
		if !x.open {
			select {
			case <-begin:
				x.open = true
				x.start(now)
			default:
			}
		}
		if x.open && !x.all && x.first == p.Agents {
			x.all = true
			x.start(now)
		}
		if x.open && (p.Live > 0 || now.Sub(looked) > time.Second) {
			looked = now
			x.tick(now)
		}
		if now.Sub(told) >= tellEvery {
			told = now
			x.s.Ready = x.s.Connected == int64(len(x.taps))
			x.s.Begun = x.all
			x.s.Done = !p.Repeat && x.s.Acked >= int64(p.Agents*p.Batches)
			if len(x.waits) > 0 {
				slices.Sort(x.waits)
				x.s.WaitMax, x.s.WaitP99 = x.waits[len(x.waits)-1], x.waits[len(x.waits)*99/100]
			}
			r.tell(x.s)
		}
	}
	return nil
}

func (x *pourer) connect(t *tap) (err error) {
	to, err := netip.ParseAddrPort(x.p.Addr)
	if err != nil {
		return err
	}
	if t.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if err = unix.Connect(t.fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return err
	}
	_ = unix.SetsockoptInt(t.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // only slower without
	if err = unix.SetNonblock(t.fd, true); err != nil {
		return err
	}
	t.out = hello(t.agent, 600, uint64(time.Now().UnixMilli()))
	if err = unix.EpollCtl(x.poll, unix.EPOLL_CTL_ADD, t.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(t.agent)}); err != nil {
		return err
	}
	return x.flush(t)
}

// flush writes what waits, and asks to be told when there is room for more.
func (x *pourer) flush(t *tap) error {
	had := len(t.out)
	for len(t.out) > 0 {
		n, err := unix.Write(t.fd, t.out)
		if err == unix.EAGAIN {
			return unix.EpollCtl(x.poll, unix.EPOLL_CTL_MOD, t.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT, Fd: int32(t.agent)})
		}
		if err != nil {
			return fmt.Errorf("agent %d writes: %w", t.agent, err)
		}
		t.out = t.out[n:]
	}
	if had > 0 {
		t.out = nil
	}
	return nil
}

func (x *pourer) event(t *tap, what uint32) error {
	if what&unix.EPOLLOUT != 0 {
		if err := unix.EpollCtl(x.poll, unix.EPOLL_CTL_MOD, t.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(t.agent)}); err != nil {
			return err
		}
		if err := x.flush(t); err != nil {
			return err
		}
	}
	if what&unix.EPOLLIN == 0 {
		return nil
	}
	n, err := unix.Read(t.fd, x.buf)
	if err == unix.EAGAIN {
		return nil
	}
	if err != nil || n == 0 {
		return fmt.Errorf("the broker has ended the connection of agent %d: %w", t.agent, err)
	}
	b := x.buf[:n]
	if len(t.in) > 0 {
		t.in = append(t.in, b...)
		b = t.in
	}
	for {
		kind, body, rest, err := next(b)
		if err != nil {
			return err
		}
		if kind == 0 {
			break
		}
		b = rest
		if err := x.packet(t, kind, body); err != nil {
			return err
		}
	}
	t.in = append(t.in[:0], b...)
	if x.open {
		return x.send(t, time.Now())
	}
	return nil
}

func (x *pourer) packet(t *tap, kind byte, body []byte) error {
	switch kind >> 4 {
	case 2, 9: // signed in, subscribed
		if body[len(body)-1] != 0 {
			return fmt.Errorf("agent %d is refused: % x", t.agent, body)
		}
		if t.ready++; t.ready == 2 {
			x.s.Connected++
		}
		return nil
	case 3:
	default:
		return nil
	}
	first, last, bad, err := verdict(body, x.p.Boot)
	if err != nil {
		return err
	}
	now := time.Now()
	kept := t.flying[:0]
	for _, f := range t.flying {
		if seq := x.p.which(f.n) + 1; seq < first || seq > last {
			kept = append(kept, f)
			continue
		}
		if t.live {
			x.waits = append(x.waits, now.Sub(f.due).Seconds())
		} else {
			x.s.Acked++
		}
		if bad {
			x.s.Bad++
		}
		if f.n == 0 && !t.live {
			x.first++
		}
	}
	t.flying = kept
	return nil
}

// send fills the window.
func (x *pourer) send(t *tap, now time.Time) error {
	if len(t.out) > 0 || t.live {
		return nil
	}
	window := x.p.Window
	if x.first < x.p.Agents {
		window = 1 - t.next
	}
	for len(t.flying) < window && (x.p.Repeat || t.next < x.p.Batches) {
		x.put(t, now, now)
	}
	return x.flush(t)
}

func (x *pourer) put(t *tap, now, due time.Time) {
	frame := t.frames[x.p.which(t.next)]
	t.flying = append(t.flying, flight{t.next, now, due})
	t.next++
	x.s.Sent++
	if t.out == nil {
		t.out = frame[:len(frame):len(frame)]
		return
	}
	t.out = append(t.out, frame...)
}

// start lets all begin, live ones spread over their time.
func (x *pourer) start(now time.Time) {
	for i, t := range x.taps {
		if t.live {
			if !t.due.IsZero() {
				continue
			}
			t.due = now.Add(x.p.Every * time.Duration(i-x.p.Agents) / time.Duration(x.p.Live))
			continue
		}
		if err := x.send(t, now); err != nil {
			x.s.Fault = err.Error()
		}
	}
}

// tick sends what live agents have to say by now, and again what nobody answered.
func (x *pourer) tick(now time.Time) {
	for _, t := range x.taps {
		if t.live && !now.Before(t.due) && t.next < x.p.Batches && len(t.out) == 0 {
			x.put(t, now, t.due)
			t.due = t.due.Add(x.p.Every)
			if err := x.flush(t); err != nil {
				x.s.Fault = err.Error()
			}
		}
		for i := range t.flying {
			if f := &t.flying[i]; now.Sub(f.since) > resendAfter && len(t.out) == 0 {
				f.since = now
				x.s.Again++
				t.out = t.frames[x.p.which(f.n)]
				if err := x.flush(t); err != nil {
					x.s.Fault = err.Error()
				}
			}
		}
	}
}

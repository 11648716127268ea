package bench

import (
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// capture sees every packet of one interface in another process's network namespace.
type capture struct {
	fd   int
	file *os.File
	done chan struct{}

	mu     sync.Mutex
	sorter *Sorter
	events []event
	err    error

	closing bool
}

// openCapture begins to listen on the interface in the namespace of process pid.
func openCapture(pid int, name string, brokerPort uint16) (*capture, error) {
	type opened struct {
		fd  int
		err error
	}
	got := make(chan opened)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread stays in the other namespace and ends with this goroutine
		fd, err := packetSocket(pid, name)
		got <- opened{fd, err}
	}()
	o := <-got
	if o.err != nil {
		return nil, fmt.Errorf("capture on %s: %w", name, o.err)
	}
	c := &capture{fd: o.fd, file: os.NewFile(uintptr(o.fd), "capture"), done: make(chan struct{}), sorter: NewSorter(brokerPort)}
	go c.listen()
	return c, nil
}

func packetSocket(pid int, name string) (int, error) {
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/net")
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		return 0, fmt.Errorf("enter the namespace: %w", err)
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	all := int(unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00)
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: i.Index}); err != nil {
		return 0, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

func (c *capture) listen() {
	defer close(c.done)
	raw, err := c.file.SyscallConn()
	if err != nil {
		c.err = err
		return
	}
	buf := make([]byte, 64<<10)
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		err := raw.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, unix.MSG_TRUNC)
			return !errors.Is(rerr, unix.EAGAIN)
		})
		if err != nil || rerr != nil && !errors.Is(rerr, unix.ENETDOWN) {
			c.mu.Lock()
			if !c.closing {
				c.err = errors.Join(err, rerr)
			}
			c.mu.Unlock()
			return
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if rerr != nil || !ok {
			continue
		}
		at := time.Now()
		c.mu.Lock()
		parts := c.sorter.Sort(buf[:min(n, len(buf))], n, ll.Pkttype == unix.PACKET_OUTGOING)
		c.events = append(c.events, event{at, parts})
		c.mu.Unlock()
	}
}

// seen is every packet so far.
func (c *capture) seen() []event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events[:len(c.events):len(c.events)]
}

func (c *capture) close() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	_ = c.file.Close() // ends listen
	<-c.done
}

// counters are the interface's own, received and sent together, as seen by process pid. They are those of
// /sys/class/net/NAME/statistics; the file in /proc shows them from outside the namespace too.
func counters(pid int, name string) (bytes, packets int64, err error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/net/dev")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		iface, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		if !ok || iface != name || len(f) < 16 {
			continue
		}
		var v [4]int64
		for i, column := range []int{0, 1, 8, 9} { // bytes and packets received, bytes and packets sent
			if v[i], err = strconv.ParseInt(f[column], 10, 64); err != nil {
				return 0, 0, fmt.Errorf("counters of %s: %w", name, err)
			}
		}
		return v[0] + v[2], v[1] + v[3], nil
	}
	return 0, 0, fmt.Errorf("counters of %s: there is no such interface", name)
}

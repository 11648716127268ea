//go:build unix

package demo

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// port is one that the demo listens on, and the make variable that chooses it.
type port struct {
	number   int
	variable string
	flag     string
}

func (p port) address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.number)) }

// checkPorts joins a line for each port that cannot be had.
func checkPorts(ports []port) error {
	var faults []error
	for i, p := range ports {
		if p.number < 1 || p.number > 65535 {
			faults = append(faults, fmt.Errorf("%s %d: want a port, 1 to 65535", p.flag, p.number))
			continue
		}
		for _, q := range ports[:i] {
			if q.number == p.number {
				faults = append(faults, fmt.Errorf("port %d is given to both %s and %s; choose another: make demo %s=%d", p.number, q.flag, p.flag, p.variable, free(p.number, ports)))
			}
		}
		l, err := net.Listen("tcp", p.address())
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			faults = append(faults, fmt.Errorf("port %d is taken; choose another: make demo %s=%d", p.number, p.variable, free(p.number, ports)))
		case err != nil:
			faults = append(faults, fmt.Errorf("port %d: %w; choose another: make demo %s=%d", p.number, err, p.variable, free(max(p.number, 1023), ports)))
		default:
			l.Close()
		}
	}
	return errors.Join(faults...)
}

// free is the next port above that can be had, to be proposed.
func free(above int, not []port) int {
next:
	for n := above + 1; n < above+100 && n <= 65535; n++ {
		for _, p := range not {
			if p.number == n {
				continue next
			}
		}
		if l, err := net.Listen("tcp", port{number: n}.address()); err == nil {
			l.Close()
			return n
		}
	}
	return above + 1
}

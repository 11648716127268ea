package sampler

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/shirou/gopsutil/v3/net"
)

// readCounters reads the counters of all interfaces.
func readCounters(ctx context.Context) (m map[string]counters, err error) {
	if told := guard(func() { m, err = readAll(ctx) }); told != nil {
		return nil, fmt.Errorf("read interface counters: %w", told)
	}
	return m, err
}

func readAll(ctx context.Context) (map[string]counters, error) {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("read interface counters: %w", err)
	}
	m := make(map[string]counters, len(all))
	for _, c := range all {
		m[c.Name] = counters{c.BytesRecv, c.BytesSent, c.PacketsRecv, c.PacketsSent, c.Errin + c.Errout, c.Dropin + c.Dropout}
	}
	return m, nil
}

// deviceNumber is the kernel's number of an interface; 0 where it is not told.
func deviceNumber(name string) int {
	b, err := os.ReadFile("/sys/class/net/" + name + "/ifindex")
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// guard calls f. The library that reads the machine takes the form of the kernel's files for granted, and panics on one
// that is cut short, as containers and vendors' kernels have them; that must not end an agent, so it becomes an error.
func guard(f func()) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("a file of the kernel has not the form that is expected: %v", r)
		}
	}()
	f()
	return nil
}

package sampler

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strconv"
	"time"
)

// LeaseFormat is how a DHCP server writes down its leases.
type LeaseFormat uint8

// The formats.
const (
	Dnsmasq  LeaseFormat = iota // a lease a line: "1763900000 MAC ADDRESS NAME CLIENT"
	Odhcpd                      // "# IFACE DUID IAID NAME 1763900000 ID LENGTH ADDRESS…"
	ISCDhcpd                    // "lease ADDRESS { ends 1 2025/11/23 12:00:00; binding state active; … }"
)

// LeaseFile is where a DHCP server writes down its leases.
type LeaseFile struct {
	Path   string
	Format LeaseFormat
}

// LeaseFiles are the places that OpenWrt, Debian and Red Hat use.
func LeaseFiles() []LeaseFile {
	return []LeaseFile{
		{"/tmp/dhcp.leases", Dnsmasq}, {"/var/lib/misc/dnsmasq.leases", Dnsmasq}, {"/var/lib/dnsmasq/dnsmasq.leases", Dnsmasq},
		{"/tmp/hosts/odhcpd", Odhcpd}, {"/tmp/odhcpd.leases", Odhcpd},
		{"/var/lib/dhcp/dhcpd.leases", ISCDhcpd}, {"/var/lib/dhcpd/dhcpd.leases", ISCDhcpd},
	}
}

const (
	maxLeaseBytes = 4 << 20 // of one file; ISC's is a journal
	maxLeases     = 1 << 16
)

// leases counts one file, or several. A device may hold an address of either family, or both.
type leases struct {
	now    int64 // seconds; 0: the clock is not known
	v4, v6 int64
}

// countLeases counts the leases in force in all files that are there; -1 when there is none. A device that has an IPv4 and
// an IPv6 address must not count twice, so the family with the more leases counts.
func countLeases(files []LeaseFile, now time.Time) int64 {
	l := leases{}
	if !now.IsZero() {
		l.now = now.Unix()
	}
	any := false
	for _, f := range files {
		file, err := os.Open(f.Path)
		if err != nil {
			continue
		}
		any = l.read(file, f.Format) == nil || any
		_ = file.Close() // was only read
	}
	if !any {
		return -1
	}
	return max(l.v4, l.v6)
}

func (l *leases) read(r io.Reader, f LeaseFormat) error {
	var journal *journal
	b := bufio.NewReaderSize(io.LimitReader(r, maxLeaseBytes), 4<<10)
	for long := false; ; {
		line, err := b.ReadSlice('\n')
		if tail := long; errors.Is(err, bufio.ErrBufferFull) {
			long = true
			if tail {
				continue
			}
		} else {
			if long = false; tail { // the end of a line whose beginning was enough
				line = nil
			}
		}
		switch f {
		case Dnsmasq:
			l.dnsmasq(line)
		case Odhcpd:
			l.odhcpd(line)
		case ISCDhcpd:
			if journal == nil {
				journal = newJournal()
			}
			journal.line(line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if journal != nil {
				l.v4 += journal.count(l.now)
			}
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// field cuts the first word off line.
func field(line []byte) (word, rest []byte) {
	line = bytes.TrimLeft(line, " \t")
	i := bytes.IndexAny(line, " \t\r\n")
	if i < 0 {
		return line, nil
	}
	return line[:i], line[i:]
}

func number(word []byte) (int64, bool) {
	n, err := strconv.ParseInt(string(word), 10, 64)
	return n, err == nil
}

// year2001 is the lowest moment that a file can mean: a dnsmasq built for machines without a clock writes how long a
// lease lasts in place of when it ends.
const year2001 = 1_000_000_000

func (l *leases) valid(ends int64) bool {
	return l.now == 0 || ends < year2001 || ends > l.now
}

// dnsmasq counts a line of dnsmasq's: end (0: never), hardware address or identity, address, name, client. IPv6 leases stand
// behind a line "duid …".
func (l *leases) dnsmasq(line []byte) {
	word, rest := field(line)
	ends, ok := number(word)
	if !ok || ends < 0 || !l.valid(ends) {
		return
	}
	_, rest = field(rest)
	address, _ := field(rest)
	l.add(address)
}

// odhcpd counts a line of odhcpd's state file: "# IFACE DUID IAID NAME END ID LENGTH ADDRESS/LENGTH…". IAID is "ipv4" for an
// IPv4 lease; END is -1 for never, 0 for run out; LENGTH is that of the prefix, which is one address or a network.
func (l *leases) odhcpd(line []byte) {
	word, rest := field(line)
	if string(word) != "#" {
		return
	}
	for range 4 {
		_, rest = field(rest)
	}
	word, rest = field(rest)
	ends, ok := number(word)
	if !ok || ends == 0 || ends > 0 && !l.valid(ends) {
		return
	}
	_, rest = field(rest)
	length, rest := field(rest)
	if n := string(length); n != "32" && n != "128" { // a prefix for a router behind this one, which has an address too
		return
	}
	address, _ := field(rest)
	l.add(address)
}

func (l *leases) add(address []byte) {
	switch {
	case bytes.IndexByte(address, ':') >= 0:
		l.v6++
	case bytes.IndexByte(address, '.') > 0:
		l.v4++
	}
}

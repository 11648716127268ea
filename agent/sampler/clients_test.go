package sampler

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/smartvillage/nabz/telemetry"
)

const noon = 1763900000 // seconds

func leaseFiles(t *testing.T, text map[LeaseFormat]string) (files []LeaseFile) {
	t.Helper()
	dir := t.TempDir()
	for f, s := range text {
		path := filepath.Join(dir, fmt.Sprint("leases", f))
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, LeaseFile{path, f})
	}
	return append(files, LeaseFile{filepath.Join(dir, "none"), Dnsmasq})
}

const (
	dnsmasqFile = `1763900001 d8:3a:dd:12:34:56 192.168.1.101 Ayesha-phone 01:d8:3a:dd:12:34:56
1763899999 d8:3a:dd:12:34:57 192.168.1.102 gone *
0 d8:3a:dd:12:34:58 192.168.1.103 * *
43200 d8:3a:dd:12:34:59 192.168.1.104 no-clock *
duid 00:01:00:01:2a:bb:cc:dd:d8:3a:dd:12:34:56
1763900001 1234567 fd00::101 Ayesha-phone 00:01:00:01:2b
nonsense
-5 d8:3a:dd:12:34:60 192.168.1.105 * *
1763900001 d8:3a:dd:12:34:61
`
	odhcpdFile = `# br-lan 00030001d83add123456 5f3a Ayesha-phone 1763900001 6d0 128 fd00::6d0/128
fd00::6d0	Ayesha-phone.lan
# br-lan d83add123457 ipv4 Bilal-tablet -1 77 32 192.168.1.119/32
# br-lan d83add123458 ipv4 - 1763899999 78 32 192.168.1.120/32
# br-lan 00030001d83add123456 5f3b Ayesha-phone 1763900001 10 60 fd00:0:0:10::/60
# br-lan 0003 1 - 0 6d1 128 fd00::6d1/128
# short
`
	iscFile = `# The format of this file is documented in the dhcpd.leases(5) manual page.
server-duid "\000\001";
lease 10.0.0.5 {
  starts 0 2025/11/23 11:00:00;
  ends 0 2025/11/23 13:00:00;
  binding state active;
  next binding state free;
  hardware ethernet d8:3a:dd:12:34:56;
  client-hostname "Ayesha-phone";
}
lease 10.0.0.6 {
  ends never;
  binding state active;
}
lease 10.0.0.7 {
  ends epoch 1763899999; # Sun Nov 23 12:13:19 2025
  binding state active;
}
lease 10.0.0.8 {
  ends 0 2025/11/23 13:00:00;
  binding state active;
}
lease 10.0.0.8 {
  ends 0 2025/11/23 12:00:00;
  binding state free;
}
lease 10.0.0.9 {
  ends 0 2025/11/23 13:00:00;
  binding state act`
)

func TestLeasesInForceAreCounted(t *testing.T) {
	for _, tt := range []struct {
		name          string
		files         map[LeaseFormat]string
		want, noClock int64
	}{
		{"no file", nil, -1, -1},
		{"empty", map[LeaseFormat]string{Dnsmasq: ""}, 0, 0},
		{"dnsmasq", map[LeaseFormat]string{Dnsmasq: dnsmasqFile}, 3, 4},
		{"odhcpd: one of each family, perhaps of one device", map[LeaseFormat]string{Odhcpd: odhcpdFile}, 1, 2},
		{"ISC: the last word on an address counts, and a torn one does not", map[LeaseFormat]string{ISCDhcpd: iscFile}, 2, 3},
		{"dnsmasq for IPv4 and odhcpd for IPv6", map[LeaseFormat]string{Dnsmasq: dnsmasqFile, Odhcpd: odhcpdFile}, 4, 6},
		{"a line without end", map[LeaseFormat]string{Dnsmasq: "1763900001 d8:3a:dd:12:34:56 192.168.1.101 " + strings.Repeat("x", 20000) + "\n1763900001 d8:3a:dd:12:34:57 192.168.1.102 x x"}, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			files := leaseFiles(t, tt.files)
			if got := countLeases(files, time.Unix(noon, 0)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			if got := countLeases(files, time.Time{}); got != tt.noClock {
				t.Errorf("clock not known: got %d, want %d", got, tt.noClock)
			}
		})
	}
}

func FuzzLeases(f *testing.F) {
	f.Add([]byte(dnsmasqFile), uint8(Dnsmasq))
	f.Add([]byte(odhcpdFile), uint8(Odhcpd))
	f.Add([]byte(iscFile), uint8(ISCDhcpd))
	f.Fuzz(func(t *testing.T, text []byte, format uint8) {
		l := leases{now: noon}
		if err := l.read(strings.NewReader(string(text)), LeaseFormat(format%3)); err != nil {
			t.Fatal(err)
		}
		if lines := int64(strings.Count(string(text), "\n")) + 1; l.v4 < 0 || l.v6 < 0 || l.v4+l.v6 > lines {
			t.Fatalf("%d and %d leases in %d lines", l.v4, l.v6, lines)
		}
	})
}

// fakeKernel answers as linux/net/wireless/nl80211.c does.
type fakeKernel struct {
	points   map[uint32]uint32 // index to type
	stations map[uint32][]string
	refuses  syscall.Errno // of stations
	answers  [][]byte
	mangle   func([]byte) []byte
}

func message(kind, flags uint16, seq uint32, body []byte) []byte {
	e := binary.NativeEndian
	b := e.AppendUint32(nil, uint32(16+len(body)))
	b = e.AppendUint16(e.AppendUint16(b, kind), flags)
	b = e.AppendUint32(e.AppendUint32(b, seq), 4711)
	b = append(b, body...)
	return append(b, make([]byte, align(len(b))-len(b))...)
}

func word(kind uint16, v uint32) []byte {
	return attribute(kind, binary.NativeEndian.AppendUint32(nil, v))
}

func (k *fakeKernel) send(b []byte) error {
	e := binary.NativeEndian
	kind, seq, command := e.Uint16(b[4:]), e.Uint32(b[8:]), b[16]
	add := func(m []byte) { k.answers = append(k.answers, m) }
	done := message(nlDone, nlMulti, seq, []byte{0, 0, 0, 0})
	switch {
	case kind == genlControl && k.points == nil:
		add(message(nlError, 0, seq, refusal(syscall.ENOENT)))
	case kind == genlControl:
		add(message(nlDone, 0, seq-1, []byte{0, 0, 0, 0})) // left over from before
		add(message(genlControl, 0, seq, append([]byte{1, 2, 0, 0}, append(attribute(genlFamilyName, []byte("nl80211\x00")), attribute(genlFamilyID, e.AppendUint16(nil, 28))...)...)))
	case kind == 28 && command == wifiGetInterface:
		var all []byte
		for index, typ := range k.points {
			all = append(all, message(28, nlMulti, seq, append([]byte{7, 1, 0, 0}, append(word(wifiIndex, index), word(wifiType, typ)...)...))...)
		}
		add(append(all, done...))
	case kind == 28 && command == wifiGetStation && k.refuses != 0:
		add(message(nlError, 0, seq, refusal(k.refuses)))
	case kind == 28 && command == wifiGetStation:
		index := e.Uint32(b[24:])
		for _, s := range k.stations[index] {
			add(message(28, nlMulti, seq, append([]byte{19, 1, 0, 0}, append(word(wifiIndex, index), attribute(wifiAddress, []byte(s))...)...)))
		}
		add(done)
	}
	return nil
}

func (k *fakeKernel) receive(b []byte) (int, error) {
	if len(k.answers) == 0 {
		return 0, syscall.EAGAIN
	}
	m := k.answers[0]
	k.answers = k.answers[1:]
	if k.mangle != nil {
		m = k.mangle(m)
	}
	return copy(b, m), nil
}

func TestStationsOfAccessPointsAreCounted(t *testing.T) {
	two := map[uint32][]string{4: {"\xd8\x3a\xdd\x12\x34\x56", "\xd8\x3a\xdd\x12\x34\x57"}, 5: {"\xd8\x3a\xdd\x12\x34\x57"}, 6: {"\xaa\xaa\xaa\xaa\xaa\xaa"}}
	for _, tt := range []struct {
		name string
		k    fakeKernel
		want int64
		err  error
	}{
		{"both bands, one station roaming between them", fakeKernel{points: map[uint32]uint32{4: typeAP, 5: typeAP}, stations: two}, 2, nil},
		{"an access point that nobody uses", fakeKernel{points: map[uint32]uint32{9: typeAP}, stations: two}, 0, nil},
		{"a client of another's access point, whose station is that", fakeKernel{points: map[uint32]uint32{6: 2}, stations: two}, 0, errNoAP},
		{"beside an access point of its own", fakeKernel{points: map[uint32]uint32{6: 2, 5: typeAP}, stations: two}, 1, nil},
		{"no Wi-Fi", fakeKernel{}, 0, syscall.ENOENT},
		{"a driver that does not list", fakeKernel{points: map[uint32]uint32{4: typeAP}, refuses: syscall.EOPNOTSUPP}, 0, syscall.EOPNOTSUPP},
		{"a message cut short", fakeKernel{points: map[uint32]uint32{4: typeAP}, mangle: func(b []byte) []byte { return b[:len(b)-5] }}, 0, errMessage},
		{"an empty message", fakeKernel{points: map[uint32]uint32{4: typeAP}, mangle: func([]byte) []byte { return nil }}, 0, errMessage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := countStations(&tt.k)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %d, %v; want %d, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

func FuzzNetlinkAnswers(f *testing.F) {
	f.Add(message(28, nlMulti, 1, append([]byte{19, 1, 0, 0}, attribute(wifiAddress, []byte("\xd8\x3a\xdd\x12\x34\x57"))...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, taken := request{seq: 1}, 0
		_, _ = r.answers(b, func(attrs []byte) {
			each(attrs, func(_ uint16, value []byte) { taken += 4 + len(value) })
		})
		if taken > len(b) {
			t.Fatalf("took %d bytes out of %d", taken, len(b))
		}
	})
}

// Whatever goes wrong, what leaves this package is a number.
func TestNoAddressAndNoNameEverComesOut(t *testing.T) {
	points := map[uint32]uint32{4: typeAP}
	mac := "\xd8\x3a\xdd\x12\x34\x56"
	files := leaseFiles(t, map[LeaseFormat]string{Dnsmasq: dnsmasqFile, Odhcpd: odhcpdFile, ISCDhcpd: iscFile})
	for _, k := range []*fakeKernel{
		{points: points, stations: map[uint32][]string{4: {mac}}},
		{points: points, stations: map[uint32][]string{4: {mac}}, mangle: func(b []byte) []byte { return b[:len(b)-5] }},
		{points: points, stations: map[uint32][]string{4: {mac}}, refuses: syscall.EIO},
	} {
		var failed error
		c := Counter{Leases: files, Stations: func() (n int64, err error) {
			n, failed = countStations(k)
			return n, failed
		}}
		found := c.Read(time.Unix(noon, 0))
		line := found.Line(time.Unix(noon, 0))
		if _, err := telemetry.Check(line); err != nil {
			t.Error(err)
		}
		text, _ := line.Append(nil)
		all := strings.ToLower(fmt.Sprintf("%s %+v %v", text, found, failed))
		for _, secret := range []string{"d8:3a", "d83a", "d8-3a", "dd:12", "12:34", mac, "ayesha", "bilal", "phone", "192.168", "10.0.0", "fd00"} {
			if strings.Contains(all, strings.ToLower(secret)) {
				t.Errorf("%q is in %q", secret, all)
			}
		}
	}
}

func TestWhatCountsForTheHourAreStationsThenLeases(t *testing.T) {
	for _, tt := range []struct {
		c    Clients
		want int64
		ok   bool
		line string
	}{
		{Clients{7, 12}, 7, true, "clients wifi_stations=7i,dhcp_leases=12i 1763900000000\n"},
		{Clients{0, 12}, 0, true, "clients wifi_stations=0i,dhcp_leases=12i 1763900000000\n"},
		{Clients{-1, 12}, 12, true, "clients dhcp_leases=12i 1763900000000\n"},
		{Clients{-1, -1}, -1, false, ""},
	} {
		if n, ok := tt.c.Count(); n != tt.want || ok != tt.ok {
			t.Errorf("%+v: got %d %v", tt.c, n, ok)
		}
		var b []byte
		if l := tt.c.Line(time.Unix(noon, 0)); l != nil {
			b, _ = l.Append(nil)
		}
		if string(b) != tt.line {
			t.Errorf("got %q want %q", b, tt.line)
		}
	}
}

func refusal(e syscall.Errno) []byte {
	code := -int32(e)
	return binary.NativeEndian.AppendUint32(nil, uint32(code))
}

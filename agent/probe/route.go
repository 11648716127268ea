package probe

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/smartvillage/nabz/agent/ledger"
)

// Route is the way out: the interface of the default route and the gateway on it. Gateway is not valid where the
// link has none, such as PPP.
type Route struct {
	Interface string
	Gateway   netip.Addr
	Up        bool // the interface exists, is up and has a carrier
}

const (
	routeUp     = 0x1
	routeReject = 0x200
)

// DefaultRoute reads the kernel's tables under dir, which is /proc/net. IPv4 comes first, then the lowest metric. The
// zero Route says that there is none.
func DefaultRoute(dir string) (Route, error) {
	v4, err4 := os.ReadFile(filepath.Join(dir, "route"))
	r, ok := parseRoute4(v4)
	if !ok {
		v6, err6 := os.ReadFile(filepath.Join(dir, "ipv6_route"))
		if err4 != nil && err6 != nil {
			return Route{}, fmt.Errorf("read routes: %w; set probe.gateway and probe.interface", err4)
		}
		r, ok = parseRoute6(v6)
	}
	if ok {
		r.Up = interfaceUp(r.Interface)
	}
	return r, nil
}

func interfaceUp(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0
}

// parseRoute4 reads /proc/net/route, where addresses stand as numbers in the byte order of the machine.
func parseRoute4(text []byte) (best Route, ok bool) {
	least := uint64(1 << 63)
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		flags, err1 := strconv.ParseUint(f[3], 16, 32)
		metric, err2 := strconv.ParseUint(f[6], 10, 32)
		gateway, err3 := strconv.ParseUint(f[2], 16, 32)
		if err1 != nil || err2 != nil || err3 != nil || flags&routeUp == 0 || flags&routeReject != 0 || metric >= least {
			continue
		}
		least, best, ok = metric, Route{Interface: f[0]}, true
		if gateway != 0 {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(gateway))
			best.Gateway = netip.AddrFrom4(b)
		}
	}
	return best, ok
}

// parseRoute6 reads /proc/net/ipv6_route, where addresses stand in network order.
func parseRoute6(text []byte) (best Route, ok bool) {
	least := uint64(1 << 63)
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) < 10 || strings.Trim(f[0], "0") != "" || f[1] != "00" || f[9] == "lo" {
			continue
		}
		metric, err1 := strconv.ParseUint(f[5], 16, 32)
		flags, err2 := strconv.ParseUint(f[8], 16, 32)
		gateway, err3 := hex.DecodeString(f[4])
		if err1 != nil || err2 != nil || err3 != nil || len(gateway) != 16 || flags&routeUp == 0 || flags&routeReject != 0 || metric >= least {
			continue
		}
		least, best, ok = metric, Route{Interface: f[9]}, true
		if a := netip.AddrFrom16([16]byte(gateway)); !a.IsUnspecified() {
			if a.IsLinkLocalUnicast() {
				a = a.WithZone(f[9])
			}
			best.Gateway = a
		}
	}
	return best, ok
}

// arpComplete is the flag of an entry whose hardware address is known (ATF_COM).
const arpComplete = 0x2

// Neighbour tells from the kernel's table under dir, which is /proc/net, whether a gateway has a hardware address: Answered when it has,
// Silent when it does not say. The kernel asks again while packets go there, so an entry outlives its gateway by some eight
// seconds. NotAsked of IPv6, and where there is no table. It costs no packet beyond the local link.
func Neighbour(dir string, gateway netip.Addr) ledger.Answer {
	text, err := os.ReadFile(filepath.Join(dir, "arp"))
	if err != nil || !gateway.Unmap().Is4() {
		return ledger.NotAsked
	}
	return parseNeighbour(text, gateway.Unmap().String())
}

func parseNeighbour(text []byte, gateway string) ledger.Answer {
	for line := range bytes.Lines(text) {
		f := strings.Fields(string(line))
		if len(f) < 4 || f[0] != gateway {
			continue
		}
		if flags, err := strconv.ParseUint(strings.TrimPrefix(f[2], "0x"), 16, 32); err == nil && flags&arpComplete != 0 {
			return ledger.Answered
		}
	}
	return ledger.Silent
}

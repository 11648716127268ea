package agent

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/host"

	"github.com/smartvillage/nabz/agent/clock"
	"github.com/smartvillage/nabz/agent/probe"
)

// procNet is where Linux tells its routes.
const procNet = "/proc/net"

// bootID names this boot of the machine.
func bootID(ctx context.Context) (string, error) {
	var booted time.Time
	if s, err := host.BootTimeWithContext(ctx); err == nil && s > 0 {
		booted = time.Unix(int64(s), 0)
	}
	return clock.BootID(os.ReadFile, booted)
}

// Way is the way out as configured, or as the kernel has it now.
func (c *ProbeConfig) Way() probe.Route {
	r, err := probe.DefaultRoute(procNet)
	if err != nil {
		r.Up = true // a platform that does not tell its routes: then silence of the anchors is all there is to go by
	}
	if c.Interface != "" && c.Interface != r.Interface {
		i, err := net.InterfaceByName(c.Interface)
		r = probe.Route{Interface: c.Interface, Up: err == nil && i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0}
	}
	if a, err := netip.ParseAddr(c.Gateway); err == nil {
		r.Gateway, r.Up = a, r.Up || c.Interface == ""
	}
	return r
}

// near tells whether an address lies in a network of this machine's that is not the way out, such as a school's own. Of a tunnel, which
// is point to point, that cannot be said: it goes over the way out itself.
func (c *ProbeConfig) near(a netip.Addr) bool {
	all, err := net.Interfaces()
	way := c.Way().Interface
	if err != nil || way == "" {
		return false
	}
	for _, i := range all {
		if i.Name == way || i.Flags&net.FlagPointToPoint != 0 {
			continue
		}
		on, _ := i.Addrs() // it may just have gone
		for _, x := range on {
			if p, err := netip.ParsePrefix(x.String()); err == nil && p.Contains(a) {
				return true
			}
		}
	}
	return false
}

// wanProves tells whether traffic on the WAN interface proves that the internet works.
func (c *ProbeConfig) wanProves() bool {
	if c.WANEvidence != "auto" {
		return c.WANEvidence == "yes"
	}
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	return err == nil && strings.TrimSpace(string(b)) == "1"
}

// Trust is how brokers prove themselves: by the certificates in the CA file, or by the system's.
func (c *Config) Trust() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	t.RootCAs = x509.NewCertPool()
	if !t.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: %s holds no certificate in PEM form", c.CAFile)
	}
	return t, nil
}

// configChanged compares the configuration with that of the run before and keeps it for the next one. The first run has none to compare
// with, nor has one of another version: its configuration may have other keys.
func configChanged(c Config) (bool, error) {
	version := cmp.Or(strings.Join(strings.Fields(c.Version), "_"), "-")
	c.Version, c.Notify, c.Clock = "", nil, nil
	sum := fmt.Sprintf("%08x", crc32.ChecksumIEEE(fmt.Appendf(nil, "%+v", c)))
	now := sum + " " + version + "\n"
	file := filepath.Join(c.DataDir, "configuration.crc")
	before, err := os.ReadFile(file)
	if err == nil && string(before) == now {
		return false, nil
	}
	f := strings.Fields(string(before))
	changed := len(f) == 2 && f[1] == version && f[0] != sum
	if err := replaceFile(file, []byte(now)); err != nil {
		return changed, fmt.Errorf("remember the configuration: %w", err)
	}
	return changed, nil
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// wan is the name of the agent's interface, in its namespace.
const wan = "wan"

// The hardware addresses of both ends of each link.
const nearMAC, farMAC = "02:00:00:00:00:02", "02:00:00:00:00:01"

// village is one agent behind its own link, in a network and mount namespace of its own.
type village struct {
	name    string
	far     string // our end of the link
	dir     string
	agent   *child
	capture *capture
}

// openVillage lays the link, starts the agent and sees every packet from the first on. Number tells the links apart.
func openVillage(ctx context.Context, c *centre, name, broker string, number int, settings string) (_ *village, err error) {
	v := &village{name: name, far: "far" + strconv.Itoa(number), dir: filepath.Join(c.dir, name)}
	if err := os.MkdirAll(v.dir, 0o700); err != nil {
		return nil, err
	}
	resolv := filepath.Join(v.dir, "resolv.conf")
	config := fmt.Sprintf("site = %q\nbrokers = [\"mqtts://%s:%d\"]\nsecret_file = %q\nca_file = %q\ndata_dir = %q\n%s", name, broker, brokerPort,
		v.file("secret"), c.trust.ca, v.data(), settings)
	for file, text := range map[string]string{v.file("secret"): c.secrets[name] + "\n", v.file("agent.toml"): config, resolv: "nameserver " + nameServer + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	said, err := os.Create(v.file("agent.log"))
	if err != nil {
		return nil, err
	}
	defer said.Close()
	// The shell waits until the link is laid, and then becomes the agent: its process id is the agent's.
	cmd := exec.Command("/bin/sh", "-c", `read go && mount --bind "$1" /etc/resolv.conf && exec "$2" run --config "$3"`, "sh", resolv, c.programs.Agent, v.file("agent.toml"))
	cmd.Env, cmd.Stdout, cmd.Stderr = clean(), said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	ready, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if v.agent, err = start("nabz-agent of "+name, cmd); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = v.agent.cmd.Process.Kill()
		}
	}()
	if err = v.lay(ctx, number); err != nil {
		return nil, err
	}
	if v.capture, err = openCapture(v.agent.pid(), wan, brokerPort); err != nil {
		return nil, err
	}
	_, err = io.WriteString(ready, "\n")
	return v, errors.Join(err, ready.Close())
}

func (v *village) file(name string) string { return filepath.Join(v.dir, name) }
func (v *village) data() string            { return v.file("data") }

// lay puts one end of a pair of interfaces into the agent's namespace. Segments are never sent joined, so that each packet counts
// as it would on a wire. Both ends know each other's hardware address for good, and the new addressing (IPv6) is off: neighbour discovery is
// the kernel's, stays between router and modem, and never reaches the line that is paid for. On such an Ethernet it was 7.3 MB a month.
func (v *village) lay(ctx context.Context, number int) error {
	pid := strconv.Itoa(v.agent.pid())
	near, far := fmt.Sprintf("198.18.%d.2", number), fmt.Sprintf("198.18.%d.1", number)
	inside := []string{"--target", pid, "--net", "--", "ip"}
	steps := [][]string{
		{"ip", "link", "add", v.far, "address", farMAC, "gso_max_segs", "1", "type", "veth", "peer", "name", wan, "address", nearMAC, "gso_max_segs", "1"},
		{"ip", "link", "set", v.far, "addrgenmode", "none"},
		{"ip", "link", "set", wan, "addrgenmode", "none"},
		{"ip", "link", "set", wan, "netns", pid},
		{"ip", "address", "add", far + "/30", "dev", v.far},
		{"ip", "link", "set", v.far, "up"},
		{"ip", "neighbour", "replace", near, "lladdr", nearMAC, "dev", v.far, "nud", "permanent"},
		append([]string{"nsenter"}, append(inside, "link", "set", "lo", "up")...),
		append([]string{"nsenter"}, append(inside, "link", "set", wan, "addrgenmode", "none")...),
		append([]string{"nsenter"}, append(inside, "address", "add", near+"/30", "dev", wan)...),
		append([]string{"nsenter"}, append(inside, "link", "set", wan, "up")...),
		append([]string{"nsenter"}, append(inside, "neighbour", "replace", far, "lladdr", farMAC, "dev", wan, "nud", "permanent")...),
		append([]string{"nsenter"}, append(inside, "route", "add", "default", "via", far)...),
	}
	for _, s := range steps {
		if _, err := command(ctx, s[0], s[1:]...); err != nil {
			return fmt.Errorf("lay the link of %s: %w", v.name, err)
		}
	}
	return nil
}

// cut breaks the link beyond the gateway, which goes on answering: what comes from the village for anywhere else is dropped.
func (v *village) cut(ctx context.Context) error {
	for _, to := range []string{"192.0.2.0/24", "203.0.113.0/24"} {
		if _, err := command(ctx, "ip", "rule", "add", "pref", "10", "iif", v.far, "to", to, "blackhole"); err != nil {
			return fmt.Errorf("cut the link of %s: %w", v.name, err)
		}
	}
	return nil
}

// connected waits until a batch has been sent and answered.
func (v *village) connected(ctx context.Context) error {
	err := until(ctx, time.Minute, "the agent of "+v.name+" has sent a batch and got its acknowledgement", func() bool {
		var all Bytes
		for _, e := range v.capture.seen() {
			for _, p := range e.parts {
				all[p.Kind] += int64(p.Bytes)
			}
		}
		return v.agent.ended() != nil || all[Data] > 0 && all[Ack] > 0
	})
	if err = errors.Join(v.agent.ended(), err); err != nil {
		return fmt.Errorf("%w; the agent said:\n%s", err, tail(v.file("agent.log")))
	}
	return nil
}

// close stops the agent, which sends its last words, and the capture.
func (v *village) close() error {
	err := v.agent.stop()
	v.capture.close()
	return err
}

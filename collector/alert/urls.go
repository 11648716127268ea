package alert

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

var channelName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)

// HeartbeatName is the name in the file of channels whose address is asked for as a sign of life, and told nothing.
const HeartbeatName = "heartbeat"

// Ways are what a file of channels names.
type Ways struct {
	Channels  []Channel
	Heartbeat string // address, secret; "": none
}

// ReadWays reads the file of channels: on each line a name, perhaps the least severity that is told, and an address as shoutrrr writes it, which holds secrets. So a
// file that everybody may read is refused, and no error shows an address.
func ReadWays(file string) (Ways, error) {
	var w Ways
	info, err := os.Stat(file)
	if err != nil {
		return w, fmt.Errorf("alert.urls_file: %w; it names who is told of alerts, a line each: NAME URL", err)
	}
	if info.Mode().Perm()&0o007 != 0 {
		return w, fmt.Errorf("alert.urls_file: %s may be read or written by everybody, and its addresses hold secrets; chmod 640 %s", file, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return w, err
	}
	var faults []error
	seen := map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		fault := func(format string, a ...any) {
			faults = append(faults, fmt.Errorf("%s:%d: %w", file, n, fmt.Errorf(format, a...)))
		}
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		name, least, address := words[0], Info, words[len(words)-1]
		switch {
		case len(words) == 3 && slices.Contains([]string{"critical", "warning", "info"}, words[1]):
			least = Severity(words[1])
		case len(words) == 3:
			fault("the second word is none of critical, warning, info")
			continue
		case len(words) != 2:
			fault("want NAME URL, or NAME critical URL")
			continue
		}
		switch {
		case !channelName.MatchString(name):
			fault("the first word is not a name: a-z, 0-9, - and _, 32 at most")
		case seen[name]:
			fault("%q is named twice", name)
		case name == HeartbeatName:
			if u, err := url.Parse(address); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
				fault("the address of the heartbeat is not one that begins with http:// or https://")
			}
			w.Heartbeat = address
		default:
			ch, err := open(name, least, address)
			if err != nil {
				fault("%q: %w", name, err)
			} else {
				w.Channels = append(w.Channels, ch)
			}
		}
		seen[name] = true
	}
	if err := lines.Err(); err != nil {
		faults = append(faults, fmt.Errorf("%s: %w", file, err))
	}
	return w, errors.Join(faults...)
}

func open(name string, least Severity, address string) (Channel, error) {
	if rest, ok := strings.CutPrefix(address, "alertmanager+"); ok {
		return NewAlertmanager(name, rest, least)
	}
	return newPeople(name, address, least)
}

// veil replaces what is secret of an address in texts.
type veil struct{ secrets []string }

// newVeil knows what is secret of an address: all but the names of hosts where these say where the fault is.
func newVeil(address string) *veil {
	v := &veil{}
	add := func(text string, least int) {
		if len(text) >= least {
			v.secrets = append(v.secrets, text, url.QueryEscape(text), url.PathEscape(text))
		}
	}
	add(address, 1)
	u, err := url.Parse(address)
	if err != nil {
		return v
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(password, 1)
		add(u.User.String(), 4)
		if service := strings.SplitN(u.Scheme, "+", 2)[0]; service != "smtp" && service != "http" && service != "https" {
			add(u.User.Username(), 4)
		} else {
			add(u.User.Username(), 6)
		}
	}
	for _, segment := range strings.Split(u.Path, "/") {
		add(segment, 6)
	}
	for _, values := range u.Query() {
		for _, value := range values {
			add(value, 6)
		}
	}
	add(u.RawQuery, 6)
	switch strings.SplitN(u.Scheme, "+", 2)[0] {
	case "smtp", "generic", "http", "https", "ntfy", "gotify", "mattermost", "matrix", "rocketchat", "zulip", "signal":
	default: // a token or an id stands there
		add(u.Hostname(), 1)
	}
	slices.SortFunc(v.secrets, func(a, b string) int { return len(b) - len(a) })
	return v
}

func (v *veil) text(s string) string {
	for _, secret := range v.secrets {
		s = strings.ReplaceAll(s, secret, "…")
	}
	return s
}

// hidden is an error without what is secret. It cannot be unwrapped: what is inside is not.
func (v *veil) hidden(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(v.text(err.Error()))
}

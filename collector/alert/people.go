package alert

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// mostText is what a message may be long: Telegram takes 4,096.
const mostText = 3500

// people tells persons, through one of shoutrrr's services.
type people struct {
	name    string
	least   Severity
	service types.Service
	scheme  string
	veil    *veil
	busy    chan struct{} // holds one while an attempt goes on; services do not all end with their time
}

func newPeople(name, address string, least Severity) (*people, error) {
	p := &people{name: name, least: least, veil: newVeil(address), busy: make(chan struct{}, 1)}
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "" {
		return nil, errors.New("is not an address such as smtp://user:password@mail.example.org:587/?from=…&to=…")
	}
	p.scheme, _, _ = strings.Cut(u.Scheme, "+")
	if p.scheme == "logger" {
		return nil, errors.New("logger:// tells nobody")
	}
	var r router.ServiceRouter
	r.SetLogger(log.New(io.Discard, "", 0)) // it would write addresses
	if p.service, err = r.Locate(address); err != nil {
		return nil, fmt.Errorf("%w; shoutrrr's documentation says how to write it", p.veil.hidden(err))
	}
	return p, nil
}

// Name is from the file of channels.
func (p *people) Name() string { return p.name }

// Least is from the file of channels.
func (p *people) Least() Severity { return p.least }

// Send tells all news in one message.
func (p *people) Send(ctx context.Context, m Message) (string, error) {
	title, text := p.words(m)
	params := types.Params{}
	switch p.scheme {
	case "smtp":
		params.SetTitle(mime.QEncoding.Encode("utf-8", title))
	case "generic", "gotify", "ntfy", "pushover", "pagerduty", "opsgenie", "bark", "join", "pushbullet":
		params.SetTitle(title)
	}
	select {
	case p.busy <- struct{}{}:
	default:
		return "", errors.New("the attempt before still waits for an answer")
	}
	done := make(chan error, 1)
	go func() {
		done <- p.service.Send(text, &params)
		<-p.busy
	}()
	select {
	case err := <-done:
		if err != nil {
			return "", p.veil.hidden(err)
		}
		return "the service behind " + p.scheme + ":// has taken it", nil
	case <-ctx.Done():
		return "", fmt.Errorf("no answer within %v", sendTime)
	}
}

// words puts news into one message.
func (p *people) words(m Message) (title, text string) {
	var b strings.Builder
	heads, size := make([]string, len(m.News)), 0
	for i, n := range m.News {
		heads[i] = clipped(headline(n), mostText/len(m.News)-len("\n\n"))
		size += len(heads[i]) + len("\n\n")
	}
	for i, n := range m.News {
		if i == 0 {
			title = heads[i]
		} else {
			b.WriteString("\n\n")
		}
		b.WriteString(heads[i])
		if more := len("\n" + n.Alert.Text); more > 1 && (len(m.News) == 1 || size+more <= mostText) { // each is named, whatever there is to say of the others
			b.WriteString("\n" + n.Alert.Text)
			size += more
		}
	}
	if n := len(m.News); n > 1 {
		title = fmt.Sprintf("%d alerts: %s", n, title)
	}
	text = clipped(b.String(), mostText)
	switch {
	case m.Link == "":
	case m.News[0].What == Noticed:
		text += "\n\n" + m.Link
	default:
		text += "\n\n" + strings.TrimSuffix(m.Link, "/") + "/alerts"
	}
	return oneLine("nabz: " + title), text
}

// clipped is a text of so many bytes at most.
func clipped(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most-len("…")], "") + "…"
}

// headline is one piece of news on a line. Signs go with words, so that it can be told at a glance and read aloud.
func headline(n News) string {
	switch a := n.Alert; n.What {
	case Recovered:
		return fmt.Sprintf("✓ over after %s: %s", lasted(a.Ended.Sub(a.Began)), a.Title)
	case Repeated:
		return "↻ still: " + a.Title
	case Tested, Noticed:
		return a.Title
	default:
		return map[Severity]string{Critical: "‼ ", Warning: "! "}[a.Severity] + a.Title
	}
}

func lasted(d time.Duration) string {
	d = d.Round(time.Minute)
	switch {
	case d < time.Minute:
		return "less than a minute"
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	}
	return strings.TrimSuffix(d.String(), "0s")
}

// oneLine keeps what somebody wrote into a site's name from becoming a header of a mail.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
